"""`Uploads`: bytes that come in pieces, and become a file when they are whole.

An upload is two files in the hidden folder of the folder that is served, hence on its file system:

    ID.part    the bytes. Its size is the offset: what is in the file has come, no other record of that is kept
    ID.info    JSON: length, name, checksum; written once, before the client learns of the upload

and while a piece comes whose checksum is still to be compared, a third: ID.claim, the offset that the piece began at.

    POST   part --> info                                                      "create.*"
    PATCH  [claim -->] bytes --> [compare --> unclaim]                        "write.*"
    last   compare all --> fsync --> rename the part to its name --> fsync of both directories    "finish.*"
    DELETE info --> part                                                      "remove.*"

Whoever changes an upload holds the lock of its part (flock, which ends with its holder, however that ends). What is
found after a kill, by which files there are:

| part | info | the upload |
| --- | --- | --- |
| yes | no | was never known to a client, or was removed: cleared away when it is old |
| yes | yes | goes on from the size of the part; from what `claim` says, if that is there |
| yes, whole | yes | is finished by the next one who asks for it |
| no | yes | is done: the part has become the file |
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from types import TracebackType

from hardy.apps.transfer.digests import hash_file
from hardy.apps.transfer.errors import (
    BadRequest,
    ChecksumMismatch,
    NameTaken,
    NoSuchUpload,
    OffsetConflict,
    TransferError,
    UploadBusy,
    UploadExpired,
    from_os_error,
)
from hardy.apps.transfer.folder import Folder
from hardy.apps.transfer.names import HIDDEN, parse_new_name
from hardy.files import AtomicFile

__all__ = ["LATER", "STEPS", "Info", "Upload", "Uploads"]

# What `on_step` is called with: after each of these is done.
STEPS = (
    "create.part",
    "create.info",
    "write.claim",
    "write.bytes",
    "write.compare",
    "write.unclaim",
    "finish.compare",
    "finish.sync",
    "finish.rename",
    "remove.info",
    "remove.part",
    "join.bytes",
)
# In the place of a SHA-256: no file is made before it is known.
LATER = "later"
_ID = re.compile(r"[0-9a-f]{32}")
_BLOCK_BYTES = 1 << 20
# What a kill left over is cleared away when it has not changed for so long: nobody can be at work on it.
_LEFTOVER_S = 3600.0
_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.002, 0.1


def _nothing(step: str) -> None:
    pass


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
    """

    id: str
    length: int | None
    name: str
    replace: bool = False
    sha256: str = ""
    metadata: str = ""
    concat: str = ""


