"""Pools under kills: the fate of each task, and what a worker's death does to the tasks of others.

A task writes into the ledger who runs it, and when it is done; the main process writes what it was told of it. The
conductor kills workers, and at the end perhaps the main process, whose workers must then end. Each task must be told of
once: as done, and then it was done once; or as failed, and then the process that had it was killed, which costs no
other task. With retries, which hardy's executor is asked for here, none may fail.
"""

from __future__ import annotations

import faulthandler
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from chaos import ledger, watch, world
from chaos import plan as plans
from chaos.ledger import RECORD_WORDS, Ledger
from chaos.plan import Plan
from chaos.rounds import Result, end_adopted, kill_main
from chaos.victims import Target, children_of, is_alive, stacks, tree_of

WORKERS = 4
_TASKS = 4000
# The task's words: how often it was begun, by whom last, how often it was finished, what was said of it.
_BEGUN, _BY, _FINISHED, _TOLD = range(RECORD_WORDS)
_OK, _ERROR, _TWICE = 1, 2, 3
_AHEAD = 32
_READY_S = 30.0


# -- in the world


def _place(book: Ledger, task: int) -> int:
    return book.first_record(0) + task * RECORD_WORDS


_books: dict[str, Ledger] = {}


def run_task(path: str, task: int) -> int:
    """The task: it says that it begins, works a little, and says that it is done."""
    if path not in _books:
        _books[path] = world.attach((path, 1, _TASKS, False))
    words, at = _books[path].words, _place(_books[path], task)
    words[at + _BY] = os.getpid()
    words[at + _BEGUN] += 1
    end = time.perf_counter_ns() + (task * 7919 % 3000) * 1000
    while time.perf_counter_ns() < end:
        pass
    words[at + _FINISHED] += 1
    return task


class _Pool:
    """What the pools have in common for this purpose: submit, and be told."""

    def submit(self, path: str, task: int, tell: Callable[[int, bool], None]) -> None:
        raise NotImplementedError

    def mend(self) -> None:
        """Make a new pool if the library says that this one is broken for good."""


class _FuturePool(_Pool):
    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._pool = make()
        self._broken = False

    def submit(self, path: str, task: int, tell: Callable[[int, bool], None]) -> None:
        try:
            future = self._submit(path, task)
        except Exception:  # a broken pool says so in many words
            tell(task, False)
            self._broken = True
            return

        def told(done: Future[int]) -> None:
            tell(task, not done.cancelled() and done.exception() is None)
            self._broken |= not done.cancelled() and "Broken" in type(done.exception()).__name__

        future.add_done_callback(told)

    def _submit(self, path: str, task: int) -> Any:
        return self._pool.submit(run_task, path, task)

    def mend(self) -> None:
        if self._broken:
            self._broken = False
            self._pool = self._make()


class _PebblePool(_FuturePool):
    def _submit(self, path: str, task: int) -> Any:
        return self._pool.schedule(run_task, args=(path, task))


class _StdlibPool(_Pool):
    def __init__(self) -> None:
        import multiprocessing

        self._pool = multiprocessing.get_context("fork").Pool(WORKERS)

    def submit(self, path: str, task: int, tell: Callable[[int, bool], None]) -> None:
        self._pool.apply_async(
            run_task, (path, task), callback=lambda _: tell(task, True), error_callback=lambda _: tell(task, False)
        )


def _futures() -> _Pool:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    return _FuturePool(lambda: ProcessPoolExecutor(WORKERS, multiprocessing.get_context("fork")))


def _loky() -> _Pool:
    import loky

    return _FuturePool(lambda: loky.ProcessPoolExecutor(WORKERS))


def _pebble() -> _Pool:
    import pebble

    return _PebblePool(lambda: pebble.ProcessPool(WORKERS))


class _HardyPool(_StdlibPool):
    def __init__(self, method: str) -> None:
        import hardy

        self._pool = hardy.get_context(method).Pool(WORKERS)


def _hardy_executor(method: str) -> _Pool:
    import hardy

    def make() -> Any:
        return hardy.ProcessPoolExecutor(WORKERS, hardy.get_context(method)).options(retries=1000)

    return _FuturePool(make)


