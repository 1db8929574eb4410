"""modelPredict.py --in: forms of input, rejected rows, order, exit codes. The forecasts are those of Forecaster.forecast."""

import csv
import logging

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import scoring.run
from closes.snapshot import read_snapshot
from errors import ForecastError, InvalidClosesError
from forecast.bulk import FIELDS
from modelPredict import main
from models.loading import load_forecaster
from processData import WINDOW, make_windows
from settings import PROJECT_DIR

CLOSES = read_snapshot("MSFT").prices
JUMPS = np.repeat([[1.0], [0.5], [100.0]], WINDOW, axis=1)
JUMPS[:, :40] = 1  # a split and a change of the unit, 20 days before the end
WINDOWS = np.concatenate([make_windows(CLOSES[:1000])[0][::3], CLOSES[:WINDOW] * JUMPS])
NAMES = [f"c{place}" for place in range(WINDOW)]
NUMBERS = ("predicted_price", "last_close", "low_80", "high_80", "low_95", "high_95")


@pytest.fixture(scope="module")
def forecaster():
    return load_forecaster(PROJECT_DIR / "modelFiles")


def write(path, table):
    (pq.write_table if path.suffix == ".parquet" else pyarrow.csv.write_csv)(table, path)
    return path


def read(path):
    if path.suffix == ".parquet":
        return pq.read_table(path)
    options = pyarrow.csv.ConvertOptions(column_types={"id": pa.string(), "warnings": pa.string()})
    return pyarrow.csv.read_csv(path, convert_options=options)


def score(source, *options, ending=".parquet"):
    """The output, and the rejected rows with their reasons."""
    out = source.with_name(f"out{ending}")
    main(["--in", str(source), "--out", str(out), *options])
    rejects = out.with_suffix(".rejects.csv")
    rows = list(csv.DictReader(rejects.read_text().splitlines())) if rejects.exists() else []
    assert not list(source.parent.glob(".out*")), "temporary files are left"
    return read(out), {int(row["row"]): row["reason"] for row in rows}


def assert_forecasts(table, windows, forecaster):
    """Every row is the forecast of its window, as Forecaster.forecast gives it."""
    expected = forecaster.forecast(windows)
    limits = [side[:, 0] for sides in expected.bounds.values() for side in sides]
    for name, values in zip(NUMBERS, [expected.prices[:, 0], expected.last_closes, *limits], strict=True):
        assert table.schema.field(name).type == pa.float64()
        np.testing.assert_allclose(table[name].to_numpy(), values, rtol=1e-12)
    codes = [" ".join(warning.code for warning in warnings) for warnings in expected.warnings]
    assert [code or "" for code in table["warnings"].to_pylist()] == codes


def test_windows_of_the_tests_have_warnings(forecaster):
    codes = {warning.code for warnings in forecaster.forecast(WINDOWS).warnings for warning in warnings}
    assert {"possible_split", "possible_unit_change", "unlike_training_range", "unlike_training_volatility"} <= codes


def wide(windows=WINDOWS, **more):
    return pa.table({**more, **{name: windows[:, place] for place, name in enumerate(NAMES)}})


def lists(windows=WINDOWS, name="window", fixed=True, **more):
    cells = pa.FixedSizeListArray.from_arrays(pa.array(windows.ravel()), WINDOW) if fixed else pa.array(windows.tolist())
    return pa.table({**more, name: cells})


