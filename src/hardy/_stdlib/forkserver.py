"""The stdlib's forkserver: what it imports before it forks, and a socket of it that no path leads to.

The stdlib gives the forkserver the list of modules by writing its `repr` into the program that the new interpreter
runs. `Preload` is a list whose `repr` is a call: so `load` runs in the forkserver before anything else does, on every
Python, and can do what Python 3.15 does (`on_error`), and what older ones forget (`sys.path`, the main module).

Of the modules, `__main__` is there unless the program names others: the server imports it once, and no child again.
That is left to the children where it may not end, or begin the program anew: where no main guard is above the line that
starts the first process.

The forkserver trusts whoever reaches its socket, so that has a name in a folder of this user's, and a killed program
would leave both. We open the socket (O_PATH), connect through the descriptor, and remove the name at once. Rejected: an
abstract name, which every user of the machine can reach (CVE-2022-42919).
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterable
from multiprocessing import forkserver as _forkserver
from multiprocessing import process as _process
from multiprocessing import resource_tracker as _resource_tracker
from multiprocessing import spawn as _spawn
from multiprocessing import util as _util

from hardy._stdlib.main_module import import_main, take_main, unguarded_line
from hardy._stdlib.process import make_stdin_ready, set_parent_process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Preload", "call_first", "load", "set_preload", "start_forkserver", "wait_for_forkserver_end"]

_NO_MAIN = (None, None)
# Linux takes 128 KiB as one argument of a program, and the list of modules is in the same one.
_LONGEST_ARGV = 32 << 10
_MODES = ("ignore", "warn", "fail")
# What children need of hardy; what the forkserver has imported, they need not.
_OURS = (
    "hardy.context",
    "hardy.queues",
    "hardy.synchronize",
    "hardy._proc.child",
    "hardy._proc.payload",
)

_server: Any = _forkserver._forkserver
_starting = threading.Lock()
_socket_fd = -1
_first: list[tuple[str, str]] = []


class Preload(list[str]):
    """The modules that a forkserver is to import, and what to do when one cannot be imported.

    Attributes:
        on_error: what to do then; see `load`.
        interruptible: whether the process that starts it has SIGINT unblocked.
        main: name and path of the main module that it may import; None for both: it must not.
    """

    def __init__(self, names: Iterable[str], on_error: str = "ignore") -> None:
        super().__init__(names)
        self.on_error = on_error
        self.interruptible = True
        self.main: tuple[str | None, str | None] = _NO_MAIN

    def __repr__(self) -> str:
        path = _spawn.get_preparation_data("ignore").get("sys_path", sys.path)
        adopt_path = f"__import__('sys').path[:] = {path!r}"
        argv = [] if self.main == _NO_MAIN else sys.argv
        arguments = (list(self), self.on_error, _first, self.interruptible, self.main, argv)
        return f"(exec({adopt_path!r}), __import__({__name__!r}, fromlist=['load']).load{arguments!r})[1]"


class _PathlessAddress(str):
    """Begins as an abstract address does, for the stdlib removes the file of any other when it stops the server."""

    __slots__ = ()

    def __getitem__(self, index: Any) -> str:
        return "\0" if index == 0 else super().__getitem__(index)


def set_preload(module_names: Iterable[str], on_error: str) -> None:
    """Say what the forkserver that is started next imports; see `hardy.set_forkserver_preload`.

    Raises:
        TypeError: the names are not a list of strings.
        ValueError: there is no such `on_error`.
    """
    if on_error not in _MODES:
        raise ValueError(f"on_error must be one of 'ignore', 'warn' and 'fail', not {on_error!r}")
    names = [module_names] if isinstance(module_names, (str, bytes)) else list(module_names)
    if isinstance(module_names, (str, bytes)) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"module_names must be a list of strings, not {module_names!r:.60}")
    _server._preload_modules = Preload(names, on_error)


def start_forkserver() -> None:
    """Have a forkserver that runs, and whose socket has no path.

    If a process dies here: between the naming of the socket and the removal of the name (some 10 ms, once in a
    program), it leaves an empty folder in the folder for temporary files.
    """
    global _socket_fd
    preload = _server._preload_modules
    if not isinstance(preload, Preload):
        preload = Preload(preload)
    preload.extend(name for name in _OURS if name not in preload)
    _server._preload_modules = preload
    with _starting:
        if _runs():
            return
        config = _process.current_process()._config  # type: ignore[attr-defined]
        had_folder = config.get("tempdir") is not None
        # A forkserver that is interrupted before it has learnt to ignore Ctrl-C prints a second traceback. The tracker
        # comes first, for its start unblocks SIGINT.
        _resource_tracker.ensure_running()
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        preload.interruptible = signal.SIGINT not in blocked
        preload.main = _guarded_main()
        try:
            _server.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        address = _server._forkserver_address
        if isinstance(address, _PathlessAddress):
            return
        opened = os.open(address, os.O_PATH | os.O_CLOEXEC)
        if _socket_fd >= 0:
            os.close(_socket_fd)  # of a forkserver that has ended
        _socket_fd = opened
        _server._forkserver_address = _PathlessAddress(f"/proc/self/fd/{opened}")
        os.unlink(address)
        if not had_folder:
            _forget_folder(config, os.path.dirname(address))


def _runs() -> bool:
    """Whether the forkserver is there, and its socket without a path; asked at each start, so without the tracker."""
    pid = _server._forkserver_pid
    if pid is None or not isinstance(_server._forkserver_address, _PathlessAddress):
        return False
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False


def _guarded_main() -> tuple[str | None, str | None]:
    if unguarded_line() is not None or len(repr(sys.argv)) > _LONGEST_ARGV:
        return _NO_MAIN
    return take_main(_spawn.get_preparation_data("forkserver"))


def _forget_folder(config: dict[str, Any], folder: str) -> None:
    """Remove the folder for temporary files that was made for the socket."""
    try:
        os.rmdir(folder)
    except OSError:
        return  # another thread has found a use for it
    config["tempdir"] = None
    for finalizer in list(_util._finalizer_registry.values()):  # type: ignore[attr-defined]
        if folder in (finalizer._args or ()):
            finalizer.cancel()  # it would remove the folder at exit


def wait_for_forkserver_end(timeout_s: float) -> None:
    """Wait until the forkserver that refused us is seen to be dead, so that a new one can be started.

    Raises:
        EOFError: it ended by itself, for it could not import what it was to preload; a new one would fare no better.
    """
    pid = _server._forkserver_pid
    if pid is None:
        return
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        select.select([pidfd], [], [], timeout_s)
        ended = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return  # another thread was faster
    finally:
        os.close(pidfd)
    if ended is not None and ended.si_code == os.CLD_EXITED and ended.si_status != 0:
        raise EOFError(
            f"the forkserver (pid {pid}) ended with status {ended.si_status} while it imported "
            f"{', '.join(_server._preload_modules)}; its standard error says why. Nothing was started. Mend the "
            "import, or leave the module out of set_forkserver_preload"
        )


def call_first(module: str, function: str) -> None:
    """Have a forkserver that is started later call that function before it imports the user's modules."""
    if (module, function) not in _first:
        _first.append((module, function))


