"""The list of symbols of --symbols."""

import pytest

from closes.snapshot import snapshot_symbols
from errors import InvalidSymbolError
from modelTrain import parse
from portfolio.symbols import read_symbols
from settings import Settings


@pytest.mark.parametrize("given", ["MSFT,AAPL,BRK-B", "msft, aapl ,MSFT,brk-b,", "MSFT AAPL BRK-B"])
def test_list_is_read_in_capitals_in_order_and_each_symbol_once(given):
    assert read_symbols(given) == ["MSFT", "AAPL", "BRK-B"]


def test_snapshot_names_the_embedded_stocks():
    assert read_symbols("snapshot") == snapshot_symbols()
    assert len(read_symbols("Snapshot")) == 20


def test_file_may_have_lines_commas_comments_and_a_byte_order_mark(tmp_path):
    file = tmp_path / "list.txt"
    file.write_text("\ufeff# my stocks\r\nMSFT  # the first\r\naapl, KO\r\n\r\nMSFT\r\n", encoding="utf-8")
    assert read_symbols(f"@{file}") == ["MSFT", "AAPL", "KO"]


def test_every_wrong_symbol_is_named():
    with pytest.raises(InvalidSymbolError, match=r"not symbols: '\.\./x', 'A\$B'\."):
        read_symbols("MSFT,../x,KO,A$B")
    with pytest.raises(InvalidSymbolError, match=r"and 3 more"):
        read_symbols(",".join(f"${n}" for n in range(8)))


@pytest.mark.parametrize("given", ["", " , ", "@{folder}/empty.txt"])
def test_list_without_symbols_is_an_error(given, tmp_path):
    (tmp_path / "empty.txt").write_text("# nothing\n")
    with pytest.raises(InvalidSymbolError, match="names no symbol"):
        read_symbols(given.format(folder=tmp_path))


def test_unreadable_file_is_an_error(tmp_path):
    with pytest.raises(InvalidSymbolError, match="No such file"):
        read_symbols(f"@{tmp_path}/missing.txt")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(InvalidSymbolError, match="not a text file"):
        read_symbols(f"@{tmp_path}/binary")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--symbols", "MSFT,../x"], "'../x'"),
        (["--symbols", "MSFT", "--symbol", "AAPL"], "--symbols and --symbol exclude each other"),
        (["--symbols", "MSFT", "--csv", "x.csv"], "--symbols and --csv exclude each other"),
        (["--symbols", "MSFT", "--rollback"], "--symbols and --rollback exclude each other"),
        (["--symbols", "MSFT", "--walk-forward", "2"], "--symbols and --walk-forward exclude each other"),
        (["--symbols", "MSFT", "--source", "csv"], "--csv"),
        (["--symbols", "MSFT", "--jobs", "0"], "not a whole number above zero"),
        (["--symbols", "MSFT", "--dask", "host"], "tcp://host:8786"),
        (["--symbols", "MSFT", "--dask", "tcp://h:1", "--jobs", "2"], "--jobs and --dask exclude each other"),
        (["--jobs", "2"], "--jobs needs --symbols"),
        (["--dask", "tcp://h:1"], "--dask needs --symbols"),
    ],
)
def test_wrong_usage_names_the_options(options, said, capsys):
    with pytest.raises(SystemExit) as end:
        parse(Settings(), options)
    assert end.value.code == 2
    assert said in capsys.readouterr().err
