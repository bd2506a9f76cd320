"""`python -m bench.peers.serving KIND WORKERS`: a server for wrk, which prints its port and stays.

All of them speak as much HTTP/1.1 as wrk does: a GET is answered by two bytes, a POST by its own body.
"""

from __future__ import annotations

import asyncio
import os
import socketserver
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["KINDS"]

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"
_LENGTH = b"Content-Length: "


def _length_of_body(head: bytes) -> int:
    start = head.find(_LENGTH)
    return int(head[start + len(_LENGTH) : head.index(b"\r", start)]) if start >= 0 else 0


def _say(port: int) -> None:
    print(port, flush=True)


def app(environ: dict[str, Any], start: Callable[[str, list[tuple[str, str]]], object]) -> list[bytes]:
    """The same for gunicorn, which parses HTTP by itself."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)) or b"ok"
    start("200 OK", [("Content-Length", str(len(body)))])
    return [body]


async def handle_hardy(stream: Any) -> None:
    try:
        while True:
            length = _length_of_body(await stream.readuntil(b"\r\n\r\n"))
            body = await stream.readexactly(length) if length else b"ok"
            await stream.write(_HEAD % (len(body), body))
    except asyncio.IncompleteReadError:
        return


async def _handle_asyncio(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            length = _length_of_body(await reader.readuntil(b"\r\n\r\n"))
            body = await reader.readexactly(length) if length else b"ok"
            writer.write(_HEAD % (len(body), body))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


class _Forking(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self) -> None:
        try:
            self._answer_all()
        except ConnectionError:
            return  # wrk has counted enough

    def _answer_all(self) -> None:
        while True:
            length = 0
            while (line := self.rfile.readline()) not in (b"\r\n", b""):
                length = length or _length_of_body(line)
            if not line:
                return
            body = self.rfile.read(length) if length else b"ok"
            self.wfile.write(_HEAD % (len(body), body))


def _serve_asyncio(workers: int) -> None:
    async def serve() -> None:
        server = await asyncio.start_server(_handle_asyncio, "127.0.0.1", 0)
        _say(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


def _serve_uvloop(workers: int) -> None:
    import uvloop

    uvloop.install()
    _serve_asyncio(workers)


def _serve_forking(workers: int) -> None:
    with socketserver.ForkingTCPServer(("127.0.0.1", 0), _Forking) as server:
        server.max_children = 100
        _say(server.server_address[1])
        server.serve_forever()


def _serve_gunicorn(workers: int) -> None:
    import socket

    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listener.set_inheritable(True)
    _say(listener.getsockname()[1])
    command = ["gunicorn", "-b", f"fd://{listener.fileno()}", "-w", str(workers), "-k", "gthread", "--threads", "16"]
    command += ["--log-level", "error", "bench.peers.serving:app"]
    os.execv(sys.executable, [sys.executable, "-m", *command])


def _serve_hardy(workers: int, loop: str = "auto") -> None:
    from hardy import TCPServer

    server = TCPServer(handle_hardy, workers=workers, loop=loop, drain_timeout=0)
    _, port = server.address
    server.run(ready=lambda: _say(int(port)))


def _serve_hardy_asyncio(workers: int) -> None:
    _serve_hardy(workers, "asyncio")


KINDS = {
    "asyncio": _serve_asyncio,
    "uvloop": _serve_uvloop,
    "forking": _serve_forking,
    "gunicorn": _serve_gunicorn,
    "hardy": _serve_hardy,
    "hardy-asyncio": _serve_hardy_asyncio,
}

if __name__ == "__main__":
    KINDS[sys.argv[1]](int(sys.argv[2]))
