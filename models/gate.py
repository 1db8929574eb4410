"""The promotion gate: compares a new model with the published one on the same days, which neither has seen.

Two trainings of the same recipe differ by chance, so a model counts as worse only where its error is more than a tolerance above the
published one's: 0.1% in RMSE, 1% in the Winkler score of the 80% and of the 95% interval.
"""

from datetime import date
from pathlib import Path

from closes.series import Closes
from errors import DataUnavailableError, ForecastError, ModelUnavailableError
from forecast.backtest import Backtest, backtest
from forecast.metadata import Rule, Verdict
from forecast.scores import score
from models.loading import load_forecaster
from models.store import MISSING

TOLERANCES = {"rmse": 0.001, "winkler_80": 0.01, "winkler_95": 0.01}  # relative
MIN_DAYS = 60  # fewer common test days decide nothing


class NotPromotedError(ForecastError):
    """The new model is not published; the message has the reason."""


def judge(new: Backtest, closes: Closes, model_dir: Path, rule: Rule) -> Verdict:
    """Compare a new model's backtest on its test days with the published model on the same days.

    Args:
        new: the new model's backtest on days that it has not seen.
        closes: the series that it was made from.
        model_dir: where the published model is.
        rule: if-better, always or never.
    """
    try:
        published = load_forecaster(model_dir)
    except ModelUnavailableError as error:
        found = "no model is published yet" if error.details == [MISSING] else f"the published one cannot be used: {error}"
        return Verdict(rule=rule, publish=rule != "never", reason=f"Nothing to compare with: {found}.")
    if published.metadata.tested_from is None:
        reason = "Nothing to compare with: the published model does not say from which day on it was tested."
        return Verdict(rule=rule, publish=rule != "never", reason=reason)
    first = max(str(new.dates[0]), str(published.metadata.tested_from))
    try:
        old = backtest(published, closes, first=first)
    except DataUnavailableError:
        old = None
    if old is None or len(old) < MIN_DAYS:
        reason = f"The new model and {published.version} have fewer than {MIN_DAYS} common test days; --promote always publishes."
        return Verdict(rule=rule, publish=rule == "always", reason=reason, published_version=published.version)
    ours, theirs = ({name: scores[name] for name in TOLERANCES} for scores in (score(new.after(first)), score(old)))
    worse = [name for name, tolerance in TOLERANCES.items() if not ours[name] <= theirs[name] * (1 + tolerance)]
    said = ", ".join(
        f"{name} {ours[name]:.5g} against {theirs[name]:.5g} (tolerance {100 * tolerance:g}%)" for name, tolerance in TOLERANCES.items()
    )
    outcome = f"worse in {' and '.join(worse)}" if worse else "not worse"
    reason = f"On {len(old)} test days of both models, from {first} on, the new model is {outcome} than {published.version}: {said}."
    return Verdict(
        rule=rule, publish=rule == "always" or (rule == "if-better" and not worse), reason=reason, published_version=published.version,
        days_from=date.fromisoformat(first), n_days=len(old), new=ours, published=theirs,
    )  # fmt: skip
