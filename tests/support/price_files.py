"""Price files as people have them, and the right outcome of each: the same table for the commands, the page and the API.

`CONTENTS` are made here. `../shared/cases` next to the project, if it is there, has more of the same names.
"""

import gzip
import io
import math
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

N = 70  # closes of most files
USED = 60
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class Outcome:
    """What must happen with a file.

    Attributes:
        refused: words of the error; empty: the file is accepted.
        said: words of the guesses, reasons and warnings together.
        scale: of the closes, relative to those of ok.csv; None: other closes.
        digits: relative precision of the closes in the file.
        total: closes of the file.
        dated: whether the file has dates.
        from_here: first day for a command that uses the whole file, because an older one is wrong.
        symbol: the stock to choose.
        column: the name of the column of closes that must have been read.
    """

    refused: str = ""
    said: tuple[str, ...] = ()
    scale: float | None = 1.0
    digits: float = 1e-4
    total: int = N
    dated: bool = True
    from_here: str = ""
    symbol: str = ""
    column: str = ""


def refused(words: str) -> Outcome:
    return Outcome(refused=words)


NEWEST_FIRST, DAY_FIRST, MONTH_FIRST, COMMA = "newest first", "day first", "month first", "decimal sign"
NO_CLOSE, OLD_BAD = "no close on that day", "a wrong value on a day that is not used"
NOT_DAILY = "not daily"
OUTCOMES = {
    "adj_adj_close.csv": Outcome(column="Adj Close**"),
    "adj_adjusted_close.csv": Outcome(column="Adjusted Close"),
    "adj_adjustedclose.csv": Outcome(column="AdjustedClose"),
    "adj_close_adjusted.csv": Outcome(column="close_adjusted"),
    "adjusted_close_name.csv": Outcome(column="Adjusted_close"),
    "alpha_vantage.csv": Outcome(said=(NEWEST_FIRST,)),
    "book.xlsx": refused("is an Excel workbook (.xlsx), not a CSV file. Save it as CSV"),
    "close_only.csv": Outcome(said=("no dates",), dated=False),
    "close_only_60.csv": Outcome(said=("no dates",), dated=False, total=60),
    "close_volume_30.txt": refused("30 lines of 2 fields"),
    "coinmarketcap.csv": Outcome(said=(NEWEST_FIRST,), column="close"),
    "compact_date.csv": Outcome(),
    "compact_date_30_no_header.txt": refused("30 closes"),
    "compact_date_30_no_header_tab.txt": refused("30 closes"),
    "cr_only.csv": Outcome(),
    "crlf_bom.csv": Outcome(),
    "dollar.csv": Outcome(),
    "dup_last_identical.csv": Outcome(said=("the same day and close twice",)),
    "dup_old.csv": Outcome(said=("the same day and close twice",)),
    "excel_sep.csv": Outcome(),
    "excel_serial_30.txt": refused("30 lines of 2 fields"),
    "exponent.csv": Outcome(),
    "footer.csv": Outcome(said=("neither a date nor a close",)),
    "future.csv": Outcome(said=("in the future",)),
    "google_sheets.csv": Outcome(said=(MONTH_FIRST,)),
    "gz.csv": Outcome(),
    "hex.csv": refused("line 5: date '2024-02-29', close '0x10'"),
    "hourly.csv": Outcome(said=(NOT_DAILY, "is 1 hour.")),
    "hourly_two_columns.csv": Outcome(said=(NOT_DAILY, "is 1 hour.", "The time of day is read from '<TIME>'")),
    "huge.csv": Outcome(scale=4e6),
    "inf.csv": refused("line 5: date '2024-02-29', close 'inf'"),
    "infer_bool.csv": Outcome(said=(NO_CLOSE,), total=69),
    "investing_en.csv": Outcome(said=(NEWEST_FIRST, MONTH_FIRST), column="Price"),
    "investing_pt.csv": Outcome(said=(NEWEST_FIRST, DAY_FIRST, COMMA), column="Último"),
    "kaggle_multi.csv": Outcome(refused="several stocks: AAL, AAPL.", symbol="AAPL"),
    "latin1.csv": Outcome(),
    "monthly.csv": Outcome(said=(NOT_DAILY, "monthly"), scale=None),
    "monthly_day_first.csv": Outcome(said=(NOT_DAILY, "monthly", DAY_FIRST)),
    "monthly_dotted.csv": Outcome(said=(NOT_DAILY, "monthly", DAY_FIRST)),
    "monthly_investing_en.csv": Outcome(said=(NOT_DAILY, "monthly", MONTH_FIRST, NEWEST_FIRST)),
    "monthly_investing_pt.csv": Outcome(said=(NOT_DAILY, "monthly", DAY_FIRST, NEWEST_FIRST)),
    "monthly_month_first.csv": Outcome(said=(NOT_DAILY, "monthly", MONTH_FIRST)),
    "monthly_short_year.csv": Outcome(said=(NOT_DAILY, "monthly", MONTH_FIRST)),
    "nasdaq.csv": Outcome(said=(NEWEST_FIRST, MONTH_FIRST), column="Close/Last"),
    "nbsp.csv": Outcome(scale=30),
    "newest_first.csv": Outcome(said=(NEWEST_FIRST,)),
    "no_date_header.csv": Outcome(said=("no dates",), dated=False),
    "number_close_30.txt": refused("30 lines of 2 fields"),
    "ohlc_15_rows.txt": refused("15 lines of 4 fields"),
    "ok.csv": Outcome(),
    "old_1995.csv": Outcome(scale=None, total=400),
    "old_negative_adj.csv": Outcome(said=(OLD_BAD, "2024-02-29"), total=69, from_here="2024-03-01"),
    "old_zero.csv": Outcome(said=(OLD_BAD, "2024-02-29"), total=69, from_here="2024-03-01"),
    "penny.csv": Outcome(scale=1e-6, digits=5e-3),
    "preamble.csv": Outcome(said=(NEWEST_FIRST, "lines before the header")),
    "quarterly_day_first.csv": Outcome(said=(NOT_DAILY, "quarterly", DAY_FIRST)),
    "quarterly_month_first.csv": Outcome(said=(NOT_DAILY, "quarterly", MONTH_FIRST)),
    "quoted_newline.csv": Outcome(),
    "row_number_index.csv": Outcome(),
    "semicolon_comma.csv": Outcome(said=(COMMA,)),
    "semicolon_comma_ohlc.csv": Outcome(said=(COMMA,)),
    "semicolon_point.csv": Outcome(),
    "slash_date.csv": Outcome(),
    "stooq_ascii.txt": Outcome(column="<CLOSE>"),
    "tab.csv": Outcome(),
    "thousands_quoted.csv": Outcome(scale=30),
    "trailing_comma_all.csv": Outcome(),
    "trailing_comma_rows.csv": Outcome(),
    "train_old_zero.csv": Outcome(said=(OLD_BAD, "2022-01-06"), scale=None, total=419, from_here="2022-01-07"),
    "underscore.csv": refused("line 5: date '2024-02-29', close '1_85.5'"),
    "unnamed_index.csv": Outcome(),
    "utf16.csv": Outcome(),
    "weekly.csv": Outcome(said=(NOT_DAILY, "weekly"), scale=None),
    "yahoo_last_nan.csv": Outcome(said=(NO_CLOSE,), scale=None, total=69),
    "yahoo_old_null.csv": Outcome(said=(NO_CLOSE,), total=69),
    "yahoo_web_table.txt": Outcome(said=(NEWEST_FIRST, "no header"), column="Adj Close"),
    "year_close_30.txt": refused("30 lines of 2 fields"),
    "yf_multiindex.csv": Outcome(),
    "yf_tz.csv": Outcome(),
}


