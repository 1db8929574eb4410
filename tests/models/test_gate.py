"""The promotion gate: which models replace the published one."""

import json
import re
from dataclasses import replace

import pytest

from closes.snapshot import read_snapshot
from forecast.backtest import backtest
from models.gate import judge
from models.loading import load_forecaster


@pytest.fixture(scope="module")
def closes():
    return read_snapshot("MSFT")


@pytest.fixture
def unseen(closes, model_dir):
    forecaster = load_forecaster(model_dir)
    return backtest(forecaster, closes, first=str(forecaster.metadata.tested_from))


def worse(result):
    return replace(result, predicted=result.predicted * 1.01)


def wider(result):
    return replace(result, bounds={level: (low * 0.95, high * 1.05) for level, (low, high) in result.bounds.items()})


def test_first_model_is_published(unseen, closes, tmp_path):
    verdict = judge(unseen, closes, tmp_path / "none", "if-better")
    assert verdict.publish
    assert "no model is published yet" in verdict.reason


def test_equal_model_is_published_by_figures_of_the_same_days(unseen, closes, model_dir):
    verdict = judge(unseen, closes, model_dir, "if-better")
    assert verdict.publish
    assert verdict.new == verdict.published
    assert (verdict.n_days, str(verdict.days_from)) == (len(unseen), str(unseen.dates[0]))


def test_reason_names_the_tolerance_of_each_figure(unseen, closes, model_dir):
    for result in (unseen, worse(unseen)):
        said = judge(result, closes, model_dir, "if-better").reason.partition(": ")[2].split(", ")
        assert [re.sub(r"[\d.]+ against [\d.]+ ", "", part) for part in said] == [
            "rmse (tolerance 0.1%)",
            "winkler_80 (tolerance 1%)",
            "winkler_95 (tolerance 1%).",
        ]


@pytest.mark.parametrize(("spoil", "named"), [(worse, "worse in rmse"), (wider, "worse in winkler_80")])
def test_worse_model_is_rejected_with_both_figures(unseen, closes, model_dir, spoil, named):
    verdict = judge(spoil(unseen), closes, model_dir, "if-better")
    assert not verdict.publish
    assert named in verdict.reason
    assert verdict.new is not None
    assert verdict.published is not None
    for name in ("rmse", "winkler_80", "winkler_95"):
        assert f"{verdict.new[name]:.5g} against {verdict.published[name]:.5g}" in verdict.reason


@pytest.mark.parametrize(("rule", "publish"), [("always", True), ("never", False)])
def test_always_and_never_decide_but_still_compare(unseen, closes, model_dir, rule, publish):
    for result in (unseen, worse(unseen)):
        verdict = judge(result, closes, model_dir, rule)
        assert verdict.publish is publish
        assert verdict.n_days == len(unseen)


def test_better_model_is_judged_on_days_unseen_by_both(unseen, closes, model_dir):
    late = unseen.after("2022-01-01")
    verdict = judge(replace(late, predicted=late.actual), closes, model_dir, "if-better")
    assert verdict.publish
    assert verdict.new is not None
    assert verdict.new["rmse"] == 0
    assert str(verdict.days_from) == str(late.dates[0]) > str(unseen.dates[0])


@pytest.mark.parametrize(("rule", "publish"), [("if-better", False), ("always", True), ("never", False)])
def test_without_common_unseen_days_only_always_publishes(unseen, closes, model_dir, rule, publish):
    verdict = judge(unseen.after("2022-12-01"), closes, model_dir, rule)
    assert verdict.publish is publish
    assert "common test days" in verdict.reason


@pytest.mark.parametrize(("tested_from", "reason"), [
    (None, "Nothing to compare with: the published model does not say from which day on it was tested."),
    ("then", "Nothing to compare with: the published one cannot be used: metadata.json of the published model "),
])  # fmt: skip
def test_published_model_without_a_valid_test_start_is_not_compared(unseen, closes, model_dir, tested_from, reason):
    path = model_dir / "metadata.json"
    metadata = json.loads(path.read_text()) | {"tested_from": tested_from}
    if tested_from is None:
        del metadata["tested_from"]
    path.write_text(json.dumps(metadata))
    verdict = judge(unseen, closes, model_dir, "if-better")
    assert verdict.publish
    assert verdict.reason.startswith(reason)


def test_never_does_not_publish_a_first_model(unseen, closes, tmp_path):
    assert not judge(unseen, closes, tmp_path / "none", "never").publish