# Those of hardy's by subject, made with a start method; the others, which fork or have their own way, by kit.
HARDY: dict[str, Callable[[str], _Pool]] = {"Pool": _HardyPool, "ProcessPoolExecutor": _hardy_executor}
WITH_RETRIES = ("ProcessPoolExecutor",)
KITS: dict[str, Callable[[], _Pool]] = {
    "mp-pool": _StdlibPool,
    "futures": _futures,
    "loky": _loky,
    "pebble": _pebble,
}


def is_one(plan: Plan) -> bool:
    """Whether the round is one over a pool."""
    return plan.kit in KITS or (plan.kit == "hardy" and plan.subject in HARDY)


def main() -> None:
    """The main process: submit tasks until told to stop, then wait for all of them."""
    faulthandler.enable()
    faulthandler.register(world.DUMP, all_threads=True)
    kit, subject, method, path = sys.argv[1:]
    book = world.attach((path, 1, _TASKS, False))
    words = book.words
    words[ledger.WORLD_PID] = os.getpid()
    open_tasks: set[int] = set()

    def tell(task: int, is_fine: bool) -> None:
        at = _place(book, task) + _TOLD
        words[at] = _TWICE if words[at] else _OK if is_fine else _ERROR
        open_tasks.discard(task)

    pool = HARDY[subject](method) if kit == "hardy" else KITS[kit]()
    task = 0
    words[ledger.WORLD_STATE] = ledger.READY
    while words[ledger.PHASE] == ledger.RUNNING and task < _TASKS:
        pool.mend()
        while len(open_tasks) >= _AHEAD and words[ledger.PHASE] == ledger.RUNNING:
            time.sleep(0.0005)
        open_tasks.add(task)
        pool.submit(path, task, tell)
        task += 1
        words[book.at(0, ledger.COUNT)] = task
    while open_tasks:
        time.sleep(0.001)
    words[ledger.WORLD_STATE] = ledger.DRAINED
    # How the pool ends is another matter: what is asked here is what became of the tasks.
    sys.stdout.flush()
    os._exit(0)


# -- in the conductor


