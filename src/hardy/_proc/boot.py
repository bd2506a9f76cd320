"""What a new interpreter does between its first breath and its target: import the main module, rebuild the process.

Whatever fails here is committed as the process's outcome, so that the parent has an error and not only the terminal. A
parent whose main module looks unguarded waits for the end of this stage (`Booting`), and raises from `start()`: what
it would do next is to wait for a child that cannot come.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Callable
from multiprocessing import reduction
from multiprocessing.process import current_process
from types import TracebackType

from hardy._core import lifeline
from hardy._proc import child
from hardy._proc.outcome import Kind, OutcomeFile
from hardy._stdlib.main_module import import_main, main_line, unguarded_line
from hardy._stdlib.process import is_bootstrapping
from hardy.errors import MainGuardMissing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Booting", "check_may_start", "rebuild", "unblock_interrupt"]

# A main module that takes longer to import is not waited for.
_LONGEST_BOOT_S = 10.0
# Through whose code a child comes to the user's.
_NOT_USERS = {"hardy", "multiprocessing", "runpy"}
_seen_to_boot = False
# In the child: what the main module was refused, whether it let that pass or caught it.
_refused: MainGuardMissing | None = None


def check_may_start() -> None:
    """Refuse to start a process while a child imports the main module.

    Raises:
        MainGuardMissing: with the line that does.
    """
    global _refused
    if is_bootstrapping():
        _refused = MainGuardMissing.at(*(main_line() or ("", 0, "")))
        raise _refused


class Booting:
    """In the parent: one child's way to its target, watched where the main module may lack its guard.

    Attributes:
        passed: for the child; None when nobody watches.
    """

    def __init__(self) -> None:
        self.passed: Any = None
        self._read = self._write = -1
        if not _seen_to_boot and unguarded_line() is not None:
            self._read, self._write = os.pipe()

    def hand_over(self) -> None:
        """While pickling for the child: give it the end that it closes once it has booted."""
        if self._write >= 0:
            self.passed = reduction.DupFd(self._write)

    def wait(self, file: OutcomeFile) -> bytes | None:
        """Once the child is started: wait until it has booted, or has failed to.

        Returns:
            what it committed as NOT_STARTED; None when all is well, or nobody knows yet.
        """
        global _seen_to_boot
        if self._read < 0:
            return None
        os.close(self._write)
        self._write = -1
        if not lifeline.wait_readable(self._read, _LONGEST_BOOT_S):
            return None
        outcome = file.kind()
        if outcome is None or outcome[0] is not Kind.NOT_STARTED:
            _seen_to_boot = True
            return None
        with file.payload(outcome[1]) as payload:
            return bytes(payload)

    def close(self) -> None:
        """Give the descriptors back."""
        for fd in (self._read, self._write):
            if fd >= 0:
                os.close(fd)
        self._read = self._write = -1


def rebuild(load: Callable[[], Any], name: str | None, path: str | None, booting: Any, interruptible: bool) -> Any:
    """In the child: the process object.

    Args:
        load: unpickles it.
        name: of the main module, if that is to be imported by name.
        path: of the main module, if that is to be run from a file.
        booting: what `Booting.hand_over` gave, if the parent waits.
        interruptible: whether the parent had SIGINT unblocked.

    Raises:
        SystemExit: it cannot be had; why was committed and printed.
    """
    file = child.result_file()
    assert file is not None
    told = -1 if booting is None else booting.detach()
    doing = "import the main module"
    try:
        if interruptible:
            unblock_interrupt()
        import_main(name, path)
        _end_if_refused()
        doing = "rebuild its target and arguments"
        process = load()
    except BaseException as raised:
        # What the main module made of its refusal is not the cause.
        error = raised if _refused is None or isinstance(raised, KeyboardInterrupt) else _refused
        trace = _from_user_on(error.__traceback__)
        file.commit(Kind.NOT_STARTED, pickle.dumps((doing, child.describe(error, trace))))
        if isinstance(error, SystemExit):
            raise
        if not isinstance(error, KeyboardInterrupt) and told < 0:
            # Nobody may ask for the outcome.
            _print(error, trace, doing)
        raise SystemExit(1) from None
    if told >= 0:
        os.close(told)
    return process


def _end_if_refused() -> None:
    """The error says that the child was ended: so it is, when the main module caught it, too."""
    if _refused is not None:
        raise _refused


def _print(error: BaseException, trace: TracebackType | None, doing: str) -> None:
    sys.stderr.write(f"Process {current_process().name} could not {doing}:\n")
    if isinstance(error, MainGuardMissing):
        sys.stderr.write(f"MainGuardMissing: {error}\n")
    else:
        import traceback

        traceback.print_exception(type(error), error, trace)
    sys.stderr.flush()


def unblock_interrupt() -> None:
    """Let Ctrl-C through, which was held back while the interpreter started."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _from_user_on(trace: TracebackType | None) -> TracebackType | None:
    """The traceback without what hardy, runpy and multiprocessing did to come to the user's line."""
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").partition(".")[0] in _NOT_USERS:
        trace = trace.tb_next
    return trace
