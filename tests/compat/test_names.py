"""Every public name of `multiprocessing` is here, under the same path."""

from __future__ import annotations

import importlib
import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import pytest
from helpers.procfs import wait_dead
from helpers.procs import run_script

import hardy

from .names_of_3_14 import CLASSES, EVERYWHERE, GENERIC, MODULES, PROXIES

METHODS = ("fork", "spawn", "forkserver")
STDLIB = Path(multiprocessing.__file__).parent
SUBMODULES = sorted(
    {path.stem for path in STDLIB.glob("*.py")} - {"__init__", "popen_spawn_win32"} | {"dummy", "dummy.connection"}
)
MADE_BY_INSTANCES = ("shutdown", "shm")


def find(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(f"hardy.{module}".rstrip(".")), name)


@pytest.mark.parametrize("name", sorted({*EVERYWHERE.split(), *multiprocessing.__all__}))
def test_name_of_multiprocessing_is_in_hardy_and_in_each_context(name: str) -> None:
    """`from multiprocessing import x` becomes `from hardy import x`, those of Python 3.14 on every Python."""
    assert name in hardy.__all__
    assert getattr(hardy, name) is not None
    for method in METHODS:
        assert hasattr(hardy.get_context(method), name)


@pytest.mark.parametrize("submodule", MODULES)
def test_documented_name_of_submodule_is_in_hardys(submodule: str) -> None:
    """`from multiprocessing.managers import x` becomes `from hardy.managers import x`."""
    ours: Any = importlib.import_module(f"hardy.{submodule}")

    assert not [name for name in MODULES[submodule].split() if name not in ours.__all__]
    assert not [name for name in ours.__all__ if not hasattr(ours, name)]


@pytest.mark.parametrize("submodule", SUBMODULES)
def test_submodule_has_every_name_of_the_running_pythons(submodule: str) -> None:
    """Undocumented ones too: whatever a program imports from there is found."""
    theirs: Any = importlib.import_module(f"multiprocessing.{submodule}")
    ours: Any = importlib.import_module(f"hardy.{submodule}")

    missing = set(getattr(theirs, "__all__", ())) - {*ours.__all__, "_main"}

    assert not missing
    assert not [name for name in vars(theirs) if not hasattr(ours, name)]


def test_submodule_says_so_when_it_has_no_such_name() -> None:
    """The error names the module that was asked."""
    with pytest.raises(AttributeError, match=r"module 'hardy.util' has no attribute 'nothing', and neither has"):
        _ = hardy.util.nothing  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="module 'hardy' has no attribute 'nothing'"):
        _ = hardy.nothing


def test_submodules_are_there_without_an_import_of_their_own() -> None:
    """As programs use them after a bare `import multiprocessing`."""
    done = run_script(
        """
        import hardy as mp
        print(mp.process.current_process().name, mp.reduction.ForkingPickler.__name__, mp.connection.wait([], 0))
        print(mp.pool.ThreadPool.__name__, mp.managers.BaseManager.__name__, mp.shared_memory.SharedMemory.__name__)
        """
    )

    assert (done.stdout, done.stderr) == ("MainProcess ForkingPickler []\nThreadPool BaseManager SharedMemory\n", "")


@pytest.mark.parametrize("path", CLASSES)
def test_class_has_every_documented_method(path: str) -> None:
    """Those of Python 3.14, on every Python."""
    kind = find(path)

    assert not [name for name in CLASSES[path].split() if not hasattr(kind, name) and name not in MADE_BY_INSTANCES]


@pytest.mark.parametrize("path", [*GENERIC.split(), "queues.JoinableQueue", "queues.TaskQueue"])
def test_class_can_be_written_with_the_type_of_its_objects(path: str) -> None:
    """`Queue[int]`, in annotations that are evaluated."""
    kind = find(path)

    assert kind[int].__origin__ is kind


