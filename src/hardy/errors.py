"""Every error of hardy: what happened, to which process, what hardy did, what to do now."""

from __future__ import annotations

import pickle
import signal

__all__ = [
    "AttachError",
    "CannotPickle",
    "CannotUnpickle",
    "ChildError",
    "Closed",
    "DeadlockError",
    "FileCorrupt",
    "ForeignHandle",
    "ForkWithThreadsWarning",
    "HardyError",
    "LeaseLost",
    "MainGuardMissing",
    "ManagerDied",
    "MessageTooLong",
    "OwnerDied",
    "OwnerDiedWarning",
    "PipelineFailed",
    "ProcessDied",
    "ProcessExited",
    "QueueCorrupt",
    "RemoteError",
    "RemoteTraceback",
    "RestartIntensityReached",
    "ResultNotPicklable",
    "ServerFailed",
    "StartFailed",
    "TasksLost",
    "ending_text",
    "signal_name",
    "type_name",
]


def signal_name(number: int) -> str:
    """The name of a signal by number, as in `SIGKILL`; `signal 77` for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def ending_text(code: int) -> str:
    """An exit code, or the signal of a negative one, as in `exit 0`, `SIGKILL`."""
    return signal_name(-code) if code < 0 else f"exit {code}"


def type_name(kind: type) -> str:
    """A type as one writes it: builtins without their module."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


class ForkWithThreadsWarning(DeprecationWarning):
    """A process was forked while other threads ran, which the child does not have, and whose locks it does."""


class HardyError(Exception):
    """The base of the errors that only hardy raises. They pickle, with their fields."""

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), str(self.args[0]) if self.args else "", self.__dict__.copy()))


class AttachError(HardyError, OSError):
    """A shared object could not be reached: its holders have ended, or it is no object of this hardy."""


class ForeignHandle(AttachError):
    """A handle is used in a process that must not: in another pid namespace, or of another version."""


class Closed(HardyError, ValueError, EOFError, OSError):
    """A queue is closed: in this process, or for all, since nobody is left who could put.

    The stdlib raises ValueError (`put`, `get`) or OSError (`empty`) for the former; the latter is a wait without
    end there.
    """


class DeadlockError(HardyError, RuntimeError):
    """Threads wait for each other's locks in a circle; raised in the one that came last, which gets no lock.

    Attributes:
        cycle: a tuple for each of them: pid, what the process is called, the lock it holds, the lock it waits for.
    """

    def __init__(self, message: str, *, cycle: tuple[tuple[int, str, str, str], ...]) -> None:
        super().__init__(message)
        self.cycle = cycle


class FileCorrupt(HardyError, ValueError):
    """A shared file does not hold what it should; it was left as it is.

    Attributes:
        path: of the file.
        why: what is wrong with it.
    """

    def __init__(self, path: str, why: str) -> None:
        super().__init__(
            f"{path!r} cannot be used: {why}. It was left as it is: mend it, or move it away to begin anew"
        )
        self.path = path
        self.why = why


class QueueCorrupt(HardyError, OSError):
    """The shared memory of a queue was overwritten by something that is not hardy."""


class CannotPickle(HardyError, pickle.PicklingError, TypeError, AttributeError):
    """An object cannot travel to another process; raised at the call, and nothing was sent.

    It is all that pickle itself may raise, so that code which catches one of those still does.

    Attributes:
        path: where the culprit is, as in `args[0].session`.
    """

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class CannotUnpickle(HardyError, pickle.UnpicklingError):
    """A message was taken that cannot be rebuilt here; the queue goes on with the next.

    Attributes:
        pid: the process that put it.
        rest: of `get_many`: the other objects that were taken.
    """

    def __init__(self, message: str, *, pid: int) -> None:
        super().__init__(message)
        self.pid = pid
        self.rest: list[object] = []

    @classmethod
    def of(cls, error: BaseException, pid: int) -> CannotUnpickle:
        """For the error that pickle gave, about a message that process `pid` put."""
        return cls(
            f"a message from process {pid} was taken but cannot be rebuilt here: {type(error).__name__}: {error}. "
            "It is out of the queue, which goes on. Is what it needs importable in this process?",
            pid=pid,
        )


