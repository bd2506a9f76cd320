"""What a task may use of its worker: its state, and a way to say how far it is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hardy._core.desk import Desk

__all__ = ["progress", "sit_down", "worker_state"]

#: What a worker keeps from task to task, as attributes: set by the initializer, used by the tasks.
worker_state = SimpleNamespace()

_desk: Desk | None = None


def sit_down(desk: Desk) -> None:
    """In a new worker: its desk."""
    global _desk
    _desk = desk
    worker_state.__dict__.clear()


def progress(done: int, total: int) -> None:
    """Say how far this task is; whoever holds its future or result reads it there, by `progress()`.

    Does nothing outside of a pool's worker, so that a function may be called anywhere.

    Args:
        done: how much is done.
        total: of how much.

    Raises:
        TypeError, OverflowError: they are no ints, or negative.
    """
    if _desk is not None:
        _desk.report(done, total)
