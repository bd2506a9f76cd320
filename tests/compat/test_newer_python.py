"""What newer Pythons have, on every Python: sets and `locked()` of managers, `track=`, `on_error=`."""

from __future__ import annotations

import secrets
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator, MutableSet
from pathlib import Path
from typing import Any

import pytest
from helpers.procs import run_script
from helpers.waiting import wait_until

import hardy
from hardy.shared_memory import SharedMemory

METHODS = ("fork", "spawn", "forkserver")


@pytest.fixture(scope="module")
def manager() -> Iterator[Any]:
    """One for the module, started before its tests count what there is."""
    with hardy.get_context("fork").Manager() as manager:
        yield manager


def test_set_of_a_manager_is_a_set(manager: Any) -> None:
    """Its operators and methods, with the results of a set of this process."""
    shared = manager.set([1, 2, 3])

    assert isinstance(shared, MutableSet)
    assert sorted(shared) == [1, 2, 3]
    assert (2 in shared, 9 in shared, len(shared)) == (True, False, 3)
    assert shared | {4} == {1, 2, 3, 4} == {4} | shared
    assert (shared & {2, 9}, shared - {1}, shared ^ {3, 4}) == ({2}, {2, 3}, {1, 2, 4})
    assert (shared >= {1}, shared < {1}, shared.issubset({1, 2, 3, 4})) == (True, False, True)
    shared.add(5)
    shared.discard(1)
    shared |= {6}
    shared &= {2, 3, 5, 6}
    shared -= {2}
    shared ^= {3, 7}
    assert shared.copy() == {5, 6, 7}
    assert manager.set().copy() == set()


@pytest.mark.parametrize("method", METHODS)
def test_set_of_a_manager_is_shared_with_a_child(method: str) -> None:
    """Of any start method."""
    done = run_script(
        """
        import sys
        import hardy

        def work(shared):
            shared.add("of the child")

        if __name__ == "__main__":
            hardy.set_start_method(sys.argv[1])
            with hardy.Manager() as manager:
                shared = manager.set(["of the parent"])
                child = hardy.Process(target=work, args=(shared,))
                child.start()
                child.join()
                print(*sorted(shared), sep=", ")
        """,
        method,
    )

    assert (done.stdout, done.stderr) == ("of the child, of the parent\n", "")


def test_list_and_dict_of_a_manager_have_the_methods_of_3_14(manager: Any) -> None:
    """`copy` and `clear`; merging, `reversed` and `fromkeys`."""
    numbers, ages = manager.list([1, 2]), manager.dict(a=1)
    copied = numbers.copy()
    numbers.clear()
    merged = ages | {"b": 2}, {"b": 2} | ages
    ages |= {"c": 3}

    assert (copied, len(numbers)) == ([1, 2], 0)
    assert merged == ({"a": 1, "b": 2}, {"b": 2, "a": 1})
    assert (list(reversed(ages)), ages.copy()) == (["c", "a"], {"a": 1, "c": 3})
    assert ages.fromkeys("xy", 0) == {"x": 0, "y": 0}


@pytest.mark.parametrize("kind", ["Lock", "RLock", "Semaphore", "BoundedSemaphore", "Condition"])
def test_lock_of_a_manager_says_whether_it_is_locked(manager: Any, kind: str) -> None:
    """To its holder, and to another thread."""
    lock = getattr(manager, kind)()
    seen: list[bool] = []

    before = lock.locked()
    with lock:
        during = lock.locked()
        thread = threading.Thread(target=lambda: seen.append(lock.locked()))
        thread.start()
        thread.join()
    after = lock.locked()

    assert (before, during, seen, after) == (False, True, [True], False)


@pytest.mark.parametrize("kind", [hardy.Lock, hardy.RLock, hardy.Semaphore, hardy.BoundedSemaphore])
def test_lock_says_whether_it_is_locked(kind: Any) -> None:
    """Semaphores too, as in 3.14: whether no permit is left."""
    lock = kind()

    with lock:
        during = lock.locked()

    assert (during, lock.locked()) == (True, False)


TRACKED = """
    import os, sys
    from hardy.shared_memory import SharedMemory

    os.chdir("/")  # the script's folder may be gone before the tracker has begun; Python 3.13.0 cannot begin there
    block = SharedMemory(sys.argv[1], create=True, size=10, track=sys.argv[2] == "yes")
    block.buf[0] = 7
    block.close()
"""


@pytest.mark.parametrize("track", ["yes", "no"])
def test_shared_memory_stays_when_it_is_not_tracked(track: str) -> None:
    """The tracker of a program that has ended removes what was tracked, and knows nothing of what was not."""
    name = f"hardy-test-{secrets.token_hex(6)}"

    done = run_script(TRACKED, name, track)

    path = Path("/dev/shm") / name
    assert done.returncode == 0
    if track == "yes":
        assert wait_until(lambda: not path.exists())
    else:
        assert done.stderr == ""
        block = SharedMemory(name, track=False)
        assert block.buf[0] == 7
        block.close()
        block.unlink()
        assert not path.exists()


