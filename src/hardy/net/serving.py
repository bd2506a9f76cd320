"""A worker's process: it accepts, serves each connection, and drains when it is told to end.

Each worker waits for the listening socket in its own event loop. When a connection comes, all idle workers wake and one
gets it; the others find nothing, at the cost of one system call. Rejected: an acceptor thread (its `accept` is
exclusive, but it takes connections for a loop that is busy); EPOLLEXCLUSIVE, which asyncio's epoll cannot be told and
which has no effect on an epoll inside of another; SO_REUSEPORT (the queue of a worker that is killed is lost with it).
A worker takes one connection a turn, so that a burst is spread over all.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import resource
import signal
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

from hardy.errors import MessageTooLong, OwnerDied
from hardy.net.blocking import BlockingStream
from hardy.net.handler import CannotLoad, load_handler
from hardy.net.options import Plan, is_async
from hardy.net.stream import Stream, Wire, name_peer
from hardy.net.worker import Worker

__all__ = ["FAILED", "READY", "run_worker"]

READY, FAILED = b"R", b"F"
_LOG = logging.getLogger("hardy.net")
# How long to wait when no descriptor is left, or another worker is about to accept.
_SHORT_OF_DESCRIPTORS_S = 0.5
_LOCKED_S = 0.001
_AT_LIMIT_S = 0.02
# What handlers have for their `finally` after the end of the drain.
_LAST_S = 1.0
_EXIT_CANNOT_LOAD = 3
_OUT_OF = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def run_worker(plan: Plan, seat: int, number: int, generation: int, reports: Any) -> None:
    """The process of one worker.

    Args:
        plan: what it serves.
        seat: its place in the table.
        number: for its name.
        generation: how often the server was loaded.
        reports: a connection to the master, which hears of it that the worker is ready, or cannot be.
    """
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    _allow_descriptors()
    pid = os.getpid()
    try:
        handler = load_handler(plan.handler)
        tls = plan.tls.make_context() if plan.tls else None
    except (CannotLoad, ValueError) as error:
        reports.send_bytes(FAILED + struct.pack("q", pid) + str(error).encode(errors="replace")[:3500])
        raise SystemExit(_EXIT_CANNOT_LOAD) from None
    plan.seats.take(seat, pid)
    loop = _new_loop(plan.loop)
    asyncio.set_event_loop(loop)

    async def serve() -> None:
        worker = Worker(f"{plan.name}-{number}.{generation}", pid, generation, seat, plan.seats)
        serving = _Serving(plan, worker, handler, tls)
        serving.start()
        reports.send_bytes(READY + struct.pack("q", pid))
        await serving.until_drained()

    try:
        loop.run_until_complete(serve())
    finally:
        loop.close()


def _allow_descriptors() -> None:
    """As many connections as the system lets this process have, not the 1,024 that are meant for users of select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _new_loop(kind: str) -> asyncio.AbstractEventLoop:
    if kind != "asyncio":
        try:
            import uvloop
        except ImportError:
            if kind == "uvloop":
                raise
        else:
            made: asyncio.AbstractEventLoop = uvloop.new_event_loop()
            return made
    return asyncio.new_event_loop()


