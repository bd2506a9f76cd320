"""An ASGI application on uvicorn, in processes of hardy that share one listening socket."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

import uvicorn

from hardy.connection import wait
from hardy.context import Process
from hardy.errors import ProcessDied

__all__ = ["Site", "address_of", "keep_serving", "listen"]

_BACKLOG = 1024
# What a request may still take after the server was told to end.
_GRACE_S = 2


@dataclass(frozen=True)
class Site:
    """What is served, and what its command is called.

    Attributes:
        command: as the user typed it, for messages.
        name: of the worker processes.
        make_app: makes the ASGI application, in each worker.
        args: of `make_app`.
        unharmed: what a killed worker has not cost, for the message about it.
        tls: paths of certificate and key (None: it stands in the certificate's file); None: plain HTTP.
    """

    command: str
    name: str
    make_app: Callable[..., Any]
    args: tuple[Any, ...]
    unharmed: str
    tls: tuple[str, str | None] | None = None


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        OSError: it cannot be had; the message says what to try.
    """
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=_BACKLOG
        )
    except (OSError, OverflowError) as error:
        raise OSError(
            f"cannot listen on {host} port {port}: {error}. Take another with --port, or 0 for a free one"
        ) from error


def address_of(listener: socket.socket, host: str, scheme: str = "http") -> str:
    """The URL under which the socket is reached."""
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}/"


def _serve(site: Site, listener: socket.socket) -> None:
    server: uvicorn.Server | None = None

    def tell(number: int, frame: FrameType | None) -> None:
        # While it serves, uvicorn takes these for itself; and raises them again at its end: then they have done
        # their work.
        if server is None or not server.started:
            os._exit(0)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, tell)
    # A listener that is handed over does not pass TCP_NODELAY on, and each answer would wait 40 ms for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    certificate, key = site.tls or (None, None)
    config = uvicorn.Config(
        site.make_app(*site.args),
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=_GRACE_S,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    server = uvicorn.Server(config)
    server.run(sockets=[listener])


class _Told(Exception):
    """The command was told to end."""


def keep_serving(site: Site, listener: socket.socket, workers: int) -> int:
    """Serve until SIGINT or SIGTERM: start the workers, and another for each that dies.

    Returns:
        The exit status: 0; 1 when a worker cannot serve.
    """
    told = waits = False
    me = os.getpid()

    def tell(number: int, frame: FrameType | None) -> None:
        nonlocal told, waits
        if os.getpid() != me:
            # A worker that has not come to serve yet: nothing is begun, and no code may catch this.
            os._exit(0)
        told = True
        # Not in the midst of a start: nobody would know of that worker, and end it.
        if waits:
            waits = False
            raise _Told

    running: list[Process] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, tell)
    try:
        while True:
            while len(running) < workers and not told:
                process = Process(target=_serve, args=(site, listener), name=site.name)
                process.start()
                running.append(process)
            waits = True
            if told:
                return 0
            wait([process.sentinel for process in running])
            waits = False
            for process in [process for process in running if not process.is_alive()]:
                running.remove(process)
                if not _may_go_on(process, site):
                    return 1
    except _Told:
        return 0
    finally:
        waits = False
        for process in running:
            process.terminate()
        for process in running:
            process.join(_GRACE_S + 1)
            if process.is_alive():
                process.kill()


def _may_go_on(process: Process, site: Site) -> bool:
    """Whether a worker that has ended is replaced: one that was killed is, one that cannot serve is not."""
    try:
        process.result()
    except ProcessDied as error:
        print(f"{error}. Another takes its place; {site.unharmed}", file=sys.stderr, flush=True)
        return True
    except Exception as error:
        print(f"{site.command}: a worker cannot serve: {error}", file=sys.stderr)
        return False
    print(
        f"{process.name!r} (pid {process.pid}) has ended, as it was told to. Another takes its place",
        file=sys.stderr,
        flush=True,
    )
    return True
