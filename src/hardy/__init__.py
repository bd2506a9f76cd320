"""hardy: multiprocessing you can `kill -9`.

The names of `multiprocessing`, with the same meaning, on queues, locks and processes that survive the death of any of
their users. The public names are those of `__all__` here and of the modules that bear the stdlib's names.

Each is imported when it is first asked for: a program, and each child of spawn, pays for what it uses, and for
`import hardy` alone next to nothing.
"""

import sys

if sys.platform != "linux":
    raise ImportError(
        f"hardy runs on Linux (kernel 5.4 or newer), not on {sys.platform}: it stands on futexes, memfds and pidfds. "
        "Use the standard multiprocessing here; programs run on either, for the names are the same"
    )

# Known to type checkers, which read what stands under it; `typing` itself takes longer to import than all the rest.
TYPE_CHECKING = False

if TYPE_CHECKING:
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
    from typing import Any

    from hardy._exec.inside import progress, worker_state
    from hardy._install import install
    from hardy._version import __version__
    from hardy.context import (
        AuthenticationError,
        BufferTooShort,
        Process,
        ProcessError,
        TimeoutError,
        get_default_context,
    )
    from hardy.errors import (
        AttachError,
        CannotPickle,
        CannotUnpickle,
        ChildError,
        Closed,
        DeadlockError,
        FileCorrupt,
        ForeignHandle,
        ForkWithThreadsWarning,
        HardyError,
        LeaseLost,
        MainGuardMissing,
        ManagerDied,
        MessageTooLong,
        OwnerDied,
        OwnerDiedWarning,
        PipelineFailed,
        ProcessDied,
        ProcessExited,
        QueueCorrupt,
        RemoteError,
        RemoteTraceback,
        RestartIntensityReached,
        ResultNotPicklable,
        ServerFailed,
        StartFailed,
        TasksLost,
    )
    from hardy.executor import (
        CannotRebuild,
        PoisonTask,
        PoolBroken,
        ProcessPoolExecutor,
        TaskMemoryExceeded,
        TaskResultNotPicklable,
        TaskTimeout,
        WorkerDied,
    )
    from hardy.files import AtomicFile, locked_json
    from hardy.net import TCPServer
    from hardy.observe.deadlock import deadlock
    from hardy.observe.live import otel
    from hardy.observe.logs import logging_queue
    from hardy.observe.on_signal import doctor_on_signal
    from hardy.observe.timeline import span, trace
    from hardy.pipeline import Pipeline, current_delivery
    from hardy.queues import DeadLetter, Empty, Full, JoinableQueue, Lease, Queue, SimpleQueue, TaskQueue
    from hardy.supervise import ChildSpec, Supervisor, SupervisorEvent
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

# Where they come from.
_LATE = {
    "multiprocessing": (
        "active_children",
        "allow_connection_pickling",
        "cpu_count",
        "get_logger",
        "log_to_stderr",
        "parent_process",
        "reducer",
    ),
    "multiprocessing.util": ("SUBDEBUG", "SUBWARNING"),
    "hardy._exec.inside": ("progress", "worker_state"),
    "hardy._install": ("install",),
    "hardy._version": ("__version__",),
    "hardy.context": ("AuthenticationError", "BufferTooShort", "Process", "ProcessError", "TimeoutError"),
    "hardy.errors": (
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
    ),
    "hardy.executor": (
        "CannotRebuild",
        "PoisonTask",
        "PoolBroken",
        "ProcessPoolExecutor",
        "TaskMemoryExceeded",
        "TaskResultNotPicklable",
        "TaskTimeout",
        "WorkerDied",
    ),
    "hardy.files": ("AtomicFile", "locked_json"),
    "hardy.net": ("TCPServer",),
    "hardy.observe.deadlock": ("deadlock",),
    "hardy.observe.on_signal": ("doctor_on_signal",),
    "hardy.observe.live": ("otel",),
    "hardy.observe.logs": ("logging_queue",),
    "hardy.observe.timeline": ("span", "trace"),
    "hardy.pipeline": ("Pipeline", "current_delivery"),
    # Not of `multiprocessing`: that of hardy says more when the main process joins itself.
    "hardy.process": ("current_process",),
    "hardy.queues": ("DeadLetter", "Empty", "Full", "JoinableQueue", "Lease", "Queue", "SimpleQueue", "TaskQueue"),
    "hardy.supervise": ("ChildSpec", "Supervisor", "SupervisorEvent"),
    "hardy.synchronize": (
        "Barrier",
        "BoundedSemaphore",
        "BrokenBarrierError",
        "Condition",
        "Event",
        "Lock",
        "NamedLock",
        "RLock",
        "RWLock",
        "Semaphore",
    ),
}
_HOME_OF = {name: module for module, names in _LATE.items() for name in names}
# Methods of the default context.
_OF_DEFAULT_CONTEXT = frozenset(
    {
        "Array",
        "Manager",
        "Pipe",
        "Pool",
        "RawArray",
        "RawValue",
        "Value",
        "freeze_support",
        "get_all_start_methods",
        "get_context",
        "get_start_method",
        "set_executable",
        "set_forkserver_preload",
        "set_start_method",
    }
)

