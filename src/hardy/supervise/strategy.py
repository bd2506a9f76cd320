"""Whom a death concerns, and when there were too many: pure, so that a model can be held against it."""

from __future__ import annotations

import collections
from typing import Literal

__all__ = ["STRATEGIES", "Intensity", "Strategy", "concerned", "is_restarted"]

Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]
STRATEGIES = ("one_for_one", "one_for_all", "rest_for_one")


def is_restarted(restart: str, exitcode: int | None) -> bool:
    """Whether a child that ended by itself with this exit code is started again."""
    return restart == "permanent" or (restart == "transient" and exitcode != 0)


def concerned(strategy: Strategy, index: int, count: int) -> range:
    """The places, in start order, of those that are stopped and started again when child `index` is.

    Args:
        strategy: the supervisor's.
        index: the place of the child that died.
        count: how many children there are.
    """
    if strategy == "one_for_all":
        return range(count)
    if strategy == "rest_for_one":
        return range(index, count)
    return range(index, index + 1)


class Intensity:
    """Counts restarts: at most `intensity` within `period_s` seconds, as OTP's supervisor.

    Source: the description of "Maximum Restart Intensity" in OTP's design principles.
    """

    def __init__(self, intensity: float, period_s: float) -> None:
        self.intensity = intensity
        self.period_s = period_s
        self._restarts: collections.deque[float] = collections.deque()

    def allows(self, now_s: float) -> bool:
        """Count a restart at this time; False: it is one too many."""
        if self.intensity == float("inf"):
            return True
        while self._restarts and now_s - self._restarts[0] > self.period_s:
            self._restarts.popleft()
        self._restarts.append(now_s)
        return len(self._restarts) <= self.intensity
