"""`NamedLock`: for programs that share no parent.

The lock *is* an abstract Unix socket: whoever has its name bound holds it. The kernel frees the name
when the holder closes it or dies, so there is no file to clean up and no stale lock.

    free --bind, listen--> held --shutdown, tell each waiter, close--> free     (released)
                            |
                            +-- the holder dies: the kernel closes ----> free   (waiters see a reset)

A waiter connects and sleeps until something comes: one byte says that the lock was released; a reset
without it, that the holder died. Everyone then tries to bind; one wins, the others connect to it.
`shutdown` comes first, so that nobody can connect between the last byte and the close and take a
release for a death.

Rejected: flock on a file (leaves a path, and says nothing of how the holder ended), and a shared
memory segment by name (leaves a path).
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hardy._core import board, runtime, tracer
from hardy._sync.deaths import Recoverable, check_on_owner_death

__all__ = ["NamedLock", "named_lock_prefix"]

runtime._declare(
    "namedlock.acquire.after_bind",
    "namedlock.acquire.after_listen",
    "namedlock.release.before_shutdown",
    "namedlock.release.after_shutdown",
    "namedlock.release.after_tell",
    "namedlock.release.after_close",
    "namedlock.wait.after_connect",
    "namedlock.wait.after_news",
)

_RELEASED = b"r"
# What the kernel allows at most (net.core.somaxconn cuts it down).
_BACKLOG = 4096
# How long to wait where there is nobody to connect to: between a holder's bind and listen, or when
# its backlog is full.
_RETRY_S = 0.01
# Who has waited for so long shows its stack.
_LONG_MS = 1000
_MOST_ADDRESS_BYTES = 107

# Every socket open here, by descriptor: a fork's child must close them, or the lock would outlive
# its holder in a child that knows nothing of it.
_sockets: dict[int, socket.socket] = {}
_fork_guard = threading.RLock()


def _close_in_child() -> None:
    for inherited in _sockets.values():
        inherited.close()
    _sockets.clear()
    _fork_guard.release()


os.register_at_fork(before=_fork_guard.acquire, after_in_parent=_fork_guard.release, after_in_child=_close_in_child)


def named_lock_prefix() -> str:
    """With what the abstract addresses of this user's named locks begin, behind their zero byte."""
    return f"hardy-lock-{os.getuid()}-"


def _open() -> socket.socket:
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if opened.fileno() < 3:
        # A program may close or redirect 0, 1 and 2 without asking who lives there.
        moved = socket.socket(fileno=fcntl.fcntl(opened.fileno(), fcntl.F_DUPFD_CLOEXEC, 3))
        opened.close()
        opened = moved
    opened.setblocking(False)
    _sockets[opened.fileno()] = opened
    return opened


def _close(opened: socket.socket) -> None:
    with _fork_guard:
        _sockets.pop(opened.fileno(), None)
        opened.close()


