"""`Upload`: one upload, on its way to a file; see `hardy.apps.transfer.uploads` for what a kill leaves."""

from __future__ import annotations

import errno
import os
import time
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from hardy.apps.transfer.digests import hash_file
from hardy.apps.transfer.errors import (
    BadRequest,
    ChecksumMismatch,
    OffsetConflict,
    TransferError,
    from_os_error,
)
from hardy.apps.transfer.names import parse_new_name

if TYPE_CHECKING:
    from hardy.apps.transfer.uploads import Uploads

__all__ = ["LATER", "Info", "Upload"]

# In the place of a SHA-256: no file is made before it is known.
LATER = "later"
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Info:
    """What an upload is to become.

    Attributes:
        id: its address.
        length: in bytes; None: not known yet.
        name: of the file that it becomes; "": it is one part of another upload, and becomes none.
        replace: whether a file of that name gives way.
        sha256: of the whole, in hexadecimal; "": was not told; `LATER`: comes with the last piece.
        metadata: as the client sent it.
        concat: the header Upload-Concat, as the client sent it.
        reserved: while the length is not known, how many bytes of the quota are its own.
    """

    id: str
    length: int | None
    name: str
    replace: bool = False
    sha256: str = ""
    metadata: str = ""
    concat: str = ""
    reserved: int = 0

    def promised_bytes(self, size: int) -> int:
        """How many bytes it takes of the quota when it has `size`."""
        return max(size, self.reserved if self.length is None else self.length)


