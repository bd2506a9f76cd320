"""Signals that ask a supervisor to stop, while it runs in the main thread."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Any

__all__ = ["answered"]


@contextlib.contextmanager
def answered(numbers: Iterable[signal.Signals], answer: Callable[[], None]) -> Iterator[None]:
    """In this block the signals call `answer`; afterwards they are handled as before.

    A process that somebody else forks in this block has the handlers too. There a signal does what it does by default.
    """
    owner_pid = os.getpid()
    before: dict[int, Any] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        if os.getpid() == owner_pid:
            answer()
            return
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    try:
        for number in numbers:
            before[number] = signal.signal(number, handle)
        yield
    finally:
        for each, handler in before.items():
            # None: a handler that was not set from Python, and cannot be set again from it.
            signal.signal(each, signal.SIG_DFL if handler is None else handler)
