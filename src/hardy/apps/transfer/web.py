"""The server's requests.

| request | answer |
| --- | --- |
| `GET /` | a page that lists, uploads, downloads; with `Accept: application/json` the list |
| `GET /files/NAME`, `HEAD` | the file: ranges, ETag, If-Range, ...; with `Want-Repr-Digest` its SHA-256 |
| `GET /files/FOLDER/` | a list: `[{name, url, size, modified, folder}]`; `?recursive=1` of all below |
| `PUT /files/NAME` | the body becomes the file, in one piece (`curl -T`) |
| `DELETE /files/NAME` | the file is removed |
| `/uploads/`, `/uploads/ID` | tus 1.0, see `hardy.apps.transfer.tus` |

An error is `{error, detail}` with its status.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from hardy.apps.transfer.access import Access
from hardy.apps.transfer.digests import read_repr_digest
from hardy.apps.transfer.download import Download
from hardy.apps.transfer.errors import BadRequest, NoSuchFile, SourceChanged, TransferError, from_os_error
from hardy.apps.transfer.folder import Entry, Folder
from hardy.apps.transfer.names import parse_name, parse_new_name, to_url, url_to_name
from hardy.apps.transfer.tus import Limits, Tus, receive, sweep
from hardy.apps.transfer.upload import Info
from hardy.apps.transfer.uploads import Uploads

__all__ = ["make_app"]

_PAGE = Path(__file__).with_name("page.html")
_LONGEST_SWEEP_S = 300.0
# What the scripts of other pages may read of an answer: all that a tus client, and one that downloads, goes by.
_EXPOSED = (
    *("Location", "Tus-Resumable", "Tus-Version", "Tus-Extension", "Tus-Max-Size", "Tus-Checksum-Algorithm"),
    *("Upload-Offset", "Upload-Length", "Upload-Defer-Length", "Upload-Metadata", "Upload-Expires", "Upload-Concat"),
    *("ETag", "Accept-Ranges", "Content-Range", "Content-Length", "Repr-Digest", "Last-Modified"),
)
_PREFLIGHT_S = 3600


class _Files:
    """The endpoints for files."""

    def __init__(self, folder: Folder, uploads: Uploads, tus: Tus) -> None:
        self._folder = folder
        self._uploads = uploads
        self._tus = tus

    async def page(self, request: Request) -> Response:
        """`/`."""
        if "application/json" in request.headers.get("Accept", ""):
            return await self._list(request, ())
        return HTMLResponse(_PAGE.read_text(encoding="utf-8"), headers={"Cache-Control": "no-cache"})

    async def file(self, request: Request) -> Response:
        """`/files/NAME`, but for a download: a list, PUT, DELETE."""
        name = _name_in(request.scope)
        if request.method in ("GET", "HEAD"):
            return await self._list(request, parse_name(name[:-1]) if name else ())
        if request.method == "PUT":
            return await self._put(request, name)
        await run_in_threadpool(self._folder.remove, parse_name(name))
        return Response(status_code=204)

    async def download(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET or HEAD of a file: an ASGI application by itself, since small files feel each layer above it."""
        name = _name_in(scope)
        try:
            parts = parse_name(name)
            # Not by a thread: to go to one and back takes longer than to open a file whose folder is in memory.
            opened = self._folder.open(parts)
        except (TransferError, OSError) as error:
            refusal = await _refuse(Request(scope), error)
            if isinstance(error, NoSuchFile) and self._folder.is_folder(parts):
                refusal = Response(status_code=307, headers={"Location": f"/files/{to_url(name)}/"})
            await refusal(scope, receive, send)
            return
        answer = Download(opened, name)
        try:
            await answer(scope, receive, send)
        except SourceChanged as error:
            if not answer.started:
                await (await _refuse(Request(scope), error))(scope, receive, send)
                return
            print(f"hardy transfer serve: {name!r}: {error}", file=sys.stderr, flush=True)

    async def _list(self, request: Request, parts: tuple[str, ...]) -> Response:
        recursive = request.query_params.get("recursive", "") in ("1", "true", "yes")
        entries = await run_in_threadpool(lambda: list(self._folder.entries(parts, recursive=recursive)))
        return JSONResponse([_say(entry) for entry in entries], headers={"Cache-Control": "no-store"})

    async def _put(self, request: Request, name: str) -> Response:
        parse_new_name(name)
        sha256 = self._sha256_of_put(request.headers)
        length = request.headers.get("Content-Length", "")
        replaces = request.headers.get("If-None-Match") != "*"
        known = int(length) if length.isdecimal() else None
        info = await self._tus.make(Info("", known, name, replaces, metadata=""))
        upload = await run_in_threadpool(self._uploads.open, info.id)
        try:
            whole = await receive(request, upload, self._tus.room(known), self._tus.quota)
            if whole and known is None:
                await run_in_threadpool(upload.begin, upload.offset, upload.offset)
            await run_in_threadpool(upload.finish, sha256)
            # What did not come whole cannot be gone on with: nobody was told its address.
            if not upload.done:
                return Response(status_code=400)
        finally:
            await run_in_threadpool(upload.remove)
            upload.close()
        return Response(status_code=201, headers={"Location": f"/files/{to_url(name)}"})

    @staticmethod
    def _sha256_of_put(headers: Headers) -> str:
        """What the body is to have; "" when it was not told.

        Raises:
            BadRequest: the body is not the file as it is to be.
        """
        if "Content-Range" in headers:
            raise BadRequest(
                "a PUT brings the whole file, and this one (Content-Range) a part of it. An upload that goes on where "
                "it was is made with tus, at /uploads/"
            )
        if headers.get("Content-Encoding", "identity").lower() != "identity":
            refused = BadRequest(
                "the body is stored as it comes, and this one says that it is encoded (Content-Encoding)"
            )
            refused.status = 415
            raise refused
        return read_repr_digest(headers.get("Repr-Digest") or headers.get("Content-Digest", ""))


