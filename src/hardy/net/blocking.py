"""`BlockingStream`: one connection, in a thread of its own, for a handler that is a plain function."""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any

from hardy.net.framing import check_length, check_separator, find_end

if TYPE_CHECKING:
    from hardy.net.options import Limits
    from hardy.net.worker import Worker

__all__ = ["BlockingStream"]

_CHUNK = 65_536


class BlockingStream:
    """One connection, for a handler that is a plain function; the methods of `Stream`, each of which waits.

    Attributes:
        peer: who is at the other end, as in `192.0.2.1:5000`.
        peer_address: the same as the socket gives it.
        worker: the process that serves it, a `Worker`.
        socket: what it is made of.
    """

    def __init__(self, worker: Worker, limits: Limits, peer: str, peer_address: Any, sock: socket.socket) -> None:
        self.peer = peer
        self.peer_address = peer_address
        self.worker = worker
        self.socket = sock
        self._limits = limits
        self._buffer = bytearray()
        self._eof = False
        self._writing = threading.Lock()
        sock.settimeout(limits.write_timeout)
        waits = [each for each in (limits.read_timeout, limits.idle_timeout) if each is not None]
        self._read_timeout = min(waits) if waits else None

    def __repr__(self) -> str:
        return f"<BlockingStream to {self.peer}>"

    def __iter__(self) -> BlockingStream:
        return self

    def __next__(self) -> bytes:
        """The next line, with its end."""
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def read(self, n: int = _CHUNK) -> bytes:
        """What is there, up to `n` bytes, once there is any; b"" when the peer has ended its side."""
        if n < 1:
            raise ValueError(f"n must be 1 or more, not {n}")
        if not self._buffer:
            self._more(self._deadline())
        return self._take(min(n, len(self._buffer)))

    def readline(self) -> bytes:
        r"""A line with its `\n`; what there is when the peer has ended its side, b"" when that is nothing."""
        try:
            return self.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            return error.partial

    def readuntil(self, separator: bytes = b"\n") -> bytes:
        """What comes before the separator, with it. Raises as that of `Stream`."""
        check_separator(separator)
        limit, scanned, deadline = self._limits.max_message, 0, self._deadline()
        while True:
            end = find_end(self._buffer, separator, scanned, limit, self.peer)
            if end >= 0:
                return self._take(end)
            scanned = len(self._buffer)
            if not self._more(deadline):
                raise asyncio.IncompleteReadError(self._take(len(self._buffer)), None)

    def readexactly(self, n: int) -> bytes:
        """Exactly `n` bytes. Raises as that of `Stream`."""
        check_length(n, self._limits.max_message, self.peer)
        deadline = self._deadline()
        while len(self._buffer) < n:
            if not self._more(deadline):
                raise asyncio.IncompleteReadError(self._take(len(self._buffer)), n)
        return self._take(n)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of it; any thread may.

        Raises:
            TimeoutError: the peer did not take it for `write_timeout` seconds; the connection is cut.
            ConnectionError: the connection was lost.
        """
        with self._writing:
            try:
                self.socket.sendall(data)
            except TimeoutError:
                self.close()
                raise TimeoutError(
                    f"{self.peer} did not read what was sent to it for {self._limits.write_timeout:g} s "
                    "(write_timeout); it was cut off"
                ) from None

    def close(self) -> None:
        """End the connection. A thread that reads gets b""."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it was lost before

    def _deadline(self) -> float | None:
        return None if self._read_timeout is None else time.monotonic() + self._read_timeout

    def _more(self, deadline: float | None) -> bool:
        """Wait for more bytes; False: there will be none."""
        if self._eof:
            return False
        while True:
            # The socket's own time-out is that of writing, which another thread may be doing.
            if not self._is_readable(deadline):
                self.close()
                raise TimeoutError(
                    f"{self.peer} sent no whole message for {self._read_timeout:g} s (read_timeout, idle_timeout); the "
                    "connection was ended"
                )
            try:
                data = self.socket.recv(_CHUNK)
                break
            except TimeoutError:
                continue  # a part of a TLS record
        self._eof = not data
        self._buffer += data
        return bool(data)

    def _is_readable(self, deadline: float | None) -> bool:
        if isinstance(self.socket, ssl.SSLSocket) and self.socket.pending():
            return True
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return bool(poll.poll(None if deadline is None else max(deadline - time.monotonic(), 0) * 1000))

    def _take(self, n: int) -> bytes:
        data = bytes(memoryview(self._buffer)[:n])
        del self._buffer[:n]
        return data
