"""Where a program runs: the start methods `fork`, `spawn` and `forkserver`, and the default one.

Differs from the stdlib: `get_context(...)` of any of these gives one of these, and the default of a
child is hardy's too.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing import context as stdlib_context
from multiprocessing.context import (
    AuthenticationError,
    BufferTooShort,
    ProcessError,
    TimeoutError,
    assert_spawning,
    get_spawning_popen,
    set_spawning_popen,
)

from hardy._proc.process import BaseProcess
from hardy._stdlib.default import registered_context, set_current_context
from hardy._stdlib.fallback import names_of_stdlib
from hardy._stdlib.process import is_bootstrapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from hardy._exec.pool import Pool
    from hardy._ipc.queues import JoinableQueue, Queue, SimpleQueue
    from hardy._ipc.tasks import TaskQueue
    from hardy._proc.popen import Popen
    from hardy._proc.popen_fresh import Call
    from hardy._stdlib.managers import SyncManager
    from hardy._sync.barrier import Barrier
    from hardy._sync.condition import Condition
    from hardy._sync.event import Event
    from hardy._sync.lock import Lock, RLock
    from hardy._sync.rwlock import RWLock
    from hardy._sync.semaphore import BoundedSemaphore, Semaphore

__all__ = [
    "AuthenticationError",
    "BaseContext",
    "BufferTooShort",
    "DefaultContext",
    "ForkContext",
    "ForkProcess",
    "ForkServerContext",
    "ForkServerProcess",
    "Process",
    "ProcessError",
    "SpawnContext",
    "SpawnProcess",
    "TimeoutError",
    "assert_spawning",
    "get_default_context",
    "get_spawning_popen",
    "set_spawning_popen",
    "tell_children",
    "tell_children_their_name",
]

__getattr__ = names_of_stdlib(__name__)


class Process(BaseProcess):
    """A process, started as the default context says.

    Attributes:
        name: for people; part of every error about it.
        pid: its process id, None before `start`.
        exitcode: None while it runs; minus the signal when it was killed.
        sentinel: a descriptor that is readable once it has ended.
    """

    _start_method: str | None = None

    @staticmethod
    def _Popen(process_obj: Any) -> Popen:  # noqa: N802 - the stdlib's name
        popen: Popen = _default_context.get_context().Process._Popen(process_obj)
        return popen

    @staticmethod
    def _is_forked() -> bool:
        forked: bool = _default_context.get_context().Process._is_forked()
        return forked

    @staticmethod
    def _after_fork() -> None:
        _default_context.get_context().Process._after_fork()


class ForkProcess(BaseProcess):
    """A process that begins as a copy of its parent."""

    _start_method = "fork"

    @staticmethod
    def _Popen(process_obj: Any) -> Popen:  # noqa: N802
        from hardy._proc.popen import Popen

        return Popen(process_obj)

    @staticmethod
    def _is_forked() -> bool:
        return True

    @staticmethod
    def _after_fork() -> None:
        _follow("fork")
        BaseProcess._after_fork()


class SpawnProcess(BaseProcess):
    """A process that begins as a new interpreter."""

    _start_method = "spawn"

    @staticmethod
    def _Popen(process_obj: Any) -> Popen:  # noqa: N802
        from hardy._proc.popen_fresh import SpawnPopen

        return SpawnPopen(process_obj, _first_calls(process_obj))

    @staticmethod
    def _after_fork() -> None:
        # Nothing was forked.
        _follow("spawn")


class ForkServerProcess(BaseProcess):
    """A process that begins as a copy of a clean server process."""

    _start_method = "forkserver"

    @staticmethod
    def _Popen(process_obj: Any) -> Popen:  # noqa: N802
        from hardy._proc.popen_fresh import ForkserverPopen

        return ForkserverPopen(process_obj, _first_calls(process_obj))

    @staticmethod
    def _after_fork() -> None:
        _follow("forkserver")
        BaseProcess._after_fork()


class BaseContext(stdlib_context.BaseContext):
    """What all contexts offer: hardy's own processes, queues and locks, and the stdlib's objects on them."""

    Process: type[Any]

    def Lock(self, **options: Any) -> Lock:  # type: ignore[override]  # noqa: N802
        """A lock; the options are those of `hardy.Lock`."""
        from hardy._sync.lock import Lock

        return Lock(ctx=self.get_context(), **options)

    def RLock(self, **options: Any) -> RLock:  # type: ignore[override]  # noqa: N802
        """A lock that its holder may take again; the options are those of `hardy.RLock`."""
        from hardy._sync.lock import RLock

        return RLock(ctx=self.get_context(), **options)

    def RWLock(self, **options: Any) -> RWLock:  # noqa: N802
        """A lock for many readers or one writer; the options are those of `hardy.RWLock`."""
        from hardy._sync.rwlock import RWLock

        return RWLock(ctx=self.get_context(), **options)

    def Condition(self, lock: Any = None, **options: Any) -> Condition:  # type: ignore[override]  # noqa: N802
        """A condition variable; the options are those of `hardy.Condition`."""
        from hardy._sync.condition import Condition

        return Condition(lock, ctx=self.get_context(), **options)

    def Semaphore(self, value: int = 1, **options: Any) -> Semaphore:  # type: ignore[override]  # noqa: N802
        """A semaphore; the options are those of `hardy.Semaphore`."""
        from hardy._sync.semaphore import Semaphore

        return Semaphore(value, ctx=self.get_context(), **options)

    def BoundedSemaphore(  # type: ignore[override]  # noqa: N802
        self, value: int = 1, **options: Any
    ) -> BoundedSemaphore:
        """A semaphore that refuses to go above its first value."""
        from hardy._sync.semaphore import BoundedSemaphore

        return BoundedSemaphore(value, ctx=self.get_context(), **options)

    def Event(self, **options: Any) -> Event:  # type: ignore[override]  # noqa: N802
        """A flag to wait for; the options are those of `hardy.Event`."""
        from hardy._sync.event import Event

        return Event(ctx=self.get_context(), **options)

    def Barrier(  # type: ignore[override]  # noqa: N802
        self, parties: int, action: Any = None, timeout: float | None = None, **options: Any
    ) -> Barrier:
        """A meeting point for a number of processes; the options are those of `hardy.Barrier`."""
        from hardy._sync.barrier import Barrier

        return Barrier(parties, action, timeout, ctx=self.get_context(), **options)

    def Queue(self, maxsize: int = 0, **options: Any) -> Queue:  # type: ignore[override]  # noqa: N802
        """A queue for many processes; the options are those of `hardy.Queue`."""
        from hardy._ipc.queues import Queue

        return Queue(maxsize, ctx=self.get_context(), **options)

    def JoinableQueue(  # type: ignore[override]  # noqa: N802
        self, maxsize: int = 0, **options: Any
    ) -> JoinableQueue:
        """A queue that knows when all its objects have been dealt with."""
        from hardy._ipc.queues import JoinableQueue

        return JoinableQueue(maxsize, ctx=self.get_context(), **options)

    def SimpleQueue(self) -> SimpleQueue:  # type: ignore[override]  # noqa: N802
        """A queue with few methods."""
        from hardy._ipc.queues import SimpleQueue

        return SimpleQueue(ctx=self.get_context())

    def TaskQueue(self, maxsize: int = 0, **options: Any) -> TaskQueue[Any]:  # noqa: N802
        """A queue whose dead consumers' items go to others; the options are those of `hardy.TaskQueue`."""
        from hardy._ipc.tasks import TaskQueue

        return TaskQueue(maxsize, ctx=self.get_context(), **options)

    def Pool(  # noqa: N802
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
    ) -> Pool:
        """A pool of workers; the arguments are those of `hardy.pool.Pool`."""
        from hardy._exec.pool import Pool

        return Pool(processes, initializer, initargs, maxtasksperchild, context=self.get_context())

    def Manager(self) -> SyncManager:  # noqa: N802
        """A started manager of shared dicts, lists and the like; its server ends with this process."""
        from hardy._stdlib.managers import SyncManager

        manager = SyncManager(ctx=self.get_context())
        manager.start()
        return manager

    def set_forkserver_preload(self, module_names: Iterable[str], *, on_error: str = "ignore") -> None:
        """Have the forkserver import these modules before it forks, so that its children need not.

        It holds for a forkserver that is started later: call it before the first process.

        Args:
            module_names: the modules.
            on_error: what becomes of an ImportError there: "ignore", "warn" (an ImportWarning on standard error), or
                "fail": the forkserver ends with the traceback, and starts raise EOFError. As in Python 3.15.

        Raises:
            TypeError: the names are not a list of strings.
            ValueError: there is no such `on_error`.
        """
        from hardy._stdlib.forkserver import set_preload

        set_preload(module_names, on_error)

    def get_all_start_methods(self) -> list[str]:
        """All start methods, Python's default first."""
        return list(_ALL_METHODS)

    def get_context(self, method: str | None = None) -> Any:
        """This context, or the one of another start method; hardy's, not the stdlib's.

        Raises:
            ValueError: there is no such start method.
        """
        if method is None:
            return self
        try:
            return _concrete_contexts.get(method) or registered_context(method)
        except (KeyError, TypeError):
            raise ValueError(
                f"cannot find context for {method!r}; the start methods are {', '.join(map(repr, _ALL_METHODS))}"
            ) from None