def _is_download(scope: Scope) -> bool:
    """Whether a file is asked for, and not a list (its path ends with a slash)."""
    path: str = scope["path"]
    return scope["method"] in ("GET", "HEAD") and path.startswith("/files/") and not path.endswith("/")


def _name_in(scope: Scope) -> str:
    # Not the path that was decoded already: a name need not be UTF-8.
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return url_to_name(raw.partition(b"?")[0].partition(b"/files/")[2])


def _say(entry: Entry) -> dict[str, Any]:
    name = os.fsencode(entry.name).decode("utf-8", "backslashreplace")
    url = f"/files/{to_url(entry.name)}{'/' if entry.folder else ''}"
    return {"name": name, "url": url, "size": entry.size, "modified": entry.modified, "folder": entry.folder}


async def _refuse(request: Request, error: Exception) -> Response:
    if isinstance(error, OSError) and not isinstance(error, TransferError):
        error = from_os_error(error, f"{request.method} {request.url.path}")
    if isinstance(error, TransferError):
        headers = {"Tus-Resumable": "1.0.0", **error.headers} if "Tus-Resumable" in request.headers else error.headers
        return JSONResponse({"error": type(error).__name__, "detail": str(error)}, error.status, dict(headers))
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": "HTTPException", "detail": error.detail}, error.status_code, error.headers)


def make_app(
    path: str,
    access: Access = Access(),  # noqa: B008 (it cannot be changed)
    limits: Limits = Limits(),  # noqa: B008
    lifetime_s: float = 86400.0,
    durable: bool = True,
    origins: Sequence[str] = (),
    on_step: Callable[[str], None] | None = None,
) -> ASGIApp:
    """The ASGI application.

    Args:
        path: of the folder that is served.
        access: who may do what.
        limits: what uploads may take.
        lifetime_s: after so long without a byte an upload is given up.
        durable: whether a file is on the disk (fsync) before it has its name.
        origins: whose pages may use the server from a browser, as in "https://example.org", besides its own; "*": all.
        on_step: is called after each step of an upload's life, see `uploads.STEPS`.
    """
    folder = Folder(path)
    steps = {} if on_step is None else {"on_step": on_step}
    uploads = Uploads(folder, lifetime_s=lifetime_s, durable=durable, **steps)
    tus = Tus(uploads, limits)
    files = _Files(folder, uploads, tus)

    @asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        sweeper = asyncio.create_task(sweep(uploads, min(_LONGEST_SWEEP_S, max(1.0, lifetime_s / 2))))
        try:
            yield
        finally:
            sweeper.cancel()
            uploads.close()
            folder.close()

    every = ["GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"]
    routes = [
        Route("/", files.page),
        Route("/files/{name:path}", files.file, methods=["GET", "HEAD", "PUT", "DELETE"]),
        Route("/uploads/", tus.collection, methods=["POST", "OPTIONS"]),
        Route("/uploads/{id}", tus.upload, methods=every, name="upload"),
    ]
    handlers: Any = {TransferError: _refuse, HTTPException: _refuse, OSError: _refuse}
    others = Starlette(routes=routes, lifespan=life, exception_handlers=handlers)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _is_download(scope):
            await files.download(scope, receive, send)
        else:
            await others(scope, receive, send)

    guarded = access.guard(app)
    if not origins:
        return guarded
    return CORSMiddleware(
        guarded,
        allow_origins=origins,
        allow_methods=["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"],
        allow_headers=["*"],
        expose_headers=_EXPOSED,
        max_age=_PREFLIGHT_S,
    )