class Uploads:
    """The uploads into a folder, for all processes that serve it.

    Args:
        folder: where they become files.
        lifetime_s: after so long without a byte an upload is given up.
        durable: whether a file is on the disk (fsync) before it gets its name.
        on_step: is called after each step, with its name.
    """

    def __init__(
        self,
        folder: Folder,
        *,
        lifetime_s: float = 86400.0,
        durable: bool = True,
        on_step: Callable[[str], None] = _nothing,
    ) -> None:
        self.folder = folder
        self.lifetime_s = lifetime_s
        self.durable = durable
        self.on_step = on_step
        self.path = os.path.join(folder.path, HIDDEN)
        try:
            os.mkdir(self.path, 0o700)
        except FileExistsError:
            pass  # from an earlier run
        self.descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)

    def close(self) -> None:
        os.close(self.descriptor)

    def create(self, wanted: Info) -> Info:
        """Make an upload; it is known from then on, whoever is killed.

        Args:
            wanted: what it is to become; its id is given here.

        Raises:
            NameTaken: there is a file of that name, and it is not to be replaced.
            DiskFull: there is no room even for that.
        """
        if wanted.name:
            parts = parse_new_name(wanted.name)
            if not wanted.replace and self.folder.is_there(parts):
                raise NameTaken(f"{wanted.name!r} is there already. Remove it, or upload with replace")
        info = replace(wanted, id=secrets.token_hex(16))
        if wanted.name == "" and wanted.concat != "partial":
            info = replace(info, name=info.id)
        try:
            os.close(os.open(f"{info.id}.part", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666, dir_fd=self.descriptor))
            self.on_step("create.part")
            self._write_info(info)
        except OSError as error:
            self._unlink(f"{info.id}.part")
            raise from_os_error(error, "making an upload") from error
        self.on_step("create.info")
        return info

    def set_length(self, info: Info, length: int) -> Info:
        """Say how long it will be, where that was put off."""
        info = replace(info, length=length)
        self._write_info(info)
        return info

    def _write_info(self, info: Info) -> None:
        with AtomicFile(os.path.join(self.path, f"{info.id}.info"), durable=self.durable) as file:
            file.write(json.dumps(asdict(info)).encode())

    def info(self, upload_id: str) -> Info:
        """What the upload is to become.

        Raises:
            NoSuchUpload: there is none.
        """
        if not _ID.fullmatch(upload_id):
            raise NoSuchUpload(f"there is no upload {upload_id!r:.60}")
        try:
            with open(os.path.join(self.path, f"{upload_id}.info"), "rb") as file:
                return Info(**json.loads(file.read()))
        except FileNotFoundError:
            raise NoSuchUpload(
                f"there is no upload {upload_id}: it was removed, or had no byte for {self.lifetime_s:g} s"
            ) from None

    def open(self, upload_id: str, wait_s: float = 0.0) -> Upload:
        """The upload, for this caller alone until it is closed.

        Args:
            upload_id: its address.
            wait_s: for how long, when another has it.

        Raises:
            NoSuchUpload: there is none.
            UploadExpired: nothing came for too long.
            UploadBusy: another has it.
        """
        end = time.monotonic() + wait_s
        pause_s = _FIRST_LOOK_S
        while True:
            info = self.info(upload_id)
            try:
                part = os.open(f"{upload_id}.part", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=self.descriptor)
            except FileNotFoundError:
                return Upload(self, info, None)
            if self._lock(part):
                if self._is_current(part, upload_id):
                    return self._checked(Upload(self, info, part))
                os.close(part)
                continue
            os.close(part)
            left_s = end - time.monotonic()
            if left_s <= 0:
                raise UploadBusy(f"another request is writing to upload {upload_id}. Ask again when it has ended")
            time.sleep(min(pause_s, left_s))
            pause_s = min(2 * pause_s, _LONGEST_LOOK_S)

    @staticmethod
    def _lock(part: int) -> bool:
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except BaseException:
            os.close(part)
            raise
        return True

    def _is_current(self, part: int, upload_id: str) -> bool:
        """Whether what was locked still is the upload's part: it may have become its file meanwhile."""
        try:
            named = os.stat(f"{upload_id}.part", dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        ours = os.fstat(part)
        return (ours.st_dev, ours.st_ino) == (named.st_dev, named.st_ino)

    def _checked(self, upload: Upload) -> Upload:
        try:
            if time.time() > upload.expires:
                raise UploadExpired(
                    f"upload {upload.info.id} was given up: no byte came for {self.lifetime_s:g} s. Begin a new one"
                )
            upload.unclaim()
        except BaseException:
            upload.close()
            raise
        return upload

    def promised_bytes(self) -> int:
        """How many bytes the uploads under way are to have in all."""
        total = 0
        for name in os.listdir(self.descriptor):
            stem, _, kind = name.rpartition(".")
            if kind != "part" or not _ID.fullmatch(stem):
                continue
            try:
                size = os.stat(name, dir_fd=self.descriptor).st_size
                total += max(size, self.info(stem).length or 0)
            except (FileNotFoundError, NoSuchUpload):
                continue  # done meanwhile, or never begun
        return total

    def clear_away(self) -> int:
        """Remove uploads that were given up, and what kills have left; how many there were."""
        removed = 0
        for name in os.listdir(self.descriptor):
            stem = name.lstrip(".").partition(".")[0]
            if not _ID.fullmatch(stem):
                continue
            try:
                removed += self._clear(name, stem)
            except (FileNotFoundError, UploadBusy):
                continue  # another worker is at it
        return removed

    def _clear(self, name: str, stem: str) -> bool:
        age_s = time.time() - os.stat(name, dir_fd=self.descriptor, follow_symlinks=False).st_mtime
        if name == f"{stem}.info":
            try:
                upload = self.open(stem)
            except UploadExpired:
                self._remove(stem)
                return True
            except NoSuchUpload:
                return False
            with upload:
                if upload.done and age_s > self.lifetime_s:
                    self._unlink(name)
                    return True
            return False
        if age_s > max(_LEFTOVER_S, self.lifetime_s) and not os.path.exists(os.path.join(self.path, f"{stem}.info")):
            self._unlink(name)
            return True
        return False

    def _remove(self, upload_id: str) -> None:
        # The info first: without it the rest is nobody's.
        self._unlink(f"{upload_id}.info")
        self.on_step("remove.info")
        self._unlink(f"{upload_id}.part")
        self._unlink(f"{upload_id}.claim")
        self.on_step("remove.part")

    def _unlink(self, name: str) -> None:
        try:
            os.unlink(name, dir_fd=self.descriptor)
        except FileNotFoundError:
            pass  # that is what was wanted


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
