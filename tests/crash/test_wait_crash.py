"""A process is killed at each step of showing, on the board, that it waits."""

from __future__ import annotations

import pytest
from helpers.waiting import wait_until
from helpers.world import world

from hardy._core import board, look, runtime
from hardy.synchronize import Event, Lock

POINTS = [point for point in runtime.failpoints() if point.startswith("wait.")]
SOON_S = 5.0
# So long that on a busy machine too it comes to sleep, and is killed at the step that says so.
WAITED_S = 1.0


@pytest.mark.parametrize("point", POINTS)
def test_waits_of_others_are_shown_when_one_is_killed(point: str) -> None:
    """The dead one's row shows no wait of its own for good, and everyone else waits, is shown, and goes on."""
    lock, event = Lock(), Event()
    board.ensure("test")

    with world() as w, lock:
        w.strike(point, lambda: lock.acquire(timeout=WAITED_S))
        others = [w.fork_asleep(event.wait) for _ in range(3)]
        shown = wait_until(lambda: {each.pid for each in others} <= {runtime.pid_of(i) for i in waiting()}, SOON_S)
        event.set()
        for each in others:
            each.ends()

    assert shown
    assert wait_until(lambda: not waiting(), SOON_S)


def waiting() -> list[int]:
    """The living processes that are shown to wait."""
    return [row["identity"] for row in look.own_waits() if runtime.is_alive(row["identity"])]
