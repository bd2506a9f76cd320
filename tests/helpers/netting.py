"""Handlers that the tests serve, and clients for them."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from hardy.net import TCPServer

__all__ = ["Client", "answer", "answer_plainly", "connected", "handle_for_ever", "one_at_each"]

DEADLINE_S = 20.0
C = TypeVar("C", bound="Client")


class Client:
    """A connection that speaks lines, each wait with a deadline."""

    def __init__(self, address: Any) -> None:
        family = (
            socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        )
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(DEADLINE_S)
        self.socket.connect(address)
        self._file = self.socket.makefile("rb")

    def say(self, text: str) -> None:
        """Send a line."""
        self.socket.sendall(text.encode() + b"\n")

    def hear(self) -> str:
        """The next line; "" when the server has ended the connection."""
        try:
            return self._file.readline().decode(errors="replace").rstrip("\n")
        except ConnectionResetError:
            return ""

    def ask(self, text: str) -> str:
        """Send a line; the next one that comes."""
        self.say(text)
        return self.hear()

    def greet(self) -> None:
        """Return once a worker has answered; the handler answers every line."""
        self.ask("hello")

    def close(self) -> None:
        """End the connection."""
        self._file.close()
        self.socket.close()


@contextmanager
def connected(server: TCPServer | Any, count: int = 1) -> Iterator[list[Client]]:
    """So many clients of a server, or of an address."""
    address = server.address if isinstance(server, TCPServer) else server
    clients: list[Client] = []
    try:
        for _ in range(count):
            clients.append(Client(address))
        yield clients
    finally:
        for client in clients:
            client.close()


@contextmanager
def one_at_each(server: TCPServer, kind: Callable[[Any], C]) -> Iterator[dict[int, C]]:
    """A client at each worker, by its pid; its `greet` returns when it has been answered."""
    clients: dict[int, C] = {}
    try:
        for pid in server.workers:
            # The others are stopped meanwhile, so that it is this one which accepts.
            others = [other for other in server.workers if other != pid]
            for other in others:
                os.kill(other, signal.SIGSTOP)
            try:
                clients[pid] = kind(server.address)
                clients[pid].greet()
            finally:
                for other in others:
                    os.kill(other, signal.SIGCONT)
        yield clients
    finally:
        for client in clients.values():
            client.close()


async def answer(stream: Any) -> None:
    """What most tests serve: commands, a line each."""
    async for line in stream:
        word = line.decode(errors="replace").strip()
        if word == "pid":
            await stream.write(b"%d\n" % os.getpid())
        elif word == "raise":
            raise ValueError("the handler's own mistake")
        elif word == "leave":
            raise SystemExit(7)
        elif word == "flood":
            while True:
                await stream.write(b"x" * 65_536)
        elif word == "generation":
            await stream.write(b"%d\n" % stream.worker.generation)
        else:
            await stream.write(line)


def answer_plainly(stream: Any) -> None:
    """The same as a plain function."""
    for line in stream:
        word = line.decode(errors="replace").strip()
        if word == "pid":
            stream.write(b"%d\n" % os.getpid())
        elif word == "raise":
            raise ValueError("the handler's own mistake")
        elif word == "leave":
            raise SystemExit(7)
        elif word == "flood":
            while True:
                stream.write(b"x" * 65_536)
        elif word == "thread":
            stream.write(threading.current_thread().name.encode() + b"\n")
        else:
            stream.write(line)


async def handle_for_ever(stream: Any) -> None:
    """Says that it is there, and does not end by itself."""
    import asyncio

    await stream.write(b"here\n")
    await asyncio.get_running_loop().create_future()


async def answer_and_subscribe(stream: Any) -> None:
    """What is said after `all ` goes to every client; `pid` and the rest as in `answer`."""
    with stream.worker.subscribe(stream.push):
        async for line in stream:
            if line.startswith(b"all "):
                stream.worker.broadcast(line)
            elif line == b"pid\n":
                await stream.write(b"%d\n" % os.getpid())
            else:
                await stream.write(line)


async def starve_of_descriptors(stream: Any) -> None:
    """`starve` leaves this worker no room for more connections; `feed` gives it back."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    async for line in stream:
        soft = hard
        if line == b"starve\n":
            soft = os.dup(0)
            os.close(soft)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await stream.write(line)
