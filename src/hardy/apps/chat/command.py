"""The command `hardy chat`."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import importlib.util
import logging
import os
import sys

from hardy.errors import HardyError

__all__ = ["main"]

_PORT = 7000


def main(argv: list[str] | None = None) -> int:
    """Run `hardy chat`.

    Args:
        argv: the command line after `hardy chat`; None: that of this process.

    Returns:
        The exit status: 0; 1 when something went wrong, which for bots includes a lost message; 2 when it was not
        understood.
    """
    options = _parser().parse_args(argv)
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hardy chat", description="A chat over any number of processes.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="serve | join | bots")
    serve = commands.add_parser("serve", help="serve it: for nc, for `join` and, at the same port, for browsers")
    join = commands.add_parser("join", help="talk, in a terminal")
    bots = commands.add_parser("bots", help="automatic clients, which count what is lost, late or out of order")
    for each in (serve, join, bots):
        each.add_argument("--host", default="127.0.0.1", help="address of the server (default: %(default)s)")
        each.add_argument("--port", type=int, default=_PORT, help="its port (default: %(default)s)")
    serve.add_argument("--workers", type=int, metavar="N", help="processes (default: one for each processor)")
    serve.add_argument("--history", type=int, default=500, metavar="N", help="what a room remembers (default: 500)")
    serve.set_defaults(run=_serve)
    join.add_argument("--name", help="who you are (default: your user name)")
    join.add_argument("--room", default="lobby", help="where you go first (default: %(default)s)")
    join.set_defaults(run=_join)
    bots.add_argument("--n", type=int, default=100, help="how many (default: %(default)s)")
    bots.add_argument("--rate", type=float, default=5.0, help="messages of each per second (default: %(default)s)")
    bots.add_argument("--seconds", type=float, default=60.0, help="for how long (default: %(default)s)")
    bots.add_argument("--rooms", type=int, default=1, help="over so many rooms (default: %(default)s)")
    bots.set_defaults(run=_bots)
    return parser


def _serve(options: argparse.Namespace) -> int:
    from hardy.apps.chat.serve import make_server

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        server = make_server(options.host, options.port, workers=options.workers, history=options.history)
    except (OSError, ValueError) as error:
        print(f"hardy chat serve: {getattr(error, 'strerror', None) or error}", file=sys.stderr)
        return 1

    def tell() -> None:
        host, port = str(server.address[0]), server.address[1]
        shown = f"[{host}]" if ":" in str(host) else host
        print(f"chatting at http://{shown}:{port}/ ({len(server.workers)} workers, pid {os.getpid()})", flush=True)
        print(f"in a terminal: hardy chat join --port {port}, or nc {host} {port} and /name YOURS", flush=True)
        if importlib.util.find_spec("wsproto") is None:
            print("the page needs wsproto: pip install 'hardy[chat]'", flush=True)

    try:
        server.run(ready=tell)
    except HardyError as error:
        print(f"hardy chat serve: {error}", file=sys.stderr)
        return 1
    return 0


def _join(options: argparse.Namespace) -> int:
    from hardy.apps.chat.join import join

    return asyncio.run(join(options.host, options.port, options.name or getpass.getuser(), options.room))


def _bots(options: argparse.Namespace) -> int:
    from hardy.apps.chat.bots import run_bots
    from hardy.apps.chat.client import ChatError

    for name in ("n", "rate", "seconds", "rooms"):
        if not getattr(options, name) > 0:
            print(f"hardy chat bots: --{name} must be more than 0, not {getattr(options, name)}", file=sys.stderr)
            return 2
    try:
        report = asyncio.run(
            run_bots(
                options.host,
                options.port,
                n=options.n,
                rate=options.rate,
                seconds=options.seconds,
                rooms=min(options.rooms, options.n),
            )
        )
    except asyncio.TimeoutError:
        print("hardy chat bots: the server does not answer. Is it too busy for so many bots?", file=sys.stderr)
        return 1
    except (OSError, ChatError) as error:
        print(f"hardy chat bots: {error}. Is there a server? hardy chat serve --port {options.port}", file=sys.stderr)
        return 1
    print(report)
    return 0 if report.is_right else 1
