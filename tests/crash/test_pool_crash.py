"""A worker, and the parent, killed at each step of a task's life. Made from the list of failpoints.

Every task ends exactly once; what had ended is not run again; no worker outlives its parent.
"""

from __future__ import annotations

import json
import os
from collections import Counter

import pytest
from helpers.procs import run_script, wait_dead

import hardy._exec.collector
import hardy._exec.worker  # noqa: F401 - these name their failpoints
from hardy._core import runtime

WORKER = [name for name in runtime.failpoints() if name.startswith("pool.worker.")]
PARENT = [name for name in runtime.failpoints() if name.startswith("pool.parent.")]
# Where a task was not begun, or its result is in the ring, its worker's death is nobody's loss.
HARMLESS = ("before_take", "after_take", "after_result", "after_end")
TASKS = 60
# For the whole: make pool-kills.
KILLS = int(os.environ.get("HARDY_POOL_KILLS", "60"))

CALLS = """
    import collections, json, mmap, os, sys
    import hardy
    from hardy._core import runtime

    armed = mmap.mmap(-1, 4096)
    runs = mmap.mmap(-1, 4096)
    point, chunksize, retries, tasks = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])

    def arm():
        # The first worker dies; those that take its place live.
        if not armed[0]:
            armed[0] = 1
            runtime.arm(f"{point}=kill:{2 if chunksize > 1 else 5}")

    def square(n):
        runs[n] += 1
        return n * n

    if __name__ == "__main__":
        with hardy.get_context("fork").Pool(1, arm) as pool:
            ends = collections.Counter()
            stream = pool.options(retries=retries).imap(square, range(tasks), chunksize)
            for n in range(tasks):
                try:
                    ends["right" if stream.next(20) == n * n else "wrong"] += 1
                except hardy.WorkerDied as error:
                    ends["died"] += 1
            try:
                stream.next(20)
            except StopIteration:
                pass
            else:
                ends["one too many"] += 1
        print(json.dumps({"ends": ends, "runs": list(runs[:tasks])}))
    """


def run_calls(point: str, chunksize: int, retries: int) -> tuple[dict[str, int], Counter[int]]:
    done = run_script(CALLS, point, str(chunksize), str(retries), str(TASKS))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    return report["ends"], Counter(report["runs"])


@pytest.mark.parametrize("point", WORKER)
def test_every_task_ends_once_when_a_worker_is_killed_at(point: str) -> None:
    """With a retry all are right; nothing that had ended was run again."""
    ends, runs = run_calls(point, 1, 1)

    assert ends == {"right": TASKS}
    assert runs[1] >= TASKS - 1
    assert set(runs) <= {1, 2}


@pytest.mark.parametrize("point", WORKER)
def test_one_task_at_most_is_lost_when_a_worker_is_killed_at(point: str) -> None:
    """Without a retry the one that had begun fails by name, and no task runs twice."""
    ends, runs = run_calls(point, 1, 0)

    assert ends == ({"right": TASKS} if point.endswith(HARMLESS) else {"right": TASKS - 1, "died": 1})
    assert set(runs) <= {0, 1}


@pytest.mark.parametrize("point", WORKER)
def test_every_item_ends_once_when_its_chunk_is_cut_at(point: str) -> None:
    """A chunk's other items are kept or run; never more than one is lost."""
    ends, _ = run_calls(point, 7, 0)

    assert ends.get("died", 0) <= 1
    assert ends.get("right", 0) + ends.get("died", 0) == TASKS
    assert not set(ends) - {"right", "died"}


PARENTS = """
    import os, signal, sys, time
    import hardy
    from hardy._core import runtime
    from helpers.pool_tasks import square

    def arm():
        if sys.argv[1].startswith("pool.worker."):
            runtime.arm(f"{sys.argv[1]}=stop:2")

    if __name__ == "__main__":
        pool = hardy.get_context(sys.argv[2]).Pool(2, arm if sys.argv[2] == "fork" else None)
        print(*[worker.pid for worker in pool._pool], flush=True)
        if sys.argv[1].startswith("pool.parent."):
            runtime.arm(f"{sys.argv[1]}=kill:3")
            pool.map(square, range(1000), 1)
        else:
            result = pool.map_async(square, range(100), 1)
            result.wait(0.3)
            os.kill(os.getpid(), signal.SIGKILL)
    """


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("point", PARENT)
def test_no_worker_is_left_when_the_parent_is_killed_at(point: str, method: str) -> None:
    """Busy workers end with their parent."""
    done = run_script(PARENTS, point, method)

    pids = [int(pid) for pid in done.stdout.split()]
    assert done.returncode == -9, done.stderr
    assert len(pids) == 2
    assert all(wait_dead(pid, 10.0) for pid in pids)


@pytest.mark.parametrize("point", WORKER)
def test_no_worker_is_left_when_the_parent_is_killed_while_they_are_at(point: str) -> None:
    """Stopped at any step, they end with their parent."""
    done = run_script(PARENTS, point, "fork")

    pids = [int(pid) for pid in done.stdout.split()]
    assert done.returncode == -9, done.stderr
    assert len(pids) == 2
    assert all(wait_dead(pid, 10.0) for pid in pids)


STORM = """
    import random, sys, time
    import hardy
    from helpers.waiting import wait_until

    def work(n):
        end = time.perf_counter() + random.random() * 0.002
        while time.perf_counter() < end:
            pass
        return n * n + 1

    if __name__ == "__main__":
        kills = int(sys.argv[1])
        with hardy.get_context("fork").Pool(4) as pool:
            careful = pool.options(retries=1000)
            results = []
            for _ in range(kills):
                results += [careful.apply_async(work, (n,)) for n in range(len(results), len(results) + 20)]
                victim = random.choice(wait_until(lambda: list(pool._pool)))
                victim.kill()
                victim.join()
            got = [result.get(60) for result in results]
        print(got == [n * n + 1 for n in range(20 * kills)], len(got))
    """


@pytest.mark.timeout(240)
def test_all_results_are_right_when_workers_are_killed_all_the_time() -> None:
    """Twenty tasks for each kill; 10,000 tasks with 500 kills by `make pool-kills`."""
    done = run_script(STORM, str(KILLS), timeout_s=200)

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", str(KILLS * 20)]


def test_there_are_failpoints_of_both_sides() -> None:
    """The lists cannot become empty unnoticed."""
    assert len(WORKER) == 6
    assert len(PARENT) == 2
