"""Any bytes and any damaged price file give the right closes or one of the project's errors, in bounded time."""

import contextlib
import cProfile
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutated import MutatedFile, check, check_sound
from price_files import CONTENTS

from closes.files import Part, read_prices
from errors import ForecastError

pytestmark = pytest.mark.slow

SECONDS = 10  # for one small file, on a busy machine
QUIET = settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
PIECES = st.sampled_from([
    b"date", b"close", b"Adj Close", b"Open,High,Low", b",", b";", b"\t", b"|", b"\n", b"\r", b'"', b"\xff", b"\0", b"2024-05-31",
    b"31/05/2024", b"1.5", b"1,5", b"1.234,5", b"$", b"null", b"-", b"e5", b"1e999", b"9" * 50, b"sep=;", b"[", b"{", b"\xef\xbb\xbf",
    b"\xc3", b"Ticker,A,B",
])  # fmt: skip
TEXTS = st.lists(PIECES, max_size=60).map(b"".join)


def read(content, **options):
    """Read a file. What is read is a valid series of at least one close."""
    started = time.monotonic()
    with contextlib.suppress(ForecastError):
        file = read_prices(content, **options)
        assert len(file.closes) > 0
        assert np.isfinite(file.closes.prices).all()
        assert all(item["rows"] > 0 for item in file.left_out)
    assert time.monotonic() - started < SECONDS


@QUIET
@given(st.binary(max_size=2000))
def test_any_bytes(content):
    read(content)


@QUIET
@given(TEXTS, st.sampled_from([None, "close", "x"]))
def test_any_pieces_of_files(content, column):
    read(content, column=column)
    read(b"date,close\n" + content, column=column, part=Part("2024-01-01", "2024-12-31"))


@QUIET
@given(st.sampled_from(sorted(CONTENTS)), st.data())
def test_damaged_files(name, data):
    content = bytearray(CONTENTS[name])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content)))
        length = data.draw(st.integers(0, 30))
        content[place : place + length] = data.draw(st.binary(max_size=5) | PIECES)
    read(bytes(content), part=Part(newest=60))


@given(st.integers(0, 10**9))
@settings(QUIET, max_examples=100)
def test_file_in_any_known_format_is_read_as_written(seed):
    check_sound(MutatedFile(seed, damages=0))


@given(st.integers(0, 10**9), st.integers(1, 3), st.sampled_from([None, 60]))
@settings(QUIET, max_examples=200)
def test_damaged_file_gives_an_error_or_the_closes_of_its_intact_rows(seed, damages, newest):
    check(MutatedFile(seed, damages), newest)


@pytest.mark.parametrize(
    "content",
    [
        b"close," * 10_000 + b"\n" + b"1," * 10_000,
        ("date,close\n" + "1" * 60_000 + ",1\n").encode(),
        ("date,close\n2024-01-01," + "1,111" * 10_000 + "\n").encode(),
        ("date,close\n" + "a" * 60_000 + "\n").encode(),
        ("adj " * 15_000 + "close,date\n1,2024-01-01\n").encode(),
        b"\n" * 500_000,
        b'"\n' * 100_000,
    ],
    ids=["fields", "long date", "long price", "long word", "long name", "empty lines", "quotes"],
)
def test_extreme_files_are_answered_in_time(content):
    read(content)


HEADER = ",".join(["close", *(f"close a{index}" for index in range(1, 999))])
DATES = ",".join(["2024-05-31 x"] * 200)
WORST = {
    "headers of 999 stocks": "\n".join([HEADER] * 100),
    "dates in 200 unnamed columns": "\n".join(["close" + "," * 199, *[DATES] * 800]),
    "200 columns of dates": "\n".join(["close" + ",date" * 199, *[DATES] * 800]),
}


@pytest.mark.parametrize("content", WORST.values(), ids=WORST)
def test_wide_files_of_2_mib_take_few_calls(content):
    assert len(content) < 2 * 1024**2
    calls = cProfile.Profile()
    with contextlib.suppress(ForecastError):
        calls.runcall(read_prices, content.encode())
    assert sum(entry.callcount for entry in calls.getstats()) < 3_000_000
