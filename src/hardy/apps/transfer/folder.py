"""`Folder`: the folder that is served, in which no name and no link leads out.

Every way down is walked by descriptors, each part opened without following links: between the check and the use there
is nothing that a link could be slipped into.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hardy.apps.transfer.errors import NameTaken, NoSuchFile, TransferError, from_os_error
from hardy.apps.transfer.names import HIDDEN

__all__ = ["Entry", "Folder"]

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a pipe would wait for its other end.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_RENAME_NOREPLACE = 1
_NO_SUCH_CALL = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)


@dataclass(frozen=True)
class Entry:
    """A file of the folder, or a folder in it.

    Attributes:
        name: relative to the folder that is served.
        size: in bytes; 0 for a folder.
        modified: seconds since the epoch.
        folder: whether it is one.
    """

    name: str
    size: int
    modified: float
    folder: bool


class Folder:
    """A folder by its descriptor: it stays the same one when it is moved.

    Args:
        path: of an existing directory.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.realpath(path)
        self._root = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        os.close(self._root)

    @contextmanager
    def parent_of(self, parts: tuple[str, ...], *, make: bool = False) -> Iterator[int]:
        """The descriptor of the directory that holds `parts[-1]`.

        Args:
            parts: of a name.
            make: whether directories that are missing are made.
        """
        current = os.dup(self._root)
        try:
            for part in parts[:-1]:
                if make:
                    try:
                        os.mkdir(part, dir_fd=current)
                        os.fsync(current)
                    except FileExistsError:
                        pass  # the usual case; that it is a directory, the next line sees
                below = os.open(part, _DIRECTORY, dir_fd=current)
                os.close(current)
                current = below
            yield current
        finally:
            os.close(current)

    def open(self, parts: tuple[str, ...]) -> int:
        """A descriptor of the file, for reading.

        Raises:
            NoSuchFile: there is none, or it is no regular file: a link, a directory, a device.
        """
        name = "/".join(parts)
        try:
            if len(parts) == 1:
                opened = os.open(name, _FILE, dir_fd=self._root)
            else:
                with self.parent_of(parts) as parent:
                    opened = os.open(parts[-1], _FILE, dir_fd=parent)
        except (FileNotFoundError, NotADirectoryError):
            raise NoSuchFile(f"there is no file {name!r}") from None
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise NoSuchFile(f"{name!r} is a link, and links are not followed") from None
            raise from_os_error(error, f"opening {name!r}") from error
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            os.close(opened)
            raise NoSuchFile(f"{name!r} is no regular file")
        return opened

    def check_free(self, parts: tuple[str, ...], *, replace: bool) -> None:
        """Check that a file could get that name, before its bytes are sent.

        Args:
            parts: of the name.
            replace: whether a file of that name gives way.

        Raises:
            NameTaken: something is in the way.
        """
        name = "/".join(parts)
        try:
            with self.parent_of(parts) as parent:
                mode = os.stat(parts[-1], dir_fd=parent, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return
        except NotADirectoryError:
            raise NameTaken(
                f"no file can be named {name!r}: a part of the way there is a file, or a link (links are not followed)"
            ) from None
        if stat.S_ISDIR(mode):
            raise NameTaken(f"{name!r} is a folder. Take another name, or one in it")
        if not replace:
            raise NameTaken(f"{name!r} is there already. Remove it, or upload with replace")

    def is_folder(self, parts: tuple[str, ...]) -> bool:
        """Whether a directory has that name."""
        try:
            with self.parent_of(parts) as parent:
                return stat.S_ISDIR(os.stat(parts[-1], dir_fd=parent, follow_symlinks=False).st_mode)
        except OSError:
            return False

    def entries(self, parts: tuple[str, ...] = (), *, recursive: bool = False) -> Iterator[Entry]:
        """What a directory holds, sorted by name: regular files and directories, nothing hidden behind links.

        Args:
            parts: of the directory; none: the whole folder.
            recursive: whether what its directories hold comes too; the directories themselves then do not.
        """
        try:
            with self.parent_of((*parts, "")) as here:
                stats = [(name, found) for name in sorted(os.listdir(here)) if (found := _stat(name, here))]
        except (FileNotFoundError, NotADirectoryError):
            raise NoSuchFile(f"there is no folder {'/'.join(parts)!r}") from None
        for name, info in stats:
            if not parts and name == HIDDEN:
                continue
            path = (*parts, name)
            if stat.S_ISREG(info.st_mode):
                yield Entry("/".join(path), info.st_size, info.st_mtime, False)
            elif stat.S_ISDIR(info.st_mode):
                if recursive:
                    yield from self.entries(path, recursive=True)
                else:
                    yield Entry("/".join(path), 0, info.st_mtime, True)

    def remove(self, parts: tuple[str, ...]) -> None:
        """Remove a file; for good before it returns.

        Raises:
            NoSuchFile: there is none.
            TransferError: it cannot be removed; a directory never is.
        """
        os.close(self.open(parts))
        try:
            with self.parent_of(parts) as parent:
                os.unlink(parts[-1], dir_fd=parent)
                os.fsync(parent)
        except FileNotFoundError:
            raise NoSuchFile(f"there is no file {'/'.join(parts)!r}") from None
        except OSError as error:
            raise from_os_error(error, f"removing {'/'.join(parts)!r}") from error

    def take_in(self, source: str, source_folder: int, parts: tuple[str, ...], *, replace: bool) -> None:
        """Give a file its name in the folder, in one step: there is no instant at which half of it has the name.

        Args:
            source: name of the file as it is.
            source_folder: descriptor of the directory that holds it, on the same file system.
            parts: of its name from now on.
            replace: whether a file of that name gives way.

        Raises:
            NameTaken: something has the name, and is not replaced.
        """
        name = "/".join(parts)
        try:
            with self.parent_of(parts, make=True) as parent:
                if replace:
                    os.rename(source, parts[-1], src_dir_fd=source_folder, dst_dir_fd=parent)
                else:
                    _rename_to_free_name(source, source_folder, parts[-1], parent)
                os.fsync(parent)
            os.fsync(source_folder)
        except FileExistsError:
            raise NameTaken(f"{name!r} is there already. Remove it, or upload with replace") from None
        except OSError as error:
            raise from_os_error(error, f"naming the upload {name!r}") from error


def _stat(name: str, folder: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None  # removed since it was listed


def _rename_to_free_name(source: str, source_folder: int, target: str, target_folder: int) -> None:
    """Rename, unless the target is there; where the file system cannot do that, by a second name (link)."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is not None:
        done = renameat2(source_folder, os.fsencode(source), target_folder, os.fsencode(target), _RENAME_NOREPLACE)
        if done == 0:
            return
        number = ctypes.get_errno()
        if number not in _NO_SUCH_CALL:
            raise OSError(number, os.strerror(number), target)
    try:
        os.link(source, target, src_dir_fd=source_folder, dst_dir_fd=target_folder, follow_symlinks=False)
    except FileExistsError:
        # Killed between the link and the unlink: the target is this very file.
        ours = os.stat(source, dir_fd=source_folder, follow_symlinks=False)
        there = os.stat(target, dir_fd=target_folder, follow_symlinks=False)
        if (ours.st_dev, ours.st_ino) != (there.st_dev, there.st_ino):
            raise
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EOPNOTSUPP):
            raise TransferError(
                f"the file system of {target!r} can neither rename without replacing nor link: upload with replace"
            ) from error
        raise
    os.unlink(source, dir_fd=source_folder)
