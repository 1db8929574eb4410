"""A validation whose ratios are known in advance, for tests of a search: no network is fitted."""

import math
from collections.abc import Iterator

from forecast.network import FitOptions
from tuning.validation import Validation

BEST_UNITS = 32


class KnownRatios(Validation):
    """Ratios that depend on units and seed alone: lowest at BEST_UNITS.

    Args:
        noise: what one more seed adds to the ratio.
        gain: what BEST_UNITS takes off the ratio of 50 units, the default.
        interrupt_at: trial, counted from 1, in whose second fold Ctrl-C is pressed.
    """

    def __init__(self, noise: float = 0.0, gain: float = 0.01, interrupt_at: int | None = None) -> None:
        object.__setattr__(self, "splits", [None, None, None])  # the base class is frozen
        object.__setattr__(self, "how", (noise, gain, interrupt_at))
        object.__setattr__(self, "judged", [])

    judged: list[FitOptions]
    how: tuple[float, float, int | None]

    def ratios(self, options: FitOptions) -> Iterator[float]:
        self.judged.append(options)
        noise, gain, interrupt_at = self.how
        distance = abs(math.log(options.units / BEST_UNITS)) / math.log(50 / BEST_UNITS)
        for fold in (-0.001, 0, 0.001):
            if fold == 0 and len(self.judged) == interrupt_at:
                raise KeyboardInterrupt
            yield 0.99 + gain * distance + noise * options.seed + fold
