"""The moment before the interpreter joins its threads, which the stdlib's own executors use."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

__all__ = ["before_threads_are_joined", "was_interrupted"]


def before_threads_are_joined(function: Callable[[], object]) -> None:
    """Call a function once the main thread has ended, before the other threads are waited for."""
    threading._register_atexit(function)  # type: ignore[attr-defined]


def was_interrupted() -> bool:
    """Whether the program ends by a Ctrl-C that nobody caught."""
    return getattr(sys, "last_type", None) is KeyboardInterrupt