FORMS = {
    "60 columns": ("in.parquet", wide()),
    "60 columns of CSV": ("in.csv", wide()),
    "60 columns of float32": ("in.parquet", wide(WINDOWS.astype(np.float32))),
    "lists of a fixed size": ("in.parquet", lists()),
    "lists in closes": ("in.parquet", lists(name="closes", fixed=False)),
    "lists as text": ("in.csv", pa.table({"window": [str(window) for window in WINDOWS.tolist()]})),
    "60 columns by their place": ("in.parquet", wide().rename_columns([chr(0x4E00 + place) for place in range(WINDOW)])),
    "names from 1": ("in.csv", wide().rename_columns([f"Close {place + 1}" for place in range(WINDOW)])),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_gives_the_forecasts_of_its_rows(tmp_path, forecaster, form):
    name, table = FORMS[form]
    out, rejects = score(write(tmp_path / name, table))
    assert out.column_names == list(FIELDS)
    assert rejects == {}
    assert_forecasts(out, WINDOWS.astype(np.float32).astype(float) if "float32" in form else WINDOWS, forecaster)


def test_csv_without_a_header_is_read_from_its_first_row(tmp_path, forecaster):
    np.savetxt(tmp_path / "in.csv", WINDOWS, delimiter=",", fmt="%.17g")
    assert_forecasts(score(tmp_path / "in.csv")[0], WINDOWS, forecaster)


def test_columns_in_another_order_are_read_by_their_numbers(tmp_path, forecaster):
    out, _ = score(write(tmp_path / "in.parquet", wide().select(NAMES[::-1])))
    assert_forecasts(out, WINDOWS, forecaster)


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_other_columns_are_carried_unchanged(tmp_path, ending):
    names = [f'a,"{row}"' if row % 2 else "NA" for row in range(len(WINDOWS))]
    out, _ = score(write(tmp_path / f"in{ending}", wide(id=names)), ending=ending)
    assert out.column_names == ["id", *FIELDS]
    assert out["id"].to_pylist() == names


def test_types_of_carried_columns_stay(tmp_path):
    count = len(WINDOWS)
    carried = {
        "day": pa.array(np.arange(count, dtype=np.int32)).cast(pa.date32()),
        "kind": pa.array(["x"] * count).dictionary_encode(),
        "n": pa.array([None] * count, pa.int8()),
    }
    out, _ = score(write(tmp_path / "in.parquet", lists(**carried)))
    assert [out.schema.field(name).type for name in carried] == [array.type for array in carried.values()]
    assert out.schema.field("day").type == pa.date32()


WRONG = {
    2: ("c5", None, "close 6 is missing"),
    3: ("c59", np.nan, "close 60 is missing"),
    5: ("c0", np.inf, "close 1 is inf, not between"),
    6: ("c0", -3.5, "close 1 is -3.5, not between"),
    7: ("c1", 0.0, "close 2 is 0.0, not between"),
    8: ("c1", 1e-99, "the largest close is more than 1,000,000 times the smallest"),
}


def with_wrong_rows(table):
    rows = table.to_pylist()
    for row, (name, value, _) in WRONG.items():
        rows[row - 1][name] = value
    return pa.Table.from_pylist(rows, schema=table.schema)


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_wrong_rows_are_rejected_with_their_reason_and_the_others_forecast(tmp_path, forecaster, caplog, ending):
    caplog.set_level(logging.INFO)
    out, rejects = score(write(tmp_path / f"in{ending}", with_wrong_rows(wide(WINDOWS[:20]))))
    assert list(rejects) == list(WRONG)
    for row, (_, _, reason) in WRONG.items():
        assert rejects[row].startswith(reason)
    good = [row for row in range(20) if row + 1 not in WRONG]
    assert_forecasts(out, WINDOWS[good], forecaster)
    assert "20 rows = 14 forecasts + 6 rejected." in caplog.messages
    assert any("Not forecast: 6 of 20 rows;" in message for message in caplog.messages)


def test_rows_of_a_csv_file_that_do_not_fit_its_header_keep_their_place(tmp_path, forecaster):
    lines = ["id," + ",".join(NAMES)] + [f"{row}," + ",".join(map(repr, window)) for row, window in enumerate(WINDOWS[:8].tolist())]
    lines[2] += ",1"
    lines[5] = "4,1,2"
    lines[6] = lines[6].replace(",", ",abc", 1)
    lines[8] = "7"
    (tmp_path / "in.csv").write_text("\n".join(lines) + "\n")
    out, rejects = score(tmp_path / "in.csv")
    assert out["id"].to_pylist() == ["0", "2", "3", "6"]
    assert_forecasts(out, WINDOWS[[0, 2, 3, 6]], forecaster)
    assert list(rejects) == [2, 5, 6, 8]
    assert rejects[2] == "the row has 62 fields, the header 61"
    assert rejects[6].startswith("close 1 is not a number: 'abc")


def test_lists_of_another_length_are_rejected(tmp_path, forecaster):
    cells = [WINDOWS[0].tolist(), WINDOWS[1].tolist()[1:], None, [], [*WINDOWS[4].tolist()[:-1], None], WINDOWS[5].tolist()]
    out, rejects = score(write(tmp_path / "in.parquet", pa.table({"window": cells})))
    assert_forecasts(out, WINDOWS[[0, 5]], forecaster)
    assert rejects == {
        2: "the window has 59 closes, not 60",
        3: "the window is missing",
        4: "the window has 0 closes, not 60",
        5: "close 60 is missing",
    }


def test_file_without_a_valid_window_fails_and_names_the_rejects(tmp_path, caplog):
    with pytest.raises(InvalidClosesError, match="no window that can be forecast"):
        score(write(tmp_path / "in.parquet", lists(-WINDOWS[:5])))
    assert "out.rejects.csv says why" in caplog.text
    assert len((tmp_path / "out.rejects.csv").read_text().splitlines()) == 6


def test_run_without_rejects_removes_those_of_an_earlier_run(tmp_path):
    score(write(tmp_path / "in.parquet", with_wrong_rows(wide(WINDOWS[:20]))))
    assert (tmp_path / "out.rejects.csv").exists()
    score(write(tmp_path / "in.parquet", wide(WINDOWS[:20])))
    assert not (tmp_path / "out.rejects.csv").exists()


@pytest.mark.slow
def test_several_processes_keep_the_order_of_the_rows(tmp_path, forecaster, monkeypatch):
    monkeypatch.setattr("scoring.reading.BLOCK", 50)
    windows = np.concatenate([WINDOWS, -WINDOWS[:3], WINDOWS])
    out, rejects = score(write(tmp_path / "in.parquet", lists(windows, id=np.arange(len(windows)))), "--jobs", "2")
    assert out["id"].to_pylist() == [row for row in range(len(windows)) if not len(WINDOWS) <= row < len(WINDOWS) + 3]
    assert_forecasts(out, np.concatenate([WINDOWS, WINDOWS]), forecaster)
    assert len(rejects) == 3


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (pa.table({"a": [1.0]}), "no windows of closes"),
        (wide(predicted_price=WINDOWS[:, 0]), "'predicted_price', which is the name of a column of the output"),
        (pa.table([WINDOWS[:, 0], WINDOWS[:, 1]], names=["a", "a"]), "several columns of the same name"),
    ],
)
def test_file_without_a_known_form_is_refused(tmp_path, table, sentence):
    with pytest.raises(InvalidClosesError, match=sentence):
        score(write(tmp_path / "in.parquet", table))
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.parametrize(("name", "content"), [("in.parquet", b"no"), ("in.parquet", b""), ("in.csv", b""), ("in.csv", b"a,b\n1,2\n")])
def test_file_that_is_something_else_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ForecastError, match=name):
        score(tmp_path / name)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ForecastError, match=r"in\.csv cannot be read: No such file"):
        score(tmp_path / "in.csv")