class Upload:
    """One upload, locked: nobody else changes it. A context manager.

    Attributes:
        info: what it is to become.
        done: whether it has become its file.
    """

    def __init__(self, uploads: Uploads, info: Info, part: int | None) -> None:
        self._uploads = uploads
        self._part = part
        self.info = info
        self.done = part is None

    @property
    def offset(self) -> int:
        """How many bytes it has."""
        if self._part is None:
            return self.info.length or 0
        return os.fstat(self._part).st_size

    @property
    def whole(self) -> bool:
        """Whether all bytes are there."""
        return self.done or self.offset == self.info.length

    @property
    def expires(self) -> float:
        """When it is given up, seconds since the epoch."""
        changed = time.time() if self._part is None else os.fstat(self._part).st_mtime
        return changed + self._uploads.lifetime_s

    @property
    def promised_bytes(self) -> int:
        """How many bytes of the quota it takes."""
        return self.info.promised_bytes(self.offset)

    def reserve(self, size: int) -> None:
        """Say how many bytes of the quota are its own, while its length is not known."""
        self.info = self._uploads.set_reserved(self.info, size)

    def begin(self, offset: int, length: int | None) -> None:
        """Check that a piece can come now.

        Raises:
            OffsetConflict: it does not begin where the upload ends.
            BadRequest: the length is not the one that was told before.
        """
        if offset != self.offset:
            raise OffsetConflict(
                f"the upload has {self.offset} bytes, and the piece begins at {offset}. Ask where to go on (HEAD)"
            )
        if length is not None and length != self.info.length:
            if self.info.length is not None:
                raise BadRequest(f"the length of the upload is {self.info.length}, and cannot become {length}")
            if length < offset:
                raise BadRequest(f"the upload has {offset} bytes already, and cannot have a length of {length}")
            self.info = self._uploads.set_length(self.info, length)

    def claim(self) -> None:
        """What is written from now on counts only when it has been compared with its checksum."""
        path = os.path.join(self._uploads.path, f"{self.info.id}.claim")
        with open(path, "wb") as file:
            file.write(b"%d" % self.offset)
            if self._uploads.durable:
                file.flush()
                os.fsync(file.fileno())
        self._uploads.on_step("write.claim")

    def accept(self) -> None:
        """What was claimed counts from now on."""
        self._uploads._unlink(f"{self.info.id}.claim")
        self._uploads.on_step("write.unclaim")

    def unclaim(self) -> None:
        """Give up what was claimed and not accepted: its sender, or we, did not live to compare it."""
        path = os.path.join(self._uploads.path, f"{self.info.id}.claim")
        try:
            with open(path, "rb") as file:
                text = file.read()
        except FileNotFoundError:
            return
        # Killed before the number was written: then nothing had come after it.
        if self._part is not None and text.isdigit():
            os.ftruncate(self._part, min(int(text), self.offset))
        self._uploads._unlink(f"{self.info.id}.claim")

    def write(self, blocks: list[bytes]) -> None:
        """Add bytes at the end.

        Raises:
            DiskFull: there is no room for all of them; those that fitted are there.
        """
        assert self._part is not None
        views = [memoryview(block) for block in blocks]
        try:
            os.lseek(self._part, 0, os.SEEK_END)
            while views:
                done = os.writev(self._part, views[:1024])
                while views and done >= len(views[0]):
                    done -= len(views.pop(0))
                if done:
                    views[0] = views[0][done:]
        except OSError as error:
            raise from_os_error(error, f"writing to the upload, which has {self.offset} bytes") from error
        self._uploads.on_step("write.bytes")

    def append_from(self, other_id: str) -> None:
        """Add the bytes of another upload that is whole."""
        assert self._part is not None
        with self._uploads.open(other_id) as other:
            if other._part is None or not other.whole or not other.info.concat.startswith("partial"):
                raise BadRequest(f"upload {other_id} is no finished part (Upload-Concat: partial)")
            os.lseek(self._part, 0, os.SEEK_END)
            left, at = other.offset, 0
            try:
                while left:
                    copied = _copy(other._part, self._part, at, left)
                    at, left = at + copied, left - copied
            except OSError as error:
                raise from_os_error(error, "joining the parts") from error
        self._uploads.on_step("join.bytes")

    def compare(self, matches: bool, what: str) -> None:
        """Say whether the piece that was claimed is what its sender meant.

        Raises:
            ChecksumMismatch: it is not; none of it is kept.
        """
        self._uploads.on_step("write.compare")
        if matches:
            self.accept()
            return
        self.unclaim()
        raise ChecksumMismatch(f"the piece is not what its {what} checksum is of. None of it was kept; send it again")

    def finish(self, sha256: str = "") -> None:
        """When all bytes are there, make the file of them; else nothing.

        Args:
            sha256: of the whole, in hexadecimal; "": the one that was told when the upload was made, if any.

        Raises:
            ChecksumMismatch: the bytes have another; they stay as they are, without a name.
            NameTaken: there is a file of that name, and it is not to be replaced.
        """
        if self._part is None or not self.whole or not self.info.name:
            return
        expected = sha256 or self.info.sha256
        if expected == LATER:
            return
        if expected and (found := self.sha256()) != expected:
            raise ChecksumMismatch(
                f"the SHA-256 of what came is {found}, and it was to be {expected}. No file was made of it; "
                "remove the upload and send it again"
            )
        self._uploads.on_step("finish.compare")
        if self._uploads.durable:
            os.fsync(self._part)
        self._uploads.on_step("finish.sync")
        uploads = self._uploads
        uploads.folder.take_in(
            f"{self.info.id}.part", uploads.descriptor, parse_new_name(self.info.name), replace=self.info.replace
        )
        self.done = True
        uploads.on_step("finish.rename")

    def sha256(self) -> str:
        """Of the bytes that are there, read back from the file."""
        assert self._part is not None
        return hash_file(self._part)

    def remove(self) -> None:
        """Give the upload up; a file that was made of it stays."""
        self._uploads._remove(self.info.id)

    def close(self) -> None:
        part, self._part = self._part, None
        if part is not None:
            os.close(part)

    def __enter__(self) -> Upload:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _copy(source: int, target: int, at: int, count: int) -> int:
    """Copy some bytes to the target's position, in the kernel where it can; how many."""
    try:
        copied = os.copy_file_range(source, target, min(count, 1 << 30), at)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EINVAL, errno.EXDEV, errno.EOPNOTSUPP):
            raise
        copied = os.write(target, os.pread(source, min(count, _BLOCK_BYTES), at))
    if not copied:
        raise TransferError("a part is shorter than it was")
    return copied
