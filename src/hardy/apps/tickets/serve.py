"""`hardy tickets serve`: the application on uvicorn, in processes of hardy that share one listening socket."""

from __future__ import annotations

import signal
import socket
import sys
from types import FrameType

import uvicorn

from hardy.apps.tickets.model import BadOrder
from hardy.apps.tickets.sale import Sale
from hardy.apps.tickets.stores import open_store
from hardy.apps.tickets.web import make_app
from hardy.connection import wait
from hardy.context import Process
from hardy.errors import HardyError, ProcessDied

__all__ = ["run"]

_BACKLOG = 1024
# What a request may still take after the server was told to end.
_GRACE_S = 2


def run(where: str, events: list[str], host: str, port: int, workers: int) -> int:
    """Serve until SIGINT or SIGTERM; the exit status."""
    if workers < 1:
        print(f"hardy tickets serve: --workers must be 1 at least, not {workers}", file=sys.stderr)
        return 2
    try:
        with Sale(open_store(where)) as sale:
            for text in events:
                sale.add_event(*_parse_event(text))
            offered = sale.events()
        listener = _listen(host, port)
    except (HardyError, OSError, ImportError) as error:
        print(f"hardy tickets serve: {error}", file=sys.stderr)
        return 1
    with listener:
        address = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}/"
        print(f"selling at {address} ({len(offered)} events, books in {where})", flush=True)
        if not offered:
            print("no event is on offer yet: start it with --event NAME=TICKETS", flush=True)
        return _keep_serving(where, listener, workers)


def _parse_event(text: str) -> tuple[str, int]:
    name, found, number = text.rpartition("=")
    if not found or not name or not number.strip().lstrip("-").isdigit():
        raise BadOrder(f"an event is given as NAME=TICKETS, as in concert=100, not {text!r}")
    return name, int(number)


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=_BACKLOG
        )
    except (OSError, OverflowError) as error:
        raise OSError(
            f"cannot listen on {host} port {port}: {error}. Take another with --port, or 0 for a free one"
        ) from error


def _serve(where: str, listener: socket.socket) -> None:
    # uvicorn takes these for itself, and raises them again when it has ended: then they have done their work.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _do_nothing)
    # A listener that is handed over does not pass TCP_NODELAY on, and each answer would wait 40 ms for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(make_app(where), log_level="warning", timeout_graceful_shutdown=_GRACE_S)
    uvicorn.Server(config).run(sockets=[listener])


def _do_nothing(number: int, frame: FrameType | None) -> None:
    pass


class _Told(Exception):
    """The command was told to end."""


def _keep_serving(where: str, listener: socket.socket, workers: int) -> int:
    """Start the workers, and another for each that dies, until a signal comes."""

    def tell(number: int, frame: FrameType | None) -> None:
        raise _Told

    running: list[Process] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, tell)
    try:
        while True:
            while len(running) < workers:
                process = Process(target=_serve, args=(where, listener), name="tickets")
                process.start()
                running.append(process)
            wait([process.sentinel for process in running])
            for process in [process for process in running if not process.is_alive()]:
                running.remove(process)
                if not _may_go_on(process):
                    return 1
    except _Told:
        return 0
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.join(_GRACE_S + 1)
            if process.is_alive():
                process.kill()


def _may_go_on(process: Process) -> bool:
    """Whether a worker that has ended is replaced: one that was killed is, one that cannot serve is not."""
    try:
        process.result()
    except ProcessDied as error:
        print(f"{error}. Another takes its place; no order was lost", file=sys.stderr, flush=True)
        return True
    except Exception as error:
        print(f"hardy tickets serve: a worker cannot serve: {error}", file=sys.stderr)
        return False
    return False