# Some programs use these modules without importing them.
_MODULES = frozenset(
    {
        "connection",
        "context",
        "dummy",
        "errors",
        "forkserver",
        "managers",
        "pool",
        "process",
        "queues",
        "reduction",
        "shared_memory",
        "sharedctypes",
        "spawn",
        "synchronize",
        "util",
    }
)

__all__ = [
    "SUBDEBUG",
    "SUBWARNING",
    "Array",
    "AtomicFile",
    "AttachError",
    "AuthenticationError",
    "Barrier",
    "BoundedSemaphore",
    "BrokenBarrierError",
    "BufferTooShort",
    "CannotPickle",
    "CannotRebuild",
    "CannotUnpickle",
    "ChildError",
    "ChildSpec",
    "Closed",
    "Condition",
    "DeadLetter",
    "DeadlockError",
    "Empty",
    "Event",
    "FileCorrupt",
    "ForeignHandle",
    "ForkWithThreadsWarning",
    "Full",
    "HardyError",
    "JoinableQueue",
    "Lease",
    "LeaseLost",
    "Lock",
    "MainGuardMissing",
    "Manager",
    "ManagerDied",
    "MessageTooLong",
    "NamedLock",
    "OwnerDied",
    "OwnerDiedWarning",
    "Pipe",
    "Pipeline",
    "PipelineFailed",
    "PoisonTask",
    "Pool",
    "PoolBroken",
    "Process",
    "ProcessDied",
    "ProcessError",
    "ProcessExited",
    "ProcessPoolExecutor",
    "Queue",
    "QueueCorrupt",
    "RLock",
    "RWLock",
    "RawArray",
    "RawValue",
    "RemoteError",
    "RemoteTraceback",
    "RestartIntensityReached",
    "ResultNotPicklable",
    "Semaphore",
    "ServerFailed",
    "SimpleQueue",
    "StartFailed",
    "Supervisor",
    "SupervisorEvent",
    "TCPServer",
    "TaskMemoryExceeded",
    "TaskQueue",
    "TaskResultNotPicklable",
    "TaskTimeout",
    "TasksLost",
    "TimeoutError",
    "Value",
    "WorkerDied",
    "__version__",
    "active_children",
    "allow_connection_pickling",
    "cpu_count",
    "current_delivery",
    "current_process",
    "deadlock",
    "doctor_on_signal",
    "freeze_support",
    "get_all_start_methods",
    "get_context",
    "get_logger",
    "get_start_method",
    "install",
    "locked_json",
    "log_to_stderr",
    "logging_queue",
    "otel",
    "parent_process",
    "progress",
    "reducer",
    "set_executable",
    "set_forkserver_preload",
    "set_start_method",
    "span",
    "trace",
    "worker_state",
]


def __getattr__(name: str) -> "Any":
    from importlib import import_module

    home = _HOME_OF.get(name)
    if home is not None:
        value = getattr(import_module(home), name)
    elif name in _OF_DEFAULT_CONTEXT:
        value = getattr(import_module(f"{__name__}.context").get_default_context(), name)
    elif name in _MODULES or f"{__name__}.{name}" in _LATE:
        return import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
