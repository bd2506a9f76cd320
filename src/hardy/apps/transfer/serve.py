"""`hardy transfer serve`: the folder over HTTP, by processes of hardy that share one listening socket."""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from collections.abc import Sequence

from hardy.apps._web import Site, address_of, keep_serving, listen
from hardy.apps.transfer.access import Access
from hardy.apps.transfer.errors import TransferError
from hardy.apps.transfer.folder import Folder
from hardy.apps.transfer.tus import Limits
from hardy.apps.transfer.uploads import Uploads
from hardy.apps.transfer.web import make_app

__all__ = ["serve"]

# No path, not even a slash: browsers send none, and compare all of it.
_ORIGIN = re.compile(r"https?://[^/?#\s]+")


def serve(
    folder: str,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int = 1,
    read_token: str = "",
    write_token: str = "",
    tls: tuple[str, str | None] | None = None,
    limits: Limits = Limits(),  # noqa: B008 (it cannot be changed)
    lifetime_s: float = 86400.0,
    durable: bool = True,
    origins: Sequence[str] = (),
) -> int:
    """Serve a folder until SIGINT or SIGTERM. Prints the address.

    Args:
        folder: its path.
        host: address to listen on; another than this machine's own (loopback) needs a token.
        port: 0 takes a free one.
        workers: how many processes serve.
        read_token: who has it may read; see `Access`.
        write_token: who has it may read and write.
        tls: paths of the certificate and its key, for HTTPS.
        limits: what uploads may take.
        lifetime_s: after so long without a byte an upload is given up.
        durable: whether a file is on the disk (fsync) before it gets its name.
        origins: whose pages may use the server from a browser; "*": all.

    Returns:
        The exit status: 0; 1 when it cannot serve; 2 when what was asked for cannot be meant.
    """
    has_token = bool(read_token or write_token)
    if problem := _problem(host, workers, has_token, lifetime_s, origins):
        print(f"hardy transfer serve: {problem}", file=sys.stderr)
        return 2
    try:
        opened = Folder(folder)
        Uploads(opened, lifetime_s=lifetime_s).close()
        opened.close()
        for path in tls or ():
            if path is not None:
                with open(path, "rb"):
                    pass
        listener = listen(host, port)
    except (TransferError, OSError) as error:
        print(f"hardy transfer serve: {error}", file=sys.stderr)
        return 1
    access = Access(read_token, write_token, local_only=not has_token)
    with listener:
        address = address_of(listener, host, "https" if tls else "http")
        print(f"serving {os.path.realpath(folder)} at {address}", flush=True)
        args = (folder, access, limits, lifetime_s, durable, tuple(origins))
        site = Site("hardy transfer serve", "transfer", make_app, args, "uploads go on where they were", tls)
        return keep_serving(site, listener, workers)


def _problem(host: str, workers: int, has_token: bool, lifetime_s: float, origins: Sequence[str]) -> str:
    if workers < 1:
        return f"--workers must be 1 at least, not {workers}"
    if not lifetime_s > 0:
        return f"--expire must be more than 0, not {lifetime_s:g}"
    for origin in origins:
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            return f"--cors is an origin as a browser names it (https://example.org), or *, not {origin!r}"
    if not has_token and not _is_loopback(host):
        return (
            f"on {host} everybody in reach could read and write: set --write-token or --read-token, "
            "or listen on 127.0.0.1"
        )
    return ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
