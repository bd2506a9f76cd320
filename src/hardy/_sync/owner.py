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
    name, _, exitcode = board.describe(identity) or ("", pid, None)
    signal = -exitcode if exitcode is not None and exitcode < 0 else None
    details = [f"pid {pid}"] if name else []
    if signal is not None:
        details.append(signal_name(signal))
    elif exitcode is not None:
        details.append(f"exit status {exitcode}")
    text = repr(name) if name else f"process {pid}"
    if details:
        text += f" ({', '.join(details)})"
    return Described(text, name, pid, signal, exitcode)
