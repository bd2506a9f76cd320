"""What the steps of tested pipelines do; here so that spawn and forkserver can import it too."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

from hardy import current_delivery
from hardy._core import runtime

__all__ = ["count_to", "double"]


def count_to(number: int) -> Iterator[int]:
    yield from range(number)


def count_after(go: Any, number: int) -> Iterator[int]:
    go.wait()
    yield from range(number)


def double(number: int) -> int:
    return 2 * number


def twice(number: int) -> Iterator[int]:
    """The number and its negative."""
    yield number
    yield -number


def odd_only(number: int) -> Iterator[int]:
    if number % 2:
        yield number


def raise_at(bad: int, number: int) -> int:
    if number == bad:
        raise ValueError(f"cannot do with {number}")
    return number


def raise_until(deliveries: int, number: int) -> int:
    """Fail for each item until it was given out so often."""
    if current_delivery().deliveries < deliveries:
        raise OSError("not yet")
    return number


def die_at(bad: int, number: int) -> int:
    if number == bad:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def abort_at(bad: int, number: int) -> int:
    if number == bad:
        os._exit(3)
    return number


def exit_at(bad: int, number: int) -> int:
    if number == bad and current_delivery().deliveries == 1:
        os._exit(0)
    return number


def leave_at(bad: int, number: int) -> int:
    if number == bad:
        sys.exit(0)
    return number


def raise_all(*ignored: Any) -> Iterator[int]:
    raise ValueError("no input")
    yield


def interrupt_all(item: object) -> None:
    """As Ctrl-C at a terminal: to every process of the group, once."""
    if item == 0:
        os.killpg(0, signal.SIGINT)
        signal.pause()


def put_into(queue: Any, number: int) -> None:
    queue.put(number)


def mark(queue: Any, gate: Any, number: int) -> int:
    """Say that the item was taken, and wait for leave to go on."""
    queue.put((os.getpid(), number))
    gate.wait()
    return number


def armed_count(once: Any, point: str, at: int, number: int) -> Iterator[int]:
    """Count, and be killed once: at the point, from item `at` on."""
    for each in range(number):
        if each == at and not once.is_set():
            once.set()
            runtime.arm(f"{point}=kill")
        yield each


def armed_count_from(once: Any, point: str, at: int, number: int, start: int) -> Iterator[int]:
    """The same, for a source that goes on where it was."""
    for each in armed_count(once, point, at, number):
        if each >= start:
            yield each


def armed(once: Any, buried: Any, point: str, at: int, number: int) -> int:
    """Be killed once, by whoever has the item `at`: at the point.

    Nobody else is done with a later item until `buried` is set, so that the armed process, where it dies of the next
    item that it takes, does get one.
    """
    if number == at and not once.is_set():
        once.set()
        runtime.arm(f"{point}=kill")
    elif number > at:
        buried.wait()
    return number


def armed_put(once: Any, buried: Any, point: str, at: int, queue: Any, number: int) -> None:
    """The same, for a sink."""
    armed(once, buried, point, 2 * at, number)
    queue.put(number)


def armed_then_raise(once: Any, buried: Any, point: str, at: int, number: int) -> int:
    """The same, for a step that never gets done with that item; at its second delivery, which is its last."""
    if number != at or current_delivery().deliveries > 1:
        armed(once, buried, point, at, number)
    return raise_at(at, number)


def share(number: int, processes: int) -> Iterator[int]:
    yield from range(number, 100, processes)


def take_from(queue: Any) -> Iterator[Any]:
    """A source that nobody can run again: what it gives is gone."""
    while (item := queue.get()) is not None:
        yield item


class Deadly:
    """A step's function whose process dies before it can run."""

    def __getstate__(self) -> dict[str, int]:
        return {"any": 1}

    def __setstate__(self, state: object) -> None:
        os._exit(3)

    def __call__(self, item: object) -> object:
        return item
