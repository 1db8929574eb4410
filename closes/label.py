"""How messages name a price file, and the options with which its reader chooses a column or a stock."""

from dataclasses import dataclass

OF_COMMAND, OF_QUERY, NO_OPTIONS = "--{} {}", "{}={}", ""  # forms of an option with its value


@dataclass(frozen=True)
class Label:
    """How messages name a price file.

    Attributes:
        name: of the file.
        form: of the reader's options: OF_COMMAND, OF_QUERY or NO_OPTIONS.
    """

    name: str
    form: str = OF_COMMAND

    def __str__(self) -> str:
        return self.name

    def advise(self, advice: str, option: str, value: str = "NAME", otherwise: str = "") -> str:
        """Return a sentence that ends with an option and its value, or the other sentence if the reader has no options."""
        return f"{advice}: {self.form.format(option, value)}." if self.form else otherwise


INPUT = Label("The input", OF_QUERY)  # of a request: a file or pasted text
