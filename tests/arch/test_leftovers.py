"""The fixture that looks for leftovers finds each kind of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

LEAKS = {
    "process": """
        import subprocess, sys
        kept = []
        def test_leaks():
            kept.append(subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]))
        """,
    "orphan": """
        import subprocess, sys
        GRANDCHILD = "import signal; print(flush=True); signal.pause()"
        CHILD = "import os, sys; os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, '-c', sys.argv[1]])"
        def test_leaks():
            child = subprocess.Popen([sys.executable, "-c", CHILD, GRANDCHILD], stdout=subprocess.PIPE)
            with child:
                child.stdout.readline()
        """,
    "zombie": """
        import os
        def test_leaks():
            if not (pid := os.fork()):
                os._exit(0)
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        """,
    "thread": """
        import threading
        def test_leaks():
            threading.Thread(target=threading.Event().wait, name="idle", daemon=True).start()
        """,
    "descriptor": """
        import os
        def test_leaks():
            os.open("/dev/null", os.O_RDONLY)
        """,
    "pidfd": """
        import os
        def test_leaks():
            os.pidfd_open(os.getppid())
        """,
    "name": """
        import os, pathlib
        def test_leaks(leaked_name):
            leaked_name.touch()
        """,
    "mapping": """
        import mmap, os
        kept = []
        def test_leaks():
            fd = os.memfd_create("hardy-ring")
            os.ftruncate(fd, 4096)
            kept.append(mmap.mmap(fd, 4096))
            os.close(fd)
        """,
}
MESSAGES = {
    "process": "*process * (*signal.pause())",
    "orphan": "*process * (*signal.pause())",
    "zombie": "*zombie *",
    "thread": "*thread 'idle' (daemon=True)",
    "descriptor": "*1 open descriptor(s): /dev/null",
    "pidfd": "*1 open descriptor(s): anon_inode:?pidfd?",
    "name": "*name /dev/shm/hardy-leak-*",
    "mapping": "*1 mapping(s): /memfd:hardy-ring",
}


@pytest.fixture
def run_isolated(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    """Run one test file in a pytest process of its own, with the fixture and little patience."""
    monkeypatch.setenv("PYTHONPATH", str(TESTS))

    def run(source: str) -> pytest.RunResult:
        pytester.makepyfile(source)
        return pytester.runpytest_subprocess(
            "-p", "helpers.leftovers", "-p", "no:randomly", "-o", "leftovers_grace_s=0.3", timeout=30
        )

    return run


@pytest.mark.parametrize("kind", LEAKS)
def test_leftovers_are_reported_when_a_test_leaves(kind: str, run_isolated, pytester: pytest.Pytester) -> None:
    """A test that leaves something fails, and the message names it."""
    # Other runs of this test on this machine have folders of the same name.
    leaked_name = Path(f"/dev/shm/hardy-leak-{os.getpid()}-{pytester.path.name}")
    pytester.makeconftest(f"""
        import pathlib, pytest
        @pytest.fixture
        def leaked_name():
            return pathlib.Path({str(leaked_name)!r})
        """)

    result = run_isolated(LEAKS[kind])
    leaked_name.unlink(missing_ok=True)

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*left behind, 0.3 s after the test:*", MESSAGES[kind]])


def test_leftovers_are_not_reported_when_all_is_taken_down(run_isolated) -> None:
    """What ends by itself within the grace time, and what is there once a process, is no leak."""
    result = run_isolated(
        """
        import multiprocessing, os, subprocess, sys, threading
        def test_ends_meanwhile():
            threading.Timer(0.05, lambda: None).start()
        def test_slab_is_made_once():
            os.memfd_create("hardy-slab")
        def test_own_pidfd_is_opened_once():
            os.pidfd_open(os.getpid())
        def test_forkserver_stays():
            process = multiprocessing.get_context("forkserver").Process(target=os.getpid)
            process.start(); process.join(); process.close()
        def test_child_is_reaped():
            subprocess.run([sys.executable, "-c", ""], check=True)
        """
    )

    result.assert_outcomes(passed=5)


def test_leftovers_are_reported_when_a_second_slab_appears(run_isolated) -> None:
    """Of what is there once a process, a second one is a leak."""
    result = run_isolated(
        """
        import os
        def test_first():
            os.memfd_create("hardy-slab")
        def test_second():
            os.memfd_create("hardy-slab")
        """
    )

    result.assert_outcomes(passed=2, errors=1)