def _weekdays(first: date, count: int) -> list[date]:
    days = (first + timedelta(days=day) for day in range(2 * count + 7))
    return [day for day in days if day.weekday() < 5][:count]


def _walk(count: int) -> list[float]:
    closes = [185.0]
    for day in range(count - 1):
        closes.append(closes[-1] * math.exp(0.02 * math.sin(day * day)))
    return closes


DAYS, CLOSES = _weekdays(date(2024, 2, 26), N), _walk(N)
ROWS = list(zip(DAYS, CLOSES, strict=True))
SPLIT = N - 3  # row of a 4-for-1 split


def _table(header: str, row: Callable[[date, float], str], rows: list[tuple[date, float]] = ROWS, end: str = "\n") -> bytes:
    return end.join([header, *(row(day, close) for day, close in rows), ""]).encode()


def _plain(
    header: str = "date,close",
    sep: str = ",",
    day: str = "%Y-%m-%d",
    form: str = "{:.4f}",
    rows: list[tuple[date, float]] = ROWS,
    end: str = "\n",
) -> bytes:
    return _table(header, lambda when, close: when.strftime(day) + sep + form.format(close), rows, end)


def _lines(count: int, row: Callable[[int], str]) -> bytes:
    return "".join(row(index) + "\n" for index in range(count)).encode()


