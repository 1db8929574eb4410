"""Rows of a price file that are wrong or left out, and why."""

from dataclasses import dataclass, field

from errors import InvalidClosesError

MAX_BAD = 10_000  # bad rows that are remembered; a file with more is refused
MAX_EXAMPLES = 5  # lines that are named

UNKNOWN_DAY = 2**62  # seconds, of a wrong row whose date is unknown: the row counts as used

NO_CLOSE = "no close on that day"
NO_ROW = "neither a date nor a close"
EVENT = "dividends and splits"
OTHER_STOCK = "other stocks"
SAME_ROW = "the same day and close twice"
BAD = "a wrong value on a day that is not used"


@dataclass(frozen=True)
class Bad:
    """A row with a wrong value.

    Attributes:
        seconds: its time, seconds since 1970.
        line: its number in the file.
        text: what is wrong.
        is_number: whether its close is a number, so that the file as a whole is understood.
        is_note: whether its date field has words and no digit, as in a line of notes.
    """

    seconds: int
    line: int
    text: str
    is_number: bool = False
    is_note: bool = False

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


def too_many_bad(name: str, examples: list[str]) -> InvalidClosesError:
    """Return the error for a file with too many wrong rows."""
    return InvalidClosesError(f"{name} has more than {MAX_BAD} rows with wrong values.", examples)


@dataclass
class LeftOut:
    """Rows that were left out for one reason: how many, and the lines of the first."""

    count: int = 0
    lines: list[int] = field(default_factory=list)

    def add(self, line: int) -> None:
        """Count a row."""
        self.count += 1
        if len(self.lines) < MAX_EXAMPLES and line not in self.lines:
            self.lines.append(line)
