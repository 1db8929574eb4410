"""Writes holidays.json: the days from FIRST on, in the week of each exchange, on which it is closed.

python data/makeHolidays.py        needs exchange_calendars (requirements-dev.txt)
"""

import json
import sys
from pathlib import Path
from typing import Any

import exchange_calendars
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))

from closes.calendar import DAILY, HOLIDAYS, INDICES, SUFFIXES, YAHOO_NAMES
from storage import write_atomic

FIRST = "2022-01-01"
LAST = "2035-12-31"  # less where exchange_calendars knows less


def closed_days(code: str) -> dict[str, Any]:
    """Return the week of an exchange, the last day that is known, and the days of its week on which it is closed."""
    kind = exchange_calendars.get_calendar(code).__class__
    end = min(kind.bound_max() or pd.Timestamp(LAST), pd.Timestamp(LAST))
    calendar = kind(start=FIRST, end=end)
    week = pd.bdate_range(FIRST, end, freq="C", weekmask=calendar.weekmask.replace(" ", ""))
    closed = week.difference(calendar.sessions)
    return {"weekmask": calendar.weekmask, "until": str(end.date()), "closed": [str(day.date()) for day in closed]}


def main() -> None:
    """Write the file, one line for each exchange."""
    codes = sorted({*SUFFIXES.values(), *YAHOO_NAMES.values(), *INDICES.values()} - {DAILY})
    lines = [f"    {json.dumps(code)}: {json.dumps(closed_days(code))}" for code in codes]
    source = f"exchange_calendars {exchange_calendars.__version__} (Apache-2.0), by data/makeHolidays.py"
    text = f'{{\n  "source": {json.dumps(source)},\n  "exchanges": {{\n' + ",\n".join(lines) + "\n  }\n}\n"
    write_atomic(HOLIDAYS, text.encode())


if __name__ == "__main__":
    main()