class NamedLock(Recoverable):
    """A lock between any programs of one user, by name; nothing is left of it when nobody holds it.

    It costs one descriptor while it is held or waited for. Another handle of the same name, in this
    process or another, is the same lock. Not recursive.

    Args:
        name: any text but the empty one.
        on_owner_death: "warn" gives an `OwnerDiedWarning` to one who waited while the holder died;
            "raise" raises `OwnerDied` there, with the lock held.

    If a process dies here: the kernel frees the name at once; who waited finds `recovered` true. Who
    did not wait at that time cannot know.

    Fork/spawn: a child of fork does not hold what its parent holds. A fork made by C code behind
    Python's back keeps the lock until that child, too, has ended or called exec.

    The names are those of one network namespace: two containers do not share them unless they share
    the network.
    """

    name: str

    def __init__(self, name: str, *, on_owner_death: str = "warn") -> None:
        if not isinstance(name, str):
            raise TypeError(f"name must be a str, not {type(name).__name__}")
        if not name:
            raise ValueError("a named lock needs a name that is not empty")
        self._raises = check_on_owner_death(on_owner_death)
        self.name = name
        self._recovered = False
        self._holding: socket.socket | None = None
        self._forks = runtime.fork_count()

    @property
    def _key(self) -> str:
        """What the kernel knows it by, and whoever looks from outside: the name where that has room."""
        encoded = self.name.encode("utf-8", "surrogatepass")
        room = _MOST_ADDRESS_BYTES - len(named_lock_prefix()) - 1
        if len(encoded) > room or not (self.name.isascii() and self.name.isprintable()):
            import hashlib  # loads OpenSSL, which few names need

            return f"sha256-{hashlib.sha256(encoded).hexdigest()}"
        return self.name

    @property
    def _address(self) -> bytes:
        return f"\0{named_lock_prefix()}{self._key}".encode()

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """True once this process holds the lock.

        Args:
            block: whether to wait for it.
            timeout: seconds to wait at the most; None waits without end, a negative number not at all.

        Returns:
            Whether the lock is held now.

        Raises:
            PermissionError: another user's process has bound the name.
        """
        end = None if timeout is None else time.monotonic() + timeout
        shown: board.NamedWait | None = None
        died = 0
        try:
            while (bound := self._bind()) is None:
                if not block or (end is not None and time.monotonic() >= end):
                    return False
                if shown is None:
                    shown = board.NamedWait(self.name, tracer.number_of(self._key), end is not None)
                died = self._wait_for_holder(end, shown) or died
        finally:
            if shown is not None:
                shown.end()
        self._holding = bound
        self._forks = runtime.fork_count()
        self._recovered = died != 0
        if died:
            self._tell(died)
        if tracer.active():
            tracer.holds(self.name, tracer.number_of(self._key), True)
        return True

    def _tell(self, died: int) -> None:
        try:
            self._owner_died(died)
        except RuntimeWarning:
            # A filter made an error of the warning: the caller will not think that it holds the lock.
            self.release()
            raise

    def _bind(self) -> socket.socket | None:
        with _fork_guard:
            bound = _open()
            try:
                bound.bind(self._address)
                runtime.hit("namedlock.acquire.after_bind")
                bound.listen(_BACKLOG)
                runtime.hit("namedlock.acquire.after_listen")
            except OSError as error:
                _close(bound)
                if error.errno == errno.EADDRINUSE:
                    return None
                raise
            except BaseException:
                _close(bound)
                raise
            return bound

    def _wait_for_holder(self, end: float | None, shown: board.NamedWait) -> int:
        """Sleep until the holder lets go, or `end`; the holder's identity if it died, else 0."""
        looked_ns = time.monotonic_ns()
        with self._connect() as (line, holder):
            if line is None:
                select.select([], [], [], _RETRY_S if end is None else max(0, min(_RETRY_S, end - time.monotonic())))
                return 0
            runtime.hit("namedlock.wait.after_connect")
            poll = select.poll()
            poll.register(line, select.POLLIN)
            shown.sees(holder, looked_ns)
            while not poll.poll(min(_LONG_MS, _LONG_MS if end is None else max(0, (end - time.monotonic()) * 1000))):
                if end is not None and time.monotonic() >= end:
                    return 0
                shown.leave_stack()
            runtime.hit("namedlock.wait.after_news")
            try:
                news = line.recv(1)
            except ConnectionResetError:
                news = b""
            return 0 if news == _RELEASED else holder

    @contextmanager
    def _connect(self) -> Iterator[tuple[socket.socket | None, int]]:
        """A connection to the holder and the holder's identity; None when it cannot be had now."""
        with _fork_guard:
            line = _open()
        try:
            try:
                line.connect(self._address)
            except (ConnectionRefusedError, BlockingIOError):
                yield None, 0
                return
            pid, uid, _ = struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            if uid != os.getuid():
                raise PermissionError(
                    errno.EACCES, f"named lock {self.name!r} is bound by process {pid} of user {uid}, not of this user"
                )
            yield line, runtime.identity_of(pid) or pid
        finally:
            _close(line)

    def release(self) -> None:
        """Give the lock up; any thread of the process that holds it may.

        Raises:
            ValueError: this process does not hold it through this handle.
        """
        holding, self._holding = (self._holding if self._held_here() else None), None
        if holding is None:
            raise ValueError("named lock released too many times: this handle does not hold it in this process")
        self._recovered = False
        if tracer.active():
            tracer.holds(self.name, tracer.number_of(self._key), False)
        runtime.hit("namedlock.release.before_shutdown")
        holding.shutdown(socket.SHUT_RD)
        runtime.hit("namedlock.release.after_shutdown")
        while self._tell_one(holding):
            pass
        runtime.hit("namedlock.release.after_tell")
        _close(holding)
        runtime.hit("namedlock.release.after_close")

    def _tell_one(self, holding: socket.socket) -> bool:
        """Tell one waiter that the lock is released; False when there is none left."""
        try:
            waiter = holding.accept()[0]
        except OSError:
            # EINVAL: nobody is left. EMFILE: those left take it for a death, and check their data.
            return False
        with waiter:
            waiter.setblocking(False)
            try:
                waiter.send(_RELEASED)
            except (BrokenPipeError, ConnectionResetError):
                return True  # it has given up waiting, or died
        return True

    def _held_here(self) -> bool:
        return self._holding is not None and self._forks == runtime.fork_count()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exc_info: object) -> None:
        self.release()

    def locked(self) -> bool:
        """Whether some process holds the lock."""
        address = self._address[1:].decode()
        with open("/proc/net/unix", encoding="utf-8", errors="replace") as table:
            return any(line.rstrip("\n").endswith(" @" + address) for line in table)

    @property
    def recovered(self) -> bool:
        """Whether a holder died while this process waited, and it has not released since."""
        return self._recovered and self._held_here()

    def owner_pid(self) -> int | None:
        """Process id of the holder; None when nobody holds the lock."""
        if self._held_here():
            return os.getpid()
        with self._connect() as (line, holder):
            return None if line is None else runtime.pid_of(holder)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.name, "raise" if self._raises else "warn"))

    def __repr__(self) -> str:
        pid = self.owner_pid()
        return f"<{type(self).__name__}({self.name!r}, owner={'None' if pid is None else f'process {pid}'})>"


def _rebuild(kind: type[NamedLock], name: str, on_owner_death: str) -> NamedLock:
    return kind(name, on_owner_death=on_owner_death)
