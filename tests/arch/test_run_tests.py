"""The runner of the tests: what fails or hangs is not passed over."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

RUNNER = Path(__file__).parents[2] / "tools/run_tests.py"


@pytest.fixture
def run_tests(tmp_path: Path):
    """Run the runner on a tree of test files, given by path under tests/."""

    def run(files: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
        for name, source in files.items():
            path = tmp_path / "tests" / name
            path.parent.mkdir(parents=True)
            path.write_text(dedent(source))
        return subprocess.run([sys.executable, RUNNER, *options], cwd=tmp_path, capture_output=True, text=True)

    return run


def test_runner_sums_up_when_all_pass(run_tests) -> None:
    """The last line is pytest's own summary line, over all folders; a folder without tests is no failure."""
    done = run_tests(
        {
            "unit/test_a.py": "def test_a(): pass",
            "model/test_b.py": "import pytest\ndef test_b(): pass\n@pytest.mark.skip\ndef test_c(): pass",
            "compat/README": "",
        }
    )

    assert done.returncode == 0, done.stdout
    assert "= 2 passed, 1 skipped in " in done.stdout.splitlines()[-1]


def test_runner_fails_when_one_folder_fails(run_tests) -> None:
    """One failed test in any folder is an exit status of 1, and is counted."""
    done = run_tests(
        {"unit/test_a.py": "def test_a(): assert False", "model/test_b.py": "def test_b(): pass"},
        "--jobs",
        "1",
    )

    assert done.returncode == 1
    assert {"1 failed", "1 passed"} <= set(done.stdout.splitlines()[-1].strip("= ").partition(" in ")[0].split(", "))


def test_runner_dumps_stacks_when_native_code_hangs(run_tests) -> None:
    """A deadlock in C, where no Python signal handler runs, ends with the stacks and a failure."""
    source = """
        import ctypes
        def test_locks_twice():
            libc, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
            libc.pthread_mutex_lock(mutex)
            libc.pthread_mutex_lock(mutex)
        """

    done = run_tests({"crash/test_hangs.py": source}, "--limit-s", "10")

    assert done.returncode == 1
    assert "in test_locks_twice" in done.stdout
    assert "took too long" in done.stdout
    assert "= 1 error in " in done.stdout.splitlines()[-1]


def test_runner_refuses_a_folder_that_it_does_not_know(run_tests) -> None:
    """A new folder of tests cannot be forgotten."""
    done = run_tests({"new/test_a.py": "def test_a(): pass"})

    assert done.returncode != 0
    assert "tests/new" in done.stderr