class PoolRound:
    """One round over a pool."""

    def __init__(self, plan: Plan, hang_s: float) -> None:
        method = "spawn" if plan.kit == "hardy" and plan.method == "spawn" else "fork"
        self.result = Result(replace(plan, method=method, nested=False, limits=False, term_handler=False))
        self.plan = self.result.plan
        self._hang_s = hang_s
        self._book = Ledger(1, _TASKS)
        self._killed: set[int] = set()
        # How many tasks failed by the death of a process, by its pid; 0: of one that had not begun the task.
        self._costs: Counter[int] = Counter()

    def run(self) -> Result:
        """The verdict."""
        start = time.monotonic()
        path = f"/proc/{os.getpid()}/fd/{self._book.fd}"
        command = [sys.executable, "-m", "chaos.pools", self.plan.kit, self.plan.subject, self.plan.method, path]
        with tempfile.TemporaryFile(mode="w+", errors="replace") as output:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
            tree: list[int] = []
            try:
                drained = self._live(process)
                tree = tree_of(process.pid)
            finally:
                self._end(process, tree)
            self._judge(drained)
            if self.result.wrong:
                output.seek(0)
                self.result.dump += output.read()[-20_000:]
        self._book.close()
        self.result.seconds = time.monotonic() - start
        return self.result

    def _workers(self, main_pid: int) -> list[int]:
        """Those that have run a task, or could: direct children that are no servers."""
        found = []
        for pid in children_of(main_pid):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    line = file.read()
            except OSError:
                continue
            if b"resource_tracker" not in line and b"forkserver" not in line and is_alive(pid):
                found.append(pid)
        return found

    def _live(self, main: subprocess.Popen[bytes]) -> bool:
        words = self._book.words
        end = time.monotonic() + _READY_S
        while words[ledger.WORLD_STATE] < ledger.READY and main.poll() is None and time.monotonic() < end:
            time.sleep(0.002)
        for self.result.step, step in enumerate(self.plan.steps, 1):  # noqa: B020
            time.sleep(step.patience_s)
            workers = self._workers(main.pid)
            if main.poll() is not None or not workers or words[self._book.at(0, ledger.COUNT)] >= _TASKS:
                break
            for pid in {workers[victim % len(workers)] for victim in step.victims}:
                self._strike(pid, step)
        if self.plan.kill_main and main.poll() is None:
            kill_main(main, self.result)
            return False
        words[ledger.PHASE] = ledger.DRAINING
        return self._drain(main)

    def _strike(self, pid: int, step: plans.Step) -> None:
        try:
            target = Target(pid)
        except OSError:
            return
        self._killed.add(pid)
        if step.action in (plans.STOP, plans.STOP_KILL):
            target.stop()
            self.result.counts["stops"] += 1
            time.sleep(step.delay_us / 1e6)
        self.result.counts["kills"] += target.send(9)
        target.close()

    def _drain(self, main: subprocess.Popen[bytes]) -> bool:
        words, seen, since = self._book.words, -1, time.monotonic()
        while main.poll() is None:
            told = sum(1 for task in self._tasks() if words[_place(self._book, task) + _TOLD])
            if told != seen:
                seen, since = told, time.monotonic()
            if time.monotonic() - since > self._hang_s:
                untold = words[self._book.at(0, ledger.COUNT)] - told
                self.result.say("hangs", f"{untold} tasks have no answer, and nothing moves for {self._hang_s:g} s")
                self.result.dump += "".join(stacks(pid) for pid in [main.pid, *tree_of(main.pid)])
                return False
            time.sleep(0.02)
        return words[ledger.WORLD_STATE] == ledger.DRAINED

    def _tasks(self) -> range:
        return range(self._book.seat_word(0, ledger.COUNT))

    def _end(self, main: subprocess.Popen[bytes], tree: list[int]) -> None:
        tree += tree_of(main.pid)
        if main.poll() is None:
            main.kill()
        main.wait()
        # How a peer ended is not asked; only that nothing stays.
        running, _ = watch.wait_for_end(tree, watch.GRACE_S if self.plan.kit == "hardy" else 0.5)
        for pid in running if self.plan.kit == "hardy" and not self.result.wrong else ():
            self.result.say("orphans", f"process {pid} lives {watch.GRACE_S:g} s after the program's end")
        end_adopted()

    def _judge(self, drained: bool) -> None:
        words, counts = self._book.words, self.result.counts
        for task in self._tasks():
            at = _place(self._book, task)
            begun, by, finished, told = words[at : at + RECORD_WORDS].tolist()
            counts["tasks"] += 1
            counts["tasks done"] += told == _OK
            for kind, text in self._wrong_with(begun, by, finished, told):
                self.result.say(kind, f"task {task} {text}")
        for text in self._wrong_with_deaths():
            self.result.say("failed beside", text)
        if not drained and not self.plan.kill_main and not self.result.wrong:
            self.result.say("errors", "the main process ended before its tasks had")

    def _wrong_with(self, begun: int, by: int, finished: int, told: int) -> Iterator[tuple[str, str]]:
        """What is wrong with what became of a task, and with what was said of it."""
        repeats = self.plan.subject in WITH_RETRIES
        if told == _OK and not finished:
            yield "lost", "was said to be done, and it was not"
        if told == _TWICE:
            yield "doubled", "was told of twice"
        if finished > 1 and not repeats:
            yield "doubled", f"was done {finished} times"
        if told == _ERROR and repeats:
            yield "failed beside", "failed"
        elif told == _ERROR and begun and by not in self._killed:
            yield "failed beside", "failed, though no process that ran it was killed"
        elif told == _ERROR:
            self._costs[by if begun else 0] += 1

    def _wrong_with_deaths(self) -> Iterator[str]:
        """A worker's death costs one task at most: one that it had begun, or had in hand and was about to begin."""
        before_begun = self._costs.pop(0, 0)
        for pid, cost in self._costs.items():
            if cost > 1:
                yield f"{cost} tasks that process {pid} had begun failed with its death"
        others = len(self._killed) - len(self._costs)
        if before_begun > others:
            yield f"{before_begun} tasks failed that nobody had begun, and {others} processes were killed without one"


if __name__ == "__main__":
    from chaos import pools

    try:
        pools.main()
    except Exception:
        traceback.print_exc()
        os._exit(1)
