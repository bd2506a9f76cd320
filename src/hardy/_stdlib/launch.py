"""What `spawn` and `forkserver` of the stdlib need to start a process: private functions and descriptors."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from multiprocessing import context as _context
from multiprocessing import forkserver as _forkserver
from multiprocessing import resource_tracker as _resource_tracker
from multiprocessing import spawn as _spawn
from multiprocessing import util as _util

from hardy._stdlib.forkserver import start_forkserver, wait_for_forkserver_end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "connect_to_forkserver",
    "preparation_data",
    "read_pid",
    "spawn_interpreter",
    "spawning",
    "tracker_fd",
    "wait_for_forkserver_end",
]


class spawning:  # noqa: N801 - used as a statement
    """While pickling for a child: descriptors are handed over through that popen object."""

    def __init__(self, popen: Any) -> None:
        self._popen = popen

    def __enter__(self) -> None:
        _context.set_spawning_popen(self._popen)

    def __exit__(self, *error: object) -> None:
        _context.set_spawning_popen(None)


def preparation_data(name: str) -> dict[str, Any]:
    """What a new interpreter needs before it can unpickle its process object."""
    return _spawn.get_preparation_data(name)


def tracker_fd() -> int:
    """The stdlib's resource tracker, which the child must share with us."""
    fd = _resource_tracker.getfd()
    assert fd is not None
    return fd


def spawn_interpreter(pipe_handle: int, pass_fds: Sequence[int]) -> int:
    """Start a new interpreter that reads its process object from `pipe_handle`.

    Returns:
        its pid.
    """
    command = _spawn.get_command_line(tracker_fd=tracker_fd(), pipe_handle=pipe_handle)
    fds = sorted({*pass_fds, pipe_handle, tracker_fd()})
    # An interpreter that is interrupted while it starts fills the terminal; the child lets it through when it can
    # end in order.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return _util.spawnv_passfds(os.fsencode(_spawn.get_executable()), command, fds)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def connect_to_forkserver(fds: list[int]) -> tuple[int, int]:
    """Ask the forkserver (started now, if need be) for a child that gets these descriptors.

    Returns:
        where it says the child's pid and how it ended, and where the child reads its process object.
    """
    start_forkserver()
    return _forkserver.connect_to_new_process(fds)


def read_pid(channel: int) -> int:
    """The child's pid, from the forkserver.

    Raises:
        EOFError: the forkserver has died.
    """
    return int(_forkserver.read_signed(channel))
