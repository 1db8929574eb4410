"""A stderr that does not block, with and without a reader."""

import logging
import os
import subprocess
import sys

import pytest

from monitoring.stderr import ErrorStream, write_if_ready
from settings import PROJECT_DIR


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    yield reader, writer
    for descriptor in (reader, writer):
        os.close(descriptor)


@pytest.mark.timeout(20)
def test_write_to_a_full_pipe_drops_the_text(pipe):
    reader, writer = pipe
    taken = [write_if_ready(writer, b"%06d\n" % number) for number in range(100_000)]
    assert taken[0]
    assert not taken[-1]
    text = b""
    while len(text) < 7 * sum(taken):
        text += os.read(reader, 65536)
    assert text == b"".join(b"%06d\n" % number for number in range(100_000) if taken[number])
    assert write_if_ready(writer, b"again\n")
    assert os.read(reader, 100) == b"again\n"


@pytest.mark.timeout(20)
def test_long_text_is_truncated_to_the_room_in_the_pipe(pipe):
    reader, writer = pipe
    assert write_if_ready(writer, b"x" * 10_000)
    assert not write_if_ready(writer, b"y" * 10_000_000)
    assert os.read(reader, 10_000) == b"x" * 10_000


def test_write_to_an_unusable_stderr_is_ignored():
    reader, writer = os.pipe()
    os.close(reader)
    assert not write_if_ready(writer, b"nobody reads it")
    os.close(writer)
    assert not write_if_ready(-1, b"closed")
    with open("/dev/full", "wb") as full:
        assert not write_if_ready(full.fileno(), b"no space")


def test_logging_and_tracebacks_are_written_in_full(tmp_path):
    with (tmp_path / "stderr").open("w+b") as file:
        logger = logging.Logger("own")
        logger.addHandler(logging.StreamHandler(ErrorStream(file.fileno())))
        logger.warning("An umlaut: \u00fc. A lone surrogate: \ud800.")
        assert (tmp_path / "stderr").read_bytes() == "An umlaut: \u00fc. A lone surrogate: \\ud800.\n".encode()
        assert (ErrorStream(file.fileno()).fileno(), ErrorStream(file.fileno()).isatty()) == (file.fileno(), False)
    code = "import sys; from monitoring import stderr; sys.stderr = stderr.ErrorStream(); 1 / 0"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_DIR, capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"
