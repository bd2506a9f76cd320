"""What is said of a fork in a process with threads, on every Python; 3.12 and later say so themselves, without names.

The child has the one thread that forked. A lock that another thread held at that instant is held in the child for ever,
by nobody: the child waits for it, and its parent for the child.

Nothing is said when a thread of hardy's own forks, to put a worker in a dead one's place: the user can do nothing about
that. His threads were named when the pool was made; and of what they may hold at such a time, the interpreter renews
the locks of its own in the child, hardy those of imports.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from types import FrameType

from hardy._core import lifeline
from hardy._stdlib.imports import begin_imports_again
from hardy.errors import ForkWithThreadsWarning

__all__ = ["become_main_thread", "said_before", "warn_of_threads"]

# Those of hardy hold nothing that a child could want.
_OURS = "hardy-"
# Nor do those of OpenTelemetry's SDK: they, and what they guard, are made anew in a forked child.
_SAFE = (_OURS, "Otel")
_quiet = threading.local()
_NOT_USERS = {"hardy", "multiprocessing", "concurrent"}
_PYTHON_WARNS = sys.version_info >= (3, 12)
_MOST_NAMES = 5

if _PYTHON_WARNS:
    # A program that has joined a process and forks by itself has no thread of ours that it should be warned of.
    os.register_at_fork(before=lifeline.let_go)


def become_main_thread() -> None:
    """In a child that a thread of hardy's own has forked: put right what the others were in the midst of."""
    threading.current_thread().name = "MainThread"
    begin_imports_again()


@contextlib.contextmanager
def said_before() -> Iterator[None]:
    """Forks within, of this thread, are those of a call that has said it."""
    _quiet.on = True
    try:
        yield
    finally:
        _quiet.on = False


def warn_of_threads() -> bool:
    """Before a fork: name the threads that the child will not have, if there are any.

    Returns:
        Whether this thread is one of hardy's own.

    Warns:
        ForkWithThreadsWarning: at the user's line.
    """
    if _PYTHON_WARNS:
        # Python counts the threads of the kernel, the lifeline's too, and points at a line of hardy.
        warnings.filterwarnings("ignore", r".*multi-threaded", DeprecationWarning, r"hardy\._proc\.popen")
    if threading.active_count() == 1:
        return False
    me = threading.current_thread()
    if me.name.startswith(_OURS):
        return True
    if getattr(_quiet, "on", False):
        return False
    others = [thread for thread in threading.enumerate() if thread is not me and not thread.name.startswith(_SAFE)]
    if not others:
        return False
    names = ", ".join(repr(thread.name) for thread in others[:_MOST_NAMES])
    more = f" and {len(others) - _MOST_NAMES} more" if len(others) > _MOST_NAMES else ""
    warnings.warn(
        f"This process (pid={os.getpid()}) is multi-threaded ({names}{more}), use of fork() may lead to deadlocks in "
        "the child: a lock that one of these threads holds now is held there for ever, by nobody. Start the processes "
        "before the threads, or use get_context('spawn') or get_context('forkserver')",
        ForkWithThreadsWarning,
        stacklevel=_depth_of_user(),
    )
    return False


def _depth_of_user() -> int:
    """Which caller of `warn_of_threads` is not hardy's or the standard library's, as `stacklevel` counts."""
    frame: FrameType | None = sys._getframe(1)
    depth = 1
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _NOT_USERS:
        frame = frame.f_back
        depth += 1
    return depth
