"""What docs/en/migrate.md says is true: its code runs, and each of its claims names a test that there is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.procs import run_script

from .shown import code_blocks

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/en/migrate.md").read_text()
BLOCKS = code_blocks(PAGE)
CLAIMS = re.findall(r"^\| (.+) \| `([\w/.]+)::(\w+)` \|$", PAGE, re.MULTILINE)

WORKAROUNDS = {
    "drain before join": """
        while process.is_alive() or not queue.empty():
            try:
                got = queue.get(timeout=0.05)
            except Empty:
                continue
        process.join()
    """,
    "cancel_join_thread": """
        got = queue.get()
        process.join()
        queue.close()
        queue.join_thread()
        queue.cancel_join_thread()
    """,
    "sentinel": """
        process.join()
        queue.put(None)
        for got in iter(queue.get, None):
            pass
    """,
    "reaping by hand": """
        got = queue.get()
        process.join()
        hardy.active_children()
    """,
    "watchdog that kills": """
        got = queue.get()
        atexit.register(lambda: [child.kill() for child in hardy.active_children()])
        process.join()
    """,
    "lock with a time-out": """
        assert lock.acquire(timeout=5)
        lock.release()
        got = queue.get()
        process.join()
    """,
    "resource tracker told to forget": """
        block = SharedMemory(create=True, size=8)
        resource_tracker.unregister(block._name, "shared_memory")
        resource_tracker.register(block._name, "shared_memory")
        block.close()
        block.unlink()
        got = queue.get()
        process.join()
    """,
}
HEAD = """
import atexit
from queue import Empty
import hardy
from hardy import resource_tracker
from hardy.shared_memory import SharedMemory

def work(queue, lock):
    with lock:
        queue.put("the object")
    queue.cancel_join_thread()

if __name__ == "__main__":
    queue, lock = hardy.Queue(), hardy.Lock()
    process = hardy.Process(target=work, args=(queue, lock))
    process.start()
    if True:
"""


@pytest.mark.parametrize(("code", "text"), BLOCKS, ids=range(len(BLOCKS)))
def test_code_prints_what_stands_below_it(code: str, text: str) -> None:
    """Each Python block of the page runs as it stands, as a program of its own."""
    done = run_script(code)

    assert done.returncode == 0, done.stderr
    assert (done.stdout.strip(), done.stderr) == (text.strip(), "")


def test_page_has_code_and_claims() -> None:
    """The tests of this file test something; and every row of the table names one test."""
    rows = PAGE.partition("| --- | --- |\n")[2].strip().splitlines()

    assert len(BLOCKS) >= 7
    assert all(text for _, text in BLOCKS)
    assert len(CLAIMS) == len(rows) >= 25


@pytest.mark.parametrize(("claim", "file", "name"), CLAIMS, ids=[name for _, _, name in CLAIMS])
def test_claim_names_a_test_that_exists(claim: str, file: str, name: str) -> None:
    """By its file and its name."""
    assert re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.MULTILINE), claim


@pytest.mark.parametrize("workaround", WORKAROUNDS)
def test_old_workaround_is_harmless(workaround: str) -> None:
    """A program that keeps it gets what it got."""
    done = run_script(HEAD + WORKAROUNDS[workaround] + "\n        print(got)\n")

    assert (done.stdout, done.stderr, done.returncode) == ("the object\n", "", 0)


def test_lock_in_a_managers_dict_goes_on_when_its_holder_is_killed() -> None:
    """Unlike a lock of the manager itself."""
    done = run_script(
        """
        import os, signal, warnings
        import hardy

        def work(shared):
            shared["lock"].acquire()
            shared["own"].acquire()
            os.kill(os.getpid(), signal.SIGKILL)

        if __name__ == "__main__":
            warnings.simplefilter("ignore", hardy.OwnerDiedWarning)
            with hardy.Manager() as manager:
                own = manager.Lock()
                shared = manager.dict(lock=hardy.Lock(), own=own)
                process = hardy.Process(target=work, args=(shared,))
                process.start()
                process.join()
                lock = shared["lock"]
                print(lock.acquire(timeout=10), lock.recovered)
                lock.release()
                print(own.acquire(False))
        """
    )

    assert (done.stdout, done.stderr) == ("True True\nFalse\n", "")


def test_import_says_so_on_another_system() -> None:
    """What is supported, and what to use there."""
    done = run_script("import sys; sys.platform = 'darwin'; import hardy")

    assert re.search(r"^ImportError: hardy runs on Linux .*, not on darwin: .* multiprocessing here", done.stderr, re.M)


def test_install_leaves_what_the_page_says(tmp_path: Path) -> None:
    """The class of `multiprocessing.queues`, and programs that are started by subprocess."""
    program = tmp_path / "program.py"
    program.write_text(
        """
import multiprocessing.queues, subprocess, sys
code = "import multiprocessing; print(type(multiprocessing.Lock()).__module__)"
print(multiprocessing.queues.Queue.__module__, type(multiprocessing.Queue()).__module__, flush=True)
subprocess.run([sys.executable, "-c", code])
"""
    )

    done = subprocess.run(
        [sys.executable, "-m", "hardy", "run", str(program)], capture_output=True, text=True, timeout=30
    )

    assert done.stdout == "multiprocessing.queues hardy._ipc.queues\nmultiprocessing.synchronize\n"
