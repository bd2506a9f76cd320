"""`FileTurn`: one process at a time, by a lock on a file, and nobody is passed over for ever.

The lock is two bytes of a file beside the one that it is for, locked by the kernel for an open file description
(F_OFD_SETLK): it ends with its holder, however that ends, and threads exclude each other as processes do.

    outside --lock the gate--> next in turn --lock the turn, unlock the gate--> inside --close--> outside

Whoever holds the gate gets the turn next. One who leaves and comes back at once has to pass the gate, and finds it
held while anybody waits: with one lock alone it would win again and again, for it runs while the others are yet to
be woken (measured: one process of ten sold every ticket).

The file is removed by the one who leaves when nobody is at the gate. Who opened it before that finds, when it has the
lock, that the file has no name any more, and begins again with a new one. After a kill it stays, empty, until the
next turn ends.

Rejected: flock on the directory (every file in it would wait for every other), a lock on the file itself (it is
replaced at each change, and a queue does not follow to the new one), `NamedLock` (its names are those of one network
namespace, and files are shared by containers).

Source: fcntl(2), "Open file description locks".
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import threading
import time

from hardy._core import runtime

__all__ = ["FileTurn"]

runtime._declare(
    "fileturn.acquire.after_open",
    "fileturn.acquire.after_gate",
    "fileturn.acquire.after_turn",
    "fileturn.acquire.after_leave_gate",
    "fileturn.release.before_unlink",
    "fileturn.release.after_unlink",
    "fileturn.release.after_close",
)

# linux/fcntl.h; the fcntl module has them from Python 3.11 on, and not on every build.
_GETLK, _SETLK, _SETLKW = 36, 37, 38
_GATE, _TURN = 0, 1
# A wait with a time limit looks so often, for the kernel's own wait has none.
_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.0005, 0.02

# Every descriptor open here: a lock would live on in a fork's child, which knows nothing of it.
_open_files: set[int] = set()
_fork_guard = threading.RLock()


def _close_in_child() -> None:
    for inherited in _open_files:
        os.close(inherited)
    _open_files.clear()
    _fork_guard.release()


os.register_at_fork(before=_fork_guard.acquire, after_in_parent=_fork_guard.release, after_in_child=_close_in_child)


def _range(kind: int, byte: int) -> bytes:
    """A `struct flock` for one byte."""
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, byte, 1, 0)


class FileTurn:
    """Turns at what a file stands for, among processes and threads, in no fixed order but with none left out.

    Args:
        path: of the lock's own file, which comes and goes; its directory must exist.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: int | None = None
        self._forks = runtime.fork_count()

    def acquire(self, timeout_s: float | None = None) -> bool:
        """Whether the turn is ours now.

        Args:
            timeout_s: how long to wait; None waits without end.

        Raises:
            OSError: the directory cannot be written to, or its file system has no such locks.
        """
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            opened = self._open()
            try:
                if not self._enter(opened, end):
                    self._close(opened)
                    return False
                if self._is_current(opened):
                    self._file, self._forks = opened, runtime.fork_count()
                    return True
            except BaseException:
                self._close(opened)
                raise
            self._close(opened)

    def release(self) -> None:
        """Let the next one in."""
        held, self._file = self._file, None
        if held is None or self._forks != runtime.fork_count():
            return
        try:
            runtime.hit("fileturn.release.before_unlink")
            if not self._somebody_waits(held):
                os.unlink(self._path)
                runtime.hit("fileturn.release.after_unlink")
        except FileNotFoundError:
            pass  # somebody removed it by hand: those who wait will find it out
        finally:
            self._close(held)
        runtime.hit("fileturn.release.after_close")

    @property
    def held(self) -> bool:
        """Whether this object has the turn, in this process."""
        return self._file is not None and self._forks == runtime.fork_count()

    def _open(self) -> int:
        with _fork_guard:
            opened = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
            _open_files.add(opened)
        runtime.hit("fileturn.acquire.after_open")
        return opened

    @staticmethod
    def _close(opened: int) -> None:
        with _fork_guard:
            # In a fork's child it is closed already, and its number may be another file's.
            if opened in _open_files:
                _open_files.remove(opened)
                os.close(opened)

    def _enter(self, opened: int, end: float | None) -> bool:
        if not self._lock(opened, _GATE, end):
            return False
        runtime.hit("fileturn.acquire.after_gate")
        if not self._lock(opened, _TURN, end):
            return False
        runtime.hit("fileturn.acquire.after_turn")
        fcntl.fcntl(opened, _SETLK, _range(fcntl.F_UNLCK, _GATE))
        runtime.hit("fileturn.acquire.after_leave_gate")
        return True

    @staticmethod
    def _lock(opened: int, byte: int, end: float | None) -> bool:
        wanted = _range(fcntl.F_WRLCK, byte)
        if end is None:
            fcntl.fcntl(opened, _SETLKW, wanted)
            return True
        pause_s = _FIRST_LOOK_S
        while True:
            try:
                fcntl.fcntl(opened, _SETLK, wanted)
                return True
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EAGAIN):
                    raise
            left_s = end - time.monotonic()
            if left_s <= 0:
                return False
            time.sleep(min(pause_s, left_s))
            pause_s = min(2 * pause_s, _LONGEST_LOOK_S)

    @staticmethod
    def _somebody_waits(held: int) -> bool:
        answer = fcntl.fcntl(held, _GETLK, _range(fcntl.F_WRLCK, _GATE))
        kind: int = struct.unpack_from("h", answer)[0]
        return kind != fcntl.F_UNLCK

    def _is_current(self, opened: int) -> bool:
        ours = os.fstat(opened)
        try:
            named = os.stat(self._path, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return (ours.st_dev, ours.st_ino) == (named.st_dev, named.st_ino)
