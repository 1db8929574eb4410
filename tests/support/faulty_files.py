"""Price files with each kind of fault."""

HEADER = "date,close"
ROWS = [f"2024-{1 + day // 28:02}-{1 + day % 28:02},{100 + day}.5" for day in range(70)]


def changed(row: int, text: str, header: str = HEADER) -> bytes:
    """A table with another row."""
    return "\n".join([header, *ROWS[:row], text, *ROWS[row + 1 :]]).encode()


WRONG = {
    "nothing": b"",
    "no rows": b"date,close",
    "few": "\n".join([HEADER, *ROWS[:20]]).encode(),
    "one": "\n".join([HEADER, *ROWS[:1]]).encode(),
    "few of many": "\n".join([HEADER, *ROWS[:40], *ROWS[:2]]).encode(),
    "word in a used row": changed(65, "2024-03-10,abc"),
    "word in an old row": changed(2, "2024-01-03,abc"),
    "zero in an old row": changed(2, "2024-01-03,0"),
    "two zeros": changed(65, "2024-03-10,0\n2024-03-11,-5"),
    "more fields": changed(65, "2024-03-10,165.5,7"),
    "jump": changed(65, "2024-03-10,16500.5"),
    "split": changed(65, "2024-03-10,330.5"),
    "gap": "\n".join([HEADER, *ROWS, "2025-05-05,170"]).encode(),
    "order": "\n".join([HEADER, *ROWS[:30], ROWS[50], *ROWS[30:50], *ROWS[51:]]).encode(),
    "reversed, one wrong": "\n".join([HEADER, *ROWS[:40:-1], *ROWS[39::-1], ROWS[40]]).encode(),
    "twice": "\n".join([HEADER, *ROWS, ROWS[-1] + "9"]).encode(),
    "words": b"this is not, a price file",
    "many lines": ("abc;def\n" * 300).encode(),
    "no column": b"day one,price two\n1,2\n",
    "quote": changed(30, '2024-02-03,"130.5'),
    "decimal comma in lines": b"150,43\n" * 60,
    "item": b"1 2 3 x 4 5",
    "items": b"1 2 3 x y 5",
    "currency": b"R$ 30.12 R$ 30.15",
    "thousands in a list": b"1,234.50, 1,235.60, 1,236.70",
    "json": b"[1, 2",
    "json of objects": b'{"a": 1}',
    "json with more": b'{"predict": [' + b"1.5," * 59 + b'1.6], "horizon": 5}',
    "list": b"1.5," * 59 + b"1.6",
    "lines": b"1.5\n" * 60,
    "gzip": b"\x1f\x8b\x08damaged",
    "html": b"<html>",
    "pdf": b"%PDF-1.4",
    "zip": b"PK\x03\x04" + b"0" * 50,
    "binary": bytes(range(256)) * 10,
    "two forms of dates": changed(40, "13/02/2024,140.5").replace(b"2024-01-01", b"01.02.2024"),
    "points and commas": b"date;close\n" + b"".join(b"2024-01-%02d;1%d,5\n" % (d, d) for d in range(10, 20)) + b"2024-02-01;12.55\n",
    "ambiguous": b"date;close\n" + b"".join(b"2024-01-%02d;1,2%d\n" % (d, d) for d in range(10, 20)),
    "several stocks": b"date,close,symbol\n" + b"".join(b"2024-01-%02d,1%d.5,%c\n" % (d, d, 65 + d % 12) for d in range(10, 25)),
    "several columns": b"date,AAPL.Close,MSFT.Close,AAPL.Open,MSFT.Open,AAPL.High,MSFT.High,AAPL.Low,MSFT.Low\n",
    "adjusted?": b"date,close,adjusted thing\n2024-01-01,1.5,1.6\n",
    "weekly": "\n".join(
        [HEADER, *(f"{2020 + week // 50}-{1 + week % 50 // 4:02}-{1 + 7 * (week % 4):02},{100 + week}.5" for week in range(48))]
    ).encode(),
    "still": "\n".join([HEADER.replace("close", "open,high,low,close"), *(row + ",10,10,10" for row in ROWS)]).encode(),
    "ranges": "\n".join(["date,open,high,low,close", *(f"{row[:10]},50,60,40,{row[11:]}" for row in ROWS)]).encode(),
}
