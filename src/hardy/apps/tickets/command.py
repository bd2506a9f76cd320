"""The command `hardy tickets`."""

from __future__ import annotations

import argparse
import sys

from hardy.apps.tickets import demo

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Run `hardy tickets`.

    Args:
        argv: the command line after `hardy tickets`; None: that of this process.

    Returns:
        The exit status: 0; 1 when a sale was wrong, or an order was refused; 2 when it was not understood.
    """
    parser = argparse.ArgumentParser(prog="hardy tickets", description="A ticket sale that never oversells.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="demo | serve | buy")
    demo.add_arguments(commands.add_parser("demo", help="many users after few tickets, drawn on a time line"))
    serve = commands.add_parser("serve", help="sell over HTTP, with a page that shows what is left")
    serve.add_argument(
        "--store", default="tickets.db", help="a .db or .json path or postgresql:// address (default: %(default)s)"
    )
    serve.add_argument("--event", action="append", default=[], metavar="NAME=TICKETS", help="offer this event")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    serve.add_argument("--port", type=int, default=8000, help="0 takes a free one (default: %(default)s)")
    serve.add_argument("--workers", type=int, default=1, metavar="N", help="processes that serve (default: 1)")
    buy = commands.add_parser("buy", help="buy from such a server")
    buy.add_argument("url", help="as `serve` printed it")
    buy.add_argument("event", help="name of the event")
    buy.add_argument("--buyer", required=True, help="who buys")
    buy.add_argument("--quantity", type=int, default=1, metavar="N", help="how many tickets (default: 1)")
    buy.add_argument("--key", help="of this purchase, for a retry by hand (default: a new one)")
    options = parser.parse_args(argv)
    if options.command == "demo":
        return demo.run(options)
    if options.command == "serve":
        return _serve(options)
    from hardy.apps.tickets import client

    return client.buy_and_tell(options.url, options.event, options.buyer, options.quantity, options.key)


def _serve(options: argparse.Namespace) -> int:
    try:
        from hardy.apps.tickets import serve
    except ImportError as error:
        print(f"hardy tickets serve needs {error.name}: pip install 'hardy[tickets]'", file=sys.stderr)
        return 2
    return serve.run(options.store, options.event, options.host, options.port, options.workers)
