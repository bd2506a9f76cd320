"""The errors of pools. Here and not in `hardy.errors`: their bases take time to import."""

from __future__ import annotations

import concurrent.futures
import sys
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.pool import MaybeEncodingError  # type: ignore[attr-defined] # typeshed lacks it

from hardy.errors import HardyError, ProcessDied, RemoteError, ResultNotPicklable

__all__ = [
    "AnyTimeout",
    "CannotRebuild",
    "PoisonTask",
    "PoolBroken",
    "TaskMemoryExceeded",
    "TaskResultNotPicklable",
    "TaskTimeout",
    "WorkerDied",
]


class WorkerDied(ProcessDied, BrokenProcessPool):
    """The worker that ran a task died; the pool has another one in its place, and no other task is touched.

    It is a `BrokenProcessPool` for those who catch that, but the pool is not broken.

    Attributes:
        name, pid, signal, exitcode, out_of_memory: of the worker, as in `ProcessDied`.
        task: the task's name.
        attempts: how often it was begun.
        peak_memory: the most bytes of resident memory that the worker had; with 'forkserver', and with 'spawn' where it
            had less than its parent, that it was seen to have, by a look every 20 ms; None when that is not known.
    """

    task: str = ""
    attempts: int = 1
    peak_memory: int | None = None


class PoisonTask(WorkerDied):
    """A task killed its worker each time, as often as it was allowed to be repeated; it is not run again."""


if sys.version_info >= (3, 11):
    AnyTimeout = TimeoutError
else:

    class AnyTimeout(TimeoutError, concurrent.futures.TimeoutError):
        """What both of them, which became one in Python 3.11, are caught as."""


class TaskTimeout(HardyError, AnyTimeout):
    """A task ran longer than its `timeout`; its worker was killed, and has another one in its place.

    Attributes:
        task: the task's name.
        timeout: its limit in seconds.
        pid: the worker that ran it.
        attempts: how often it was begun.
    """

    task: str = ""
    timeout: float = 0.0
    pid: int | None = None
    attempts: int = 1


class TaskMemoryExceeded(HardyError, MemoryError):
    """A task's worker had more resident memory than `max_memory`; it was killed, and has another one in its place.

    Attributes:
        task: the task's name.
        max_memory: the limit in bytes.
        memory: what the worker had when it was seen to be above.
        pid: the worker that ran it.
        attempts: how often it was begun.
    """

    task: str = ""
    max_memory: int = 0
    memory: int = 0
    pid: int | None = None
    attempts: int = 1


class PoolBroken(HardyError, BrokenProcessPool):
    """The pool cannot have workers: its initializer fails, or none can be started."""


class TaskResultNotPicklable(ResultNotPicklable, MaybeEncodingError):  # type: ignore[misc]
    """A task ended well, but what it returned cannot travel back. The worker goes on with other tasks.

    Attributes:
        type_name, path: of the culprit, as in `ResultNotPicklable`.
        exc: the `repr` of the error that the pickling raised.
        value: the `repr` of what was returned, shortened.
    """

    exc: str = ""
    value: str = ""

    def __str__(self) -> str:
        return str(self.args[0])

    def __repr__(self) -> str:
        return f"TaskResultNotPicklable({self.args[0]!r})"


class CannotRebuild(RemoteError, BrokenProcessPool):
    """A task's arguments cannot be rebuilt in its worker, or its result here. Pool and worker go on.

    It is a `BrokenProcessPool` for those who catch that, as the standard library raises it there.
    """
