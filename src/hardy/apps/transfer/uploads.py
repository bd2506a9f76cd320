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

import fcntl
import json
import os
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, replace

from hardy.apps.transfer.errors import (
    NoSuchUpload,
    UploadBusy,
    UploadExpired,
    from_os_error,
)
from hardy.apps.transfer.folder import Folder
from hardy.apps.transfer.names import HIDDEN, parse_new_name
from hardy.apps.transfer.upload import Info, Upload
from hardy.files import AtomicFile

__all__ = ["STEPS", "Uploads"]

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
_ID = re.compile(r"[0-9a-f]{32}")
# What a kill left over is cleared away when it has not changed for so long: nobody can be at work on it.
_LEFTOVER_S = 3600.0
_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.002, 0.1


def _nothing(step: str) -> None:
    pass


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
            NameTaken: something is in the way of that name.
            DiskFull: there is no room even for that.
        """
        if wanted.name:
            self.folder.check_free(parse_new_name(wanted.name), replace=wanted.replace)
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

    def set_reserved(self, info: Info, size: int) -> Info:
        """Say how many bytes of the quota are its own, while its length is not known."""
        info = replace(info, reserved=size)
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
                total += self.info(stem).promised_bytes(size)
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
