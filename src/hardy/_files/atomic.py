"""`AtomicFile` and `locked_json`: a small shared file, read, changed and written whole or not at all.

    path          the old content ------------------rename------------------> the new content
    beside it     a file without a name --write, fsync--> --link--> .NAME.new --^
    the directory                                                               --fsync-->

What a kill leaves at each step: before the link nothing, the kernel frees a file without a name; between link and
rename `.NAME.new`, which the next change removes; after the rename the new content.

Where the file system has no files without a name (O_TMPFILE), the new content is written to `.NAME.new` from the
start.

Source: open(2), O_TMPFILE; rename(2).
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from hardy._core import runtime
from hardy._files.turn import FileTurn
from hardy.errors import FileCorrupt

__all__ = ["AtomicFile", "locked_json"]

runtime._declare(
    "atomicfile.write.after_create",
    "atomicfile.write.after_data",
    "atomicfile.write.after_sync",
    "atomicfile.write.after_link",
    "atomicfile.write.after_rename",
    "atomicfile.write.after_sync_directory",
)

_NEW_FILE_MODE = 0o666
_REQUIRED: Any = object()


class AtomicFile:
    """A small file that several processes read and change: whole or not at all, one at a time.

        with AtomicFile("stock.txt") as file:      # waits for its turn
            left = int(file.read() or b"10")
            file.write(b"%d" % (left - 1))         # is there when the block has ended; not at all if it raises

    `read` needs no turn, and always sees one whole content. Only those who change the file through this class (or
    `locked_json`) take turns; the lock is a file `.NAME.lock` beside it, which is gone when nobody uses it.

    Args:
        path: of the file; it need not exist, its directory must. A symbolic link stays one: its target is replaced.
        durable: whether a change is on the disk (fsync of file and directory) before the block ends. Without it the
            change is whole all the same when a *process* dies, and may be missing after a power failure.
        timeout: seconds to wait for the turn; None waits without end.

    If a process dies here: the old content or the new one is there, and the turn passes on at once.
    """

    def __init__(self, path: str | os.PathLike[str], *, durable: bool = True, timeout: float | None = None) -> None:
        if timeout is not None and timeout < 0:
            raise ValueError(f"timeout must not be negative, and is {timeout}")
        self._path = os.path.realpath(os.fspath(path))
        self._folder, name = os.path.split(self._path)
        if not name or os.path.isdir(self._path):
            raise IsADirectoryError(errno.EISDIR, "an AtomicFile needs the path of a file, not of a directory", path)
        self._new_path = os.path.join(self._folder, f".{name}.new")
        self._turn = FileTurn(os.path.join(self._folder, f".{name}.lock"))
        self._durable = durable
        self._timeout_s = timeout
        self._staged: bytes | None = None

    @property
    def path(self) -> str:
        """The absolute path, links resolved."""
        return self._path

    def read(self) -> bytes:
        """The whole content; `b""` when there is no file. In a block after `write`, what was written."""
        if self._staged is not None:
            return self._staged
        try:
            with open(self._path, "rb") as file:
                return file.read()
        except FileNotFoundError:
            return b""

    def write(self, data: bytes) -> None:
        """Replace the content, when the block ends.

        Raises:
            RuntimeError: outside of a `with` block.
        """
        if not self._turn.held:
            raise RuntimeError(
                f"write to {self._path!r} outside of its block: others could change the file between your read and "
                "your write. Use `with AtomicFile(path) as file: file.write(...)`"
            )
        self._staged = bytes(data)

    def __enter__(self) -> AtomicFile:
        if self._turn.held:
            raise RuntimeError(f"the turn at {self._path!r} is held by this object already: its blocks do not nest")
        if not self._turn.acquire(self._timeout_s):
            raise TimeoutError(
                f"{self._path!r} was being changed by others for {self._timeout_s} s. Nothing was read or written; "
                "try again, or give a longer timeout"
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        staged, self._staged = self._staged, None
        try:
            if staged is not None and error is None and self._turn.held:
                self._replace(staged)
        finally:
            self._turn.release()

    def _replace(self, data: bytes) -> None:
        try:
            os.unlink(self._new_path)
        except FileNotFoundError:
            pass  # the usual case: no one was killed between link and rename
        new = self._create()
        try:
            runtime.hit("atomicfile.write.after_create")
            view = memoryview(data)
            while view:
                view = view[os.write(new, view) :]
            runtime.hit("atomicfile.write.after_data")
            if self._durable:
                os.fsync(new)
            runtime.hit("atomicfile.write.after_sync")
            if os.fstat(new).st_nlink == 0:
                # With a directory given, Python follows the link in /proc (AT_SYMLINK_FOLLOW), which names the file.
                os.link(f"/proc/self/fd/{new}", self._new_path, src_dir_fd=new, follow_symlinks=True)
            runtime.hit("atomicfile.write.after_link")
            os.rename(self._new_path, self._path)
            runtime.hit("atomicfile.write.after_rename")
        except BaseException:
            self._discard()
            raise
        finally:
            os.close(new)
        if self._durable:
            self._sync_folder()
        runtime.hit("atomicfile.write.after_sync_directory")

    def _create(self) -> int:
        """A new file, without a name where that can be had, with the mode of the one that it replaces."""
        try:
            new = os.open(self._folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, _NEW_FILE_MODE)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT):
                raise
            new = os.open(self._new_path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, _NEW_FILE_MODE)
        try:
            os.fchmod(new, stat.S_IMODE(os.stat(self._path).st_mode))
        except FileNotFoundError:
            pass  # the first content: the umask decides
        except BaseException:
            os.close(new)
            self._discard()
            raise
        return new

    def _discard(self) -> None:
        try:
            os.unlink(self._new_path)
        except FileNotFoundError:
            pass  # it had no name yet, or has its own by now

    def _sync_folder(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def __repr__(self) -> str:
        return f"<AtomicFile({self._path!r})>"


@contextmanager
def locked_json(
    path: str | os.PathLike[str],
    default: Any = _REQUIRED,
    *,
    durable: bool = True,
    timeout: float | None = None,
    indent: int | None = None,
) -> Iterator[Any]:
    """The content of a JSON file, ours alone in the block; what the block made of it is written at its end.

        with locked_json("tickets.json") as tickets:
            if tickets["count"] > 0:
                tickets["count"] -= 1

    If the block raises, or changes nothing, the file stays as it is.

    Args:
        path: of the file; see `AtomicFile`.
        default: a dict or list to begin with when there is no file, or an empty one.
        durable: see `AtomicFile`.
        timeout: seconds to wait for the turn; None waits without end.
        indent: of the JSON that is written, in spaces; None: one line.

    Raises:
        FileNotFoundError: there is no file, and no default.
        FileCorrupt: what is there is not JSON, or no dict or list. The file stays as it is.
        TimeoutError: the turn did not come in time.
        TypeError: at the end of the block: something in it cannot be said in JSON; the message has the path to it.
    """
    with AtomicFile(path, durable=durable, timeout=timeout) as file:
        before = file.read()
        obj = _parse(before, file.path, default)
        yield obj
        _check_sayable(obj, "the content")
        after = json.dumps(obj, ensure_ascii=False, indent=indent, allow_nan=False).encode() + b"\n"
        if after != before:
            file.write(after)


def _parse(content: bytes, path: str, default: Any) -> Any:
    if not content.strip():
        if default is _REQUIRED:
            raise FileNotFoundError(
                errno.ENOENT, "there is no content yet, and locked_json was given no default to begin with", path
            )
        if not isinstance(default, (dict, list)):
            raise TypeError(f"default must be a dict or a list, which can be changed, not {type(default).__name__}")
        return json.loads(json.dumps(default))
    try:
        obj = json.loads(content)
    except ValueError as error:
        raise FileCorrupt(path, f"it is not JSON: {error}") from None
    if not isinstance(obj, (dict, list)):
        raise FileCorrupt(path, f"it holds a single {type(obj).__name__}, not an object or an array")
    return obj


def _check_sayable(obj: Any, where: str) -> None:
    """Raise TypeError with the path to what JSON cannot say, or would say as something else."""
    if obj is None or type(obj) in (bool, int, str):
        return
    if type(obj) is float:
        if obj != obj or obj in (float("inf"), float("-inf")):
            raise TypeError(f"{where} is {obj}, which JSON cannot say. Nothing was written")
    elif isinstance(obj, dict):
        for key, value in obj.items():
            if not isinstance(key, str):
                raise TypeError(
                    f"{where} has the key {key!r} of type {type(key).__name__}; JSON has text keys only, and it would "
                    "come back as another. Nothing was written"
                )
            _check_sayable(value, f"{where}[{key!r}]")
    elif isinstance(obj, (list, tuple)):
        for index, value in enumerate(obj):
            _check_sayable(value, f"{where}[{index}]")
    else:
        raise TypeError(f"{where} is a {type(obj).__name__}, which JSON cannot say. Nothing was written")
