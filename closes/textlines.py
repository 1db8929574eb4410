"""The bytes of a price file -> lines of text: compression, file types that are not text, encodings and line ends.

Nothing is read as a whole: a file of any size takes the memory of one line.
"""

import codecs
import gzip
import io
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from closes.columns import CLOSE_NAMES
from errors import DataUnavailableError, InvalidClosesError

Source = Path | bytes | bytearray

SNIFF_BYTES = 64 * 1024  # from which file type and encoding are found
MAX_LINE = 64 * 1024  # characters
MAX_UNPACKED_BYTES = 2 * 1024 * 1024  # of a compressed file that is given as bytes, so that a small request is not much work
GZIP = b"\x1f\x8b"
SAVE_AS_CSV = "Save it as CSV and use that file."
UNPACK = "Unpack it and use the CSV file inside."
EXPORT = "Export the prices as CSV."
KINDS = (  # first bytes, what the file is, what to do
    (b"\xd0\xcf\x11\xe0", "an Excel workbook (.xls)", SAVE_AS_CSV),
    (b"%PDF", "a PDF document", EXPORT),
    (b"PAR1", "a Parquet file", EXPORT),
    (b"ARROW1", "an Arrow file", EXPORT),
    (b"\x89HDF", "an HDF5 file", EXPORT),
    (b"SQLite format 3", "an SQLite database", EXPORT),
    (b"\x89PNG", "a picture", EXPORT),
    (b"\xff\xd8\xff", "a picture", EXPORT),
    (b"BZh", "a bzip2 file", UNPACK),
    (b"\xfd7zXZ", "an xz file", UNPACK),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file", UNPACK),
    (b"7z\xbc\xaf", "a 7z archive", UNPACK),
    (b"Rar!", "a RAR archive", UNPACK),
    (b"{\\rtf", "an RTF document", EXPORT),
)
BYTE_ORDER_MARKS = (  # the longer ones first
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
EAST_ASIAN = ("cp932", "gb18030", "cp949", "big5")  # Shift JIS, GBK, EUC-KR and their like
LATIN_1 = "closes.latin-1"  # name of the handler of bytes that are not UTF-8


def _as_latin_1(error: UnicodeError) -> tuple[str, int]:
    """Read bytes that are not UTF-8 as Windows-1252, which contains Latin-1."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error(LATIN_1, _as_latin_1)


def lines_of(source: Source, name: str) -> Generator[str]:
    """Yield the lines of a price file, each with a line feed at its end, whatever the line ends of the file.

    Args:
        source: path, or content.
        name: of the file, for messages.

    Raises:
        DataUnavailableError: the file cannot be read.
        InvalidClosesError: it is not text; the message says what it is and what to do.
    """
    try:
        with source.open("rb") if isinstance(source, Path) else io.BufferedReader(cast(io.RawIOBase, io.BytesIO(source))) as raw:
            file = _unpacked(raw, isinstance(source, Path), name)
            head = _peek(file)
            _refuse_other_kinds(head, name)
            yield from _decoded(file, _encoding(head, name), name)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise InvalidClosesError(f"{name} is a damaged gzip file. Compress it again, or use the CSV file itself.") from None
    except OSError as error:
        raise DataUnavailableError(f"{name}: {error.strerror or 'cannot be read'}.") from None


def _unpacked(raw: BinaryIO, is_on_disk: bool, name: str) -> BinaryIO:
    """Return a stream of the unpacked bytes. For a file that came over a network their number is limited."""
    if not _peek(raw).startswith(GZIP):
        return raw
    unpacked = gzip.GzipFile(fileobj=raw)
    return io.BufferedReader(cast(io.RawIOBase, unpacked if is_on_disk else _Limited(unpacked, name)), SNIFF_BYTES)


class _Limited(io.RawIOBase):
    """A stream that refuses to give more than MAX_UNPACKED_BYTES."""

    def __init__(self, stream: gzip.GzipFile, name: str) -> None:
        self._stream, self._name, self._left = stream, name, MAX_UNPACKED_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = self._stream.readinto(buffer)
        self._left -= count
        if self._left < 0:
            raise InvalidClosesError(f"{self._name} is larger than {MAX_UNPACKED_BYTES // 1024 // 1024} MiB when it is unpacked.")
        return count


def _peek(file: BinaryIO) -> bytes:
    """Return the first bytes without consuming them. A buffer may give less than it could; the rest is not needed."""
    return cast(io.BufferedReader, file).peek(SNIFF_BYTES)[:SNIFF_BYTES]


def _refuse_other_kinds(head: bytes, name: str) -> None:
    """Refuse a file that begins as another type of file does."""
    for first, kind, advice in KINDS:
        if head.startswith(first):
            raise InvalidClosesError(f"{name} is {kind}, not a CSV file. {advice}")
    if head.startswith(b"PK\x03\x04"):
        if b"opendocument.spreadsheet" in head[:100]:
            raise InvalidClosesError(f"{name} is an OpenDocument spreadsheet, not a CSV file. {SAVE_AS_CSV}")
        if b"xl/" in head or b"[Content_Types].xml" in head or b"docProps" in head:
            raise InvalidClosesError(f"{name} is an Excel workbook (.xlsx), not a CSV file. {SAVE_AS_CSV}")
        raise InvalidClosesError(f"{name} is a ZIP archive, not a CSV file. {UNPACK}")
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:9]
    if text.lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<table")):
        raise InvalidClosesError(f"{name} is a web page or XML, not a CSV file. Use the CSV download of the page instead.")


def _encoding(head: bytes, name: str) -> str:
    """Return the encoding of a file.

    Without a byte order mark that is UTF-8, or an East Asian one if a column of closes has a known name in it. `_as_latin_1` reads others.
    """
    for mark, encoding in BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return encoding
    if b"\0" not in head:
        return "utf-8" if _is_utf_8(head) else next((encoding for encoding in EAST_ASIAN if _names_closes(head, encoding)), "utf-8")
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) > len(head) // 4 and min(even, odd) < len(head) // 20:  # Latin letters in UTF-16 have one NUL each
        return "utf-16-be" if even > odd else "utf-16-le"
    raise InvalidClosesError(f"{name} is a binary file, not a CSV file. {EXPORT}")


def _is_utf_8(head: bytes) -> bool:
    """Return whether the first bytes of a file are UTF-8. The last letter may be cut."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _names_closes(head: bytes, encoding: str) -> bool:
    """Return whether the first bytes of a file have a known East Asian name of a column of closes in an encoding."""
    text = head.decode(encoding, "replace")
    return any(name in text for name in CLOSE_NAMES if not name.isascii())


def _decoded(file: BinaryIO, encoding: str, name: str) -> Iterator[str]:
    """Yield decoded lines."""
    errors = LATIN_1 if encoding.startswith("utf-8") else "replace"
    with io.TextIOWrapper(file, encoding, errors) as text:
        while line := text.readline(MAX_LINE):
            if len(line) == MAX_LINE and not line.endswith("\n"):
                raise InvalidClosesError(f"{name} has a line of more than {MAX_LINE} characters, so it is not a table of prices.")
            yield line
