"""`TCPServer`: what a program sees of a server."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from hardy.context import get_default_context
from hardy.net.listeners import describe, inherited_sockets, listen_tcp, listen_unix, remove_path
from hardy.net.master import Master
from hardy.net.options import Limits, Plan, Tls, check_handler
from hardy.net.seats import Seats

__all__ = ["TCPServer"]

_LOOPS = ("auto", "asyncio", "uvloop")
_MOST_WORKERS = 256


class TCPServer:
    """Serves connections in processes that share one listening socket.

    Args:
        handler: `async def handle(stream)`, served in the event loop of a worker; or a plain function, which gets a
            `BlockingStream` and a thread for each connection; or `"module:function"`, which each worker imports by
            itself, so that a reload takes the module as it is then.
        host: what to listen on; "" for all addresses, with IPv6.
        port: 0 takes a free one; see `address`.
        workers: how many processes; None: one for each processor.
        unix: a path, or `@name` for an abstract socket, in the place of host and port.
        systemd: take the listening sockets that systemd handed over.
        certfile: a PEM file with a certificate: serve TLS.
        keyfile: its private key, when it is not in certfile.
        loop: `auto` (uvloop when it is installed), `asyncio` or `uvloop`.
        limits: a `Limits`; or give its fields as named arguments.
        name: what logs and errors call it.
        ctx: a context, or the name of a start method; None: the default.
        **limit: the fields of `Limits`: max_connections, max_message, idle_timeout, read_timeout, write_timeout,
            handshake_timeout, drain_timeout, backlog.

    If a process dies here: a worker costs the connections that it had, and another takes its place; with the process
    that made the server the workers end, within a second.

    Raises:
        TypeError, ValueError: an argument is wrong.
        OSError: it cannot listen there; the message says why, who does, and what to do.
    """

    def __init__(
        self,
        handler: Callable[[Any], Any] | str,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        workers: int | None = None,
        unix: str | None = None,
        systemd: bool = False,
        certfile: str | None = None,
        keyfile: str | None = None,
        loop: str = "auto",
        limits: Limits | None = None,
        name: str = "server",
        ctx: Any = None,
        **limit: Any,
    ) -> None:
        check_handler(handler)
        self._count = _check_workers(workers)
        if loop not in _LOOPS:
            raise ValueError(f"loop must be one of {', '.join(_LOOPS)}, not {loop!r:.60}")
        if loop == "uvloop":
            _check_uvloop()
        if limits is not None and limit:
            raise TypeError(f"give limits=, or {', '.join(limit)} by name, not both")
        limits = limits or Limits(**limit)
        if keyfile and not certfile:
            raise ValueError("keyfile needs certfile, the certificate that the key belongs to")
        tls = Tls(certfile, keyfile) if certfile else None
        if tls:
            tls.make_context()
        self._ctx = ctx if hasattr(ctx, "Process") else get_default_context().get_context(ctx)
        self._listeners = _listen(host, port, unix, systemd, limits.backlog)
        self._path_inode = os.stat(unix).st_ino if unix and not unix.startswith("@") else 0
        seats = Seats(self._ctx, 2 * self._count)
        self._name = name
        # None: it has ended, and nothing is kept of it.
        self._plan: Plan | None = Plan(handler, tuple(self._listeners), limits, seats, tls, loop, name)
        self._master: Master | None = None
        self._thread: threading.Thread | None = None
        self._owner_pid = os.getpid()

    def __repr__(self) -> str:
        where = ", ".join(self.addresses) or "closed"
        return f"<TCPServer {self._name!r} at {where}, {self._count} workers>"

    @property
    def address(self) -> tuple[str, int] | str:
        """Host and port of the first socket, or its path."""
        if not self._listeners:
            raise ValueError(f"{self._name!r} has been stopped and listens nowhere")
        sock = self._listeners[0]
        if sock.family == socket.AF_UNIX:
            return describe(sock)
        host, port = sock.getsockname()[:2]
        return host, port

    @property
    def addresses(self) -> list[str]:
        """All of them, for people."""
        return [describe(each) for each in self._listeners]

    @property
    def workers(self) -> list[int]:
        """The pids of the workers that serve, now."""
        return [] if self._master is None else self._master.worker_pids()

    def run(self, ready: Callable[[], object] | None = None) -> None:
        """Serve until SIGTERM, SIGINT (Ctrl-C) or `stop`; SIGHUP reloads. For the main thread.

        What is asked for at the end: no new connections, and `drain_timeout` seconds for those that there are. A second
        signal ends them at once.

        Args:
            ready: called once, when all workers are ready.

        Raises:
            ServerFailed: the workers cannot start.
            ValueError: this is not the main thread, or it was started before.
        """
        if threading.current_thread() is not threading.main_thread():
            raise ValueError(f"run() of {self!r} answers signals and must be called in the main thread; use start()")
        master = self._begin()
        try:
            with _answered(master):
                master.start()
                if ready is not None:
                    ready()
                master.run()
        finally:
            self._close()

    def start(self) -> None:
        """Serve beside the program, until `stop`; returns when all workers are ready.

        Raises:
            ServerFailed: the workers cannot start.
            ValueError: it was started before.
        """
        master = self._begin()
        started = threading.Event()
        failure: list[BaseException] = []

        def run() -> None:
            try:
                master.start()
            except BaseException as error:
                failure.append(error)
                return
            finally:
                started.set()
            master.run()

        self._thread = threading.Thread(target=run, name="hardy-server", daemon=True)
        self._thread.start()
        started.wait()
        if failure:
            self._thread.join()
            self._close()
            raise failure[0]

    def stop(self, timeout: float | None = None) -> None:
        """End the server: no new connections, and those that there are have `drain_timeout` seconds.

        Args:
            timeout: another number of seconds for them; 0 ends them at once.
        """
        if self._master is None:
            self._close()
            return
        self._check_ours()
        self._master.request_stop()
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                self._master.request_stop()
                self._thread.join()
            self._thread = None
            self._close()

    def reload(self) -> None:
        """Bring in new workers, which import the handler's module anew; once they are ready the old ones drain.

        It goes on when this has returned. If the new ones cannot start, that is logged, and the old ones go on.
        """
        if self._master is None:
            raise ValueError(f"reload() of {self!r}: it does not run; call start() or run() first")
        self._check_ours()
        self._master.request_reload()

    def __enter__(self) -> TCPServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _begin(self) -> Master:
        if self._master is not None or self._plan is None:
            raise ValueError(f"{self!r} was started before; make another one")
        self._master = Master(self._plan, self._count, self._ctx)
        return self._master

    def _check_ours(self) -> None:
        if self._owner_pid != os.getpid():
            raise ValueError(f"{self!r} belongs to process {self._owner_pid}, not to this one, {os.getpid()}")

    def _close(self) -> None:
        for listener in self._listeners:
            if self._path_inode:
                remove_path(listener, self._path_inode)
            listener.close()
        self._listeners = []
        if self._plan is not None:
            self._plan.seats.close()
        self._plan = self._master = None


def _listen(host: str, port: int, unix: str | None, systemd: bool, backlog: int) -> list[socket.socket]:
    if systemd:
        return inherited_sockets()
    if unix is not None:
        return [listen_unix(unix, backlog)]
    return listen_tcp(host, port, backlog)


def _check_workers(workers: int | None) -> int:
    if workers is None:
        return len(os.sched_getaffinity(0))
    if isinstance(workers, bool) or not isinstance(workers, int):
        raise TypeError(f"workers must be an int or None, not {type(workers).__name__}")
    if not 1 <= workers <= _MOST_WORKERS:
        raise ValueError(f"workers must be between 1 and {_MOST_WORKERS}, not {workers}")
    return workers


def _check_uvloop() -> None:
    try:
        import uvloop  # noqa: F401
    except ImportError:
        raise ValueError("loop='uvloop' needs uvloop: pip install uvloop; or take loop='auto'") from None


@contextmanager
def _answered(master: Master) -> Iterator[None]:
    """In this block signals go to the master; in a process that is forked meanwhile they do what they do by default."""
    owner_pid = os.getpid()

    def handle(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner_pid:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif number == signal.SIGHUP:
            master.request_reload()
        else:
            master.request_stop()

    before = {each: signal.signal(each, handle) for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
