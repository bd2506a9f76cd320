"""`put`: a file to the server, from where it was interrupted.

Where an upload goes on is remembered in the user's state folder, under a name made of server, file and target; what is
there is the server's to say (HEAD). Killed before that is written, the client begins another upload, of which no byte
had been sent; killed later, it goes on: at most the piece under way is sent again. Each piece goes with its SHA-256,
and the last with that of the whole, without which the server makes no file of it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hardy.apps.transfer.digests import hash_file, read_repr_digest, repr_digest
from hardy.apps.transfer.effort import Effort, Pace, Patience
from hardy.apps.transfer.errors import (
    BadName,
    BadRequest,
    ChecksumMismatch,
    NameTaken,
    OffsetConflict,
    SourceChanged,
    TransferError,
)
from hardy.apps.transfer.names import to_url
from hardy.apps.transfer.remote import Remote, time_to_read
from hardy.files import AtomicFile

__all__ = ["put"]

# A piece that is interrupted is sent again, all of it: it is as large as goes through in some seconds, within these.
_SMALLEST_PIECE_BYTES, _FIRST_PIECE_BYTES, PIECE_BYTES = 64 << 10, 1 << 20, 8 << 20
_SHORT_S, _LONG_S = 2.0, 4.0
_READ_BYTES = 1 << 20
_PACED_BYTES = 16 << 10
_TUS = {"Tus-Resumable": "1.0.0"}
_GONE = (404, 410)


def put(
    remote: Remote,
    path: str | os.PathLike[str],
    name: str = "",
    *,
    replace: bool = False,
    effort: Effort = Effort(),  # noqa: B008 (it cannot be changed)
) -> list[str]:
    """Upload a file, or all files of a folder.

    Args:
        remote: the server.
        path: of the file or folder. Links in a folder are left out.
        name: on the server; "": its own. One that ends with `/` is a folder into which it is put.
        replace: whether files that are there give way.
        effort: what it may cost.

    Returns:
        The names on the server.

    Raises:
        NameTaken: there is another file of that name. (One of the same content is no error.)
        SourceChanged: the file changed while it was sent.
        TransferError: the server said no.
        OSError: it could not be reached, or the file not be read. What was sent stays: call again to go on.
    """
    source = Path(os.path.abspath(path))
    if not name or name.endswith("/"):
        name += source.name
    if not source.is_dir():
        return [_Sending(remote, source, name, replace, effort).run()]
    found = []
    for each in sorted(source.rglob("*")):
        if each.is_file() and not each.is_symlink():
            found.append(each)
        elif each.is_symlink() or not each.is_dir():
            effort.notice(f"{str(each)!r} is left out: it is {'a link' if each.is_symlink() else 'no regular file'}")
    return [
        _Sending(remote, each, f"{name}/{each.relative_to(source).as_posix()}", replace, effort).run() for each in found
    ]


class _Sending:
    """One file on its way."""

    def __init__(self, remote: Remote, path: Path, name: str, replace: bool, effort: Effort) -> None:
        self._remote = remote
        self._path = path
        self._name = name
        self._replace = replace
        self._effort = effort
        self._pace = Pace(effort.limit_rate)
        self._piece_bytes = _FIRST_PIECE_BYTES
        self._patience = Patience(effort.patience_s, effort.notice)
        folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "hardy-transfer"
        folder.mkdir(parents=True, exist_ok=True)
        self._memory = folder / f"{_short_hash(str(path), name, str(replace))}-{_short_hash(remote.url)}.json"

    def run(self) -> str:
        # O_NONBLOCK: a pipe would wait for its other end.
        self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(self._file).st_mode):
                raise BadRequest(f"{str(self._path)!r} is no regular file: it has no length that could be told")
            self._version = self._look()
            self._size = self._version[1]
            self._send()
        finally:
            os.close(self._file)
        return self._name

    def _look(self) -> list[int]:
        found = os.fstat(self._file)
        return [found.st_ino, found.st_size, found.st_mtime_ns]

    def _send(self) -> None:
        address, offset = self._recall()
        if offset is None:
            try:
                address = self._create()
            except NameTaken:
                if self._is_there_already():
                    return None
                raise
            offset = 0
        if not self._size:
            self._forget()
            self._effort.progress(0, 0)
            return None
        self._address = address
        # The digest of what stands before an offset: of those that can come up again.
        digests = {offset: self._digest_up_to(offset)}
        while True:
            self._effort.progress(offset, self._size)
            block = self._read(offset)
            after = digests[offset].copy()
            after.update(block)
            end = offset + len(block)
            begin_s = time.monotonic()
            digests = {offset: digests[offset], end: after}
            try:
                self._send_piece(address, offset, block, after.hexdigest() if end == self._size else "")
            except ChecksumMismatch:
                self._check_unchanged()
                if end < self._size:
                    continue
                self._give_up(address)
                raise
            except NameTaken:
                # It was free when the upload began.
                if not self._is_there_already():
                    raise
                return self._give_up(address)
            except (OSError, TransferError) as error:
                if isinstance(error, TransferError) and error.status in _GONE:
                    self._forget()
                    return self._send()
                if not isinstance(error, OffsetConflict):
                    self._take_smaller_pieces()
                    self._patience.wait(error)
                found = self._where(address)
                if found is None:
                    return self._send()
                offset = found
                if offset not in digests:
                    digests = {offset: self._digest_up_to(offset)}
                continue
            self._patience.went_on()
            took_s = time.monotonic() - begin_s
            if took_s > _LONG_S:
                self._take_smaller_pieces()
            elif took_s < _SHORT_S:
                self._piece_bytes = min(2 * self._piece_bytes, PIECE_BYTES)
            if end == self._size:
                self._forget()
                self._effort.progress(end, self._size)
                return None
            offset = end

    def _take_smaller_pieces(self) -> None:
        self._piece_bytes = max(self._piece_bytes // 2, _SMALLEST_PIECE_BYTES)

    def _read(self, offset: int) -> bytes:
        block = os.pread(self._file, min(self._piece_bytes, self._size - offset), offset)
        self._check_unchanged()
        return block

    def _check_unchanged(self) -> None:
        if self._look() != self._version:
            self._give_up(self._address)
            raise SourceChanged(f"{str(self._path)!r} changed while it was sent. Nothing was put; put it again")

    def _digest_up_to(self, offset: int) -> Any:
        digest, at = hashlib.sha256(), 0
        while at < offset:
            block = os.pread(self._file, min(_READ_BYTES, offset - at), at)
            if not block:
                break
            digest.update(block)
            at += len(block)
        return digest

    def _create(self) -> str:
        # An empty file has no last piece that could bring its digest.
        later = "later" if self._size else hashlib.sha256().hexdigest()
        pairs = {"filename": self._name, "sha256": later, **({"replace": "1"} if self._replace else {})}
        try:
            encoded = [f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in pairs.items()]
        except UnicodeEncodeError:
            raise BadName(f"{self._name!r} is no UTF-8, and cannot be sent. Give it another name with --to") from None
        headers = {**_TUS, "Upload-Length": str(self._size), "Upload-Metadata": ",".join(encoded)}
        while True:
            try:
                answer = self._remote.ask("POST", "/uploads/", headers=headers)
            except (OSError, TransferError) as error:
                self._patience.wait(error)
                continue
            address = str(answer.headers["Location"])
            self._remember(address)
            return address

    def _where(self, address: str) -> int | None:
        """How much the server has; None: it knows nothing of the upload."""
        while True:
            try:
                return int(self._remote.ask("HEAD", address, headers=_TUS).headers["Upload-Offset"])
            except (OSError, TransferError) as error:
                if isinstance(error, TransferError) and error.status in _GONE:
                    self._forget()
                    return None
                self._patience.wait(error)

    def _send_piece(self, address: str, offset: int, block: bytes, sha256: str) -> None:
        headers = {
            **_TUS,
            "Upload-Offset": str(offset),
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(len(block)),
        }
        if block:
            headers["Upload-Checksum"] = f"sha256 {base64.b64encode(hashlib.sha256(block).digest()).decode()}"
        if sha256:
            headers["Repr-Digest"] = repr_digest(sha256)
        content = self._paced(block, offset) if self._pace.limited else block
        # With the last piece the server compares the whole.
        timeout = time_to_read(self._size if sha256 else 0)
        self._remote.ask("PATCH", address, content=content, headers=headers, timeout=timeout)

    def _paced(self, block: bytes, offset: int) -> Iterator[bytes]:
        for at in range(0, len(block), _PACED_BYTES):
            piece = block[at : at + _PACED_BYTES]
            self._pace.spend(len(piece))
            yield piece
            self._effort.progress(offset + at + len(piece), self._size)

    def _is_there_already(self) -> bool:
        headers = {"Want-Repr-Digest": "sha-256=1"}
        answer = self._remote.ask("HEAD", f"/files/{to_url(self._name)}", headers=headers)
        there = read_repr_digest(answer.headers.get("Repr-Digest", ""))
        self._effort.progress(self._size, self._size)
        return bool(there) and there == hash_file(self._file)

    def _recall(self) -> tuple[str, int | None]:
        """An upload of this file that was begun, and how much of it the server has; None: none to go on with."""
        known = _read_memory(self._memory, self._version)
        if known and (offset := self._where(known)) is not None:
            return known, offset
        # The same server may have come back at another port: of another, none has an upload of that address.
        for memory in self._memory.parent.glob(f"{self._memory.name.partition('-')[0]}-*.json"):
            address = urlsplit(_read_memory(memory, self._version)).path
            if address and (offset := self._where(address)) is not None:
                self._remember(address)
                memory.unlink(missing_ok=True)
                return address, offset
        return "", None

    def _remember(self, address: str) -> None:
        with AtomicFile(self._memory, durable=False) as file:
            file.write(json.dumps({"upload": address, "version": self._version}).encode())

    def _forget(self) -> None:
        self._memory.unlink(missing_ok=True)

    def _give_up(self, address: str) -> None:
        try:
            self._remote.ask("DELETE", address, headers=_TUS)
        except (OSError, TransferError):
            pass  # it expires
        self._forget()


def _short_hash(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _read_memory(path: Path, version: list[int]) -> str:
    """The address of an upload of that version of the file; "": none is remembered."""
    try:
        known = json.loads(path.read_bytes())
        return str(known["upload"]) if known["version"] == version else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""
