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
import sys
from collections.abc import Mapping
from multiprocessing import reduction
from typing import Any

from hardy._core import board, lifeline, runtime
from hardy._proc import child
from hardy._proc.outcome import above_std_streams
from hardy._proc.popen import Popen
from hardy._stdlib.culprit import find_culprit, mend, type_name
from hardy._stdlib.launch import (
    ForkserverDupFd,
    SpawnDupFd,
    connect_to_forkserver,
    preparation_data,
    read_pid,
    spawn_interpreter,
    spawning,
    wait_for_forkserver_end,
)
from hardy._sync.handles import pack_segment
from hardy.errors import CannotPickle

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


def _adopt_path() -> Call:
    """Gives the child our `sys.path`, with what every interpreter has."""
    return Call(exec, f"import sys\nsys.path[:] = {sys.path!r}")


class _FreshPopen(Popen):
    """What both have in common.

    Attributes:
        first: calls for the child to make once it is armed, before it imports the user's modules.
    """

    DupFd: type[Any]

    def __init__(self, process_obj: Any, first: Mapping[str, Call]) -> None:
        self._first = first
        self._fds: list[int] = []
        super().__init__(process_obj)

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
        payload = io.BytesIO()
        with spawning(self):
            # In this order: the child must find hardy before it can arm itself.
            armed = {"hardy_path": _adopt_path(), "hardy_arming": self._arming(process_obj, by_thread), **self._first}
            reduction.dump({**armed, **preparation}, payload)
            try:
                reduction.dump(process_obj, payload)
            except Exception as error:
                raise self._explain(process_obj, error) from error
        fd = above_std_streams(os.memfd_create("hardy-payload", os.MFD_CLOEXEC))
        try:
            with open(fd, "wb", closefd=False) as file:
                file.write(payload.getbuffer())
            os.lseek(fd, 0, os.SEEK_SET)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _explain(self, process_obj: Any, error: Exception) -> CannotPickle:
        path, culprit = find_culprit(process_obj)
        # The user knows them without the underscore.
        where = re.sub(r"^\._(args|kwargs|target)\b|^\.", lambda match: match[1] or "self.", path)
        return CannotPickle(
            f"cannot start {process_obj.name!r} with {self.method!r}: {where or 'it'} is a "
            f"{type_name(type(culprit))}, which cannot be pickled ({type(error).__name__}: {error}). Nothing was "
            f"started. Instead, {mend(culprit)}; or use get_context('fork')",
            path=where,
        )


class SpawnPopen(_FreshPopen):
    """A child made by starting a new interpreter."""

    method = "spawn"
    DupFd = SpawnDupFd

    def _launch(self, process_obj: Any) -> None:
        payload = self._write_payload(process_obj, by_thread=True)
        try:
            runtime.hit("proc.spawn.before_exec")
            pid = spawn_interpreter(payload, self._fds)
        finally:
            os.close(payload)
        self._adopt(pid)


class ForkserverPopen(_FreshPopen):
    """A child that the stdlib's forkserver forks for us. It is the forkserver's child, and reaped there."""

    method = "forkserver"
    DupFd = ForkserverDupFd

    def duplicate_for_child(self, fd: int) -> int:
        self._fds.append(fd)
        return len(self._fds) - 1

    def _launch(self, process_obj: Any) -> None:
        payload = self._write_payload(process_obj, by_thread=False)
        try:
            # The forkserver's pipe holds little; so it carries only the way to the payload.
            # The first of the pair lets the child find hardy, which the second needs.
            pair = (_adopt_path(), Call(_open_payload, self.duplicate_for_child(payload)))
            opening = pickle.dumps(Call(operator.getitem, pair, 1))
            opening += pickle.dumps(Call(_read_process))
            self._connect(opening)
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


_payload: io.BufferedReader | None = None


def _open_payload(index: int) -> Any:
    global _payload
    fd = ForkserverDupFd(index).detach()
    os.set_inheritable(fd, False)
    _payload = open(fd, "rb")  # noqa: SIM115 - read on by `_read_process`
    return pickle.load(_payload)


def _read_process() -> Any:
    global _payload
    assert _payload is not None
    with _payload as file:
        _payload = None
        return pickle.load(file)
