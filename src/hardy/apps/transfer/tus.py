"""The tus protocol, version 1.0: uploads that go on where they were interrupted.

With the extensions creation, creation-with-upload, creation-defer-length, checksum, termination, expiration and
concatenation. Of the metadata, `filename` (or `name`) names the file, `replace` lets a file of that name give way, and
`sha256` is compared with the whole before it becomes a file; a client that knows it only at the end says `later`, and
sends it with the last piece, as `Repr-Digest`.

Source: https://tus.io/protocols/resumable-upload; RFC 9530.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from email.utils import formatdate
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from hardy.apps.transfer.digests import ALGORITHMS, Checksum, parse_checksum, parse_sha256, read_repr_digest
from hardy.apps.transfer.errors import BadRequest, TooLarge, TransferError
from hardy.apps.transfer.quota import Quota
from hardy.apps.transfer.upload import LATER, Info, Upload
from hardy.apps.transfer.uploads import Uploads

__all__ = ["Limits", "Tus", "receive"]

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,creation-defer-length,checksum,termination,expiration,concatenation"
_PIECE = "application/offset+octet-stream"
# So many bytes are written at a time, by a thread, while the next come in.
_BLOCK_BYTES = 1 << 20
# A request waits so long for another to end that has the upload, mostly one whose client is gone.
_WAIT_S = 3.0
# A sender from whom nothing comes for so long is given up: it may be gone without a word, and holds the upload.
_SILENCE_S = 30.0
_LONGEST_METADATA = 8192


@dataclass(frozen=True)
class Limits:
    """What uploads may take.

    Attributes:
        file_bytes: the most for one file; None: no limit.
        total_bytes: the most for all files of the folder, and the uploads under way; None: no limit.
    """

    file_bytes: int | None = None
    total_bytes: int | None = None


class Stalled(TransferError):
    """The sender has been silent for too long."""

    status = 408


async def receive(
    request: Request,
    upload: Upload,
    room: int | None,
    quota: Quota,
    checksum: Checksum | None = None,
    silence_s: float = _SILENCE_S,
) -> bool:
    """Write the body of a request to the end of an upload; what came before an interruption is kept.

    Args:
        request: whose body it is.
        upload: to which it is written.
        room: how many bytes it may have; None: as many as come.
        quota: of which bytes beyond a length that was told are taken.
        checksum: is given all of it.
        silence_s: how long the sender may be silent.

    Returns:
        Whether the whole body came; else the client is gone.

    Raises:
        TooLarge: more came than there was room for. What there was room for is kept.
        DiskFull: there is no room on the disk, or in the quota.
        Stalled: the sender was silent for too long.
    """
    held: list[bytes] = []
    held_bytes = 0
    writing: asyncio.Future[None] | None = None

    def write(blocks: list[bytes]) -> None:
        quota.reserve(upload, upload.offset + sum(map(len, blocks)))
        if checksum is not None:
            for block in blocks:
                checksum.update(block)
        upload.write(blocks)

    async def settle() -> None:
        nonlocal writing
        if writing is not None:
            task, writing = writing, None
            # Cancelled or not, the thread is at work on the descriptor, which must stay open until it has ended.
            try:
                await asyncio.shield(task)
            except BaseException:
                # What came later must not stand in the place of what was not written.
                held.clear()
                raise

    try:
        while True:
            try:
                message = await asyncio.wait_for(request.receive(), silence_s)
            except asyncio.TimeoutError:
                raise Stalled(
                    f"nothing came for {silence_s:g} s; what came before is kept. Ask where to go on (HEAD)"
                ) from None
            if message["type"] == "http.disconnect":
                return False
            block = message.get("body", b"")
            too_large = room is not None and len(block) > room
            if too_large:
                block = block[:room]
            if block:
                held.append(block)
                held_bytes += len(block)
                if room is not None:
                    room -= len(block)
            if too_large:
                raise TooLarge("more bytes came than the upload is to have. Those beyond its length were not kept")
            if held_bytes >= _BLOCK_BYTES:
                await settle()
                writing = asyncio.ensure_future(run_in_threadpool(write, held))
                held, held_bytes = [], 0
            if not message.get("more_body", False):
                return True
    finally:
        await settle()
        if held:
            await run_in_threadpool(write, held)


def parse_metadata(header: str) -> dict[str, str]:
    """The pairs of the header Upload-Metadata.

    Raises:
        BadRequest: it cannot be read.
    """
    if len(header) > _LONGEST_METADATA:
        raise BadRequest(f"Upload-Metadata has at most {_LONGEST_METADATA} characters, not {len(header)}")
    pairs: dict[str, str] = {}
    for pair in header.split(","):
        key, _, encoded = pair.strip().partition(" ")
        if not key:
            continue
        try:
            pairs[key] = base64.b64decode(encoded.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError, ValueError):
            raise BadRequest(f"the value of {key!r:.40} in Upload-Metadata is not base64 of UTF-8") from None
    return pairs


def parse_count(request: Request, name: str) -> int | None:
    """The whole number in a header; None when it is not there."""
    text = request.headers.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal()) or len(text) > 18:
        raise BadRequest(f"{name} must be a whole number, not {text!r:.40}")
    return int(text)


class Tus:
    """The endpoints of the protocol.

    Args:
        uploads: where they are kept.
        limits: what they may take.

    Attributes:
        quota: what is left for all of them.
    """

    def __init__(self, uploads: Uploads, limits: Limits) -> None:
        self._uploads = uploads
        self._limits = limits
        self.quota = Quota(uploads, limits.total_bytes)

    def headers(self, more: dict[str, str] | None = None) -> dict[str, str]:
        """What every answer has."""
        return {"Tus-Resumable": VERSION, "Cache-Control": "no-store", **(more or {})}

    async def collection(self, request: Request) -> Response:
        """`/uploads/`: what is offered, and new uploads."""
        if self._method(request) == "OPTIONS":
            return self._offer()
        self._check_version(request)
        return await self._create(request)

    async def upload(self, request: Request) -> Response:
        """`/uploads/ID`: one upload."""
        method = self._method(request)
        if method == "OPTIONS":
            return self._offer()
        self._check_version(request)
        does: dict[str, Callable[[Request, Upload], Awaitable[Response]]] = {
            "HEAD": self._head,
            "PATCH": self._patch,
            "DELETE": self._delete,
        }
        if method not in does:
            return Response(status_code=405, headers=self.headers({"Allow": "HEAD, PATCH, DELETE, OPTIONS"}))
        if method == "PATCH" and request.headers.get("Content-Type", "").partition(";")[0].strip() != _PIECE:
            raise _with_status(BadRequest(f"a piece has the Content-Type {_PIECE}"), 415)
        upload = await run_in_threadpool(self._uploads.open, request.path_params["id"], _WAIT_S)
        try:
            return await does[method](request, upload)
        finally:
            upload.close()

    async def make(self, wanted: Info, joined: list[str] | None = None) -> Info:
        """A new upload, within the limits.

        Args:
            wanted: what it is to become.
            joined: addresses of the parts that it is joined of.
        """
        self._check_size(wanted.length)
        return await run_in_threadpool(self._make, wanted, joined or [])

    def room(self, length: int | None) -> int | None:
        """How many bytes a body may have."""
        return self._limits.file_bytes if length is None else length

    @staticmethod
    def _method(request: Request) -> str:
        return request.headers.get("X-HTTP-Method-Override", request.method).upper()

    def _offer(self) -> Response:
        headers = {
            "Tus-Version": VERSION,
            "Tus-Extension": EXTENSIONS,
            "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
        }
        if self._limits.file_bytes is not None:
            headers["Tus-Max-Size"] = str(self._limits.file_bytes)
        return Response(status_code=204, headers=self.headers(headers))

    def _check_version(self, request: Request) -> None:
        version = request.headers.get("Tus-Resumable")
        if version != VERSION:
            error = _with_status(
                BadRequest(f"the header Tus-Resumable must be {VERSION}, not {version!r:.40}: this is tus {VERSION}"),
                412,
            )
            error.headers = {"Tus-Version": VERSION}
            raise error

    async def _create(self, request: Request) -> Response:
        wanted = self._wanted(request)
        joined = wanted.concat.partition(";")[2].split() if wanted.concat.startswith("final") else []
        has_body = request.headers.get("Content-Type", "").partition(";")[0].strip() == _PIECE and not joined
        checksum = self._checksum(request) if has_body else None
        digest = read_repr_digest(request.headers.get("Repr-Digest", ""))
        info = await self.make(wanted, joined)
        upload = await run_in_threadpool(self._uploads.open, info.id)
        try:
            if joined:
                await run_in_threadpool(self._finish, upload, digest)
            elif has_body:
                await self._take(request, upload, checksum, digest)
            else:
                await run_in_threadpool(self._finish, upload, digest)
            answer = self._state(upload, {"Location": self._address(request, info.id)})
        finally:
            upload.close()
        return Response(status_code=201, headers=answer)

    def _wanted(self, request: Request) -> Info:
        concat = request.headers.get("Upload-Concat", "").strip()
        if concat and concat != "partial" and not concat.startswith("final;"):
            raise BadRequest(f"Upload-Concat is `partial` or `final;` and addresses of parts, not {concat!r:.60}")
        length = parse_count(request, "Upload-Length")
        deferred = request.headers.get("Upload-Defer-Length")
        if concat.startswith("final"):
            if length is not None or deferred is not None:
                raise BadRequest("an upload that is joined of parts has their length: it is not told")
        elif (length is None) == (deferred is None):
            raise BadRequest("an upload needs either Upload-Length, or `Upload-Defer-Length: 1` to tell it later")
        elif deferred not in (None, "1"):
            raise BadRequest(f"Upload-Defer-Length can only be 1, not {deferred!r:.20}")
        header = request.headers.get("Upload-Metadata", "")
        metadata = parse_metadata(header)
        name = "" if concat == "partial" else metadata.get("filename") or metadata.get("name") or ""
        sha256 = metadata.get("sha256", "")
        return Info(
            id="",
            length=length,
            name=name,
            replace=metadata.get("replace", "").lower() in ("1", "true", "yes"),
            sha256=sha256 if sha256 in ("", LATER) else parse_sha256(sha256),
            metadata=header,
            concat=concat,
        )

    def _check_size(self, length: int | None) -> None:
        most = self._limits.file_bytes
        if length is not None and most is not None and length > most:
            raise TooLarge(f"a file may have {most} bytes here, and this is to have {length}")

    def _make(self, wanted: Info, joined: list[str]) -> Info:
        parts = [address.rstrip("/").rpartition("/")[2] for address in joined]
        wanted = replace(wanted, reserved=sum(self._uploads.info(part).length or 0 for part in parts))
        with self.quota.granting(wanted.promised_bytes(0)):
            info = self._uploads.create(wanted)
        if not joined:
            return info
        try:
            with self._uploads.open(info.id) as upload:
                for part in parts:
                    upload.append_from(part)
                self._check_size(upload.offset)
                upload.begin(upload.offset, upload.offset)
        except TransferError:
            with self._uploads.open(info.id) as upload:
                upload.remove()
            raise
        return info

    def _begin(self, upload: Upload, offset: int, length: int | None) -> None:
        if length is None or upload.info.length is not None:
            upload.begin(offset, length)
            return
        with self.quota.granting(length - upload.promised_bytes):
            upload.begin(offset, length)

    async def _head(self, request: Request, upload: Upload) -> Response:
        # Whole, but not a file yet: its sender or we were killed between the two.
        await run_in_threadpool(self._finish, upload, "")
        return Response(status_code=200, headers=self._state(upload))

    async def _patch(self, request: Request, upload: Upload) -> Response:
        offset = parse_count(request, "Upload-Offset")
        if offset is None:
            raise BadRequest("a piece needs the header Upload-Offset: where it begins")
        if upload.info.concat.startswith("final"):
            raise _with_status(BadRequest("an upload that was joined of parts takes no more bytes"), 403)
        checksum = self._checksum(request)
        digest = read_repr_digest(request.headers.get("Repr-Digest", ""))
        length = parse_count(request, "Upload-Length")
        self._check_size(length)
        await run_in_threadpool(self._begin, upload, offset, length)
        await self._take(request, upload, checksum, digest)
        return Response(status_code=204, headers=self._state(upload))

    async def _delete(self, request: Request, upload: Upload) -> Response:
        await run_in_threadpool(upload.remove)
        return Response(status_code=204, headers=self.headers())

    @staticmethod
    def _checksum(request: Request) -> Checksum | None:
        header = request.headers.get("Upload-Checksum")
        return None if header is None else parse_checksum(header)

    async def _take(self, request: Request, upload: Upload, checksum: Checksum | None, digest: str) -> None:
        if upload.done:
            return
        most = self.room(upload.info.length)
        if checksum is not None:
            await run_in_threadpool(upload.claim)
        whole = False
        try:
            room = None if most is None else most - upload.offset
            whole = await receive(request, upload, room, self.quota, checksum)
        finally:
            if checksum is not None and not whole:
                await run_in_threadpool(upload.unclaim)
            if upload.info.reserved and upload.info.length is None:
                await run_in_threadpool(upload.reserve, 0)
        if checksum is not None and whole:
            await run_in_threadpool(upload.compare, checksum.matches(), checksum.algorithm)
        await run_in_threadpool(self._finish, upload, digest)

    @staticmethod
    def _finish(upload: Upload, digest: str) -> None:
        upload.finish(digest)

    def _state(self, upload: Upload, more: dict[str, str] | None = None) -> dict[str, str]:
        headers = {"Upload-Offset": str(upload.offset)}
        if upload.info.length is None:
            headers["Upload-Defer-Length"] = "1"
        else:
            headers["Upload-Length"] = str(upload.info.length)
        if upload.info.metadata:
            headers["Upload-Metadata"] = upload.info.metadata
        if upload.info.concat:
            headers["Upload-Concat"] = upload.info.concat
        if not upload.done:
            headers["Upload-Expires"] = formatdate(upload.expires, usegmt=True)
        return self.headers({**headers, **(more or {})})

    @staticmethod
    def _address(request: Request, upload_id: str) -> str:
        return str(request.url_for("upload", id=upload_id))


def _with_status(error: BadRequest, status: int) -> BadRequest:
    error.status = status
    return error


async def sweep(uploads: Uploads, every_s: float) -> None:
    """Clear away what was given up, now and then, for as long as the server runs."""
    while True:
        await run_in_threadpool(partial(uploads.clear_away))
        await asyncio.sleep(every_s)