@pytest.mark.parametrize("kind", PROXIES)
def test_proxy_of_a_manager_has_every_documented_method(kind: str) -> None:
    """Those of Python 3.14, on every Python; and they are let through by the server."""
    with hardy.Manager() as manager:
        proxy = getattr(manager, kind)(*((1,) if kind == "Barrier" else ()))
        missing = [name for name in PROXIES[kind].split() if not hasattr(proxy, name)]
        del proxy

    assert not missing


def test_every_submodule_of_the_stdlib_is_tested() -> None:
    """The list above was not empty, and no façade of hardy is without its counterpart."""
    assert {"queues", "spawn", "heap", "resource_tracker", "popen_fork"} <= set(SUBMODULES)


@pytest.mark.parametrize(
    ("submodule", "name"), [("managers", "SyncManager"), ("pool", "Pool"), ("sharedctypes", "Value")]
)
def test_class_of_submodule_is_hardys_when_the_stdlibs_would_start_its_own(submodule: str, name: str) -> None:
    """What starts processes or makes locks does not fall back to the stdlib's context."""
    ours = getattr(importlib.import_module(f"hardy.{submodule}"), name)

    assert ours is not getattr(importlib.import_module(f"multiprocessing.{submodule}"), name)
    assert ours.__module__.startswith("hardy.")


def test_managers_server_is_a_process_of_hardy() -> None:
    """Also for a manager that is made without a context; and one of `Manager()` is the same class."""
    from hardy.managers import BaseManager, SyncManager
    from hardy.process import BaseProcess

    with SyncManager() as manager:
        (child,) = hardy.active_children()
        shared = manager.dict(a=1)
        got = dict(shared)

    assert got == {"a": 1}
    assert isinstance(child, BaseProcess)
    assert issubclass(SyncManager, BaseManager)
    with hardy.Manager() as manager:
        assert isinstance(manager, SyncManager)


@pytest.mark.parametrize("method", METHODS)
def test_manager_ends_when_its_program_is_killed(method: str) -> None:
    """No server process is left over."""
    done = run_script(
        """
        import os, signal, sys
        import hardy

        if __name__ == "__main__":
            hardy.set_start_method(sys.argv[1])
            manager = hardy.Manager()
            print(hardy.active_children()[0].pid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        """,
        method,
    )

    assert wait_dead(int(done.stdout), 5.0)


def test_pool_without_a_context_has_hardys_workers() -> None:
    """`Pool` of the submodule, too."""
    from hardy.pool import Pool
    from hardy.process import BaseProcess

    with Pool(1) as pool:
        got = pool.map(abs, [-1, 2])
        children = hardy.active_children()
        pool.close()
        pool.join()

    assert got == [1, 2]
    assert all(isinstance(child, BaseProcess) for child in children)


def test_value_without_a_context_has_hardys_lock() -> None:
    """A dead holder does not keep it."""
    done = run_script(  # in a process of its own: the stdlib's heap keeps its files open
        """
        import hardy
        from hardy.sharedctypes import Array, RawValue, Value, synchronized

        for shared in (Value("i", 3), Array("i", 3), synchronized(RawValue("i")), hardy.Value("i")):
            print(type(shared.get_lock()) is hardy.RLock)
        """
    )

    assert (done.stdout, done.stderr) == ("True\n" * 4, "")


def test_reducer_registered_under_hardy_holds_for_queues() -> None:
    """There is one table of reducers."""
    from hardy.reduction import register

    class Odd:
        def __reduce__(self) -> Any:
            raise pickle.PicklingError("not this way")

    register(Odd, lambda odd: (str, ("odd",)))
    queue: hardy.Queue[Any] = hardy.Queue()

    queue.put(Odd())

    assert queue.get() == "odd"


def test_context_of_a_library_is_found_by_its_name() -> None:
    """loky puts one of its own among the stdlib's; whoever asks hardy for it gets it."""
    context = object()
    contexts: Any = multiprocessing.context._concrete_contexts
    contexts["of-a-library"] = context

    try:
        assert hardy.get_context("of-a-library") is context
        with pytest.raises(ValueError, match="cannot find context for 'nobodys'"):
            hardy.get_context("nobodys")
    finally:
        del contexts["of-a-library"]
