"""Libraries that stand on `multiprocessing`, unchanged, in a program that `hardy run` runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LIMIT_S = 40
HEAD = """
import multiprocessing
import sys

def square(n):
    return n * n

def whose_lock(_):
    return type(multiprocessing.get_context("fork").Lock()).__module__.partition(".")[0]

if __name__ == "__main__":
    numbers = range(6)
"""
CLIENTS = {
    "joblib": """
    from joblib import Parallel, delayed
    squares = Parallel(n_jobs=2)(delayed(square)(n) for n in numbers)
    """,
    "joblib-multiprocessing": """
    from joblib import Parallel, delayed
    squares = Parallel(n_jobs=2, backend="multiprocessing")(delayed(square)(n) for n in numbers)
    locks = Parallel(n_jobs=2, backend="multiprocessing")(delayed(whose_lock)(n) for n in numbers)
    assert set(locks) == {"hardy"}, locks
    """,
    "pebble": """
    from concurrent.futures import TimeoutError
    from pebble import ProcessPool
    from signal import pause
    with ProcessPool(2) as pool:
        squares = list(pool.map(square, numbers).result())
    with ProcessPool(1) as pool:
        late = pool.schedule(pause, timeout=0.2)
        assert isinstance(late.exception(), TimeoutError), late.exception()
    """,
    "mpire": """
    from mpire import WorkerPool
    with WorkerPool(2) as pool:
        squares = pool.map(square, numbers)
    """,
}


@pytest.mark.parametrize("client", CLIENTS)
def test_client_works_when_run_on_hardy(tmp_path: Path, client: str) -> None:
    """It computes what it computes on the standard library, says nothing on standard error, and ends."""
    (tmp_path / "program.py").write_text(HEAD + CLIENTS[client] + "\n    print(squares)\n")

    done = subprocess.run(
        [sys.executable, "-m", "hardy", "run", "program.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )

    assert (done.stdout, done.stderr, done.returncode) == ("[0, 1, 4, 9, 16, 25]\n", "", 0)
