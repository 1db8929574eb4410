"""The settings that a search chooses from."""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

from forecast.features import FEATURES, Features
from forecast.network import FitOptions

if TYPE_CHECKING:
    import optuna

Number = TypeVar("Number", int, float)
TUNED = ("units", "layers", "dropout", "learning_rate", "epochs", "features")


@dataclass(frozen=True)
class Space:
    """Ranges of the settings, both ends included. A default outside of a range widens it.

    Attributes:
        units, layers, dropout, learning_rate: see FitOptions.
        epochs: in units of the default.
    """

    units: tuple[int, int] = (8, 128)
    layers: tuple[int, int] = (1, 3)
    dropout: tuple[float, float] = (0.0, 0.5)
    learning_rate: tuple[float, float] = (1e-4, 1e-2)
    epochs: tuple[float, float] = (1 / 3, 2)

    def suggest(self, trial: "optuna.Trial", default: FitOptions) -> FitOptions:
        """Return the settings of a trial: those that the study chose, and the others of `default`."""
        epochs = (max(1, round(self.epochs[0] * default.epochs)), max(1, round(self.epochs[1] * default.epochs)))
        return dataclasses.replace(
            default,
            units=trial.suggest_int("units", *_widened(self.units, default.units), log=True),
            layers=trial.suggest_int("layers", *_widened(self.layers, default.layers)),
            dropout=trial.suggest_float("dropout", *_widened(self.dropout, default.dropout)),
            learning_rate=trial.suggest_float("learning_rate", *_widened(self.learning_rate, default.learning_rate), log=True),
            epochs=trial.suggest_int("epochs", *_widened(epochs, default.epochs)),
            features=cast(Features, trial.suggest_categorical("features", FEATURES)),
        )


def tuned_values(options: FitOptions) -> dict[str, Any]:
    """Return the tuned settings by name."""
    return {name: getattr(options, name) for name in TUNED}


def describe(options: FitOptions) -> str:
    """Return the tuned settings in one line."""
    return (
        f"units {options.units}, layers {options.layers}, dropout {options.dropout:.2g}, learning rate {options.learning_rate:.2g}, "
        f"epochs {options.epochs}, features {options.features}"
    )


def _widened(limits: tuple[Number, Number], value: Number) -> tuple[Number, Number]:
    """Return limits that include a value."""
    return min(limits[0], value), max(limits[1], value)
