"""What a cell is: one question, put to several contenders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Cell", "Measure"]

# The seconds that so many operations take.
Measure = Callable[[int], float]


@dataclass(frozen=True)
class Cell:
    """One row of a table.

    Attributes:
        family: the table that it belongs to.
        name: what is measured.
        contenders: by name.
        baseline: the contender to which the ratios are taken: the standard library's.
        prototype: the ratio of hardy to the baseline that the prototype of the core reached; None: it was not
            measured there.
        prototype_many: likewise, for many objects in one call.
    """

    family: str
    name: str
    contenders: Mapping[str, Measure]
    baseline: str
    prototype: float | None = None
    prototype_many: float | None = None
