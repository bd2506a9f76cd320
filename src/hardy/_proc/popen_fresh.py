"""Children that begin as a new interpreter: by spawn, or through the forkserver.

All that the child reads is written before it exists, into a memfd; so a child that is stopped or
killed while it starts can neither block `start()` nor break it. The first object in it is `Arming`,
so that the lifeline holds before any module of the user is imported.
"""

from __future__ import annotations

import io
import operator
import os
import pickle
import re
import signal
import sys
from multiprocessing import reduction

from hardy._core import board, lifeline, runtime, tracer
from hardy._proc import child, verdict
from hardy._proc.boot import Booting, check_may_start
from hardy._proc.outcome import above_std_streams
from hardy._proc.payload import InheritedFd, PassedFd, adopt_trace, open_payload, read_process
from hardy._proc.popen import Popen
from hardy._stdlib import by_value
from hardy._stdlib.launch import (
    connect_to_forkserver,
    preparation_data,
    read_pid,
    spawn_interpreter,
    spawning,
    wait_for_forkserver_end,
)
from hardy._stdlib.main_module import take_main
from hardy._sync.handles import pack_segment
from hardy.errors import CannotPickle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from hardy._stdlib.refusal import Refusal

__all__ = ["Call", "ForkserverPopen", "SpawnPopen"]

# How often a forkserver that dies under us is started anew.
_ATTEMPTS = 3
# It has closed its socket already: the rest of its end takes no longer.
_FORKSERVER_END_S = 1.0

runtime._declare(
    "proc.spawn.before_exec",
    "proc.forkserver.before_connect",
    "proc.forkserver.before_pid",
    "proc.forkserver.before_payload",
)


class Call:
    """Pickles as a call that the child makes at the place where it unpickles this."""

    def __init__(self, function: Any, *args: Any) -> None:
        self._call = (function, args)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self._call


def _tracing() -> dict[str, Call]:
    segment = tracer.segment()
    return {} if segment is None else {"hardy_trace": Call(adopt_trace, pack_segment(segment))}


def _adopt_path() -> Call:
    """Gives the child our `sys.path`, with what every interpreter has."""
    return Call(exec, f"import sys\nsys.path[:] = {sys.path!r}")


class _FreshPopen(Popen):
    """What both have in common.

    Attributes:
        first: calls for the child to make once it is armed, before it imports the user's modules.
    """

    DupFd: type[PassedFd]

    def __init__(self, process_obj: Any, first: Mapping[str, Call]) -> None:
        check_may_start()
        self._first = first
        self._fds: list[int] = []
        self._booting = Booting()
        try:
            super().__init__(process_obj)
            self._await_boot(process_obj.name)
        finally:
            self._booting.close()

    def _await_boot(self, name: str) -> None:
        try:
            failed = self._booting.wait(self.result_file)
        except BaseException:
            # `start()` fails: nobody would have the process.
            self._send_signal(signal.SIGKILL)
            self.close()
            raise
        if failed is not None:
            self.close()
            raise verdict.not_started(name, self, *pickle.loads(failed))

    def duplicate_for_child(self, fd: int) -> int:
        self._fds.append(fd)
        return fd

    def _arming(self, process_obj: Any, by_thread: bool) -> Call:
        return Call(
            child.arm,
            reduction.DupFd(self.parent_pidfd),
            process_obj.outlive_parent,
            by_thread and lifeline.in_main_thread(),
            self.slot,
            pack_segment(board.ensure("")),
            reduction.DupFd(self.result_file.fd),
        )

    def _write_payload(self, process_obj: Any, by_thread: bool) -> int:
        """A memfd with all that the child will read; closed by the caller."""
        preparation = preparation_data(process_obj.name)
        name, path = take_main(preparation)
        interruptible = signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
        payload = io.BytesIO()
        with spawning(self):
            self._booting.hand_over()
            # In this order: the child must find hardy before it can arm itself.
            armed = {"hardy_path": _adopt_path(), "hardy_arming": self._arming(process_obj, by_thread)}
            armed.update(_tracing(), **self._first)
            reduction.dump({**armed, **preparation}, payload)
            reduction.dump((name, path, self._booting.passed, interruptible), payload)
            payload.write(self._pickle(process_obj))
        return _memfd("hardy-payload", payload.getbuffer())

    def _opening(self, payload: int) -> bytes:
        """What the stdlib's part of the child reads: the way to the payload, as the two objects that it wants."""
        # The first of the pair lets the child find hardy, which the second needs.
        pair = (_adopt_path(), Call(open_payload, self.DupFd(self.duplicate_for_child(payload))))
        return pickle.dumps(Call(operator.getitem, pair, 1)) + pickle.dumps(Call(read_process))

    def _pickle(self, process_obj: Any) -> bytes:
        try:
            pickled = bytes(reduction.ForkingPickler.dumps(process_obj, 5))
            by_value.check_all_reachable(process_obj, pickled)
            return pickled
        except Exception as error:
            from hardy._stdlib.refusal import carry

            carried = carry(process_obj, error)
            if isinstance(carried, bytes):
                return carried
            # What pickle itself says is in the message, and there is no more to it.
            cause = None if carried.error is error and not carried.is_of_user else carried.cause
            raise self._explain(process_obj, carried) from cause

    def _explain(self, process_obj: Any, refusal: Refusal) -> CannotPickle:
        # The user knows them without the underscore.
        where = re.sub(r"^\._(args|kwargs|target)\b|^\.", lambda match: match[1] or "self.", refusal.path)
        return CannotPickle(
            f"cannot start {process_obj.name!r} with {self.method!r}: {refusal.sentence(where or 'it')}. Nothing was "
            f"started. Instead, {refusal.mend('the child')}; or use get_context('fork')",
            path=where,
        )


