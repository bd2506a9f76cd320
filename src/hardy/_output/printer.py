"""The process that prints: it reads every process's pipes, and writes whole lines."""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import struct

__all__ = ["SYNC", "become_printer"]

SYNC = b"\0sync"
_CHUNK = 1 << 16
# At one go from one pipe, which holds 64 KiB: so that one which never stops writing keeps nobody waiting.
_CHUNKS = 4
_LONGEST_HEAD = 4096
# After so long, the beginning of a line is shown on a terminal: it may be a prompt.
_PROMPT_S = 0.1
_CREDENTIALS = struct.Struct("3i")


def become_printer(listener: socket.socket, alive: int) -> None:
    """In a forked child: a grandchild prints, and this process ends.

    Args:
        listener: where processes join.
        alive: a pipe of the program's first process, until that has joined.
    """
    code = 1
    try:
        os.setsid()
        if os.fork() == 0:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, 0)
            os.close(nothing)
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            Printer(listener, alive).run()
        code = 0
    finally:
        os._exit(code)


class Stream:
    """One pipe, and where what comes from it goes.

    Attributes:
        rest: the beginning of a line that has not ended.
        shown: how much of that is on the terminal already.
    """

    def __init__(self, fd: int, out: int, prefix: bytes) -> None:
        self.fd = fd
        self.out = out
        self.prefix = prefix
        self.rest = bytearray()
        self.shown = 0


class Printer:
    """Reads until every pipe is closed."""

    def __init__(self, listener: socket.socket, alive: int) -> None:
        self._listener = listener
        listener.setblocking(False)
        self._epoll = select.epoll()
        self._epoll.register(listener, select.EPOLLIN)
        self._streams: dict[int, Stream] = {}
        self._joining: dict[int, socket.socket] = {}
        self._gone: set[int] = set()
        # On a terminal, whose line has been begun and not ended.
        self._begun: Stream | None = None
        self._terminals = {out for out in (1, 2) if os.isatty(out)}
        self._add(Stream(alive, 1, b""))

    def run(self) -> None:
        """Print until the program has ended."""
        while self._streams or self._joining or self._accept():
            ready = self._epoll.poll(_PROMPT_S if self._has_beginnings() else None)
            if not ready:
                self._show_beginnings()
            # Those first who have ended: others may have waited for that before they wrote.
            for fd, _ in sorted(ready, key=lambda event: not event[1] & select.EPOLLHUP):
                if fd in self._streams:
                    self._read(self._streams[fd])
                elif fd in self._joining:
                    self._receive(self._joining[fd])
                elif fd == self._listener.fileno():
                    self._accept()

    def _accept(self) -> bool:
        """Take in those who are at the door; says whether there were any."""
        any_came = False
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return any_came  # nobody is there; or descriptors are exhausted, and others will give theirs back
            uid = _CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))[1]
            if uid != os.getuid():
                peer.close()
                continue
            peer.setblocking(False)
            self._joining[peer.fileno()] = peer
            self._epoll.register(peer, select.EPOLLIN)
            any_came = True

    def _receive(self, peer: socket.socket) -> None:
        """What a peer has to say: that it joins, or that it waits until all is printed."""
        try:
            head, fds, _, _ = socket.recv_fds(peer, _LONGEST_HEAD, 2)
        except BlockingIOError:
            return
        except OSError:
            head, fds = b"", []
        if head == SYNC:
            self._read_all()
        if len(fds) == 2:
            # What its parent wrote before it started this one comes first.
            self._read_all()
            pid, _, name = head.partition(b" ")
            for out, fd in enumerate(fds, start=1):
                self._add(Stream(fd, out, b"[" + name + b" " + pid + b"] "))
        try:
            peer.send(b"\0")
        except OSError:
            pass  # it was killed meanwhile
        self._epoll.unregister(peer)
        del self._joining[peer.fileno()]
        peer.close()

    def _read_all(self) -> None:
        for stream in list(self._streams.values()):
            self._read(stream)

    def _add(self, stream: Stream) -> None:
        os.set_blocking(stream.fd, False)
        self._streams[stream.fd] = stream
        self._epoll.register(stream.fd, select.EPOLLIN)
        if stream.out in self._gone:
            self._drop(stream)

    def _drop(self, stream: Stream) -> None:
        """Whoever writes there is told, as with any pipe that nobody reads."""
        self._epoll.unregister(stream.fd)
        del self._streams[stream.fd]
        os.close(stream.fd)

    def _read(self, stream: Stream) -> None:
        for _ in range(_CHUNKS):
            if stream.fd not in self._streams:
                return
            try:
                data = os.read(stream.fd, _CHUNK)
            except BlockingIOError:
                return
            if not data:
                self._print(stream, b"\n" if stream.rest else b"")
                if stream.fd in self._streams:
                    self._drop(stream)
                return
            self._print(stream, data)

    def _print(self, stream: Stream, data: bytes) -> None:
        """Print the whole lines that there are now; keep the beginning of another."""
        end = data.rfind(b"\n") + 1
        if end == 0:
            stream.rest += data
            return
        whole = bytes(stream.rest[stream.shown :]) + data[: end - 1]
        text = b"".join([stream.prefix + line + b"\n" for line in whole.split(b"\n")])
        if self._begun is stream:
            text = text[len(stream.prefix) :]
        elif self._begun is not None and stream.out in self._terminals:
            text = b"\n" + text
        if stream.out in self._terminals:
            self._begun = None
        stream.rest = bytearray(data[end:])
        stream.shown = 0
        self._write(stream.out, text)

    def _has_beginnings(self) -> bool:
        return bool(self._terminals) and any(
            len(each.rest) > each.shown for each in self._streams.values() if each.out in self._terminals
        )

    def _show_beginnings(self) -> None:
        """Nobody has written for a while: show what may be a prompt."""
        for stream in list(self._streams.values()):
            if stream.out in self._terminals and len(stream.rest) > stream.shown:
                text = bytes(stream.rest[stream.shown :])
                if self._begun is not stream:
                    text = (b"" if self._begun is None else b"\n") + stream.prefix + text
                self._begun = stream
                stream.shown = len(stream.rest)
                self._write(stream.out, text)

    def _write(self, out: int, text: bytes) -> None:
        view = memoryview(text)
        while view:
            try:
                view = view[os.write(out, view) :]
            except BlockingIOError:
                select.select([], [out], [])
            except OSError:
                # Nobody reads it any more, or there is no room: the writers are to know.
                self._gone.add(out)
                for stream in [each for each in self._streams.values() if each.out == out]:
                    self._drop(stream)
                return
