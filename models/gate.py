"""The promotion gate: compares a new model with the published one on the same days, which neither has seen.

Two trainings of the same recipe differ by chance, so a model counts as worse only where its error is more than a tolerance above the
published one's: 0.1% in RMSE, 1% in the Winkler score of the 80% and of the 95% interval.
"""

from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

from closes.series import Closes
from errors import DataUnavailableError, ForecastError, ModelUnavailableError
from forecast.backtest import Backtest, backtest
from forecast.scores import metrics
from models.loading import load_forecaster
from models.store import MISSING

Rule = Literal["if-better", "always", "never"]
TOLERANCES = {"rmse": 0.001, "winkler_80": 0.01, "winkler_95": 0.01}  # relative
MIN_DAYS = 60  # fewer common unseen days decide nothing


class NotPromotedError(ForecastError):
    """The new model is not published; the message has the reason."""


@dataclass(frozen=True)
class Verdict:
    """The outcome of a comparison, as in MLflow and metadata.json.

    Attributes:
        rule: what --promote asked for.
        publish: whether the new model is published.
        reason: in one sentence, with the figures.
        published_version: the model that it was compared with; None if there is none.
        days_from: the first of the common unseen days; None where nothing was compared.
        n_days: how many there are.
        new: the new model's figures on these days.
        published: the published model's.
    """

    rule: Rule
    publish: bool
    reason: str
    published_version: str | None = None
    days_from: str | None = None
    n_days: int = 0
    new: dict[str, float] | None = None
    published: dict[str, float] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the form in metadata.json."""
        return asdict(self)


def judge(new: Backtest, closes: Closes, model_dir: Path, rule: Rule) -> Verdict:
    """Compare a new model's backtest on its unseen days with the published model on the same days.

    Args:
        new: the new model's backtest on days that it has not seen.
        closes: the series that it was made from.
        model_dir: where the published model is.
        rule: if-better, always or never.
    """
    try:
        published = load_forecaster(model_dir)
        first = max(str(new.dates[0]), date.fromisoformat(published.metadata["tested_from"]).isoformat())
    except ModelUnavailableError as error:
        found = "no model is published yet" if error.details == [MISSING] else f"the published one cannot be used: {error}"
        return Verdict(rule, rule != "never", f"Nothing to compare with: {found}.")
    except (KeyError, TypeError, ValueError):
        return Verdict(rule, rule != "never", "Nothing to compare with: the published model does not say from which day on it was tested.")
    try:
        old = backtest(published, closes, first=first)
    except DataUnavailableError:
        old = None
    if old is None or len(old) < MIN_DAYS:
        reason = f"There are not {MIN_DAYS} days that neither the new model nor {published.version} has seen; --promote always publishes."
        return Verdict(rule, rule == "always", reason, published.version)
    figures = [{name: value[name] for name in TOLERANCES} for value in (metrics(new.after(first)), metrics(old))]
    worse = [name for name, tolerance in TOLERANCES.items() if not figures[0][name] <= figures[1][name] * (1 + tolerance)]
    said = ", ".join(f"{name} {figures[0][name]:.5g} against {figures[1][name]:.5g}" for name in TOLERANCES)
    outcome = f"worse in {' and '.join(worse)}" if worse else "not worse"
    reason = f"On {len(old)} days from {first} on, unseen by both, the new model is {outcome} than {published.version}: {said}."
    publish = rule == "always" or (rule == "if-better" and not worse)
    return Verdict(rule, publish, reason, published.version, first, len(old), *figures)
