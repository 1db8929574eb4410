"""Whether the dates of a file, such as 1/2/2024, have the day or the month first."""

import contextlib
import itertools
import re
import statistics
from collections.abc import Iterable
from datetime import date

from closes.days import EPOCH, MAX_LENGTH, NUMERIC, DayFormat, tidied
from closes.series import DAY_SECONDS
from errors import InvalidClosesError

IRREGULAR, MANY_DATES = 3, 12  # with more dates, a file whose gaps are more uneven in both forms is refused
MORE_EVEN = 2  # times, so that the gaps between the dates choose a form


def find_format(samples: Iterable[str], name: str) -> tuple[DayFormat, list[str]]:
    """Find how a file writes its dates.

    Args:
        samples: dates of the file's first rows, in their order.
        name: of the file, for messages.

    Returns:
        The format, and a sentence for each guess.

    Raises:
        InvalidClosesError: the dates fit both forms and are irregular in both, or they have different separators.
    """
    texts = list(samples)
    found = [match for text in texts if (match := NUMERIC.fullmatch(tidied(text)[:MAX_LENGTH]))]
    if not found:
        return DayFormat(), []
    separator = found[0]["s"]
    if other := next((match for match in found if match["s"] != separator), None):
        raise InvalidClosesError(
            f"{name} has dates in two forms, such as {found[0][0]} and {other[0]}. One may have the day first and the other the month. "
            "Write all dates with the year first, for example 2024-05-31."
        )
    firsts, seconds = [int(match["a"]) for match in found], [int(match["b"]) for match in found]
    fit_both = max(firsts) <= 12 and max(seconds) <= 12
    day_first = _fits_day_first(texts, found[0], name) if fit_both else max(firsts) > 12
    example, form = found[0][0], DayFormat(day_first, separator)
    try:
        shown = f" ({example} is {date.fromordinal(form.parse(example) // DAY_SECONDS + EPOCH)})"
    except ValueError:
        shown = ""
    return form, [f"Dates are read with the {'day' if day_first else 'month'} first{shown}."]


def _fits_day_first(texts: list[str], example: "re.Match[str]", name: str) -> bool:
    """Return whether dates that fit both forms are read better with the day first.

    The right form changes direction less often. If both change equally often, the right form has the more even gaps: monthly dates in the
    wrong form look like 1 to 12 January. A few consecutive days are even in both forms; then the form with the shorter time span is right.

    Raises:
        InvalidClosesError: the dates are irregular in both forms. Part of them may be in one form and part in the other.
    """
    (turns, uneven, span), (other_turns, other_uneven, other_span) = (_disorder(texts, day_first) for day_first in (True, False))
    if min(uneven, other_uneven) > IRREGULAR and len(texts) > MANY_DATES:
        raise InvalidClosesError(
            f"{name} has dates such as {example[0]}, in which the day or the month may be first, with irregular gaps in both forms. "
            "Write the year first, for example 2024-05-31."
        )
    if turns != other_turns:
        return turns < other_turns
    if max(uneven, other_uneven) > MORE_EVEN * min(uneven, other_uneven):
        return uneven < other_uneven
    return span < other_span or (span == other_span and example["s"] == ".")


def _disorder(texts: list[str], day_first: bool) -> tuple[int, float, int]:
    """Return how often dates change direction when they are read in a form, how uneven their gaps are, and how many seconds they span.

    Gaps are as uneven as the difference between the longest and the shortest, divided by their median.
    """
    form, seconds = DayFormat(day_first), []
    for text in texts:
        with contextlib.suppress(ValueError, OverflowError):
            seconds.append(form.parse(text))
    steps = [later > earlier for earlier, later in itertools.pairwise(seconds)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(sorted(set(seconds)))]
    uneven = (max(gaps) - min(gaps)) / statistics.median(gaps) if gaps else 0.0
    return sum(one != other for one, other in itertools.pairwise(steps)), uneven, max(seconds) - min(seconds)
