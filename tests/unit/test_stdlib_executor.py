"""`concurrent.futures.ProcessPoolExecutor` on hardy's contexts."""

from __future__ import annotations

import pytest
from helpers.procs import run_script

METHODS = ["fork", "spawn", "forkserver"]

RESULTS = """
    import sys
    from concurrent.futures import ProcessPoolExecutor
    import hardy

    if __name__ == "__main__":
        with ProcessPoolExecutor(2, mp_context=hardy.get_context(sys.argv[1])) as executor:
            print(executor.submit(pow, 2, 5).result(), list(executor.map(abs, [-1, -2])))
"""

A_WORKER_DIES = """
    import os, signal, sys
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    import hardy

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    if __name__ == "__main__":
        with ProcessPoolExecutor(2, mp_context=hardy.get_context(sys.argv[1])) as executor:
            print(isinstance(executor.submit(die).exception(), BrokenProcessPool))
"""


@pytest.mark.parametrize("method", METHODS)
def test_executor_gives_results_when_its_context_is_ours(method: str) -> None:
    """A context of hardy does wherever one of the stdlib does: also where the stdlib waits for a queue's pipe."""
    ended = run_script(RESULTS, method)

    assert (ended.stdout, ended.stderr, ended.returncode) == ("32 [1, 2]\n", "", 0)


@pytest.mark.parametrize("method", METHODS)
def test_executor_breaks_when_a_worker_is_killed(method: str) -> None:
    """Whoever waits for a dead worker's answer gets the error that the stdlib promises, and does not hang."""
    ended = run_script(A_WORKER_DIES, method)

    assert (ended.stdout, ended.returncode) == ("True\n", 0), ended.stderr
