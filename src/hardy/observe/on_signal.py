"""The doctor's report when a signal comes."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from functools import partial
from types import FrameType

from hardy._core import board
from hardy.context import tell_children

__all__ = ["doctor_on_signal"]


def doctor_on_signal(number: int = signal.SIGUSR2) -> None:
    """Have this process, and those that it starts from now on, answer a signal with `hardy doctor`'s report on stderr.

    To be called in the main thread. The report also has the stacks of all threads of the process that got the signal.
    It is made by the main thread, once that runs Python or waits in hardy.

    Args:
        number: which signal.

    Raises:
        ValueError: this is not the main thread, or the signal cannot be caught.
    """
    signal.signal(number, _answer)
    tell_children("hardy_doctor", partial(signal.signal, number, _answer))


def _answer(number: int, frame: FrameType | None) -> None:
    from hardy.observe.doctor import examine, report_text

    report = examine(os.getpid())
    lines = [report_text(report) if report is not None else "No other process of hardy's belongs to this one.", ""]
    names = {each.ident: each.name for each in threading.enumerate()}
    for ident, top in sys._current_frames().items():
        if ident == threading.get_ident():
            top = frame or top
        lines.append(f"Stack of thread {names.get(ident, ident)} in process {os.getpid()}:")
        stack = traceback.extract_stack(top)
        lines += [line.rstrip("\n") for line in traceback.format_list(board.frames_of_program(stack) or stack)]
    if sys.stderr is not None:
        sys.stderr.write("\n".join(lines) + "\n")
        sys.stderr.flush()
