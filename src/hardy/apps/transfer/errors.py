"""What can go wrong with a transfer; `status` is what HTTP calls it."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from types import MappingProxyType

from hardy.errors import HardyError

__all__ = [
    "BadName",
    "BadRequest",
    "ChecksumMismatch",
    "DiskFull",
    "Forbidden",
    "NameTaken",
    "NoSuchFile",
    "NoSuchUpload",
    "OffsetConflict",
    "SourceChanged",
    "TooLarge",
    "TransferError",
    "Unauthorized",
    "UploadBusy",
    "UploadExpired",
    "from_os_error",
]


class TransferError(HardyError):
    """Something was not transferred. What was there before is as it was.

    Attributes:
        status: of the answer.
        headers: of the answer, besides the usual ones.
    """

    status = 400
    headers: Mapping[str, str] = MappingProxyType({})


class BadRequest(TransferError, ValueError):
    """A header or an argument that cannot be meant."""


class BadName(TransferError, ValueError):
    """A name that no file may have here: an escape from the folder, or one that cannot be stored."""


class Unauthorized(TransferError, PermissionError):
    """There was no token, or an unknown one."""

    status = 401


class Forbidden(TransferError, PermissionError):
    """The token does not allow it, or the file system."""

    status = 403


class NoSuchFile(TransferError, LookupError):
    """There is no file of that name."""

    status = 404


class NoSuchUpload(TransferError, LookupError):
    """There is no upload of that address, or no longer."""

    status = 404


class NameTaken(TransferError):
    """A file of that name is there already, and was not to be replaced."""

    status = 409


class OffsetConflict(TransferError):
    """The bytes sent do not begin where the upload ends."""

    status = 409


class UploadExpired(TransferError):
    """Nothing came for too long, and the upload was given up."""

    status = 410


class TooLarge(TransferError):
    """More bytes than the server takes for one file, or than the upload was to have."""

    status = 413


class UploadBusy(TransferError):
    """Another request is writing to the same upload."""

    status = 423


class ChecksumMismatch(TransferError):
    """The bytes are not those that the checksum is of."""

    status = 460


class DiskFull(TransferError):
    """The server has no room for more. What it has stays, and the upload can be resumed."""

    status = 507


class SourceChanged(TransferError):
    """The file changed while it was being sent or fetched."""

    status = 409


def from_os_error(error: OSError, what: str) -> TransferError:
    """What an error of the file system means for a transfer.

    Args:
        error: as the system gave it.
        what: was being done, as in "writing to the upload".
    """
    said = f"{what}: {error.strerror or error}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DiskFull(f"{said}. What was stored before stays, and can be resumed when there is room")
    if error.errno in (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ):
        return BadName(f"{said}. The file system refuses this name")
    if error.errno in (errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY):
        return NameTaken(f"{said}. Something else of that name is in the way (links are not followed)")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return Forbidden(f"{said}. The server may not")
    failed = TransferError(said)
    failed.status = 500
    return failed
