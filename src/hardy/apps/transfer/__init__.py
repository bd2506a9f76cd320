"""Files over HTTP that survive everything: uploads by tus 1.0, downloads by ranges.

    with Remote("http://127.0.0.1:8000/") as remote:
        put(remote, "film.mkv")  # goes on where it was interrupted, also after a kill of either side
        get(remote, "film.mkv", "downloads")

`serve` is the other side; `hardy transfer serve DIR | put | get | ls | rm` is the command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hardy.apps.transfer.access import Access
    from hardy.apps.transfer.effort import Effort
    from hardy.apps.transfer.errors import TransferError
    from hardy.apps.transfer.fetching import get
    from hardy.apps.transfer.remote import Remote
    from hardy.apps.transfer.sending import put
    from hardy.apps.transfer.serve import serve
    from hardy.apps.transfer.tus import Limits
    from hardy.apps.transfer.web import make_app

__all__ = ["Access", "Effort", "Limits", "Remote", "TransferError", "get", "make_app", "put", "serve"]

# The server's parts need starlette and uvicorn, the client's httpx: each is imported when it is asked for.
_HOMES = {
    "Access": "access",
    "Effort": "effort",
    "Limits": "tus",
    "Remote": "remote",
    "TransferError": "errors",
    "get": "fetching",
    "make_app": "web",
    "put": "sending",
    "serve": "serve",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
