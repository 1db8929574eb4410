"""The tables of benchmarks/forecast.md, as Markdown."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from forecast.intervals import LEVELS
from forecastPeers import PeerScores
from forecastReferences import n_near

TITLES = {
    "ours": "this service",
    "garch": "GARCH(1,1) with Student-t errors, arch",
    "naive": "bands of constant width",
    "statsforecast_naive": "statsforecast, Naive with ConformalIntervals",
    "statsforecast_garch": "statsforecast, GARCH(1,1), its own intervals",
    "statsforecast_variance": "statsforecast, GARCH(1,1), normal quantiles from its variance",
    "darts_naive": "darts, ConformalNaiveModel",
    "mapie_enbpi": "MAPIE, EnbPI",
    "mapie_aci": "MAPIE, adaptive conformal inference",
}
KINDS = {"ranges": "daily ranges", "closes": "closes alone", "garch": "GARCH"}


def tables(results: list[dict[str, Any]], peers: PeerScores, ranges: dict[str, dict[str, dict[str, float]]]) -> str:
    """Return all tables.

    Args:
        results: of judge_stock.
        peers: of the same stocks.
        ranges: symbol -> kind -> scores, see score_ranges.
    """
    days = ", ".join(f"{symbol} {scores['ranges']['n_days']}" for symbol, scores in ranges.items())
    lines = [
        *stock_table(results),
        "",
        *part_table(results),
        "",
        "One day ahead, by the calibration of the intervals; the number of stocks is counted:",
        "",
        *symbol_table(results),
        "",
        "## Peers",
        "",
        f"The same stocks and days, one day ahead. All peers together took {peers.wall_seconds / 60:.1f} minutes.",
        "",
        *peer_table(results, peers),
        "",
        "## Daily ranges",
        "",
        "Intervals around the last close, calibrated on the other three stocks until the test, which is the last 20% of the days to "
        f"2013-03-01. Days with usable ranges: {days}.",
        "",
        *range_table(ranges),
    ]
    return "\n".join(lines)


def stock_table(results: list[dict[str, Any]]) -> list[str]:
    """Return the table of all stocks, and the line below it."""
    lines = [
        "| stock | RMSE ratio | MAPE ratio | held 80% | held 95% | Winkler 80% / GARCH | Winkler 95% / GARCH "
        "| Winkler 80% / constant | Winkler 95% / constant |",
        "| --- |" + " ---: |" * 8,
    ]
    rows = np.array([row_of(result["metrics"]) for result in results])
    forms = ["{:.4f}", "{:.4f}", "{:.1f}", "{:.1f}", *["{:.3f}"] * 4]
    for name, row in [*zip((result["symbol"] for result in results), rows, strict=True), ("**mean**", rows.mean(axis=0))]:
        lines.append(f"| {name} | " + " | ".join(form.format(value) for form, value in zip(forms, row, strict=True)) + " |")
    garch = [100 * np.mean([result["metrics"][f"garch_coverage_{level}"] for result in results]) for level in LEVELS]
    lines += [
        "",
        f"Mean coverage of GARCH: {garch[0]:.1f}% and {garch[1]:.1f}%. Largest RMSE ratio: {rows[:, 0].max():.4f}.",
    ]
    return lines


def part_table(results: list[dict[str, Any]]) -> list[str]:
    """Return the coverage by year, by volatility and by horizon."""
    lines = [
        "Coverage in percent, for MSFT and as the mean of all stocks:",
        "",
        "| part | MSFT 80% | MSFT 95% | mean 80% | mean 95% |",
        "| --- |" + " ---: |" * 4,
    ]
    microsoft = next((result for result in results if result["symbol"] == "MSFT"), results[0])
    for group, parts in microsoft["parts"].items():
        for name in parts:
            own = [100 * parts[name][f"coverage_{level}"] for level in LEVELS]
            every = [100 * np.mean([result["parts"][group][name][f"coverage_{level}"] for result in results]) for level in LEVELS]
            label = label_of(group, name)
            lines.append(f"| {label} | " + " | ".join(f"{value:.1f}" for value in (*own, *every)) + " |")
    return lines


def row_of(values: dict[str, float]) -> list[float]:
    """Return the figures of a stock in the column order of the first table."""
    ratios = [values[f"winkler_{level}"] / values[f"{peer}_winkler_{level}"] for peer in ("garch", "naive") for level in LEVELS]
    mape = values["mape"] / values["naive_mape"]
    return [values["rmse_ratio"], mape, 100 * values["coverage_80"], 100 * values["coverage_95"], *ratios]


def label_of(group: str, name: str) -> str:
    """Return the name of a row of the coverage table."""
    if group == "horizon":
        return "1 day ahead" if name == "1" else f"{name} days ahead"
    return f"{name} weeks" if group == "volatility" else name


def symbol_table(results: list[dict[str, Any]]) -> list[str]:
    """Return how well the intervals hold for a symbol that the model does not know, and with the symbol's own closes."""
    lines = [
        "| calibrated on | held 80% | held 95% | within 4 points of 80% | within 2 points of 95% | Winkler 80% | Winkler 95% |",
        "| --- |" + " ---: |" * 6,
    ]
    for name, label in (
        ("", "the stock and 19 others"),
        ("unknown_", "19 others"),
        ("own_", "the first, averaged with the stock's own later days"),
    ):
        held = {level: np.array([result["metrics"][f"{name}coverage_{level}"] for result in results]) for level in LEVELS}
        score = [np.mean([result["metrics"][f"{name}winkler_{level}"] for result in results]) for level in LEVELS]
        near = [n_near(held[level], level) for level in LEVELS]
        means = " | ".join(f"{100 * held[level].mean():.1f}" for level in LEVELS)
        lines.append(f"| {label} | {means} | {near[0]} of {len(results)} | {near[1]} of {len(results)} | {score[0]:.5f} | {score[1]:.5f} |")
    return lines


