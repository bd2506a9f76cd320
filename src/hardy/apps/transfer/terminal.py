"""`hardy transfer put | get | ls | rm`: the client, told what to do on a command line."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from hardy.apps.transfer.effort import Effort
from hardy.apps.transfer.errors import BadRequest, TransferError
from hardy.apps.transfer.fetching import get
from hardy.apps.transfer.names import url_to_name
from hardy.apps.transfer.remote import Remote
from hardy.apps.transfer.sending import put

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Do what the command line says; the exit status."""
    try:
        return {"put": _put, "get": _get, "ls": _ls, "rm": _rm}[options.command](options)
    except (TransferError, OSError) as error:
        print(f"hardy transfer {options.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"hardy transfer {options.command}: interrupted; the same command goes on from here", file=sys.stderr)
        return 130


def _is_address(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def _server_and_name(address: str) -> tuple[str, str]:
    """The server of an address, and the name of what it is the address of; "": of the server itself.

    Raises:
        BadRequest: it is neither.
    """
    found = urlsplit(address)
    if found.path.startswith("/files/"):
        return f"{found.scheme}://{found.netloc}", url_to_name(found.path.removeprefix("/files/").encode())
    if found.path not in ("", "/"):
        raise BadRequest(
            f"{address!r} is neither the address of a server (http://127.0.0.1:8000/) nor of something on it "
            "(http://127.0.0.1:8000/files/...)"
        )
    return f"{found.scheme}://{found.netloc}", ""


def _split(options: argparse.Namespace) -> tuple[str, list[str]]:
    """The server's address, which may stand anywhere, and the rest; an address of a file is both."""
    addresses = [text for text in options.paths if _is_address(text)]
    rest = [text for text in options.paths if not _is_address(text)]
    if not addresses:
        raise BadRequest("the server's address is missing, as in http://127.0.0.1:8000/")
    found = [_server_and_name(each) for each in addresses]
    if len({server for server, _ in found}) > 1:
        raise BadRequest("one server at a time")
    named = [name for _, name in found if name]
    if options.command == "get":
        rest += named
    elif named:
        if options.to or len(named) > 1:
            raise BadRequest("where it goes to is said once: by an address of a folder (.../files/films/), or by --to")
        options.to = named[0]
    if not rest:
        raise BadRequest("what is to be transferred is missing")
    return found[0][0], rest


@contextmanager
def _effort(options: argparse.Namespace, what: str) -> Iterator[Effort]:
    """With a progress bar, where there is a terminal to draw it on."""
    console = Console(stderr=True)
    connections = getattr(options, "connections", 1)

    def notice(sentence: str) -> None:
        console.print(f"hardy transfer {options.command}: {sentence}", markup=False, highlight=False, soft_wrap=True)

    if options.quiet:
        yield Effort(options.limit_rate, options.patience, connections)
        return
    if not console.is_terminal:
        yield Effort(options.limit_rate, options.patience, connections, notice=notice)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task(what, total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield Effort(options.limit_rate, options.patience, connections, show, notice)


def _put(options: argparse.Namespace) -> int:
    server, paths = _split(options)
    if len(paths) > 1 and options.to and not options.to.endswith("/"):
        raise BadRequest(f"several files need a folder to go into: --to {options.to}/")
    with Remote(server, token=options.token or "", ca=options.ca) as remote:
        for path in paths:
            with _effort(options, os.path.basename(os.path.abspath(path))) as effort:
                for name in put(remote, path, options.to, replace=options.replace, effort=effort):
                    print(f"put: {name}")
    return 0


def _get(options: argparse.Namespace) -> int:
    server, names = _split(options)
    if options.connections < 1:
        raise BadRequest(f"--connections must be 1 at least, not {options.connections}")
    with Remote(server, token=options.token or "", ca=options.ca) as remote:
        for name in names:
            with _effort(options, name.rstrip("/").rpartition("/")[2]) as effort:
                for path in get(remote, name, options.into, replace=options.replace, effort=effort):
                    print(f"got: {path}")
    return 0


def _ls(options: argparse.Namespace) -> int:
    server, folder = _server_and_name(options.server)
    with Remote(server, token=options.token or "", ca=options.ca) as remote:
        entries = remote.list(f"{folder}/{options.folder}", recursive=options.recursive)
    if options.json:
        print(json.dumps(entries))
        return 0
    for entry in entries:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry["modified"]))
        print(
            f"{'' if entry['folder'] else entry['size']:>14}  {when}  {entry['name']}{'/' if entry['folder'] else ''}"
        )
    return 0


def _rm(options: argparse.Namespace) -> int:
    with Remote(options.server, token=options.token or "", ca=options.ca) as remote:
        for name in options.names:
            remote.remove(name)
    return 0
