"""`python -m bench.deaths`: what a killed worker, or a killed program, costs a pool's user; hardy beside its peers.

Four workers each, forked. Busy: 20 tasks, and the worker that runs the first of them is killed. Idle: a worker that has
nothing to do is killed, then 20 tasks are given. Parent: the program is killed while its workers are busy.
A task that has not ended 10 s later is taken for one that never will.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from bench import pool_run
from bench.pool_run import SIDES, Side

__all__ = ["main"]

_TASKS = 20
_NEVER_S = 10.0
_LIMIT_S = 60.0
_CASES = ("busy", "idle", "parent")


@contextmanager
def _hardy_with_a_retry() -> Iterator[Side]:
    import hardy

    with hardy.get_context("fork").Pool(pool_run.WORKERS) as pool:
        careful = pool.options(retries=1)
        yield Side(lambda f, x: careful.apply_async(f, (x,)), lambda result: result.get(), careful.map)


_CONTENDERS: dict[str, Callable[[], Any]] = {
    "hardy": SIDES["hardy"],
    "hardy, retries=1": _hardy_with_a_retry,
    "hardy executor": SIDES["hardy executor"],
    **{who: SIDES[who] for who in ("multiprocessing", "concurrent.futures", "loky", "pebble", "mpire")},
}


def _own_pid(_: int) -> int:
    time.sleep(0.05)
    return os.getpid()


def _hold(folder: str, number: int) -> int:
    """The first task waits to be killed, once; the others take a moment."""
    note = Path(folder, "held")
    if number == 0 and not note.exists():
        note.with_suffix(".part").write_text(str(os.getpid()))
        note.with_suffix(".part").rename(note)
        time.sleep(_LIMIT_S)
    time.sleep(0.05)
    return number


def _keep_busy(folder: str, number: int) -> None:
    Path(folder, f"worker-{os.getpid()}").touch()
    time.sleep(_LIMIT_S)


def _await(path: Path) -> str:
    until = time.monotonic() + _NEVER_S
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.01)
    return path.read_text()


def _count_ends(side: Side, give: Callable[[], list[Any]], expected: list[int]) -> str:
    """How many of the tasks gave their result, failed with an error, and did neither."""
    ends: dict[int, str] = {}

    def wait(number: int, handle: Any) -> None:
        try:
            ends[number] = "right" if side.wait(handle) == expected[number] else "wrong"
        except BaseException as error:
            ends[number] = type(error).__name__

    try:
        handles = give()
    except BaseException as error:
        return f"nothing can be given any more: {type(error).__name__}"
    for number, handle in enumerate(handles):
        threading.Thread(target=wait, args=(number, handle), daemon=True).start()
    until = time.monotonic() + _NEVER_S
    while len(ends) < len(handles) and time.monotonic() < until:
        time.sleep(0.01)
    seen = list(ends.values())
    counts = [f"{seen.count(end)} {end}" for end in sorted(set(seen), key=lambda end: (end != "right", end))]
    lost = len(handles) - len(seen)
    return ", ".join(counts + ([f"{lost} never end"] if lost else []))


def _run_case(who: str, case: str, folder: str) -> None:
    """In a program of its own: note what came of the tasks, and leave at once, whatever hangs."""
    pool_run.WORKERS = 4
    numbers = list(range(_TASKS))
    with _CONTENDERS[who]() as side:
        if case == "parent":
            for number in range(4):
                side.submit(partial(_keep_busy, folder), number)
            time.sleep(_LIMIT_S)
        if case == "idle":
            handles = [side.submit(_own_pid, number) for number in range(8)]
            os.kill([side.wait(handle) for handle in handles][-1], signal.SIGKILL)
            time.sleep(1.0)
        else:
            killer = threading.Thread(target=lambda: os.kill(int(_await(Path(folder, "held"))), signal.SIGKILL))
            killer.start()
        work = pool_run.same if case == "idle" else partial(_hold, folder)
        said = _count_ends(side, lambda: [side.submit(work, number) for number in numbers], numbers)
        Path(folder, "said").write_text(said)
        os._exit(0)


def _measure(who: str, case: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-W", "ignore", "-m", "bench.deaths", who, case, folder]
        # In a session of its own, so that what it leaves behind can be ended.
        program = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            if case == "parent":
                workers = _busy_workers(folder)
                program.kill()
                time.sleep(2.0)
                return f"{sum(Path(f'/proc/{pid}').exists() for pid in workers)} of {len(workers)} workers live on"
            program.wait(_LIMIT_S)
            return Path(folder, "said").read_text()
        except subprocess.TimeoutExpired:
            return "hangs"
        except FileNotFoundError:
            return "the program dies"
        finally:
            _end_session(program)


def _end_session(program: subprocess.Popen[bytes]) -> None:
    """End what is left of it; what cleans up after it, and ignores SIGTERM for that, has a while to do so."""
    until = time.monotonic() + _NEVER_S
    number = signal.SIGTERM
    with suppress(ProcessLookupError):
        while True:
            os.killpg(program.pid, number)
            program.poll()
            time.sleep(0.1)
            number = signal.SIGTERM if time.monotonic() < until else signal.SIGKILL


def _busy_workers(folder: str) -> list[int]:
    until = time.monotonic() + _NEVER_S
    found: list[int] = []
    while len(found) < 4 and time.monotonic() < until:
        found = [int(path.name.removeprefix("worker-")) for path in Path(folder).glob("worker-*")]
        time.sleep(0.05)
    return found


def main() -> int:
    """Print a table; the exit status: 0."""
    if len(sys.argv) == 4:
        _run_case(*sys.argv[1:])
    print("| who | a busy worker killed, 20 tasks | an idle worker killed, then 20 tasks | the program killed |")
    print("| --- | --- | --- | --- |", flush=True)
    for who in sys.argv[1:] or _CONTENDERS:
        print(f"| {who} | {' | '.join(_measure(who, case) for case in _CASES)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
