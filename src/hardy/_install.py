"""`install`: `multiprocessing` becomes hardy, for this process and those that it starts."""

from __future__ import annotations

from hardy import synchronize
from hardy.context import (
    ForkContext,
    ForkProcess,
    ForkServerContext,
    ForkServerProcess,
    Process,
    SpawnContext,
    SpawnProcess,
    get_default_context,
    tell_children,
)

__all__ = ["install"]

_SYNCHRONIZE = ("Barrier", "BoundedSemaphore", "Condition", "Event", "Lock", "RLock", "Semaphore")
_CONTEXT = (
    ForkContext,
    ForkProcess,
    ForkServerContext,
    ForkServerProcess,
    Process,
    SpawnContext,
    SpawnProcess,
)


def install() -> None:
    """Put hardy in the place of `multiprocessing`, for this process and those that it starts.

    Call it first: what was imported by name before (`from multiprocessing import Queue`) stays the stdlib's.
    `multiprocessing.queues.Queue` stays the stdlib's class, for programs and libraries that derive theirs from it build
    upon its pipes; it gets hardy's locks.

    Fork/spawn: a child of any start method has it installed before it imports the program's modules.
    """
    from hardy._exec.executor import ProcessPoolExecutor
    from hardy._exec.pool import Pool
    from hardy._stdlib import managers, replace, shared_memory
    from hardy._stdlib.executor import replace_executor
    from hardy._stdlib.forkserver import call_first

    default = get_default_context()
    methods = ("fork", "spawn", "forkserver")
    replace.replace_default_context(default, {method: default.get_context(method) for method in methods})
    replace.replace_names("multiprocessing.context", {kind.__name__: kind for kind in _CONTEXT})
    replace.replace_names("multiprocessing.synchronize", {name: getattr(synchronize, name) for name in _SYNCHRONIZE})
    replace.replace_names("multiprocessing.pool", {"Pool": Pool})
    # Not `BaseManager`: that module calls its own by this name.
    kinds = (managers.SharedMemoryManager, managers.SyncManager)
    replace.replace_names("multiprocessing.managers", {kind.__name__: kind for kind in kinds})
    replace.replace_names("multiprocessing.shared_memory", {"SharedMemory": shared_memory.SharedMemory})
    replace_executor(ProcessPoolExecutor)
    tell_children("hardy_install", install)
    # A forkserver that is started later, too: what it preloads is what its children get.
    call_first(install.__module__, install.__qualname__)
