"""`hardy transfer put | get | ls | rm`: the client, told what to do on a command line."""

from __future__ import annotations

import argparse
import json
import sys
import time

from hardy.apps.transfer.errors import TransferError
from hardy.apps.transfer.remote import Remote

__all__ = ["run"]


def run(options: argparse.Namespace) -> int:
    """Do what the command line says; the exit status."""
    try:
        return {"ls": _ls, "rm": _rm}[options.command](options)
    except (TransferError, OSError) as error:
        print(f"hardy transfer {options.command}: {error}", file=sys.stderr)
        return 1


def _ls(options: argparse.Namespace) -> int:
    with Remote(options.server, token=options.token or "", ca=options.ca) as remote:
        entries = remote.list(options.folder, recursive=options.recursive)
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
