"""A process, seen from its parent: started, waited for, ended, and asked for what it returned."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from multiprocessing.context import get_spawning_popen

from hardy._core import lifeline, runtime, tracer
from hardy._proc import child, told
from hardy._proc.misuse import (
    check_arguments,
    check_ours,
    check_timeout,
    refuse_join_of_main,
    refuse_pickle,
    refuse_restart,
    who,
)
from hardy._proc.outcome import OutcomeFile
from hardy._stdlib.process import (
    StdlibProcess,
    add_child,
    change_parent_process,
    discard_child,
    forget_ended_children,
    set_join_of_main,
    set_stdin_aside,
    take_stdin,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import Future
    from typing import Any

    from hardy._core.ring import Ring
    from hardy._proc.popen import Popen
    from hardy._proc.verdict import Verdict

__all__ = ["BaseProcess", "ParentProcess", "can_be_forked", "fork_together"]


class BaseProcess(StdlibProcess):
    """What all of hardy's processes do; `_Popen` is the context's.

    Attributes:
        outlive_parent: whether it goes on when its parent dies.
    """

    _popen: Popen | None
    _outlive_parent: bool = False
    _result_file: OutcomeFile | None = None
    _verdict: Verdict | None = None
    _carried: Any = None

    def __init__(
        self,
        group: None = None,
        target: Callable[..., Any] | None = None,
        name: str | None = None,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] = {},
        *,
        daemon: bool | None = None,
        outlive_parent: bool = False,
    ) -> None:
        """A process that is not started yet.

        Args:
            group: must be None; there for likeness with `threading.Thread`.
            target: what `run` calls in the child; what it returns is the process's result.
            name: None makes one up.
            args: positional arguments of the target.
            kwargs: named arguments of the target.
            daemon: whether it is ended when this process exits; None inherits. Differs from the stdlib:
                daemons may have children.
            outlive_parent: whether it goes on when its parent dies. Otherwise it is killed then, whatever the
                parent died of.

        Raises:
            TypeError: an argument is of the wrong type.
        """
        check_arguments(target, name, args, kwargs, outlive_parent)
        # A subclass may have named itself before it called us.
        name = name or self.__dict__.get("_name")
        super().__init__(group, target, name, tuple(args), dict(kwargs), daemon=daemon)
        self._outlive_parent = outlive_parent

    @property
    def outlive_parent(self) -> bool:
        """Whether it goes on when its parent dies."""
        return self._outlive_parent

    def run(self) -> Any:
        """The work, in the child. What it returns is what `result()` gives; override it in a subclass."""
        target = self.__dict__.get("_target")
        if target is not None:
            return target(*self.__dict__["_args"], **self.__dict__["_kwargs"])
        return None

    def start(self) -> None:
        """Start the child.

        If a process dies here: a child that was made ends with its parent; nothing else is left.

        Raises:
            OSError: no process, descriptor or pidfd can be had; nothing was started.
        """
        queues = self._before_start()
        self._popen = self._Popen(self)
        self._after_start(queues)

    @staticmethod
    def _is_forked() -> bool:
        """Whether a start is a fork, and nothing else."""
        return False

    def _before_start(self) -> list[Ring]:
        # One look in the common case: each function that is called is a page more to copy after the fork.
        if "_config" not in self.__dict__ or self._closed or self._popen is not None or self._parent_pid != os.getpid():
            self._check_made()
            self._check_closed()
            if self._popen is not None:
                refuse_restart(self)
            check_ours(self, "start a process object created by current process")
        forget_ended_children()
        if told.observer is not None:
            self._carried = told.observer.starting(self)
        # Without the module, a program has no queues.
        return self._entrusted_queues() if "hardy._core.ring" in sys.modules else []

    def _after_start(self, queues: list[Ring]) -> None:
        assert self._popen is not None
        self._sentinel = self._popen.sentinel
        if tracer.active() and self._popen.child is not None:
            tracer.child(self._popen.child.identity, self._name)
        if told.observer is not None:
            told.observer.started(self)
        identity = runtime.identity_of(self._popen.pid) if queues else 0
        for queue in queues:
            queue._entrust(identity)
        # The target may hold this very object (the stdlib's bpo-30775).
        del self._target, self._args, self._kwargs
        add_child(self)

    def _entrusted_queues(self) -> list[Ring]:
        from hardy._proc.entrusted import entrusted_queues

        return entrusted_queues(self)

    def join(self, timeout: float | None = None) -> None:
        if "_config" not in self.__dict__ or self._closed or self._popen is None or self._parent_pid != os.getpid():
            self._check_made()
            self._check_closed()
            check_timeout(timeout)
            check_ours(self, "join a child process")
            raise AssertionError(f"can only join a started process: {who(self)} has not been; call start() first")
        if timeout is not None:
            check_timeout(timeout)
        if self._popen.wait(timeout) is not None:
            discard_child(self)

    def is_alive(self) -> bool:
        self._check_made()
        self._check_closed()
        if self._popen is not None:
            check_ours(self, "test a child process")
        return super().is_alive()

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._signal(signal.SIGTERM, "terminate")

    def kill(self) -> None:
        """Send SIGKILL."""
        self._signal(signal.SIGKILL, "kill")

    def interrupt(self) -> None:
        """Send SIGINT, as Ctrl-C does."""
        self._signal(signal.SIGINT, "interrupt")

    def _signal(self, number: int, doing: str) -> None:
        self._check_made()
        self._check_closed()
        if self._popen is None:
            raise ValueError(f"cannot {doing} {self._name!r}: it has not been started")
        check_ours(self, f"{doing} a child process")
        self._popen._send_signal(number)

    @property
    def exitcode(self) -> int | None:
        """None before the start and while it runs; minus the signal when it was killed."""
        self._check_made()
        code = super().exitcode
        if code is not None:
            discard_child(self)
        return code

    def result(self, timeout: float | None = None) -> Any:
        """What the target, or `run`, returned; waits for the end of the process.

        Args:
            timeout: seconds to wait; None waits for ever.

        Raises:
            TimeoutError: it still runs.
            ProcessDied: it was killed, or left without a result; names name, pid and signal.
            ProcessExited: it called `sys.exit` with a code other than 0.
            ResultNotPicklable: what it returned cannot travel.
            RemoteError: what it raised or returned cannot be rebuilt here.
            Exception: what the target raised, with the child's traceback as its cause.
        """
        return self._await_verdict(timeout, "result").get()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """The exception that `result()` would raise; None when it would return.

        Args:
            timeout: seconds to wait for the end of the process; None waits for ever.

        Raises:
            TimeoutError: it still runs.
        """
        return self._await_verdict(timeout, "exception").error

    def __await__(self) -> Generator[Any, None, Any]:
        """`await process` is `result()` without blocking the event loop."""
        self._check_startable("await")
        return self._wait_in_loop().__await__()

    async def _wait_in_loop(self) -> Any:
        import asyncio

        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        # A descriptor of our own: two tasks may await one process, and an event loop knows each once.
        fd = os.dup(self.sentinel)
        try:
            loop.add_reader(fd, _settle, ended)
            try:
                await ended
            finally:
                loop.remove_reader(fd)
        finally:
            os.close(fd)
        return self.result()

    def _await_verdict(self, timeout: float | None, doing: str) -> Verdict:
        check_timeout(timeout)
        self._check_startable(doing)
        popen = self._popen
        assert popen is not None
        if popen.wait(timeout) is None:
            raise TimeoutError(f"{self._name!r} (pid {popen.pid}) still runs after {timeout} s")
        discard_child(self)
        with popen.settling:
            if self._verdict is None:
                # Imported already, by who started it: to be told takes no descriptor.
                from hardy._proc.verdict import judge

                self._verdict = judge(self._name, popen)
            return self._verdict

    def _check_startable(self, doing: str) -> None:
        self._check_made()
        self._check_closed()
        if self._parent_pid != os.getpid():
            raise ValueError(
                f"{doing}() of {self._name!r} in process {os.getpid()}: only the process that started it, "
                f"{self._parent_pid}, can know its result"
            )
        if self._popen is None:
            raise ValueError(f"{doing}() of {self._name!r}: it has not been started; call start() first")

    def _check_made(self) -> None:
        if "_config" not in self.__dict__:
            raise AssertionError(
                f"{type(self).__name__}.__init__() did not call super().__init__(), which every process needs"
            )

    @property
    def daemon(self) -> bool:
        """Whether it is ended when this process exits."""
        return bool(self._config.get("daemon", False))

    @daemon.setter
    def daemon(self, daemonic: bool) -> None:
        if self._popen is not None:
            raise AssertionError(
                f"process has already started: {who(self)}; say daemon= when you make it, or set it before start()"
            )
        self._config["daemon"] = daemonic

    def _check_closed(self) -> None:
        if self._closed:
            raise ValueError(f"process object is closed: {self._name!r}; ask for what you need of it before close()")

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self.__dict__.get("_popen") is not None or get_spawning_popen() is None:
            refuse_pickle(self)
        return super().__reduce_ex__(protocol)

    def close(self) -> None:
        self._check_made()
        if self._popen is not None and self._popen.poll() is None:
            raise ValueError(
                f"Cannot close a process while it is still running: {who(self)}; call join(), or kill(), first"
            )
        super().close()
        self._verdict = None

    def _bootstrap(self, parent_sentinel: int | None = None) -> int:
        file = self._result_file or child.result_file()
        assert file is not None
        if parent_sentinel is not None:
            # The stdlib's pipe; a pidfd tells the same, also when a sibling holds the pipe's other end.
            os.close(parent_sentinel)
        run = self.run

        def run_and_record() -> None:
            del self.__dict__["run"]
            change_parent_process(ParentProcess)
            child.record(run, file)

        self.__dict__["run"] = run_and_record
        set_stdin_aside()
        return super()._bootstrap(lifeline.parent_pidfd())

    @staticmethod
    def _after_fork() -> None:
        # The stdlib's `_bootstrap` calls it right after it has seen to standard input.
        take_stdin()
        StdlibProcess._after_fork()


def can_be_forked(process: Any) -> bool:
    """Whether to start it is to fork, and nothing else: see `fork_together`."""
    return isinstance(process, BaseProcess) and type(process).start is BaseProcess.start and process._is_forked()


def fork_together(processes: Sequence[BaseProcess]) -> None:
    """Start several processes that can be forked, one right after the other.

    Raises:
        OSError: one cannot be had; none is left.
    """
    from hardy._proc.popen import Popen

    queues = [process._before_start() for process in processes]
    for process, popen in zip(processes, Popen.fork_all(processes), strict=True):
        process._popen = popen
        process._after_start(queues.pop(0))


def _settle(ended: Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)


class ParentProcess(BaseProcess):
    """The parent, in a child: its name, its pid, and whether it lives.

    It is made by the stdlib, with another class (`change_parent_process`).
    """

    _pid: int

    def is_alive(self) -> bool:
        return not lifeline.wait_readable(self._sentinel, 0)

    def join(self, timeout: float | None = None) -> None:
        check_timeout(timeout)
        lifeline.wait_readable(self._sentinel, timeout)

    @property
    def ident(self) -> int:
        return self._pid

    pid = ident


set_join_of_main(refuse_join_of_main)
