"""training.json and its metrics."""

import os

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from monitoring import training
from monitoring.training import RESULTS, TrainingCollector, TrainingRecord, missed_days, read_trainings, write_training

DONE = TrainingRecord(
    "some_failed", "1 of 2 symbols failed.", "2026-11-26T01:15:00+00:00", "2026-11-26T01:25:00+00:00", 600.0, {"KO": "unknown"}, "",
    "2026-11-26T01:25:00+00:00", {"MSFT": "2026-11-25", "KO": "2026-11-24"},
)  # fmt: skip


@pytest.fixture(autouse=True)
def _final(monkeypatch):
    monkeypatch.setattr(training, "last_final_day", lambda: "2026-11-29")  # a Sunday; the 26th was Thanksgiving


@pytest.fixture
def collector(tmp_path):
    return TrainingCollector(tmp_path)


def samples(collector):
    text = generate_latest(collector).decode()
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_record_is_read_as_it_was_written(tmp_path):
    write_training(tmp_path, "symbols", DONE)
    write_training(tmp_path, "default", TrainingRecord())
    write_training(tmp_path, "default", TrainingRecord("failed", "refused"))
    assert read_trainings(tmp_path) == {"symbols": DONE, "default": TrainingRecord("failed", "refused")}


@pytest.mark.parametrize("content", ["", "[]", "{", '{"default": 5}', '{"default": {"seconds": "x"}}', '{"default": {"more": 1}}'])
def test_damaged_record_has_no_metrics_and_is_replaced(tmp_path, collector, content):
    (tmp_path / "training.json").write_text(content)
    known = read_trainings(tmp_path)
    assert known == {} or known == {"default": TrainingRecord()}
    assert not [name for name, *_ in samples(collector) if name != "forecast_training_running"]
    write_training(tmp_path, "default", DONE)
    assert read_trainings(tmp_path)["default"] == DONE


def test_metrics_of_the_last_run(tmp_path, collector):
    assert samples(collector) == {}
    write_training(tmp_path, "symbols", DONE)
    found = samples(collector)
    assert found["forecast_last_training_timestamp_seconds", "symbols"] == 1795656300
    assert {name: found["forecast_last_training_result", *sorted(("symbols", name))] for name in RESULTS} == dict.fromkeys(RESULTS, 0) | {
        "some_failed": 1
    }
    assert found["forecast_last_training_duration_seconds", "symbols"] == 600
    assert found["forecast_last_training_failed_symbols", "symbols"] == 1
    assert found["forecast_training_running", "symbols"] == 0
    assert found["forecast_training_missed_days", "symbols"] == 2  # of KO: the 25th and the 27th


def test_failed_first_run_has_a_result_and_no_time(tmp_path, collector):
    write_training(tmp_path, "default", TrainingRecord("failed", "refused"))
    found = samples(collector)
    assert found["forecast_last_training_result", "default", "failed"] == 1
    assert ("forecast_last_training_timestamp_seconds", "default") not in found
    assert ("forecast_training_missed_days", "default") not in found


def test_run_in_progress_is_reported(tmp_path, collector):
    write_training(tmp_path, "default", TrainingRecord(running_since="2026-11-26T01:15:00+00:00"))
    assert samples(collector) == {("forecast_training_running", "default"): 1}


def test_file_is_parsed_only_after_a_change(tmp_path, collector, monkeypatch):
    reads = []

    def counted(folder):
        reads.append(folder)
        return read_trainings(folder)

    monkeypatch.setattr(training, "read_trainings", counted)
    write_training(tmp_path, "default", DONE)
    reads.clear()
    for _ in range(3):
        samples(collector)
    assert len(reads) == 1
    write_training(tmp_path, "default", TrainingRecord("failed"))
    reads.clear()
    assert samples(collector)["forecast_last_training_result", "default", "failed"] == 1
    assert len(reads) == 1
    os.unlink(tmp_path / "training.json")
    assert samples(collector) == {}


@pytest.mark.parametrize(
    ("trained_until", "missed"),
    [
        ({}, 0),
        ({"MSFT": "2026-11-27"}, 0),
        ({"MSFT": "2026-11-25"}, 1),  # not Thanksgiving
        ({"MSFT": "2026-11-29"}, 0),
        ({"MSFT": "2026-11-27", "BTC-USD": "2026-11-27"}, 2),
    ],
)
def test_missed_days_follow_the_exchange(trained_until, missed):
    assert missed_days(trained_until) == missed
