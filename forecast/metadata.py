"""The content of metadata.json: what a model is, what it was trained on, and how it did on its test days.

`modelTrain.py` writes it, and everything that serves, judges or logs a model reads it. models/store.py adds the checksums.
"""

from datetime import date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, field_serializer

from closes.series import MAX_PROBLEMS
from forecast.calibration import Calibration
from settings import explain

N_RETURN_QUANTILES = 101  # from the smallest return to the largest, evenly spaced
Rule = Literal["if-better", "always", "never"]
Group = dict[str, dict[str, int | float]]  # name of a part of the test days -> n_days, coverage_80, coverage_95


class _Base(BaseModel):
    """Names such as model_version are allowed."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())


class Training(_Base):
    """The days that the network was fitted on: ranges for warnings, returns for drift.

    Attributes:
        relative_close_range: smallest and largest close, divided by the last close of its window.
        volatility_range: smallest and largest volatility of a window.
        daily_return_quantiles: of the daily log returns.
    """

    relative_close_range: tuple[FiniteFloat, FiniteFloat]
    volatility_range: tuple[FiniteFloat, FiniteFloat]
    daily_return_quantiles: Annotated[list[FiniteFloat], Field(min_length=N_RETURN_QUANTILES, max_length=N_RETURN_QUANTILES)]


class FitMetadata(_Base):
    """What a forecast depends on, besides the network.

    Attributes:
        model_version: unique; versions sort by time.
        fitted_until: last close that the network was fitted on.
        tested_from: first day of the test.
    """

    model_version: str
    fitted_until: date | None = None
    tested_from: date | None = None
    calibration: Calibration
    training: Training


class Scores(_Base):
    """Scores on the test days, by their names in forecast/scores.py; null where a score is undefined. More names are kept."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float | None] = Field(init=False)

    n_days: int
    rmse_ratio: FiniteFloat
    coverage_80: FiniteFloat
    coverage_95: FiniteFloat


class Verdict(_Base):
    """The outcome of the promotion gate.

    Attributes:
        rule: the value of --promote.
        publish: whether the new model is published.
        reason: a sentence with the figures.
        published_version: the model that it was compared with, if there was one.
        days_from: first of the days that neither model has seen.
        n_days: number of these days.
        new: scores of the new model on these days.
        published: scores of the published model on these days.
    """

    rule: Rule
    publish: bool
    reason: str
    published_version: str | None = None
    days_from: date | None = None
    n_days: int = 0
    new: dict[str, float] | None = None
    published: dict[str, float] | None = None


class Metadata(FitMetadata):
    """A trained model. Names that are not listed here are kept.

    Attributes:
        symbol, source, first_date, last_date, n_closes, data_sha256: the closes.
        fitted_on: symbols whose windows the network was fitted on: its own alone, or those of a global model.
        window: closes that the model sees.
        seed, epochs, batch_size, units, layers, dropout, learning_rate, features: the options of the training, see FitOptions.
        versions: of Python and the libraries.
        metrics: scores on the test days.
        coverage: coverage by year, by volatility, by horizon, and by symbol of the snapshot's stocks.
        promotion: the outcome of the promotion gate.
        tuning: the outcome of --tune, see tuning/outcome.py.
        validation_rmse_ratio: of --symbols: RMSE against persistence on the calibration days, of the own and the global model.
        training_seconds: from the start of the training to the end of its test.
        mlflow_run_id: null until MLflow has the run.
        files: SHA-256 of each file of the version; set at publication.
        previous_version: the version that was published before.
    """

    model_config = ConfigDict(extra="allow")

    created_at: AwareDatetime
    symbol: str
    source: str
    first_date: date
    last_date: date
    n_closes: int | None = None
    data_sha256: str | None = None
    fitted_on: list[str] | None = None
    seed: int | None = None
    epochs: int | None = None
    batch_size: int | None = None
    window: int | None = None
    units: int | None = None
    layers: int | None = None
    dropout: float | None = None
    learning_rate: float | None = None
    features: str | None = None
    versions: dict[str, str] = {}
    metrics: Scores
    coverage: dict[str, Group] = {}
    promotion: Verdict | None = None
    tuning: dict[str, Any] | None = None
    validation_rmse_ratio: dict[str, float] | None = None
    training_seconds: float | None = None
    mlflow_run_id: str | None = None
    files: dict[str, str] = {}
    previous_version: str | None = None

    @field_serializer("created_at")
    def _iso(self, value: datetime) -> str:
        return value.isoformat(timespec="seconds")

    def changed(self, **values: Any) -> Self:
        """Return a copy with other values."""
        return self.model_copy(update=values)

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return self.model_dump(mode="json", exclude_unset=True)


def describe_problems(error: ValidationError) -> list[str]:
    """Return what is wrong with a metadata.json: the first problems with their places."""
    return [f"{'.'.join(map(str, problem['loc']))}: {explain(problem)}" for problem in error.errors(include_input=False)[:MAX_PROBLEMS]]