class MainGuardMissing(HardyError, RuntimeError):
    """The main module starts processes while it is imported, which a child of spawn and forkserver does too.

    Attributes:
        file: the main module's file.
        line: the number of the line in it.
        source: that line.
    """

    def __init__(self, message: str, *, file: str = "", line: int = 0, source: str = "") -> None:
        super().__init__(message)
        self.file = file
        self.line = line
        self.source = source

    @classmethod
    def at(cls, file: str, line: int, source: str) -> MainGuardMissing:
        """For a child that came to that line of the main module."""
        shown = source if source and not source.endswith(":") else "..."
        where = f"\n\n    {file}, line {line}:\n        {source}" if source else ""
        return cls(
            "a process was to be started before the current process had finished its bootstrapping phase: the program "
            f"has no main guard.{where}\n\n"
            "A child of 'spawn' or 'forkserver' imports the main module, and comes to that line as well. The child was "
            "ended.\nKeep imports, functions and classes at the top level, and put what the program does under a guard:"
            f"\n\n    if __name__ == '__main__':\n        {shown}\n\n"
            "(In a program that is frozen to an executable, freeze_support() is the first line under it.) "
            "Or start with get_context('fork'), which imports nothing.",
            file=file,
            line=line,
            source=source,
        )


class LeaseLost(HardyError, RuntimeError):
    """A lease is acknowledged or given back that this process does not hold (any more)."""


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


class TasksLost(ProcessDied):
    """A process ended holding items of a JoinableQueue for which it never called `task_done`.

    Attributes:
        items: how many.
    """

    items: int = 0


class ManagerDied(ProcessDied, ConnectionRefusedError, ConnectionResetError, BrokenPipeError, EOFError):
    """The server of a manager has ended, so that its proxies lead nowhere.

    It is all that the stdlib may raise there, so that code which catches one of those still does.
    """


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


class OwnerDiedWarning(RuntimeWarning):
    """The process that held a lock died with it, and this process holds the lock now."""


class ProcessExited(ProcessDied):
    """The process called `sys.exit` with something other than 0 or None, so that there is no result.

    Attributes:
        code: what it gave to `sys.exit`.
    """

    code: object = None


class StartFailed(ProcessDied):
    """The child ended before it came to its target: it could not import the main module, or rebuild its arguments.

    Its `__cause__` is a `RemoteTraceback`, what the child's own traceback was.
    """


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


class ChildError(HardyError, ValueError):
    """A supervisor cannot do that with a child.

    Attributes:
        id: the child's.
        reason: OTP's word for it: `duplicate_child_name`, `already_present`, `already_started`, `not_found`, `running`.
    """

    def __init__(self, message: str, *, id: str, reason: str) -> None:
        super().__init__(message)
        self.id = id
        self.reason = reason


class RestartIntensityReached(HardyError, RuntimeError):
    """A supervisor gave up, since its children ended too often, and has stopped them all.

    Its cause is what ended the last one.

    Attributes:
        id: of the child that ended last.
        intensity: how many restarts were allowed.
        period: within how many seconds.
    """

    def __init__(self, message: str, *, id: str, intensity: float, period: float) -> None:
        super().__init__(message)
        self.id = id
        self.intensity = intensity
        self.period = period


class PipelineFailed(HardyError, RuntimeError):
    """A pipeline was ended before it was done, since a step cannot work. Its cause is the last error of that step.

    Attributes:
        step: the name of the step.
    """

    def __init__(self, message: str, *, step: str) -> None:
        super().__init__(message)
        self.step = step


class MessageTooLong(HardyError, ValueError):
    """A peer sent more than a message may have, with no end of the message in it.

    Attributes:
        peer: who.
        limit: the bytes that a message may have.
    """

    def __init__(self, message: str, *, peer: str, limit: int) -> None:
        super().__init__(message)
        self.peer = peer
        self.limit = limit


class ServerFailed(HardyError, RuntimeError):
    """A server cannot serve: its workers end before they are ready. All were stopped."""


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
    # That of the base with the largest struct (OSError), which may stand behind another in the list of bases.
    error: HardyError = kind.__base__.__new__(kind, message)  # type: ignore
    error.args = (message,)
    error.__dict__.update(fields)
    return error
