"""A started child: its pidfd, its status, its outcome; and how one is forked.

The steps of a start, and what is left when the starting process is killed there:

    pidfd of ourselves, board, outcome file   nothing: the kernel frees them
    slot claimed on the board                 a slot that is claimed again later
    fork                                      a child whose lifeline sees our pidfd dead at once
    watched                                   as above
"""

from __future__ import annotations

import os
import signal
import sys
from _thread import RLock
from collections.abc import Sequence
from multiprocessing import popen_fork, process

from hardy._core import board, lifeline, runtime
from hardy._core.lifeline import Child
from hardy._proc import child as _child_side  # noqa: F401 - what the child needs is there before it is forked
from hardy._proc import verdict as _verdict  # noqa: F401 - as is what is said of it when it has ended
from hardy._proc.interrupted import watch_exit
from hardy._proc.memory_kills import count_memory_kills
from hardy._proc.outcome import Kind, OutcomeFile
from hardy._proc.threads import become_main_thread, warn_of_threads
from hardy._stdlib.process import flush_std_streams, leave_fork, make_stdin_ready, prepare_exit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["UNKNOWN_EXITCODE", "Popen"]

# The stdlib's own value for "the forkserver died, nobody knows".
UNKNOWN_EXITCODE = 255
_EXITCODES = {Kind.RETURNED: 0, Kind.RESULT_NOT_PICKLABLE: 0, Kind.RAISED: 1, Kind.NOT_STARTED: 1}

runtime._declare(
    "proc.start.before_claim",
    "proc.start.before_launch",
    "proc.start.after_launch",
    "proc.start.after_watch",
    "proc.child.after_fork",
)


class Popen(popen_fork.Popen):
    """A child made by fork.

    Attributes:
        child: what the lifeline watches.
        outcome: kind and length of what the child committed; None before it has ended, or when it committed
            nothing.
        status_unknown: whether it has ended in a way that nobody could learn.
        settling: held by the thread that takes the outcome; others wait for it.
        memory_kills: count of out-of-memory kills when it was started.
        identity: of the child, where it was known at once; else 0.
    """

    method = "fork"
    pid: int
    sentinel: int

    def __init__(self, process_obj: Any) -> None:
        self._prepare(process_obj)
        try:
            self._launch(process_obj)
        except BaseException:
            self._give_back()
            raise
        runtime.hit("proc.start.after_watch")

    @classmethod
    def fork_all(cls, process_objs: Sequence[Any]) -> list[Popen]:
        """Fork several children, one right after the other.

        After a fork, each page that the parent writes to is copied. So everything else is done before the first fork,
        and after the last.

        Raises:
            OSError: one cannot be had; none is left.
        """
        by_thread = bool(process_objs) and warn_of_threads()
        popens: list[Popen] = []
        forked = 0
        try:
            for process_obj in process_objs:
                popen = cls.__new__(cls)
                popen._prepare(process_obj)
                popens.append(popen)
            for popen, process_obj in zip(popens, process_objs, strict=True):
                popen.pid = popen._fork_child(process_obj, by_thread)
                forked += 1
            for popen in popens:
                popen._adopt(popen.pid)
                runtime.hit("proc.start.after_watch")
        except BaseException:
            for number, popen in enumerate(popens):
                popen._undo(number < forked)
            raise
        return popens

    def _undo(self, forked: bool) -> None:
        if self.child is not None:
            self.child.send_signal(signal.SIGKILL)
            self.wait()
            return
        if forked and self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        self._give_back()

    def _prepare(self, process_obj: Any) -> None:
        watch_exit()
        flush_std_streams()
        self.returncode: int | None = None
        self.finalizer = None
        self.identity = 0
        self.child: Child | None = None
        self.outcome: tuple[Kind, int] | None = None
        self.status_unknown = False
        self.settling = RLock()
        self.parent_pidfd = lifeline.self_pidfd()
        board.ensure(process.current_process()._name)  # type: ignore[attr-defined]
        self.result_file = OutcomeFile.create()
        runtime.hit("proc.start.before_claim")
        restarts = process_obj.__dict__.get("_restarts", 0)
        self.slot = board.claim(process_obj._name, process_obj._outlive_parent, process_obj.daemon, restarts)
        runtime.hit("proc.start.before_launch")

    def _give_back(self) -> None:
        board.give_back(self.slot)
        self.result_file.close()

    def _launch(self, process_obj: Any) -> None:
        self._adopt(self._fork_child(process_obj, warn_of_threads()))

    def _fork_child(self, process_obj: Any, by_thread: bool) -> int:
        """The pid of the child; in the child, its whole life. `by_thread`: a thread of hardy's own makes it."""
        make_stdin_ready()
        process_obj._result_file = self.result_file
        lifeline.begin_fork(self.slot, process_obj._outlive_parent)
        try:
            pid = os.fork()
        except BaseException:
            lifeline.end_fork(0)
            raise
        if pid == 0:
            # From here to the target each function that is called is some pages more to copy.
            code = 1
            try:
                runtime.hit("proc.child.after_fork")
                lifeline.check_armed()
                if by_thread:
                    become_main_thread()
                prepare_exit()
                code = process_obj._bootstrap()
            except KeyboardInterrupt:
                pass  # the one traceback of a Ctrl-C is that of the parent
            except BaseException:
                # What comes here is not the target's: `_bootstrap` has dealt with that.
                sys.excepthook(*sys.exc_info())
            finally:
                leave_fork(code)
        self.identity = lifeline.end_fork(pid)
        return pid

    def _adopt(self, pid: int, channel: int = -1, ours: bool = True) -> None:
        """Watch the new process; one that cannot be watched is not left running."""
        runtime.hit("proc.start.after_launch")
        # Here, where the child has begun to run beside us: to be killed for its memory takes it much longer.
        self.memory_kills = count_memory_kills()
        try:
            self.child = lifeline.watch(pid, self.slot, channel, ours, self.identity)
        except BaseException:
            if ours:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            self.pid = 0
            raise
        self.pid = pid
        self.sentinel = self.child.pidfd

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        return self._look() if flag == os.WNOHANG else self.wait()

    def _look(self) -> int | None:
        if self.returncode is None and self.child is not None:
            try:
                status = self.child.status()
            except ChildProcessError:
                status = -1
            if status is not None:
                with self.settling:
                    self._end(status)
        return self.returncode

    def _end(self, status: int) -> None:
        if self.returncode is not None:
            return
        self.outcome = self.result_file.kind()
        if self.outcome is None:
            self.result_file.close()
        if status >= 0:
            self.returncode = os.waitstatus_to_exitcode(status)
        else:
            self.status_unknown = True
            known = None if self.outcome is None else _EXITCODES.get(self.outcome[0])
            self.returncode = UNKNOWN_EXITCODE if known is None else known

    def wait(self, timeout: float | None = None) -> int | None:
        if self.returncode is not None or self.child is None:
            return self.returncode
        if not self.child.wait(timeout):
            return None
        if self._look() is None and timeout is None:
            # A debugger holds the dead child back for a while after its pidfd is ready.
            try:
                os.waitid(os.P_PIDFD, self.child.pidfd, os.WEXITED | os.WNOWAIT)
            except ChildProcessError:
                pass  # reaped by the lifeline, meanwhile
            self._look()
        return self.returncode

    def _send_signal(self, sig: int) -> None:
        if self.returncode is None and self.child is not None:
            self.child.send_signal(sig)

    def interrupt(self) -> None:
        self._send_signal(signal.SIGINT)

    def close(self) -> None:
        self.result_file.close()
        if self.child is not None:
            self.child.close()
