"""The plots of a run: their texts are readable, whatever the prices are."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.figure import Figure

from closes.series import Closes
from closes.snapshot import read_snapshot
from forecast.backtest import Backtest, backtest
from forecast.plots import plot_backtest, plot_losses, plot_reliability, plot_residuals
from models.loading import load_forecaster
from settings import PROJECT_DIR


@pytest.fixture(scope="module")
def forecaster():
    return load_forecaster(PROJECT_DIR / "modelFiles")


@pytest.fixture(params=["2020-06-12", "2022-11-01", "2010-06-01"], ids=["years", "weeks", "decade"])
def first(request):
    return request.param


@pytest.fixture(params=[1.0, 9_876_543 / 233, 0.0001 / 233], ids=["dollars", "seven digits", "0.0001"])
def result(request, forecaster, first) -> Backtest:
    closes = read_snapshot("MSFT")
    return backtest(forecaster, Closes("MSFT", "snapshot", closes.dates, closes.prices * request.param), first=first)


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts of a figure that lie on each other, and texts that are cut off."""
    figure.draw_without_rendering()  # half of the work of a PNG file, with the same places
    texts = []
    for axes in figure.axes:
        labels = [*axes.get_xticklabels(), *axes.get_yticklabels(), axes.title, axes.xaxis.label, axes.yaxis.label]
        labels += [axes.xaxis.get_offset_text(), axes.yaxis.get_offset_text()]
        (low, high), (bottom, top) = sorted(axes.get_xlim()), sorted(axes.get_ylim())
        outside = [tick.label1 for axis, a, b in ((axes.xaxis, low, high), (axes.yaxis, bottom, top))
                   for tick in axis.get_major_ticks() if not a <= tick.get_loc() <= b]  # fmt: skip
        texts += [text for text in labels if text.get_text() and text.get_visible() and text not in outside]
    boxes = {text: text.get_window_extent() for text in texts}
    whole = figure.bbox
    cut = [(text.get_text(), "") for text, box in boxes.items() if box.x0 < 0 or box.x1 > whole.x1 or box.y0 < 0 or box.y1 > whole.y1]
    return cut + [(a.get_text(), b.get_text()) for a, b in combinations(texts, 2) if boxes[a].overlaps(boxes[b])]


@pytest.mark.slow
def test_labels_do_not_collide(result):
    for figure in (
        plot_residuals(result),
        plot_reliability(result),
        plot_backtest(result, "MSFT: closes of the test days and their forecasts"),
    ):
        assert overlaps(figure) == []


def test_prices_are_shown_without_a_power_of_ten(forecaster):
    closes = read_snapshot("MSFT")
    figure = plot_backtest(backtest(forecaster, Closes("MSFT", "snapshot", closes.dates, closes.prices * 5e4), first="2022-01-01"), "")
    figure.savefig("/dev/null", format="png")
    (axes,) = figure.axes
    assert axes.yaxis.get_offset_text().get_text() == ""
    assert "12,000,000" in [label.get_text() for label in axes.get_yticklabels()]


def test_losses_are_named():
    (axes,) = plot_losses({"loss": [0.5, 0.25], "val_loss": [0.75, 0.5]}).axes
    legend = axes.get_legend()
    assert legend
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["training loss", "validation loss (calibration days)"]
    assert np.array_equal(axes.lines[0].get_xdata(), [1, 2])
