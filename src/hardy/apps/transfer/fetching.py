"""`get`: a file from the server, in several ranges at a time, from where each was interrupted.

    .NAME.hardy-part   the bytes, as long as the whole from the start
    .NAME.hardy-get    the version (ETag) that they are of, and for each piece how many of its bytes are there

A piece's count is written after its bytes, so that a kill between the two costs that block at most. When all are there,
the whole is compared with the server's SHA-256, synced, and gets its name in one step; the journal goes last. A file
that is another version by then, or by the next start, is begun anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from hardy.apps.transfer.digests import hash_file, read_repr_digest
from hardy.apps.transfer.effort import Effort, Pace, Patience
from hardy.apps.transfer.errors import ChecksumMismatch, NameTaken, SourceChanged, TransferError, UploadBusy
from hardy.apps.transfer.names import parse_name, to_url
from hardy.apps.transfer.remote import Remote, check, time_to_read

__all__ = ["get"]

PIECE_BYTES = 16 << 20
_BLOCK_BYTES = 256 << 10
_PACED_BYTES = 16 << 10
_HEAD_BYTES = 4096
_COUNT = struct.Struct("<q")
_MOST_VERSIONS = 3
# So that ".STEM.hardy-part" is a name that a file system takes (255 bytes).
_LONGEST_STEM = 240


def get(
    remote: Remote,
    name: str,
    into: str | os.PathLike[str] = ".",
    *,
    replace: bool = False,
    effort: Effort = Effort(),  # noqa: B008 (it cannot be changed)
) -> list[Path]:
    """Download a file, or all files of a folder.

    Args:
        remote: the server.
        name: of the file or folder there.
        into: the folder that it comes into.
        replace: whether files that are here give way.
        effort: what it may cost.

    Returns:
        The paths here.

    Raises:
        NameTaken: there is another file of that name. (One of the same content is no error.)
        NoSuchFile: the server has none of that name.
        SourceChanged: the file changed again and again while it was fetched.
        ChecksumMismatch: what came is not what the server has. None of it is kept.
        OSError: it could not be reached, or the disk is full. What came stays: call again to go on.
    """
    name = name.strip("/")
    parts = parse_name(name)
    target = Path(into, parts[-1])
    patience = Patience(effort.patience_s, effort.notice)
    if patience.persist(lambda: remote.is_folder(name)):
        found = [entry["name"] for entry in patience.persist(lambda: remote.list(name, recursive=True))]
        pairs = [(each, target.joinpath(*parse_name(each)[len(parts) :])) for each in found]
    else:
        pairs = [(name, target)]
    for each, path in pairs:
        path.parent.mkdir(parents=True, exist_ok=True)
        _fetch(remote, each, path, replace, effort)
    return [path for _, path in pairs]


def _fetch(remote: Remote, name: str, path: Path, replace: bool, effort: Effort) -> None:
    for left in reversed(range(_MOST_VERSIONS)):
        try:
            with _Fetching(remote, name, path, replace, effort) as fetching:
                fetching.run()
            return
        except SourceChanged:
            if not left:
                raise


class _Fetching:
    """One file on its way."""

    def __init__(self, remote: Remote, name: str, path: Path, replace: bool, effort: Effort) -> None:
        self._remote = remote
        self._name = name
        self._url = f"/files/{to_url(name)}"
        self._path = path
        self._replace = replace
        self._effort = effort
        self._pace = Pace(effort.limit_rate)
        self._patience = Patience(effort.patience_s, effort.notice)
        self._guard = threading.Lock()
        stem = path.name
        if len(os.fsencode(stem)) > _LONGEST_STEM:
            stem = hashlib.sha256(os.fsencode(stem)).hexdigest()
        self._part_path = path.with_name(f".{stem}.hardy-part")
        self._journal_path = path.with_name(f".{stem}.hardy-get")
        self._part = self._journal = -1

    def __enter__(self) -> _Fetching:
        while True:
            self._journal = os.open(self._journal_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
            try:
                fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._journal)
                raise UploadBusy(f"another process is fetching {str(self._path)!r}") from None
            if self._is_current():
                return self
            os.close(self._journal)

    def _is_current(self) -> bool:
        """Whether the journal still has its name: who was done meanwhile removed it."""
        try:
            named = os.stat(self._journal_path, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(named, os.fstat(self._journal))

    def __exit__(self, *error: object) -> None:
        # Nothing to go on with, as when the server could not be reached.
        self._clear_if_unused()
        for descriptor in (self._part, self._journal):
            if descriptor >= 0:
                os.close(descriptor)

    def run(self) -> None:
        head = self._ask_head({})
        self._etag, self._size = head.headers["ETag"], int(head.headers["Content-Length"])
        if not self._replace and os.path.lexists(self._path):
            self._compare_with_what_is_here()
            return
        self._part = os.open(self._part_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        self._counts = self._recall() or self._begin()
        self._effort.progress(sum(self._counts), self._size)
        self._waiting = [number for number, count in enumerate(self._counts) if count < self._length_of(number)]
        with ThreadPoolExecutor(max(1, min(self._effort.connections, len(self._waiting)))) as threads:
            running = [threads.submit(self._work) for _ in range(min(self._effort.connections, len(self._waiting)))]
        for each in running:
            each.result()
        self._verify()
        self._take_name()

    def _ask_head(self, headers: dict[str, str], size: int = 0) -> httpx.Response:
        headers = {"Accept-Encoding": "identity", **headers}
        while True:
            try:
                return self._remote.ask("HEAD", self._url, headers=headers, timeout=time_to_read(size))
            except (OSError, TransferError) as error:
                if isinstance(error, TransferError) and error.status == 412:
                    raise SourceChanged(f"{self._name!r} changed while it was fetched") from None
                self._patience.wait(error)

    def _ask_digest(self) -> str:
        answer = self._ask_head({"Want-Repr-Digest": "sha-256=1", "If-Match": self._etag}, self._size)
        return read_repr_digest(answer.headers.get("Repr-Digest", ""))

    def _compare_with_what_is_here(self) -> None:
        here = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            same = os.fstat(here).st_size == self._size and self._ask_digest() == hash_file(here)
        finally:
            os.close(here)
        if not same:
            raise NameTaken(f"{str(self._path)!r} is here already, and another file. Get it with replace, or remove it")
        self._part_path.unlink(missing_ok=True)
        self._journal_path.unlink(missing_ok=True)
        self._effort.progress(self._size, self._size)

    def _clear_if_unused(self) -> None:
        if not os.fstat(self._journal).st_size and self._is_current():
            self._journal_path.unlink(missing_ok=True)

    def _pieces(self) -> int:
        return -(-self._size // PIECE_BYTES)

    def _length_of(self, number: int) -> int:
        return min(PIECE_BYTES, self._size - number * PIECE_BYTES)

    def _head(self) -> bytes:
        # Not the address of the server, which may come back at another port: the version says what it is.
        known = {"url": self._url, "etag": self._etag, "size": self._size, "piece": PIECE_BYTES}
        return json.dumps(known).encode().ljust(_HEAD_BYTES)

    def _recall(self) -> list[int] | None:
        """How much of each piece is there; None: nothing that could be gone on with."""
        raw = os.pread(self._journal, _HEAD_BYTES + _COUNT.size * self._pieces() + 1, 0)
        if raw[:_HEAD_BYTES] != self._head() or os.fstat(self._part).st_size != self._size:
            return None
        if len(raw) != _HEAD_BYTES + _COUNT.size * self._pieces():
            return None
        counts = [count for (count,) in _COUNT.iter_unpack(raw[_HEAD_BYTES:])]
        fits = all(0 <= count <= self._length_of(number) for number, count in enumerate(counts))
        return counts if fits else None

    def _begin(self) -> list[int]:
        # The head last: without it, nothing of the rest counts.
        os.ftruncate(self._journal, 0)
        os.ftruncate(self._part, 0)
        os.ftruncate(self._part, self._size)
        os.ftruncate(self._journal, _HEAD_BYTES + _COUNT.size * self._pieces())
        os.pwrite(self._journal, self._head(), 0)
        return [0] * self._pieces()

    def _work(self) -> None:
        while True:
            with self._guard:
                if not self._waiting:
                    return
                number = self._waiting.pop(0)
            try:
                while self._counts[number] < self._length_of(number):
                    try:
                        self._fetch_piece(number)
                    except (ConnectionError, TransferError) as error:
                        self._patience.wait(error)
            except BaseException:
                with self._guard:
                    self._waiting.clear()
                raise

    def _fetch_piece(self, number: int) -> None:
        start, length = number * PIECE_BYTES, self._length_of(number)
        headers = {
            "Range": f"bytes={start + self._counts[number]}-{start + length - 1}",
            "If-Range": self._etag,
            "Accept-Encoding": "identity",
        }
        try:
            with self._remote.http.stream("GET", self._url, headers=headers) as answer:
                if answer.status_code >= 400:
                    answer.read()
                    check(answer)
                if answer.status_code != 206 or answer.headers.get("ETag") != self._etag:
                    raise SourceChanged(f"{self._name!r} changed while it was fetched")
                for block in answer.iter_raw(_PACED_BYTES if self._pace.limited else _BLOCK_BYTES):
                    self._pace.spend(len(block))
                    self._keep(number, block[: length - self._counts[number]])
        except httpx.TransportError as error:
            raise ConnectionError(f"{self._remote.url} broke off: {error or type(error).__name__}") from error

    def _keep(self, number: int, block: bytes) -> None:
        view, at = memoryview(block), number * PIECE_BYTES + self._counts[number]
        while view:
            done = os.pwrite(self._part, view, at)
            view, at = view[done:], at + done
        count = self._counts[number] + len(block)
        os.pwrite(self._journal, _COUNT.pack(count), _HEAD_BYTES + _COUNT.size * number)
        # After the journal: what is told as there is not fetched again, whoever is killed.
        self._counts[number] = count
        self._patience.went_on()
        self._effort.progress(sum(self._counts), self._size)

    def _verify(self) -> None:
        expected = self._ask_digest()
        # A server of others tells none: then length and version have to do.
        if expected and (found := hash_file(self._part)) != expected:
            os.ftruncate(self._journal, 0)
            raise ChecksumMismatch(
                f"the SHA-256 of what came is {found}, and the server's {expected}. It was dropped; get it again"
            )

    def _take_name(self) -> None:
        os.fsync(self._part)
        if self._replace:
            os.rename(self._part_path, self._path)
        else:
            try:
                os.link(self._part_path, self._path, follow_symlinks=False)
            except FileExistsError:
                raise NameTaken(f"{str(self._path)!r} appeared meanwhile. Get it with replace, or remove it") from None
            os.unlink(self._part_path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._journal_path.unlink(missing_ok=True)