class _Interruptible:
    """Kept in a forkserver whose SIGINT is blocked only until its children run."""


_interruptible: _Interruptible | None = None


def _let_interrupts_through(_: _Interruptible) -> None:
    """In a child of the stdlib's forkserver, when it is about to run; those of hardy see to it as they boot."""
    global _interruptible
    _interruptible = None  # what this child forks is not asked again
    if not hasattr(_process.current_process(), "outlive_parent"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _load_main(main: tuple[str | None, str | None], argv: list[str]) -> None:
    """Import the main module as a child does; if it cannot be, each child tries it again, and says why."""
    this: Any = _process.current_process()
    before = sys.modules["__main__"]
    sys.argv[:] = argv
    name = this._name
    this._inheriting = True
    # Programs ask for both, to know whether they are the main process.
    this._name = "Forkserver"
    sentinel = os.pidfd_open(os.getppid())
    set_parent_process(_process._ParentProcess("MainProcess", os.getppid(), sentinel))  # type: ignore[attr-defined]
    try:
        import_main(*main)
    except BaseException:
        sys.modules["__main__"] = before
        sys.modules.pop("__mp_main__", None)
    finally:
        this._name = name
        del this._inheriting
        set_parent_process(None)
        os.close(sentinel)


def load(
    names: list[str],
    on_error: str,
    first: list[tuple[str, str]],
    interruptible: bool,
    main: tuple[str | None, str | None],
    argv: list[str],
) -> list[str]:
    """In the forkserver: import the modules.

    Args:
        names: of the modules.
        on_error: what to do about an ImportError: "ignore", "warn" (on standard error), "fail" (end).
        first: functions to call before, each by its module and name.
        interruptible: whether children are to have SIGINT unblocked.
        main: name and path of the main module, if that may be imported here.
        argv: what it finds in `sys.argv`.

    Returns:
        What is left for the stdlib to import: the program itself, on those Pythons that do.
    """
    global _interruptible
    if interruptible:
        _interruptible = _Interruptible()
        _util.register_after_fork(_interruptible, _let_interrupts_through)
    for module, function in first:
        getattr(importlib.import_module(module), function)()
    if "__main__" in names and main != _NO_MAIN:
        _load_main(main, argv)
    for name in names:
        if name == "__main__":
            continue
        try:
            importlib.import_module(name)
        except ImportError as error:
            if on_error == "fail":
                traceback.print_exc()
                raise SystemExit(1) from None
            if on_error == "warn":
                with warnings.catch_warnings():
                    # Python keeps quiet about warnings of this kind, but this one was asked for.
                    warnings.simplefilter("always", ImportWarning)
                    warnings.warn(f"the forkserver could not preload {name!r}: {error}", ImportWarning, stacklevel=1)
    _util._flush_std_streams()  # type: ignore[attr-defined] # or each child would print it again
    make_stdin_ready()
    # What is here now is every child's: not looked through by a collection, its pages stay shared.
    gc.collect()
    gc.freeze()
    return [name for name in names if name == "__main__"]