def _split(adjusted: str, header: str = "Date,Close") -> bytes:
    rows = [f"{day},{close * (4 if index < SPLIT else 1):.2f},{close:.2f}" for index, (day, close) in enumerate(ROWS)]
    return "\n".join([f"{header},{adjusted}", *rows, ""]).encode()


def _comma(value: float) -> str:
    return f"{value:.2f}".replace(".", ",")


def _with(line: int, text: str, content: bytes) -> bytes:
    """Replace a line, counted from 1."""
    lines = content.decode().split("\n")
    lines[line - 1] = text
    return "\n".join(lines).encode()


def _long(first: date, count: int) -> bytes:
    rows = list(zip(_weekdays(first, count), _walk(count), strict=True))
    return _table("date,close", lambda day, close: f"{day},{close:.4f}", rows)


def _book() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as book:
        book.writestr("[Content_Types].xml", "<Types/>")
        book.writestr("xl/workbook.xml", "<workbook/>")
    return stream.getvalue()


def _written(day: date) -> str:
    return f"{MONTHS[day.month - 1]} {day.day}, {day.year}"


def _ohlc(close: float, form: str = "{:.4f}", sep: str = ",") -> str:
    return sep.join(form.format(value) for value in (close, close * 1.01, close * 0.99, close))


def _made() -> dict[str, bytes]:
    plain, newest = _plain(), ROWS[::-1]
    hours = [datetime(2024, 5, 20, 9, 30) + timedelta(days=index // 7, hours=index % 7) for index in range(N)]
    old = _table(
        "date,close", lambda day, close: f"{day},{close:.4f}", list(zip(_weekdays(date(1995, 6, 21), 400), _walk(400), strict=True))
    )
    train = _table(
        "date,close", lambda day, close: f"{day},{close:.4f}", list(zip(_weekdays(date(2022, 1, 3), 420), _walk(420), strict=True))
    )
    months = [(date(2018 + index // 12, index % 12 + 1, 1), close) for index, close in enumerate(CLOSES)]
    quarters = [(date(2000 + index // 4, index % 4 * 3 + 1, 1), close) for index, close in enumerate(CLOSES)]
    both = _table("Date,Close,Adj Close", lambda day, close: f"{day},{close},{close}")
    weeks = [(date(2023, 2, 3) + timedelta(weeks=index), close) for index, close in enumerate(CLOSES)]
    yahoo = _table("Date,Open,High,Low,Close,Adj Close,Volume", lambda day, close: f"{day},{_ohlc(close)},{close:.4f},100")
    stocks = [_table("", lambda day, close, name=name: f"{day},{_ohlc(close)},1,{name}")[1:] for name in ("AAL", "AAPL")]  # type: ignore[misc]
    return {
        "adj_adj_close.csv": _split("Adj Close**"),
        "adj_adjusted_close.csv": _split("Adjusted Close"),
        "adj_adjustedclose.csv": _split("AdjustedClose"),
        "adj_close_adjusted.csv": _split("close_adjusted"),
        "adjusted_close_name.csv": _split("Adjusted_close"),
        "alpha_vantage.csv": _table("timestamp,open,high,low,close,volume", lambda day, close: f"{day},{_ohlc(close)},1000", newest),
        "book.xlsx": _book(),
        "close_only.csv": _table("Close", lambda day, close: f"{close:.2f}"),
        "close_only_60.csv": _table("Close", lambda day, close: f"{close:.2f}", ROWS[-60:]),
        "close_volume_30.txt": _lines(30, lambda index: f"{CLOSES[index]:.2f}\t{25_000_000 + index}"),
        "coinmarketcap.csv": _table(
            "timeOpen;timeClose;timeHigh;timeLow;name;open;high;low;close;volume;marketCap;timestamp",
            lambda day, close: (
                f'"{day}T00:00:00.000Z";"{day}T23:59:59.999Z";"{day}T02:00:00.000Z";"{day}T03:00:00.000Z";"2781";'
                f'{_ohlc(close, sep=";")};1;1;"{day}T23:59:59.999Z"'
            ),
            newest,
        ),
        "compact_date.csv": _plain(day="%Y%m%d"),
        "compact_date_30_no_header.txt": _lines(30, lambda index: f"{DAYS[index]:%Y%m%d};{CLOSES[index]:.2f}"),
        "compact_date_30_no_header_tab.txt": _lines(30, lambda index: f"{DAYS[index]:%Y%m%d}\t{CLOSES[index]:.2f}"),
        "cr_only.csv": _plain(end="\r"),
        "crlf_bom.csv": b"\xef\xbb\xbf" + _plain(end="\r\n"),
        "dollar.csv": _plain(form="${:.2f}"),
        "dup_last_identical.csv": plain + plain.splitlines(keepends=True)[-1],
        "dup_old.csv": b"".join(plain.splitlines(keepends=True)[:5]) + b"".join(plain.splitlines(keepends=True)[4:]),
        "excel_sep.csv": b"sep=,\n" + plain,
        "excel_serial_30.txt": _lines(30, lambda index: f"{45404 + index}\t{CLOSES[index]:.2f}"),
        "exponent.csv": _plain(form="{:.6E}"),
        "footer.csv": plain + b'"Downloaded from Example.com as of 05-31-2024 11:27pm CDT"\n',
        "future.csv": _table("date,close", lambda day, close: f"{day + timedelta(days=65745)},{close:.4f}"),
        "google_sheets.csv": _table("Date,Close", lambda day, close: f"{day.month}/{day.day}/{day.year} 16:00:00,{close:.2f}"),
        "gz.csv": gzip.compress(plain, mtime=0),
        "hex.csv": _with(5, "2024-02-29,0x10", plain),
        "hourly.csv": "\n".join(["Date,Close", *(f"{hour},{close:.4f}" for hour, close in zip(hours, CLOSES, strict=True)), ""]).encode(),
        "hourly_two_columns.csv": "\n".join(
            ["<DATE>,<TIME>,<CLOSE>", *(f"{hour:%Y%m%d,%H%M%S},{close:.4f}" for hour, close in zip(hours, CLOSES, strict=True)), ""]
        ).encode(),
        "huge.csv": _table("date,close", lambda day, close: f"{day},{4e6 * close:.4f}"),
        "inf.csv": _with(5, "2024-02-29,inf", plain),
        "infer_bool.csv": _with(5, "2024-02-29,NaN", plain),
        "investing_en.csv": _table(
            '\ufeff"Date","Price","Open","High","Low","Vol.","Change %"',
            lambda day, close: f'"{day:%m/%d/%Y}","{close:.2f}","{close:.2f}","{close:.2f}","{close:.2f}","1.2M","0.1%"',
            newest,
        ),
        "investing_pt.csv": _table(
            '\ufeff"Data","Último","Abertura","Máxima","Mínima","Vol.","Var%"',
            lambda day, close: f'"{day:%d.%m.%Y}",' + ",".join([f'"{_comma(close)}"'] * 4) + ',"1,2M","0,1%"',
            newest,
        ),
        "kaggle_multi.csv": b"date,open,high,low,close,volume,Name\n" + b"".join(stocks),
        "latin1.csv": _table("Date,Close,Variação", lambda day, close: f"{day},{close:.2f},0").decode().encode("latin-1"),
        "monthly.csv": _table("Date,Close", lambda day, close: f"{day},{close:.4f}", months),
        "monthly_day_first.csv": _plain(day="%d/%m/%Y", rows=months),
        "monthly_dotted.csv": _plain(day="%d.%m.%Y", rows=months),
        "monthly_investing_en.csv": _table("Date,Price", lambda day, close: f'"{day:%m/%d/%Y}","{close:.4f}"', months[::-1]),
        "monthly_investing_pt.csv": _table("Data,Último", lambda day, close: f'"{day:%d.%m.%Y}","{_comma(close)}"', months[::-1]),
        "monthly_month_first.csv": _plain(day="%m/%d/%Y", rows=months),
        "monthly_short_year.csv": _table("date,close", lambda day, close: f"{day.month}/{day.day}/{day:%y},{close:.4f}", months),
        "nasdaq.csv": _table(
            "Date,Close/Last,Volume,Open,High,Low", lambda day, close: f"{day:%m/%d/%Y},${close:.2f},1000" + f",${close:.2f}" * 3, newest
        ),
        "nbsp.csv": _table("date,close", lambda day, close: f"{day}," + f"{30 * close:,.2f}".replace(",", "\u00a0")),
        "newest_first.csv": _table("Date,Close", lambda day, close: f"{day},{close:.4f}", newest),
        "no_date_header.csv": _table("Open,High,Low,Close", lambda day, close: _ohlc(close)),
        "number_close_30.txt": _lines(30, lambda index: f"{index + 1};{CLOSES[index]:.2f}"),
        "ohlc_15_rows.txt": _lines(15, lambda index: _ohlc(CLOSES[index], "{:.2f}")),
        "ok.csv": plain,
        "old_1995.csv": old,
        "old_negative_adj.csv": _with(5, "2024-02-29,185.9,-0.75", both),
        "old_zero.csv": _with(5, "2024-02-29,0", plain),
        "penny.csv": _table("date,close", lambda day, close: f"{day},{1e-6 * close:.6f}"),
        "preamble.csv": b"https://www.example.com/data\n"
        + _table("Unix,Date,Symbol,Open,High,Low,Close", lambda day, close: f"17000000,{day} 00:00:00,BTC/USD,{_ohlc(close)}", newest),
        "quarterly_day_first.csv": _plain(day="%d/%m/%Y", rows=quarters),
        "quarterly_month_first.csv": _plain(day="%m/%d/%Y", rows=quarters),
        "quoted_newline.csv": _table("date,note,close", lambda day, close: f'{day},"line one\nline two",{close:.4f}'),
        "row_number_index.csv": _table(",Date,Close", lambda day, close: f"{DAYS.index(day)},{day},{close:.4f}"),
        "semicolon_comma.csv": _table("Date;Close", lambda day, close: f"{day};{_comma(close)}"),
        "semicolon_comma_ohlc.csv": _table(
            "Date;Open;High;Low;Close;Volume", lambda day, close: f"{day};{_ohlc(close, '{:.2f}', ';').replace('.', ',')};1000"
        ),
        "semicolon_point.csv": _plain("Date;Close", ";"),
        "slash_date.csv": _plain(day="%Y/%m/%d"),
        "stooq_ascii.txt": _table(
            "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>",
            lambda day, close: f"MSFT.US,D,{day:%Y%m%d},000000,{_ohlc(close)},1,0",
        ),
        "tab.csv": _plain("Date\tClose", "\t"),
        "thousands_quoted.csv": _table("Date,Close", lambda day, close: f'{day},"{30 * close:,.2f}"'),
        "trailing_comma_all.csv": _table("date,close,", lambda day, close: f"{day},{close:.4f},"),
        "trailing_comma_rows.csv": _table("date,close", lambda day, close: f"{day},{close:.4f},"),
        "train_old_zero.csv": _with(5, "2022-01-06,0", train),
        "underscore.csv": _with(5, "2024-02-29,1_85.5", plain),
        "unnamed_index.csv": _table(",open,high,low,close", lambda day, close: f"{day},{_ohlc(close)}"),
        "utf16.csv": _plain("date\tclose", "\t", end="\r\n").decode().encode("utf-16"),
        "weekly.csv": _table("Date,Open,High,Low,Close,Adj Close,Volume", lambda day, close: f"{day},{_ohlc(close)},{close:.4f},1", weeks),
        "yahoo_last_nan.csv": _with(71, f"{DAYS[-1]},,,,,,", yahoo),
        "yahoo_old_null.csv": _with(5, "2024-02-29,null,null,null,null,null,null", yahoo),
        "yahoo_web_table.txt": _table("", lambda day, close: "\t".join([_written(day), *[f"{close:.2f}"] * 5, "22,911,300"]), newest)[1:],
        "year_close_30.txt": _lines(30, lambda index: f"{1990 + index};{CLOSES[index]:.2f}"),
        "yf_multiindex.csv": b"Price,Close,High,Low,Open,Volume\nTicker,MSFT,MSFT,MSFT,MSFT,MSFT\n"
        + _table("Date,,,,,", lambda day, close: f"{day},{close:.4f},{close * 1.01:.4f},{close * 0.99:.4f},{close:.4f},1000"),
        "yf_tz.csv": _table(
            "Date,Open,High,Low,Close,Volume,Dividends,Stock Splits", lambda day, close: f"{day} 00:00:00-05:00,{_ohlc(close)},1000,0.0,0.0"
        ),
    }


CONTENTS = _made()


def table_of(rows: Sequence[str], header: str = "date,close") -> bytes:
    """A file of rows."""
    return "\n".join([header, *rows, ""]).encode()
