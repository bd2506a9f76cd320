"""Every error of hardy: what happened, to which process, what hardy did, what to do now."""

from __future__ import annotations

import signal

__all__ = [
    "AttachError",
    "ForeignHandle",
    "HardyError",
    "OwnerDied",
    "OwnerDiedWarning",
    "ProcessDied",
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


class OwnerDied(HardyError, RuntimeError):
    """The process that held a lock died with it. Whoever gets this error holds the lock now.

    Attributes:
        name: the lock's name, or None.
        owner: identity of the dead process (see `hardy._core.runtime.pid_of`).
        pid: its process id.
    """

    def __init__(self, message: str, *, name: str | None, owner: int, pid: int) -> None:
        super().__init__(message)
        self.name = name
        self.owner = owner
        self.pid = pid

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.args[0], self.__dict__.copy()))


class OwnerDiedWarning(RuntimeWarning):
    """The process that held a lock died with it, and this process holds the lock now."""


def _rebuild(kind: type[HardyError], message: str, fields: dict[str, object]) -> HardyError:
    error = kind.__new__(kind, message)
    error.args = (message,)
    error.__dict__.update(fields)
    return error