def test_shared_memory_starts_no_tracker_when_it_is_not_tracked() -> None:
    """Not even the process is there; and `track` goes along to a child."""
    done = run_script(
        """
        import hardy
        from multiprocessing import resource_tracker
        from hardy.shared_memory import SharedMemory

        def work(block):
            block.buf[0] += 1
            block.close()

        if __name__ == "__main__":
            block = SharedMemory(create=True, size=10, track=False)
            child = hardy.get_context("fork").Process(target=work, args=(block,))
            child.start()
            child.join()
            print(block.buf[0], resource_tracker._resource_tracker._fd)
            spawned = hardy.get_context("spawn").Process(target=work, args=(block,))
            spawned.start()
            spawned.join()
            print(block.buf[0])
            block.close()
            block.unlink()
        """
    )

    assert (done.stdout, done.stderr) == ("1 None\n2\n", "")


@pytest.mark.parametrize(
    ("on_error", "stdout", "stderr"),
    [
        ("ignore", "['colorsys']\n", ""),
        ("warn", "['colorsys']\n", "ImportWarning: the forkserver could not preload 'no_such_module'"),
        ("fail", "EOFError: the forkserver (pid N) ended with status 1", "ModuleNotFoundError: No module named"),
    ],
)
def test_forkserver_does_as_asked_when_it_cannot_preload(on_error: str, stdout: str, stderr: str) -> None:
    """What can be imported is; and of `fail`, every start is told, at once and once."""
    done = run_script(
        """
        import re, sys
        import hardy

        def work():
            return [name for name in ("colorsys", "no_such_module") if name in sys.modules]

        if __name__ == "__main__":
            ctx = hardy.get_context("forkserver")
            ctx.set_forkserver_preload(["colorsys", "no_such_module"], on_error=sys.argv[1])
            child = ctx.Process(target=work)
            try:
                child.start()
                print(child.result())
            except EOFError as error:
                print("EOFError:", re.sub(r"pid \\d+", "pid N", str(error)))
        """,
        on_error,
    )

    assert done.stdout.startswith(stdout)
    assert stderr in done.stderr
    assert bool(done.stderr) == bool(stderr)
    assert done.stderr.count("Traceback") == (1 if on_error == "fail" else 0)


def test_forkserver_preloads_from_the_programs_own_path() -> None:
    """On every Python; and the preloaded module has been given hardy by `install`."""
    done = run_script(
        """
        import os, sys
        import hardy

        hardy.install()

        def work():
            return sys.modules["of_the_program"].LOCK

        if __name__ == "__main__":
            folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "more")
            os.mkdir(folder)
            with open(os.path.join(folder, "of_the_program.py"), "w") as file:
                file.write("from multiprocessing import Lock\\nLOCK = type(Lock()).__module__")
            sys.path.append(folder)
            ctx = hardy.get_context("forkserver")
            ctx.set_forkserver_preload(["of_the_program"])
            child = ctx.Process(target=work)
            child.start()
            print(child.result())
        """
    )

    assert (done.stdout, done.stderr) == ("hardy._sync.lock\n", "")


@pytest.mark.parametrize("how", ["file", "module"])
def test_forkserver_imports_the_main_module_once(how: str, tmp_path: Path) -> None:
    """As a child does, with the program's arguments and beside a parent; and no child imports it again."""
    (tmp_path / "once.py").write_text(
        textwrap.dedent("""
            import multiprocessing, os, sys
            import hardy

            IMPORTED_IN = os.getpid()

            def work():
                alone = multiprocessing.parent_process() is None
                return IMPORTED_IN, IMPORTED_IN == os.getpid(), alone, sys.argv[1:]

            if __name__ == "__main__":
                ctx = hardy.get_context("forkserver")
                children = [ctx.Process(target=work) for _ in range(3)]
                for child in children:
                    child.start()
                pids, *others = zip(*(child.result() for child in children))
                print(len(set(pids)), others)
            else:
                print(__name__, sys.argv[1:], multiprocessing.parent_process() is None)
        """)
    )
    started = ["-m", "once"] if how == "module" else ["once.py"]

    done = subprocess.run(
        [sys.executable, *started, "an argument"], cwd=tmp_path, capture_output=True, text=True, timeout=30
    )

    in_server = "__mp_main__ ['an argument'] False\n"
    in_children = (
        "1 [(False, False, False), (False, False, False), (['an argument'], ['an argument'], ['an argument'])]\n"
    )
    assert (done.stdout, done.stderr) == (in_server + in_children, "")


def test_forkserver_leaves_the_main_module_to_the_children_when_it_has_no_guard() -> None:
    """It might not come to an end in the server; a child that comes to the line is told, as ever."""
    done = run_script(
        """
        import hardy

        try:
            hardy.get_context("forkserver").Process(target=print).start()
        except hardy.MainGuardMissing as error:
            print(type(error).__name__, __name__)
        """
    )

    # Once each: the server did not try it too.
    lines = sorted(done.stdout.splitlines())
    assert lines == ["MainGuardMissing __main__", "MainGuardMissing __mp_main__"], done.stderr


@pytest.mark.parametrize(
    ("names", "on_error", "error"),
    [
        ("os", "ignore", TypeError),
        ([1], "ignore", TypeError),
        (["os"], "raise", ValueError),
    ],
)
def test_preload_is_refused_when_it_is_wrong(names: Any, on_error: str, error: type[Exception]) -> None:
    """At the call, with what is right."""
    with pytest.raises(error, match=r"must be"):
        hardy.set_forkserver_preload(names, on_error=on_error)