class SpawnPopen(_FreshPopen):
    """A child made by starting a new interpreter."""

    method = "spawn"
    DupFd = PassedFd

    def _launch(self, process_obj: Any) -> None:
        payload = self._write_payload(process_obj, by_thread=True)
        opening = -1
        try:
            opening = _memfd("hardy-opening", self._opening(payload))
            runtime.hit("proc.spawn.before_exec")
            pid = spawn_interpreter(opening, self._fds)
        finally:
            for fd in (payload, opening):
                if fd >= 0:
                    os.close(fd)
        self._adopt(pid)


class ForkserverPopen(_FreshPopen):
    """A child that the stdlib's forkserver forks for us. It is the forkserver's child, and reaped there."""

    method = "forkserver"
    DupFd = InheritedFd

    def duplicate_for_child(self, fd: int) -> int:
        self._fds.append(fd)
        return len(self._fds) - 1

    def _launch(self, process_obj: Any) -> None:
        payload = self._write_payload(process_obj, by_thread=False)
        try:
            # The forkserver's pipe holds little; so it carries only the way to the payload.
            self._connect(self._opening(payload))
        finally:
            os.close(payload)

    def _connect(self, opening: bytes) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            runtime.hit("proc.forkserver.before_connect")
            channel = data = -1
            try:
                channel, data = connect_to_forkserver(self._fds)
                runtime.hit("proc.forkserver.before_pid")
                pid = read_pid(channel)
                # Only now does the child get its work: had we not learnt its pid, it must not run.
                self._adopt(pid, channel, ours=False)
                channel = -1
                runtime.hit("proc.forkserver.before_payload")
                _write_small(data, opening)
                return
            except (EOFError, ConnectionError):
                if attempt == _ATTEMPTS:
                    raise
                wait_for_forkserver_end(_FORKSERVER_END_S)
            finally:
                for fd in (channel, data):
                    if fd >= 0:
                        os.close(fd)


def _write_small(fd: int, data: bytes) -> None:
    try:
        os.write(fd, data)
    except BrokenPipeError:
        pass  # killed already: whoever asks for its result is told


def _memfd(name: str, data: bytes | memoryview) -> int:
    """A memfd to be read from its beginning; closed by the caller."""
    fd = above_std_streams(os.memfd_create(name, os.MFD_CLOEXEC))
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(data)
        os.lseek(fd, 0, os.SEEK_SET)
    except BaseException:
        os.close(fd)
        raise
    return fd
