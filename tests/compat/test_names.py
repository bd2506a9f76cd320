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

METHODS = ("fork", "spawn", "forkserver")
SUBMODULES = (
    "queues",
    "synchronize",
    "pool",
    "context",
    "connection",
    "managers",
    "shared_memory",
    "sharedctypes",
    "util",
    "process",
    "reduction",
    "dummy",
    "dummy.connection",
)


@pytest.mark.parametrize("name", multiprocessing.__all__)
def test_name_of_multiprocessing_is_in_hardy(name: str) -> None:
    """`from multiprocessing import x` becomes `from hardy import x`, and a context has it too."""
    assert name in hardy.__all__
    assert getattr(hardy, name) is not None
    for method in METHODS:
        assert hasattr(hardy.get_context(method), name) or not hasattr(multiprocessing.get_context(method), name)


@pytest.mark.parametrize("submodule", SUBMODULES)
def test_submodule_has_every_public_name(submodule: str) -> None:
    """`from multiprocessing.managers import x` becomes `from hardy.managers import x`."""
    theirs: Any = importlib.import_module(f"multiprocessing.{submodule}")
    ours: Any = importlib.import_module(f"hardy.{submodule}")

    missing = set(getattr(theirs, "__all__", ())) - set(ours.__all__)

    assert not missing
    assert not [name for name in ours.__all__ if not hasattr(ours, name)]


def test_submodule_is_tested_when_it_exists() -> None:
    """No façade is forgotten above."""
    package = Path(hardy.__file__).parent
    stdlib = Path(multiprocessing.__file__).parent
    both = {path.stem for path in package.glob("*.py")} & {path.stem for path in stdlib.glob("*.py")} - {"__init__"}

    assert both <= set(SUBMODULES)


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
