"""Walk-forward validation of settings, on the days before the test alone."""

from collections.abc import Iterator
from dataclasses import dataclass

from cli import interruption
from closes.series import Closes
from errors import InvalidClosesError
from forecast.network import FitOptions, fit, import_keras
from forecast.runtime import Network
from forecast.scores import rmse_ratio
from forecast.split import Dataset, Split, walk_forward_splits
from processData import WINDOW, make_windows

FOLDS = 3


@dataclass(frozen=True)
class Validation:
    """Successive blocks of days before the test. Each is forecast by a network that is fitted on days before the block.

    Attributes:
        closes: those before the test; the others are not known here.
        splits: for each block where its parts begin; its days are the split's test.
    """

    closes: Closes
    splits: list[Split]

    def ratios(self, options: FitOptions) -> Iterator[float]:
        """Fit and judge settings block by block: yield RMSE divided by that of persistence; below 1 is better."""
        import_keras()
        import keras

        from models.compiled import compile_model

        for split in self.splits:
            fitted = fit(self.closes.prices[: split.test + WINDOW], split, options, progress=False)
            interruption.check()
            windows, targets = make_windows(self.closes.prices[split.test : split.n + WINDOW])
            network = Network(compile_model(fitted.model, fitted.scaler, {}))
            yield rmse_ratio(targets[:, 0], network.path(windows)[:, 0], windows[:, -1])
            keras.utils.clear_session()  # hundreds of networks would fill the memory


def validation_of(data: Dataset) -> Validation:
    """Return the validation of a series: FOLDS blocks in the second half of the days before its test.

    Raises:
        InvalidClosesError: the closes are too few, or on more than half of the days of a part they do not change.
    """
    before = data.before_test
    try:
        splits = walk_forward_splits(len(before), FOLDS)
    except InvalidClosesError:
        raise InvalidClosesError(
            f"{len(data.closes)} closes are too few for --tune: the {len(before)} before the test do not fill {FOLDS} walk-forward folds. "
            "Use a longer series, or train without --tune."
        ) from None
    for split in splits:
        Dataset(before, split).check_movement()
    return Validation(before, splits)
