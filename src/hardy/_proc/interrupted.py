"""The end of a program that Ctrl-C ended: the children that cannot hear it do not keep it.

Ctrl-C reaches every process of the terminal. Python looks for it between two steps of a program, so a child inside a
long call of a C library goes on for as long as that call takes, and its parent, which joins its children at exit, with
it. Such a child is known by this: it has computed without a pause ever since. It is killed after `GRACE_S`. A child
that does something else (it cleans up, it waits for somebody, it has a handler of its own) is waited for, as in the
standard library, and named, so that one knows what is waited for.

Rejected: to kill whatever has not ended. A child that saves its work after KeyboardInterrupt would lose it.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
from multiprocessing.process import active_children

from hardy._core import lifeline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["GRACE_S", "watch_exit"]

GRACE_S = 1.2
_SAMPLE_S = 0.05

_watched_by = 0


def watch_exit() -> None:
    """Have the exit of this process look after its children, once."""
    global _watched_by
    if _watched_by != os.getpid():
        _watched_by = os.getpid()
        atexit.register(_end_unhearing_children)


def _end_unhearing_children() -> None:
    error = getattr(sys, "last_type", None)
    if error is None or not issubclass(error, KeyboardInterrupt):
        return
    children: list[Any] = active_children()
    # The server of a manager ignores Ctrl-C; the exit function of the stdlib's, which comes next, ends it.
    busy = {child: True for child in children if not child.daemon and not getattr(child, "ended_at_exit", False)}
    deadline = time.monotonic() + GRACE_S
    while busy and time.monotonic() < deadline:
        for child in list(busy):
            if lifeline.wait_readable(child.sentinel, _SAMPLE_S / len(busy)):
                del busy[child]
            else:
                busy[child] = busy[child] and _state(child.pid) == "R"
    for child, computes in busy.items():
        who = f"{child.name!r} (pid {child.pid})"
        if computes:
            child.kill()
            _say(f"{who} was killed: {GRACE_S} s after Ctrl-C it was still inside a call that does not see it")
        else:
            _say(f"waiting for {who}, which goes on after Ctrl-C; another Ctrl-C ends it")


def _state(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return chr(file.read().rpartition(b")")[2].split()[0][0])
    except OSError:
        return ""


def _say(text: str) -> None:
    try:
        sys.stderr.write(f"hardy: {text}.\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        pass  # a program that ends may have closed it
