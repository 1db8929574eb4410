"""The page benchmark: its output and its errors. Nothing here is timed."""

import re
import shutil

import pytest
from browsing import CHROMIUM

import benchPage
from benchPage import Opening, report
from load import BenchError


def test_table_has_medians_and_maxima_and_judges_by_maxima():
    again = Opening(20, 2, 100, 5)
    openings = [(Opening(76.4, 29, 300, -5), again), (Opening(76.5, 29, 310, 20), again), (Opening(80, 30, 900, 310.2), again)]
    lines = report(openings).splitlines()
    assert lines[0].startswith("| the page, 3 openings")
    assert lines[2:] == [
        "| kB transferred until the first chart | 76 | 80 | under 150: met |",
        "| requests until then | 29 | 30 |  |",
        "| ms from the start of the navigation to the first chart | 310 | 900 |  |",
        "| ms from the load event to the first chart | 20 | 310 | under 300: not met |",
        "| kB transferred when it is opened again | 20 | 20 |  |",
        "| requests then | 2 | 2 |  |",
        "| ms to the first chart then | 100 | 100 |  |",
    ]


def test_missing_chromium_is_an_error(monkeypatch, capsys):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert benchPage.main([]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "error: Chromium is missing: make chromium (Debian's package, needs root).\n"


def test_page_without_a_chart_is_an_error(monkeypatch, capsys):
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/chromium")

    def fail(openings, chromium, locale):
        raise BenchError("The page drew no chart: Timeout")

    monkeypatch.setattr(benchPage, "measure", fail)
    assert benchPage.main(["--openings", "1"]) == 1
    assert "drew no chart" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing: make chromium")
def test_opening_is_measured(monkeypatch, capsys):
    monkeypatch.setattr(benchPage, "CHART_SECONDS", 60)
    assert benchPage.main(["--openings", "1"]) == 0
    printed = capsys.readouterr().out
    names = ("kB transferred until the first chart", "requests until then", "requests then")
    kilobytes, requests, again = (int(re.findall(rf"\| {name} \| (\d+)", printed)[0]) for name in names)
    assert 10 < kilobytes < 150
    assert requests > 20
    assert again < 5, "scripts and styles are in the browser's cache"


def test_negative_number_of_openings_is_rejected():
    with pytest.raises(SystemExit):
        benchPage.main(["--openings", "0"])
