"""`hardy serve module:function`: a server of many processes for a handler of one's own."""

from __future__ import annotations

import argparse
import logging
import os
import sys

from hardy.errors import HardyError
from hardy.net import Limits, TCPServer

__all__ = ["main"]

_DEFAULTS = Limits()


def main(argv: list[str]) -> int:
    """Serve until SIGTERM or Ctrl-C; the exit status: 0; 1 when it cannot serve; 2 when it was not understood."""
    options = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    limits = {name: getattr(options, name) for name in Limits.__dataclass_fields__}
    try:
        server = TCPServer(
            options.handler,
            options.host,
            options.port,
            workers=options.workers,
            unix=options.unix,
            systemd=options.systemd,
            certfile=options.certfile,
            keyfile=options.keyfile,
            loop=options.loop,
            **limits,
        )
    except (OSError, ValueError) as error:
        print(f"hardy serve: {_text(error)}", file=sys.stderr)
        return 1

    def tell() -> None:
        count = len(server.workers)
        print(
            f"serving {options.handler} at {', '.join(server.addresses)} "
            f"({count} worker{'s' if count > 1 else ''}; reload: kill -HUP {os.getpid()})",
            flush=True,
        )

    try:
        server.run(ready=tell)
    except (HardyError, OSError) as error:
        print(f"hardy serve: {_text(error)}", file=sys.stderr)
        return 1
    return 0


def _text(error: Exception) -> str:
    return str(error.strerror or error) if isinstance(error, OSError) else str(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hardy serve",
        description="Serve a function of your own in several processes that share one listening socket.",
        epilog="SIGTERM and Ctrl-C end it when its connections have ended; SIGHUP brings in workers that import the "
        "module anew.",
    )
    add = parser.add_argument
    add("handler", metavar="module:function", help="`async def handle(stream)`, or a plain function")
    add("--host", default="127.0.0.1", help="address to listen on; '' for all (default: %(default)s)")
    add("--port", type=int, default=8000, help="0 takes a free one (default: %(default)s)")
    add("--workers", type=int, metavar="N", help="processes that serve (default: one for each processor)")
    add("--unix", metavar="PATH", help="a unix socket in the place of host and port; @NAME: an abstract one")
    add("--systemd", action="store_true", help="take the sockets that systemd hands over")
    add("--certfile", metavar="PEM", help="serve TLS with this certificate")
    add("--keyfile", metavar="PEM", help="its private key, when it is not in the certificate's file")
    add("--loop", choices=("auto", "asyncio", "uvloop"), default="auto", help="auto: uvloop when it is installed")
    for name, kind, text in (
        ("max-connections", int, "of all workers together; further ones wait"),
        ("max-message", int, "bytes of a line, or of another message"),
        ("idle-timeout", float, "seconds without a byte that end a connection"),
        ("read-timeout", float, "seconds that a message may take"),
        ("write-timeout", float, "seconds that a peer may leave what is sent to it unread"),
        ("handshake-timeout", float, "seconds that a TLS handshake may take"),
        ("drain-timeout", float, "seconds that connections have when their worker is to end"),
        ("backlog", int, "connections that wait to be accepted"),
    ):
        default = getattr(_DEFAULTS, name.replace("-", "_"))
        shown = "none" if default is None else default
        add(f"--{name}", type=kind, default=default, metavar="N", help=f"{text} (default: {shown})")
    return parser
