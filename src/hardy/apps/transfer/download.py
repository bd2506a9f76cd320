"""Files over plain HTTP: whole or in ranges, and only of the version that was asked for.

Source: RFC 9110 (ranges, conditions), RFC 9530 (Repr-Digest).
"""

from __future__ import annotations

import asyncio
import errno
import mimetypes
import os
import re
import secrets
from email.utils import formatdate, parsedate_to_datetime

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from hardy.apps.transfer.digests import hash_file, repr_digest
from hardy.apps.transfer.errors import SourceChanged

__all__ = ["Download", "Version"]

# Larger blocks are some times as fast as the customary 64 KiB: each costs a turn of the event loop.
_BLOCK_BYTES = 1 << 20
# A request for more ranges than this is answered with the whole file, as HTTP allows: it is a mistake, or an attack.
_MOST_RANGES = 16
_RANGE = re.compile(r"\s*(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))\s*")
_MOST_DIGESTS = 1024

# What makes an answer another one than the whole file.
_SPECIAL = frozenset(
    (b"range", b"want-repr-digest", b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since")
)
_MOST_HEADS = 4096

_digests: dict[Version, str] = {}
# The head of the answer that is the whole file: to write it anew takes longer than to read a small file.
_heads: dict[tuple[str, Version], list[tuple[bytes, bytes]]] = {}


class Version(tuple[int, ...]):
    """Which content of which file: another one whenever it is replaced or changed."""

    __slots__ = ()

    @classmethod
    def of(cls, descriptor: int) -> Version:
        """The version that is open."""
        found = os.fstat(descriptor)
        return cls((found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))

    @property
    def size(self) -> int:
        return self[2]

    @property
    def etag(self) -> str:
        """For HTTP. Not of ctime: a link more, or other rights, are the same bytes."""
        return f'"{self[1]:x}-{self[2]:x}-{self[3]:x}"'

    @property
    def modified(self) -> int:
        """Seconds since the epoch."""
        return self[3] // 1_000_000_000


def parse_ranges(header: str, size: int) -> list[tuple[int, int]] | None:
    """First byte and the one after the last, of each range that lies in the file; None: the header is to be ignored."""
    unit, found, text = header.partition("=")
    pieces = text.split(",")
    if unit.strip().lower() != "bytes" or not found or len(pieces) > _MOST_RANGES:
        return None
    ranges = []
    for piece in pieces:
        match = _RANGE.fullmatch(piece)
        if match is None:
            return None
        if match[3]:
            first, end = max(0, size - int(match[3])), size
        else:
            first, end = int(match[1]), min(int(match[2]) + 1, size) if match[2] else size
            if match[2] and int(match[2]) < int(match[1]):
                return None
        if first < end:
            ranges.append((first, end))
    return ranges


class Download:
    """The answer to GET or HEAD for a file, an ASGI application.

    Args:
        descriptor: of the file; it is closed when the answer is sent.
        name: of the file, for its type.

    Attributes:
        started: whether the head of the answer has been sent.
    """

    def __init__(self, descriptor: int, name: str) -> None:
        self._file = descriptor
        self._name = name
        self._version = Version.of(descriptor)
        self._gone: asyncio.Future[None] | None = None
        self.started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it.

        Raises:
            SourceChanged: the file was changed meanwhile; an answer that has begun is broken off.
        """
        self._receive = receive
        try:
            if _SPECIAL.isdisjoint([name for name, _ in scope["headers"]]):
                await self._send_whole(send, with_body=scope["method"] != "HEAD")
            else:
                await self._send_what_is_wanted(scope, send)
        finally:
            if self._gone is not None:
                self._gone.cancel()
            os.close(self._file)

    async def _send_whole(self, send: Send, *, with_body: bool) -> None:
        key = (self._name, self._version)
        head = _heads.get(key)
        if head is None:
            self._prepare(Headers(raw=[]))
            self._decide()
            if len(_heads) >= _MOST_HEADS:
                _heads.clear()
            head = _heads[key] = self._raw_fields()
        self.started = True
        await send({"type": "http.response.start", "status": 200, "headers": head})
        if with_body:
            await self._send_range(send, 0, self._version.size, last=True)
        else:
            await send({"type": "http.response.body", "body": b""})

    def _prepare(self, request_headers: Headers) -> None:
        version = self._version
        self._type = mimetypes.guess_type(self._name)[0] or "application/octet-stream"
        self._request = request_headers
        self._boundary = secrets.token_hex(12)
        self.status_code = 200
        self.fields = {
            "Accept-Ranges": "bytes",
            "ETag": version.etag,
            "Last-Modified": formatdate(version.modified, usegmt=True),
            "Cache-Control": "no-cache",
            "X-Content-Type-Options": "nosniff",
            # What somebody uploaded must not run as a page of this server.
            "Content-Security-Policy": "sandbox",
        }

    def _raw_fields(self) -> list[tuple[bytes, bytes]]:
        return [(key.lower().encode(), value.encode()) for key, value in self.fields.items()]

    async def _send_what_is_wanted(self, scope: Scope, send: Send) -> None:
        self._prepare(Headers(scope=scope))
        ranges = self._decide()
        if self._request.get("Want-Repr-Digest") and self.status_code < 300:
            self.fields["Repr-Digest"] = repr_digest(await self._sha256())
        self.started = True
        await send({"type": "http.response.start", "status": self.status_code, "headers": self._raw_fields()})
        if scope["method"] == "HEAD" or not ranges:
            await send({"type": "http.response.body", "body": b""})
            return
        for number, (first, end) in enumerate(ranges):
            if len(ranges) > 1:
                await self._send(send, self._part_head(first, end, number))
            await self._send_range(send, first, end, last=len(ranges) == 1)
        if len(ranges) > 1:
            await send({"type": "http.response.body", "body": self._part_tail()})

    def _decide(self) -> list[tuple[int, int]]:
        """Status and headers; the ranges that are to be sent."""
        version, asked = self._version, self._request
        if not self._is_wanted():
            return []
        ranges = None
        if "Range" in asked and self._is_same_for_range():
            ranges = parse_ranges(asked["Range"], version.size)
        if ranges is None:
            self.fields.update({"Content-Type": self._type, "Content-Length": str(version.size)})
            return [(0, version.size)]
        if not ranges:
            self.status_code = 416
            self.fields.update({"Content-Range": f"bytes */{version.size}", "Content-Length": "0"})
            return []
        self.status_code = 206
        if len(ranges) == 1:
            ((first, end),) = ranges
            self.fields["Content-Range"] = f"bytes {first}-{end - 1}/{version.size}"
            self.fields.update({"Content-Type": self._type, "Content-Length": str(end - first)})
        else:
            heads = sum(len(self._part_head(*each, number)) for number, each in enumerate(ranges))
            length = heads + sum(end - first for first, end in ranges) + len(self._part_tail())
            self.fields["Content-Type"] = f"multipart/byteranges; boundary={self._boundary}"
            self.fields["Content-Length"] = str(length)
        return ranges

    def _is_wanted(self) -> bool:
        """Whether the conditions of the request hold; else the status says which does not."""
        asked, version = self._request, self._version
        if "If-Match" in asked:
            if not _has_tag(asked["If-Match"], version.etag, weak=False):
                return self._answer_only(412)
        elif (since := _seconds(asked.get("If-Unmodified-Since"))) is not None and version.modified > since:
            return self._answer_only(412)
        if "If-None-Match" in asked:
            if _has_tag(asked["If-None-Match"], version.etag, weak=True):
                return self._answer_only(304)
        elif (since := _seconds(asked.get("If-Modified-Since"))) is not None and version.modified <= since:
            return self._answer_only(304)
        return True

    def _answer_only(self, status: int) -> bool:
        self.status_code = status
        if status != 304:
            self.fields["Content-Length"] = "0"
        return False

    def _is_same_for_range(self) -> bool:
        condition = self._request.get("If-Range")
        if condition is None:
            return True
        if condition.startswith(('"', "W/")):
            return condition == self._version.etag
        return _seconds(condition) == self._version.modified

    async def _sha256(self) -> str:
        known = _digests.get(self._version)
        if known is None:
            known = await run_in_threadpool(hash_file, self._file)
            if len(_digests) >= _MOST_DIGESTS:
                _digests.clear()
            self._check_unchanged()
            _digests[self._version] = known
        return known

    def _part_head(self, first: int, end: int, number: int) -> bytes:
        return (
            f"{'' if number == 0 else chr(13) + chr(10)}--{self._boundary}\r\nContent-Type: {self._type}\r\n"
            f"Content-Range: bytes {first}-{end - 1}/{self._version.size}\r\n\r\n"
        ).encode()

    def _part_tail(self) -> bytes:
        return f"\r\n--{self._boundary}--\r\n".encode()

    @staticmethod
    async def _send(send: Send, block: bytes) -> None:
        await send({"type": "http.response.body", "body": block, "more_body": True})

    async def _send_range(self, send: Send, first: int, end: int, *, last: bool) -> None:
        if first == end:
            await send({"type": "http.response.body", "body": b"", "more_body": not last})
        while first < end:
            block = await self._read(min(_BLOCK_BYTES, end - first), first)
            first += len(block)
            if not block or first == end:
                self._check_unchanged()
            await send({"type": "http.response.body", "body": block, "more_body": first < end or not last})
            if first < end and await self._client_is_gone():
                return

    async def _client_is_gone(self) -> bool:
        """Whether nobody takes the rest. The server below says nothing of that when it is given bytes."""
        if self._gone is None:
            self._gone = asyncio.ensure_future(self._wait_until_client_is_gone())
        # Bytes for nobody are taken without a wait: others, and that task, would not come to run.
        await asyncio.sleep(0)
        return self._gone.done()

    async def _wait_until_client_is_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _read(self, count: int, at: int) -> bytes | bytearray:
        """Some bytes of the file: at once when they are in memory, else by a thread, for a disk takes its time."""
        block = bytearray(count)
        try:
            got = os.preadv(self._file, [block], at, os.RWF_NOWAIT)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EOPNOTSUPP):
                raise
            got = -1
        if got != count:
            return await run_in_threadpool(os.pread, self._file, count, at)
        return block

    def _check_unchanged(self) -> None:
        """Break the answer off, before its last byte, when the file is no longer what its head says."""
        if Version.of(self._file)[:4] != self._version[:4]:
            raise SourceChanged("the file was changed in place while it was being sent; the answer is broken off")


def _has_tag(header: str, etag: str, *, weak: bool) -> bool:
    tags = [tag.strip() for tag in header.split(",")]
    return "*" in tags or etag in tags or (weak and f"W/{etag}" in tags)


def _seconds(header: str | None) -> int | None:
    if header is None:
        return None
    try:
        return int(parsedate_to_datetime(header).timestamp())
    except (TypeError, ValueError, OverflowError):
        return None