class ForkContext(BaseContext):
    """Children begin as copies of their parent."""

    _name = "fork"
    Process = ForkProcess


class SpawnContext(BaseContext):
    """Children begin as new interpreters."""

    _name = "spawn"
    Process = SpawnProcess


class ForkServerContext(BaseContext):
    """Children begin as copies of a clean server process."""

    _name = "forkserver"
    Process = ForkServerProcess


class DefaultContext(BaseContext):
    """The context of those who name none: its start method is settled once, or Python's own default."""

    Process = Process

    def __init__(self, default: BaseContext) -> None:
        self._default = default
        self._settled: BaseContext | None = None

    def get_context(self, method: str | None = None) -> Any:
        """The context in force, or the one of a start method.

        Raises:
            ValueError: there is no such start method.
        """
        if method is not None:
            return super().get_context(method)
        if self._settled is None:
            self._settled = self._default
        return self._settled

    def get_start_method(self, allow_none: bool = False) -> Any:
        """The name of the start method in force; None when it is not yet settled and `allow_none`."""
        if self._settled is None and allow_none:
            return None
        return self.get_context()._name

    def set_start_method(self, method: str | None, force: bool = False) -> None:
        """Settle the start method, once for the whole program.

        Args:
            method: its name; None, with `force`, unsettles it.
            force: change it although it is settled.

        Raises:
            RuntimeError: it is settled already, and `force` is not given.
            ValueError: there is no such start method.

        Differs from the stdlib: a child that imports the main module may come to this call outside of the main guard;
        it repeats what the parent said, and changes nothing.
        """
        if self._settled is not None and not force:
            if is_bootstrapping() and method == self.get_start_method():
                return
            raise RuntimeError(
                f"context has already been set, to {self.get_start_method()!r}: call set_start_method() once, under "
                "the main guard, before anything is made or started; get_context() gives a part of a program another"
            )
        self._settled = None if method is None and force else self.get_context(method)


