"""What a cell is: one question, put to several contenders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

__all__ = ["Aim", "Cell", "Measure"]

# The seconds that so many operations take.
Measure = Callable[[int], float]


@dataclass(frozen=True)
class Aim:
    """What a contender is to reach, as a multiple of the baseline.

    Attributes:
        ratio: the aim.
        prototype: what the prototype of hardy's core reached, on another machine; None: not measured there.
    """

    ratio: float
    prototype: float | None = None


@dataclass(frozen=True)
class Cell:
    """One row of a table.

    Attributes:
        family: the table that it belongs to.
        name: what is measured.
        contenders: by name.
        baseline: the contender to which the ratios are taken: the standard library's, where there is one.
        aims: by contender, for those that have one.
        most: the most operations of one measurement; None: as many as the runner likes.
    """

    family: str
    name: str
    contenders: Mapping[str, Measure]
    baseline: str
    aims: Mapping[str, Aim] = field(default_factory=dict)
    most: int | None = None