def test_lists_cannot_be_carried_to_csv(tmp_path):
    with pytest.raises(InvalidClosesError, match="'closes' has lists"):
        score(write(tmp_path / "in.parquet", lists().append_column("closes", lists()["window"])), ending=".csv")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "give either --csv PATH"),
        (["--in", "a.csv", "--csv", "b.csv"], "give either --csv PATH"),
        (["--in", "a.csv"], "--in needs --out"),
        (["--csv", "a.csv", "--out", "b.csv"], "--out belongs to --in"),
        (["--csv", "a.csv", "--jobs", "2"], "--jobs belongs to --in"),
        (["--in", "a.csv", "--out", "b.csv", "--horizon", "5"], "--horizon belongs to --csv"),
        (["--in", "a.txt", "--out", "b.csv"], "--in must end in .parquet or .csv"),
        (["--in", "a.csv", "--out", "b"], "--out must end in .parquet or .csv"),
        (["--in", "a.csv", "--out", "./a.csv"], "must be different files"),
    ],
)
def test_wrong_usage(capsys, arguments, sentence):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_two_runs_of_one_output_exclude_each_other(tmp_path):
    from storage import locked

    with locked(tmp_path / ".out.parquet.parts"), pytest.raises(ForecastError, match="Another process is writing"):
        main(["--in", str(write(tmp_path / "in.parquet", lists())), "--out", str(tmp_path / "out.parquet")])


def test_several_parts_give_one_output(tmp_path, forecaster, monkeypatch):
    monkeypatch.setattr("scoring.reading.BLOCK", 50)
    monkeypatch.setattr(scoring.run, "PART_ROWS", 100)
    for ending in (".parquet", ".csv"):
        out, rejects = score(write(tmp_path / "in.csv", wide(np.concatenate([WINDOWS, -WINDOWS[:1]]))), ending=ending)
        assert_forecasts(out, WINDOWS, forecaster)
        assert list(rejects) == [len(WINDOWS) + 1]
