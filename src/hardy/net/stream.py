"""`Stream`: one connection, in the event loop of a worker.

    bytes in -> _buffer -> read, readline, readuntil, readexactly; reading from the socket stops while _buffer is full
    write -> the transport's buffer -> bytes out; `write` waits while that one is full

One coroutine reads at a time, and any number write. Time-outs cost a timer a connection, not one a call.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
from typing import TYPE_CHECKING, Any

from hardy.net.framing import check_length, check_separator, find_end

if TYPE_CHECKING:
    from hardy.net.options import Limits
    from hardy.net.worker import Worker

__all__ = ["Stream", "Wire", "name_peer"]

_CHUNK = 65_536
_MOST_UNSENT = 65_536
_TURN = 262_144
# What a pushed-to peer may leave unread.
_MOST_PUSHED = 1 << 20
# How long what the peer still sends is taken and dropped, after the last word to it: an unread byte at the close would
# make the kernel reset the connection, and the last word would be lost.
_LINGER_S = 2.0


def name_peer(address: Any, credentials: int | None = None) -> str:
    """A peer for people: `192.0.2.1:5000`, `[2001:db8::1]:5000`, `pid 123` at a unix socket."""
    if isinstance(address, tuple) and len(address) >= 2:
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
    return f"pid {credentials}" if credentials else "a local process"


class Stream:
    """One connection, for an `async def` handler.

    Attributes:
        peer: who is at the other end, as in `192.0.2.1:5000`.
        peer_address: the same as the socket gives it.
        worker: the process that serves it, a `Worker`.
    """

    def __init__(self, worker: Worker, limits: Limits, peer: str, peer_address: Any) -> None:
        self.peer = peer
        self.peer_address = peer_address
        self.worker = worker
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._buffer = bytearray()
        self._most_buffered = limits.max_message + _CHUNK
        self._reading_paused = False
        self._eof = False
        self._dropping = False
        self._error: BaseException | None = None
        self._reader: asyncio.Future[None] | None = None
        self._read_by: float | None = None
        self._writing_paused = False
        self._written = 0
        self._writers: collections.deque[asyncio.Future[None]] = collections.deque()
        self._lost = self._loop.create_future()
        self._is_lost = False
        self._closing = False
        self._last_byte = 0.0
        self._watches_idle = limits.idle_timeout is not None
        self._idle_timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Stream to {self.peer}{', closed' if self._closing else ''}>"

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> bytes:
        """The next line, with its end."""
        line = await self.readline()
        if not line:
            raise StopAsyncIteration
        return line

    @property
    def closing(self) -> bool:
        """Whether nothing can be written any more."""
        return self._closing or self._is_lost

    async def read(self, n: int = _CHUNK) -> bytes:
        """What is there, up to `n` bytes, once there is any; b"" when the peer has ended its side.

        Raises:
            TimeoutError: nothing came in time; the connection is ended.
            ConnectionError: the connection was lost.
        """
        if n < 1:
            raise ValueError(f"n must be 1 or more, not {n}")
        while not self._buffer:
            if not await self._more():
                return b""
        return self._take(min(n, len(self._buffer)))

    async def readline(self) -> bytes:
        r"""A line with its `\n`; once the peer has ended its side, what there is, or b"". Raises as `readuntil`."""
        try:
            return await self.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            return error.partial

    async def readuntil(self, separator: bytes = b"\n") -> bytes:
        """What comes before the separator, with it.

        Raises:
            MessageTooLong: there are more than `max_message` bytes and no separator in them.
            asyncio.IncompleteReadError: the peer ended its side before; `partial` has what came.
            TimeoutError: it did not come in time; the connection is ended.
            ConnectionError: the connection was lost.
        """
        check_separator(separator)
        limit = self._limits.max_message
        if not self._buffer:
            await self._more()
        scanned = 0
        while True:
            end = find_end(self._buffer, separator, scanned, limit, self.peer)
            if end >= 0:
                return self._take(end)
            scanned = len(self._buffer)
            if not await self._more():
                raise asyncio.IncompleteReadError(self._take(len(self._buffer)), None)

    async def readexactly(self, n: int) -> bytes:
        """Exactly `n` bytes.

        Raises:
            MessageTooLong: `n` is more than `max_message`.
            asyncio.IncompleteReadError: the peer ended its side before; `partial` has what came.
            TimeoutError: they did not come in time; the connection is ended.
            ConnectionError: the connection was lost.
        """
        check_length(n, self._limits.max_message, self.peer)
        while len(self._buffer) < n:
            if not await self._more():
                raise asyncio.IncompleteReadError(self._take(len(self._buffer)), n)
        return self._take(n)

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send; waits while the peer does not take what was sent before.

        Raises:
            TimeoutError: it did not for `write_timeout` seconds; the connection is cut.
            ConnectionError: the connection was lost, or closed here.
        """
        if self._error is not None or self._closing or self._is_lost:
            self._check_writable()
        if self._watches_idle:
            self._last_byte = self._loop.time()
        self._transport.write(data)
        self._written += len(data)
        if self._writing_paused:
            await self._drain()
        elif self._written > _TURN or self._transport.is_closing():
            # A peer that takes all at once would keep the loop for itself; and of a lost connection the loop tells at
            # its next turn, which a handler that writes on and on would not let come.
            self._written = 0
            await asyncio.sleep(0)

    def push(self, data: bytes | bytearray | memoryview) -> bool:
        """Send without waiting, as what a broadcast calls must; whether the peer is still there.

        A peer that leaves a mebibyte unread is cut off, and its handler is told so.
        """
        if self.closing:
            return False
        if self._watches_idle:
            self._last_byte = self._loop.time()
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > _MOST_PUSHED:
            self._cut(TimeoutError(f"{self.peer} does not read: {_MOST_PUSHED} bytes wait for it; it was cut off"))
            return False
        return True

    async def close(self) -> None:
        """Send what is still to be sent, and end the connection; returns when it has ended."""
        self._start_closing()
        await asyncio.shield(self._lost)

    def abort(self) -> None:
        """End the connection at once; what is not sent is lost."""
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    def _start_closing(self) -> None:
        if self._closing:
            return
        self._closing = True
        if self._transport is None or self._lost.done():
            return
        unread = bool(self._buffer) or self._reading_paused
        wait_s = self._limits.write_timeout
        if unread and self._transport.can_write_eof() and not self._eof:
            self._dropping = True
            self._buffer.clear()
            self._resume_reading()
            self._transport.write_eof()
            wait_s = min(wait_s, _LINGER_S)
        else:
            self._transport.close()
        # A peer that never reads the rest must not hold us.
        timer = self._loop.call_later(wait_s, self._transport.abort)
        self._lost.add_done_callback(lambda _: timer.cancel())

    def _check_writable(self) -> None:
        if self._error is not None:
            raise self._error
        if self.closing:
            raise ConnectionResetError(f"the connection to {self.peer} is closed")

    async def _drain(self) -> None:
        waiter = self._loop.create_future()
        self._writers.append(waiter)
        late = self._loop.call_later(self._limits.write_timeout, self._write_is_late)
        try:
            await waiter
        finally:
            late.cancel()
            with contextlib.suppress(ValueError):
                self._writers.remove(waiter)

    def _write_is_late(self) -> None:
        self._cut(
            TimeoutError(
                f"{self.peer} did not read what was sent to it for {self._limits.write_timeout:g} s (write_timeout); "
                "it was cut off"
            )
        )

    async def _more(self) -> bool:
        """Wait for more bytes; False: there will be none."""
        if self._error is not None:
            raise self._error
        if self._eof:
            return False
        if self._reader is not None:
            raise RuntimeError(f"two tasks read from {self!r} at once; let one read, and hand on what it got")
        if self._reading_paused:
            self._resume_reading()
        before = len(self._buffer)
        waiter = self._reader = self._loop.create_future()
        timeout_s = self._limits.read_timeout
        late = None
        if timeout_s is not None:
            # Of the whole read, so that a byte now and then does not prolong it.
            if self._read_by is None:
                self._read_by = self._loop.time() + timeout_s
            late = self._loop.call_at(self._read_by, self._read_is_late)
        try:
            await waiter
        finally:
            self._reader = None
            if late is not None:
                late.cancel()
        if len(self._buffer) > before:
            return True
        if self._error is not None:
            raise self._error
        return not self._eof

    def _read_is_late(self) -> None:
        self._cut(
            TimeoutError(
                f"{self.peer} sent no whole message for {self._limits.read_timeout:g} s (read_timeout); the "
                "connection was ended"
            )
        )

    def _take(self, n: int) -> bytes:
        self._read_by = None
        if n == len(self._buffer):
            data = bytes(self._buffer)
            self._buffer.clear()
            return data
        data = bytes(memoryview(self._buffer)[:n])
        del self._buffer[:n]
        return data

    def _resume_reading(self) -> None:
        if self._reading_paused and not self._lost.done():
            self._reading_paused = False
            self._transport.resume_reading()

    def _cut(self, error: BaseException) -> None:
        """End the connection; whoever reads or writes is told why."""
        if self._error is None:
            self._error = error
        self._wake(self._error)
        self.abort()

    def _wake(self, error: BaseException | None) -> None:
        for waiter in [*self._writers, *([self._reader] if self._reader else [])]:
            if waiter.done():
                continue
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)

    def _look_idle(self) -> None:
        timeout_s = self._limits.idle_timeout
        assert timeout_s is not None
        due = self._last_byte + timeout_s
        if due > self._loop.time():
            self._idle_timer = self._loop.call_at(due, self._look_idle)
            return
        self._cut(
            TimeoutError(f"no byte from or to {self.peer} for {timeout_s:g} s (idle_timeout); the connection was ended")
        )