class _Serving:
    """Accepts and serves, in the event loop of this process."""

    def __init__(self, plan: Plan, worker: Worker, handler: Callable[[Any], Any], tls: Any) -> None:
        self._plan, self._limits, self._worker, self._tls = plan, plan.limits, worker, tls
        self._handler = handler
        self._async = is_async(handler)
        self._loop = asyncio.get_running_loop()
        self._tasks: dict[asyncio.Task[None], Stream] = {}
        self._threads: dict[int, socket.socket] = {}
        self._next_thread = 0
        self._accepting = False
        self._told_limit = False
        self._drain = asyncio.Event()
        self._hurry = asyncio.Event()
        self._changed = asyncio.Event()

    def start(self) -> None:
        self._loop.add_signal_handler(signal.SIGTERM, self._told_to_end)
        for listener in self._plan.listeners:
            listener.setblocking(False)
        self._resume()

    def _told_to_end(self) -> None:
        if self._drain.is_set():
            self._hurry.set()
        self._drain.set()

    async def until_drained(self) -> None:
        """Serve until SIGTERM, then let the connections end."""
        await self._drain.wait()
        self._pause()
        self._worker._start_draining()
        if not await self._ends(self._limits.drain_timeout, self._hurry):
            left = self._count()
            _LOG.warning(
                "%s: %d connection(s) did not end within %g s and are ended",
                self._worker.name,
                left,
                self._limits.drain_timeout,
            )
            for task in list(self._tasks):
                task.cancel()
            for sock in list(self._threads.values()):
                _shut_down(sock)
            if not await self._ends(_LAST_S, asyncio.Event()):
                for stream in list(self._tasks.values()):
                    stream.abort()
                # The transports close at the next turn of the loop.
                await asyncio.sleep(0)

    async def _ends(self, timeout_s: float, hurry: asyncio.Event) -> bool:
        """Whether all connections end in time; False at once when there is hurry."""
        deadline = self._loop.time() + timeout_s
        while self._count():
            left_s = deadline - self._loop.time()
            if left_s <= 0 or hurry.is_set():
                return False
            self._changed.clear()
            waits = [asyncio.ensure_future(self._changed.wait()), asyncio.ensure_future(hurry.wait())]
            await asyncio.wait(waits, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            for each in waits:
                each.cancel()
        return True

    def _count(self) -> int:
        return len(self._tasks) + len(self._threads)

    def _resume(self) -> None:
        if self._accepting or self._drain.is_set():
            return
        self._accepting = True
        for listener in self._plan.listeners:
            self._loop.add_reader(listener.fileno(), self._accept, listener)

    def _pause(self, resume_after_s: float | None = None) -> None:
        if self._accepting:
            self._accepting = False
            for listener in self._plan.listeners:
                self._loop.remove_reader(listener.fileno())
        if resume_after_s is not None:
            self._loop.call_later(resume_after_s, self._resume)

    def _accept(self, listener: socket.socket) -> None:
        if self._limits.max_connections is None:
            self._accept_one(listener)
            return
        # The sum is exact only while nobody else accepts; a worker that was stopped meanwhile is not waited for.
        lock = self._plan.seats.accepting
        try:
            if not lock.acquire(False):
                self._pause(_LOCKED_S)
                return
        except OwnerDied:
            pass  # ours now; what the dead one had is no longer counted, or soon will not be
        try:
            if self._plan.seats.connections() < self._limits.max_connections:
                self._told_limit = False
                self._accept_one(listener)
                return
        finally:
            lock.release()
        if not self._told_limit:
            self._told_limit = True
            _LOG.warning(
                "%s: there are %d connections (max_connections); further ones wait until one ends",
                self._worker.name,
                self._limits.max_connections,
            )
        self._pause(_AT_LIMIT_S)

    def _accept_one(self, listener: socket.socket) -> None:
        try:
            sock, address = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another worker has it, or the peer has gone again
        except OSError as error:
            if error.errno not in _OUT_OF:
                raise
            _LOG.error(
                "%s cannot accept: %s (%d connections here; raise the limit with `ulimit -n`); trying again",
                self._worker.name,
                error,
                self._count(),
            )
            self._pause(_SHORT_OF_DESCRIPTORS_S)
            return
        peer = name_peer(address, _peer_pid(sock))
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            _keep_alive(sock)
        if self._async:
            stream = Stream(self._worker, self._limits, peer, address)
            task = self._loop.create_task(self._serve(stream, sock))
            self._tasks[task] = stream
            task.add_done_callback(self._ended)
        else:
            self._start_thread(sock, peer, address)
        self._counted()

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        self._counted()

    def _counted(self) -> None:
        self._plan.seats.count_connections(self._worker._seat, self._count())
        self._changed.set()

    async def _serve(self, stream: Stream, sock: socket.socket) -> None:
        try:
            await self._connect(stream, sock)
        except Exception as error:
            sock.close()
            _LOG.info("%s: no connection with %s: %s", self._worker.name, stream.peer, _one_line(error))
            return
        try:
            await self._handler(stream)
        except asyncio.CancelledError:
            stream._start_closing()
        except BaseException as error:
            # Also SystemExit: a handler ends its connection, not the worker.
            self._log_end(stream.peer, error)
        try:
            await stream.close()
        except asyncio.CancelledError:
            stream.abort()

    async def _connect(self, stream: Stream, sock: socket.socket) -> None:
        options: dict[str, Any] = {}
        if self._tls is not None:
            options = {"ssl": self._tls, "ssl_handshake_timeout": self._limits.handshake_timeout}
        await self._loop.connect_accepted_socket(lambda: Wire(stream), sock, **options)

    def _start_thread(self, sock: socket.socket, peer: str, address: Any) -> None:
        key = self._next_thread
        self._next_thread += 1
        self._threads[key] = sock
        # A daemon: one that does not end in time must not hold the process.
        thread = threading.Thread(target=self._serve_blocking, args=(key, sock, peer, address), name=peer, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            del self._threads[key]
            sock.close()
            _LOG.error("%s: no thread for %s: %s; its connection is closed", self._worker.name, peer, error)

    def _serve_blocking(self, key: int, sock: socket.socket, peer: str, address: Any) -> None:
        try:
            sock.settimeout(self._limits.handshake_timeout)
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
                self._threads[key] = sock
            elif sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._handler(BlockingStream(self._worker, self._limits, peer, address, sock))
        except BaseException as error:
            self._log_end(peer, error)
        finally:
            _shut_down(sock)
            sock.close()
            try:
                self._loop.call_soon_threadsafe(self._thread_ended, key)
            except RuntimeError:
                pass  # the loop is closed: the process ends

    def _thread_ended(self, key: int) -> None:
        del self._threads[key]
        self._counted()

    def _log_end(self, peer: str, error: BaseException) -> None:
        """Why a handler ended; in full when it is the handler's own mistake."""
        name = self._worker.name
        if isinstance(error, ConnectionError):
            _LOG.debug("%s: %s went: %s", name, peer, error)
        elif isinstance(error, (TimeoutError, MessageTooLong, asyncio.IncompleteReadError)):
            _LOG.warning("%s: the connection with %s ended: %s", name, peer, _one_line(error))
        else:
            _LOG.error("%s: the handler raised, and the connection with %s is closed", name, peer, exc_info=error)


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _shut_down(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # the peer was faster


def _peer_pid(sock: socket.socket) -> int | None:
    if sock.family != socket.AF_UNIX:
        return None
    pid: int = struct.unpack("iII", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    return pid


def _keep_alive(sock: socket.socket) -> None:
    """So that a peer which is gone without a word is noticed within two minutes."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4)):
        sock.setsockopt(socket.IPPROTO_TCP, option, value)
