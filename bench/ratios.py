"""Ratios of paired measurements, and what may be said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

__all__ = ["Ratio", "ratio_of"]


@dataclass(frozen=True)
class Ratio:
    """The ratio of two rates, taken round by round.

    Attributes:
        middle: the median of the rounds.
        least: the smallest of them.
        most: the largest of them.
    """

    middle: float
    least: float
    most: float

    @property
    def undecided(self) -> bool:
        """Whether the rounds disagree about which of the two is faster."""
        return self.least <= 1 <= self.most

    def __str__(self) -> str:
        text = f"{_short(self.middle)}x [{_short(self.least)} to {_short(self.most)}]"
        return f"{text} undecided" if self.undecided else text


def _short(number: float) -> str:
    """Three figures at most: the noise is larger than that."""
    if number >= 100:
        return f"{number:.0f}"
    return f"{number:.1f}" if number >= 10 else f"{number:.2f}"


def ratio_of(rates: Sequence[float], to: Sequence[float]) -> Ratio:
    """The ratio of `rates` to the rates `to` of the same rounds."""
    each = [one / other for one, other in zip(rates, to, strict=True)]
    return Ratio(median(each), min(each), max(each))
