"""Every error of hardy: what happened, to which process, what hardy did, what to do now."""

from __future__ import annotations

import pickle
import signal

__all__ = [
    "AttachError",
    "ForeignHandle",
    "HardyError",
    "ProcessDied",
    "ProcessExited",
    "RemoteError",
    "RemoteTraceback",
    "ResultNotPicklable",
    "signal_name",
]


def signal_name(number: int) -> str:
    """The name of a signal by number, as in `SIGKILL`; `signal 77` for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class HardyError(Exception):
    """The base of the errors that only hardy raises."""


class AttachError(HardyError, OSError):
    """A shared object could not be reached: its holders have ended, or it is no object of this hardy."""


class ForeignHandle(AttachError):
    """A handle is used in a process that must not: in another pid namespace, or of another version."""


class ProcessDied(HardyError, RuntimeError):
    """A process ended without giving what was asked of it.

    Attributes:
        name: the process's name.
        pid: its process id.
        signal: the number of the signal that ended it, or None when it exited by itself.
        exitcode: as `Process.exitcode`; None when it cannot be known.
        out_of_memory: whether the kernel's out-of-memory killer took it, as far as the cgroup's counters tell.
    """

    def __init__(
        self,
        message: str,
        *,
        name: str,
        pid: int | None,
        signal: int | None = None,
        exitcode: int | None = None,
        out_of_memory: bool = False,
    ) -> None:
        super().__init__(message)
        self.name = name
        self.pid = pid
        self.signal = signal
        self.exitcode = exitcode
        self.out_of_memory = out_of_memory

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.args[0], self.__dict__.copy()))


class ProcessExited(ProcessDied):
    """The process called `sys.exit` with something other than 0 or None, so that there is no result.

    Attributes:
        code: what it gave to `sys.exit`.
    """

    code: object = None


class ResultNotPicklable(HardyError, pickle.PicklingError, TypeError, AttributeError):
    """The process ended well, but what it returned cannot travel back.

    Attributes:
        type_name: the type of the culprit.
        path: where it is in the result, as in `result['session'].socket`.
    """

    def __init__(self, message: str, *, type_name: str, path: str) -> None:
        super().__init__(message)
        self.type_name = type_name
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.args[0], self.__dict__.copy()))


class RemoteError(HardyError, RuntimeError):
    """What a process raised or returned could not be rebuilt here; this stands for it.

    Attributes:
        type_name: the type of what it stands for.
        text: its `repr`.
        traceback_text: the traceback in that process, or "".
    """

    def __init__(self, message: str, *, type_name: str, text: str, traceback_text: str = "") -> None:
        super().__init__(message)
        self.type_name = type_name
        self.text = text
        self.traceback_text = traceback_text

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.args[0], self.__dict__.copy()))


class RemoteTraceback(Exception):
    """The traceback of an exception in the process that raised it; the cause of that exception here.

    Attributes:
        traceback_text: as the interpreter there would have printed it.
    """

    def __init__(self, traceback_text: str) -> None:
        super().__init__(traceback_text)
        self.traceback_text = traceback_text

    def __str__(self) -> str:
        return f'\n"""\n{self.traceback_text}"""'


def _rebuild(kind: type[HardyError], message: str, fields: dict[str, object]) -> HardyError:
    error = kind.__new__(kind, message)
    error.args = (message,)
    error.__dict__.update(fields)
    return error
