"""How messages name a price file, and the options with which its reader chooses a column or a stock."""

from dataclasses import dataclass

from errors import InvalidClosesError

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

    def refusal(self, fault: str, advice: str, option: str, value: str = "NAME", otherwise: str = "") -> InvalidClosesError:
        """Return the error for a fault, with advice that names an option and its value. Over HTTP, the advice is in the details.

        Args:
            fault: a sentence without its subject, the file.
            advice: without the option.
            option: `column` or `symbol`.
            value: of the option.
            otherwise: the advice for a reader without options.
        """
        said = f"{advice}: {self.form.format(option, value)}." if self.form else otherwise
        if self.form == OF_QUERY:
            return InvalidClosesError(f"{self} {fault}", [said])
        return InvalidClosesError(f"{self} {fault} {said}".rstrip())


INPUT = Label("The input", OF_QUERY)  # of a request: a file or pasted text