class Wire(asyncio.Protocol):
    """What the event loop tells a stream."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = self._stream
        stream._transport = transport
        stream._last_byte = stream._loop.time()
        stream._transport.set_write_buffer_limits(high=_MOST_UNSENT)
        if stream._limits.idle_timeout is not None:
            stream._look_idle()

    def data_received(self, data: bytes) -> None:
        stream = self._stream
        if stream._dropping:
            return
        if stream._watches_idle:
            stream._last_byte = stream._loop.time()
        stream._buffer += data
        waiter = stream._reader
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        if len(stream._buffer) > _CHUNK and (waiter is None or len(stream._buffer) > stream._most_buffered):
            # Nobody reads, or more than a message is there: it waits in the kernel, and then at the peer.
            self._pause()

    def _pause(self) -> None:
        if not self._stream._reading_paused:
            self._stream._reading_paused = True
            self._stream._transport.pause_reading()

    def eof_received(self) -> bool:
        stream = self._stream
        stream._eof = True
        if stream._reader is not None and not stream._reader.done():
            stream._reader.set_result(None)
        # The handler may still answer; TLS knows no half-closed connection.
        return not stream._dropping and bool(stream._transport.can_write_eof())

    def pause_writing(self) -> None:
        self._stream._writing_paused = True

    def resume_writing(self) -> None:
        self._stream._writing_paused = False
        for waiter in self._stream._writers:
            if not waiter.done():
                waiter.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        stream = self._stream
        stream._eof = stream._is_lost = True
        if stream._idle_timer is not None:
            stream._idle_timer.cancel()
        if error is not None and stream._error is None:
            stream._error = ConnectionResetError(f"the connection to {stream.peer} was lost: {error}")
        writers_error = stream._error or ConnectionResetError(f"the connection to {stream.peer} was lost")
        for waiter in stream._writers:
            if not waiter.done():
                waiter.set_exception(writers_error)
        if stream._reader is not None and not stream._reader.done():
            stream._wake(stream._error)
        if not stream._lost.done():
            stream._lost.set_result(None)
