"""hardy: multiprocessing you can `kill -9`.

The names of `multiprocessing`, with the same meaning, on queues, locks and processes that survive the death of any of
their users. The public names are those of `__all__` here and of the modules that bear the stdlib's names.
"""

import sys

if sys.platform != "linux":
    raise ImportError(
        f"hardy runs on Linux (kernel 5.4 or newer), not on {sys.platform}: it stands on futexes, memfds and pidfds. "
        "Use the standard multiprocessing here; programs run on either, for the names are the same"
    )

from importlib import import_module
from multiprocessing import (
    active_children,
    allow_connection_pickling,
    cpu_count,
    current_process,
    get_logger,
    log_to_stderr,
    parent_process,
    reducer,
)
from multiprocessing.util import SUBDEBUG, SUBWARNING
from types import ModuleType

from hardy import connection, context, process, queues, reduction, synchronize, util  # noqa: F401 - as multiprocessing has
from hardy._install import install
from hardy._version import __version__
from hardy.context import AuthenticationError, BufferTooShort, Process, ProcessError, TimeoutError, get_default_context
from hardy.errors import (
    AttachError,
    CannotPickle,
    CannotUnpickle,
    Closed,
    ForeignHandle,
    HardyError,
    LeaseLost,
    OwnerDied,
    OwnerDiedWarning,
    ProcessDied,
    ProcessExited,
    QueueCorrupt,
    RemoteError,
    RemoteTraceback,
    ResultNotPicklable,
    TasksLost,
)
from hardy.queues import DeadLetter, Empty, Full, JoinableQueue, Lease, Queue, SimpleQueue, TaskQueue
from hardy.synchronize import (
    Barrier,
    BoundedSemaphore,
    BrokenBarrierError,
    Condition,
    Event,
    Lock,
    NamedLock,
    RLock,
    RWLock,
    Semaphore,
)

# Some programs use them without importing them; these are imported then, and not before.
_LAZY = ("dummy", "forkserver", "managers", "pool", "shared_memory", "sharedctypes", "spawn")

_default = get_default_context()
Array = _default.Array
Manager = _default.Manager
Pipe = _default.Pipe
Pool = _default.Pool
RawArray = _default.RawArray
RawValue = _default.RawValue
Value = _default.Value
freeze_support = _default.freeze_support
get_all_start_methods = _default.get_all_start_methods
get_context = _default.get_context
get_start_method = _default.get_start_method
set_executable = _default.set_executable
set_forkserver_preload = _default.set_forkserver_preload
set_start_method = _default.set_start_method

__all__ = [
    "SUBDEBUG",
    "SUBWARNING",
    "Array",
    "AttachError",
    "AuthenticationError",
    "Barrier",
    "BoundedSemaphore",
    "BrokenBarrierError",
    "BufferTooShort",
    "CannotPickle",
    "CannotUnpickle",
    "Closed",
    "Condition",
    "DeadLetter",
    "Empty",
    "Event",
    "ForeignHandle",
    "Full",
    "HardyError",
    "JoinableQueue",
    "Lease",
    "LeaseLost",
    "Lock",
    "Manager",
    "NamedLock",
    "OwnerDied",
    "OwnerDiedWarning",
    "Pipe",
    "Pool",
    "Process",
    "ProcessDied",
    "ProcessError",
    "ProcessExited",
    "Queue",
    "QueueCorrupt",
    "RLock",
    "RWLock",
    "RawArray",
    "RawValue",
    "RemoteError",
    "RemoteTraceback",
    "ResultNotPicklable",
    "Semaphore",
    "SimpleQueue",
    "TaskQueue",
    "TasksLost",
    "TimeoutError",
    "Value",
    "__version__",
    "active_children",
    "allow_connection_pickling",
    "cpu_count",
    "current_process",
    "freeze_support",
    "get_all_start_methods",
    "get_context",
    "get_logger",
    "get_start_method",
    "install",
    "log_to_stderr",
    "parent_process",
    "reducer",
    "set_executable",
    "set_forkserver_preload",
    "set_start_method",
]


def __getattr__(name: str) -> ModuleType:
    if name in _LAZY:
        return import_module(f"hardy.{name}")
    raise AttributeError(f"module 'hardy' has no attribute {name!r}")