_concrete_contexts: dict[str, BaseContext] = {
    "fork": ForkContext(),
    "spawn": SpawnContext(),
    "forkserver": ForkServerContext(),
}
_told: dict[str, Callable[[], object]] = {}
_told_their_name: dict[str, tuple[Callable[..., object], Any]] = {}
# The stdlib's answer, before `install` makes it ours.
_ALL_METHODS = multiprocessing.get_all_start_methods()
_default_context = DefaultContext(_concrete_contexts[_ALL_METHODS[0]])
set_current_context(_default_context.get_context)


def get_default_context() -> DefaultContext:
    """The one default context of this process."""
    return _default_context


def tell_children(name: str, function: Callable[[], object]) -> None:
    """Have every child of spawn and forkserver call `function` before it imports the user's modules."""
    _told[name] = function


def tell_children_their_name(key: str, function: Callable[[Any, str], object], argument: Any) -> None:
    """Have every child of spawn and forkserver call `function(argument, name)` before it imports the user's modules."""
    _told_their_name[key] = (function, argument)


def _follow(method: str) -> None:
    """In a child: its default start method is that of its parent."""
    _default_context._settled = _concrete_contexts[method]


def _first_calls(process_obj: BaseProcess) -> dict[str, Call]:
    from hardy._proc.popen_fresh import Call

    method = process_obj._start_method or _default_context.get_start_method()
    named = {key: Call(function, of, process_obj.name) for key, (function, of) in _told_their_name.items()}
    told = {name: Call(function) for name, function in _told.items()}
    return {"hardy_context": Call(_follow, method), **named, **told}
