"""Who a process is, or was: for the texts and fields of errors."""

from __future__ import annotations

from typing import NamedTuple

from hardy._core import board, runtime
from hardy.errors import signal_name

__all__ = ["Described", "describe"]


class Described(NamedTuple):
    """A process, living or dead, as far as it is known.

    Attributes:
        text: for a sentence, as in `'resize-3' (pid 4127, SIGKILL)`.
        name: its name; "" when it is not known.
        pid: its process id.
        signal: the signal that ended it, or None.
        exitcode: as `Process.exitcode`, or None when it lives or is not known.
    """

    text: str
    name: str
    pid: int
    signal: int | None
    exitcode: int | None


def describe(identity: int) -> Described:
    """What is known of the process of that identity."""
    pid = runtime.pid_of(identity)
    name, exitcode = board.describe(identity)
    ended = ""
    signal = None
    if exitcode is not None and exitcode < 0:
        signal = -exitcode
        ended = f", {signal_name(signal)}"
    elif exitcode is not None:
        ended = f", exit status {exitcode}"
    text = f"{name!r} (pid {pid}{ended})" if name else f"process {pid}{f' ({ended[2:]})' if ended else ''}"
    return Described(text, name, pid, signal, exitcode)
