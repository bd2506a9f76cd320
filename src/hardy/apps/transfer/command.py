"""The command `hardy transfer`."""

from __future__ import annotations

import argparse
import os
import re
import sys

__all__ = ["main"]

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def _bytes(text: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", text.strip().lower())
    if found is None or not (count := int(float(found[1]) * _UNITS[found[2]])):
        raise argparse.ArgumentTypeError(f"a number of bytes, as in 500k, 20M or 3G, not {text!r}")
    return count


def _token(text: str) -> str:
    if text.startswith("@"):
        try:
            with open(text[1:], encoding="utf-8") as file:
                text = file.read().strip()
        except OSError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
    if not text:
        raise argparse.ArgumentTypeError("a token must not be empty")
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hardy transfer", description="Move files so that nothing is lost, whoever is killed."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="serve | put | get | ls | rm")
    serve = commands.add_parser("serve", help="serve a folder: uploads by tus, downloads by HTTP, a page")
    serve.add_argument("folder", help="the folder that is served")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    serve.add_argument("--port", type=int, default=8000, help="0 takes a free one (default: %(default)s)")
    serve.add_argument("--workers", type=int, default=2, metavar="N", help="processes that serve (default: 2)")
    for kind, may in (("read", "read"), ("write", "read and write")):
        serve.add_argument(
            f"--{kind}-token",
            type=_token,
            default=os.environ.get(f"HARDY_TRANSFER_{kind.upper()}_TOKEN"),
            metavar="TOKEN",
            help=f"who has it may {may}; @FILE reads it there; also HARDY_TRANSFER_{kind.upper()}_TOKEN",
        )
    serve.add_argument("--tls-cert", metavar="FILE", help="certificate (PEM): serve HTTPS")
    serve.add_argument("--tls-key", metavar="FILE", help="its key, if not in the same file")
    serve.add_argument("--max-size", type=_bytes, metavar="BYTES", help="the most for one file, as in 20G")
    serve.add_argument("--quota", type=_bytes, metavar="BYTES", help="the most for all files, as in 500G")
    serve.add_argument(
        "--cors",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="pages of ORIGIN (https://example.org; * for all) may use the server from a browser; can be repeated",
    )
    serve.add_argument(
        "--expire", type=float, default=86400.0, metavar="S", help="give uploads up after S idle seconds"
    )
    serve.add_argument(
        "--no-fsync", action="store_true", help="do not wait for the disk: whole after a kill, not a power cut"
    )

    put = commands.add_parser("put", help="upload files and folders; goes on where it was interrupted")
    put.add_argument("paths", nargs="+", metavar="SERVER PATH", help="the server's address, then files and folders")
    put.add_argument("--to", default="", metavar="NAME", help="name there; ends with / for a folder to put into")
    put.add_argument("--replace", action="store_true", help="replace files that are there")
    get = commands.add_parser("get", help="download files and folders; goes on where it was interrupted")
    get.add_argument("paths", nargs="+", metavar="SERVER NAME", help="the server's address, then names; or addresses")
    get.add_argument("--into", default=".", metavar="FOLDER", help="where to (default: here)")
    get.add_argument("--replace", action="store_true", help="replace files that are here")
    get.add_argument("--connections", type=int, default=4, metavar="N", help="ranges at a time (default: 4)")
    ls = commands.add_parser("ls", help="list files")
    ls.add_argument("server", help="its address")
    ls.add_argument("folder", nargs="?", default="", help="one of its folders")
    ls.add_argument("--recursive", action="store_true", help="all files below")
    ls.add_argument("--json", action="store_true", help="as JSON")
    rm = commands.add_parser("rm", help="remove files")
    rm.add_argument("server", help="its address")
    rm.add_argument("names", nargs="+", help="of the files")
    for each in (put, get, ls, rm):
        each.add_argument(
            "--token",
            type=_token,
            default=os.environ.get("HARDY_TRANSFER_TOKEN"),
            help="the server's; @FILE reads it there; also HARDY_TRANSFER_TOKEN",
        )
        each.add_argument("--ca", metavar="FILE", help="certificate that the server's is to be signed by")
    for each in (put, get):
        each.add_argument("--limit-rate", type=_bytes, metavar="BYTES", help="the most a second, as in 2M")
        each.add_argument("--patience", type=float, default=60.0, metavar="S", help="try so long without progress")
        each.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run `hardy transfer`.

    Args:
        argv: the command line after `hardy transfer`; None: that of this process.

    Returns:
        The exit status: 0; 1 when something was not transferred; 2 when it was not understood.
    """
    options = _parser().parse_args(argv)
    try:
        if options.command == "serve":
            return _serve(options)
        from hardy.apps.transfer import terminal
    except ImportError as error:
        print(f"hardy transfer {options.command} needs {error.name}: pip install 'hardy[transfer]'", file=sys.stderr)
        return 2
    return terminal.run(options)


def _serve(options: argparse.Namespace) -> int:
    from hardy.apps.transfer.serve import serve
    from hardy.apps.transfer.tus import Limits

    if options.tls_key and not options.tls_cert:
        print("hardy transfer serve: --tls-key needs --tls-cert", file=sys.stderr)
        return 2
    return serve(
        options.folder,
        host=options.host,
        port=options.port,
        workers=options.workers,
        read_token=options.read_token or "",
        write_token=options.write_token or "",
        tls=(options.tls_cert, options.tls_key) if options.tls_cert else None,
        limits=Limits(options.max_size, options.quota),
        lifetime_s=options.expire,
        durable=not options.no_fsync,
        origins=options.cors,
    )
