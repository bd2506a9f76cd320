"""The only place in the tests where time passes by the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

FIRST_PAUSE_S = 0.001
LONGEST_PAUSE_S = 0.05


def wait_until(predicate: Callable[[], T], timeout_s: float = 10.0) -> T:
    """The predicate's first true value, or its last false one when the time is up.

    For what the system gives no event to wait on (a name in /proc, a count in shared memory). Where an
    event can be had (a pipe, a pidfd, a barrier), wait on that instead.
    """
    deadline = time.monotonic() + timeout_s
    pause_s = FIRST_PAUSE_S
    while not (value := predicate()) and time.monotonic() < deadline:
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
    return value