def peer_table(results: list[dict[str, Any]], peers: PeerScores) -> list[str]:
    """Return the table that compares our intervals with the references and the peers.

    Args:
        results: of judge_stock.
        peers: of the same stocks.
    """
    of = {
        "ours": {result["symbol"]: own_scores(result, "") for result in results},
        "garch": {result["symbol"]: own_scores(result, "garch_") for result in results},
        "naive": {result["symbol"]: own_scores(result, "naive_") for result in results},
        **peers.of,
    }
    lines = [
        "| intervals | held 80% | held 95% | within 4 points of 80% | within 2 points of 95% | Winkler 80% / ours | Winkler 95% / ours "
        "| CRPS / ours | CPU seconds |",
        "| --- |" + " ---: |" * 8,
    ]
    return lines + [peer_row(TITLES[peer], list(scores.values()), list(of["ours"].values())) for peer, scores in of.items()]


def own_scores(result: dict[str, Any], prefix: str) -> dict[str, float]:
    """Return the scores of a stock whose names have a prefix, without it; "" for our own."""
    names = [f"{score}_{level}" for score in ("coverage", "winkler") for level in LEVELS] + ["crps", "seconds"]
    values: dict[str, float] = result["metrics"]
    return {name: values[prefix + name] for name in names if prefix + name in values}


def peer_row(title: str, scores: Sequence[dict[str, float]], ours: Sequence[dict[str, float]]) -> str:
    """Return a row: means over the stocks, and the number of stocks near a level. A score that is missing has an empty cell.

    Args:
        title: of the row.
        scores: of each stock.
        ours: our scores of the same stocks, in the same order.
    """
    held = {level: np.array([values[f"coverage_{level}"] for values in scores]) for level in LEVELS}
    cells = [f"{100 * held[level].mean():.1f}" for level in LEVELS]
    cells += [f"{n_near(held[level], level)} of {len(scores)}" for level in LEVELS]
    for name in (*(f"winkler_{level}" for level in LEVELS), "crps"):
        known = all(name in values for values in scores)
        ratio = [values[name] / own[name] for values, own in zip(scores, ours, strict=True)] if known else []
        cells.append(f"{np.mean(ratio):.3f}" if known else "")
    seconds = [values["seconds"] for values in scores if "seconds" in values]
    cells.append(f"{sum(seconds):.0f}" if seconds else "")
    return f"| {title} | " + " | ".join(cells) + " |"


def range_table(scores: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    """Return the table of daily ranges.

    Args:
        scores: symbol -> kind -> scores, see score_ranges.
    """
    lines = [
        "| stock, intervals from | held 80% | held 95% | Winkler 80% / closes | Winkler 95% / closes | CRPS / closes |",
        "| --- |" + " ---: |" * 5,
    ]
    rows = []
    for kind, label in KINDS.items():
        table = {symbol: range_row(of[kind], of["closes"]) for symbol, of in scores.items()} | {
            "**mean**": [float(value) for value in np.mean([range_row(of[kind], of["closes"]) for of in scores.values()], axis=0)]
        }
        rows.append((label, table))
    for symbol in rows[0][1]:
        for label, table in rows:
            held, ratios = table[symbol][:2], table[symbol][2:]
            cells = [f"{value:.1f}" for value in held] + [f"{value:.3f}" for value in ratios]
            lines.append(f"| {symbol}, {label} | " + " | ".join(cells) + " |")
    return lines


def range_row(scores: dict[str, float], closes: dict[str, float]) -> list[float]:
    """Return coverage in percent, and the other scores divided by those of intervals from closes alone."""
    names = (*(f"winkler_{level}" for level in LEVELS), "crps")
    return [100 * scores[f"coverage_{level}"] for level in LEVELS] + [scores[name] / closes[name] for name in names]
