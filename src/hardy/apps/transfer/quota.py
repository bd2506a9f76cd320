"""`Quota`: the most that all files of the folder and the uploads under way may have, granted one at a time.

What is granted is written down where every worker sees it, in the upload's info, before the next one is asked: as its
length, or where that is not known as what is reserved for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from hardy.apps.transfer.errors import DiskFull, UploadBusy
from hardy.apps.transfer.upload import Upload
from hardy.apps.transfer.uploads import Uploads
from hardy.files import AtomicFile

__all__ = ["Quota"]

# An upload of unknown length reserves so much ahead while there is room, since to ask means to add up the folder.
_AHEAD_BYTES = 16 << 20
# To add up even a large folder takes less; a worker that was stopped in its turn must not hold up the others.
_TURN_S = 20.0


class Quota:
    """What is left of it is asked for here, by all processes that serve the folder.

    Args:
        uploads: into the folder.
        total_bytes: the most; None: no limit.
    """

    def __init__(self, uploads: Uploads, total_bytes: int | None) -> None:
        self._uploads = uploads
        self._most = total_bytes

    @contextmanager
    def granting(self, more: int) -> Iterator[None]:
        """A block in which bytes are promised to an upload (made, or told its length): nobody else is granted any.

        Args:
            more: how many, beyond what it has.

        Raises:
            DiskFull: they do not fit.
            UploadBusy: others were at it for too long.
        """
        if self._most is None:
            yield
            return
        with self._turn():
            free = self._free(self._most)
            if more > max(0, free):
                raise self._full(self._most, free, more)
            yield

    def reserve(self, upload: Upload, size: int) -> None:
        """Before an upload of unknown length grows.

        Args:
            upload: that grows.
            size: that it is to have.

        Raises:
            DiskFull: it does not fit.
            UploadBusy: others were at it for too long.
        """
        if self._most is None or upload.info.length is not None or size <= upload.info.reserved:
            return
        with self._turn():
            has = upload.promised_bytes
            free = self._free(self._most)
            if size - has > free:
                raise self._full(self._most, free, size - has)
            ahead = size + _AHEAD_BYTES
            upload.reserve(ahead if ahead - has <= free else size)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        with ExitStack() as held:
            try:
                # Never written: what counts is its turn, which a kill passes on.
                held.enter_context(AtomicFile(os.path.join(self._uploads.path, "quota"), timeout=_TURN_S))
            except TimeoutError:
                raise UploadBusy(f"other requests asked for room for {_TURN_S:g} s. Try again") from None
            yield

    def _free(self, most: int) -> int:
        # In this order: what becomes a file meanwhile is counted twice rather than not at all.
        used = self._uploads.promised_bytes()
        used += sum(entry.size for entry in self._uploads.folder.entries(recursive=True))
        return most - used

    @staticmethod
    def _full(most: int, free: int, more: int) -> DiskFull:
        return DiskFull(
            f"the quota is {most} bytes, {most - free} are stored or promised, and {more} more do not fit. "
            "Remove files, or wait until uploads that were given up expire"
        )
