"""The collector: one thread a pool, that hears results and deaths, and tells the tasks' sinks.

A task's life, as it sees it: waiting -> given to a worker -> (items end, one by one) -> ended. When the worker dies,
what it has put among the results counts first; what it had not taken stays in its ring; what it had in hand and not
begun is given to another; what it had begun is lost, or repeated as was asked.
"""

from __future__ import annotations

import signal
import time
from queue import Empty
from typing import TYPE_CHECKING, Any

from hardy._core import board, runtime
from hardy._exec import failure, verdicts
from hardy._exec.engine import State
from hardy._exec.errors import CannotRebuild, PoolBroken
from hardy._exec.wire import RESULT, Kind, open_message

if TYPE_CHECKING:
    from hardy._exec.engine import Engine
    from hardy._exec.slot import Doom, Slot
    from hardy._exec.task import Task

__all__ = ["Collector"]

runtime._declare("pool.parent.before_settle", "pool.parent.after_settle")

_AT_ONCE = 256
_SLICE_S = 0.1
_LOOK_EVERY_S = 1.0
# A worker that is terminated has so long to end by itself.
_GRACE_S = 0.5
# How many workers in a row may end before they are ready; one that somebody kills counts for a hundredth of that:
# he may only have bad luck with it.
_MOST_STRIKES = 3.0
_KILLED_STRIKE = 0.03
_KILLS = (-signal.SIGKILL, -signal.SIGTERM)


class Collector:
    """What the thread of an engine runs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = engine._lock
        assert engine.results is not None
        self._results = engine.results
        self._deaths = board.death_count()
        self._next_look_s = self._next_rescue_s = 0.0
        # Something has changed here since the last look: do not sleep on it.
        self._hurry = False
        self._stopped: set[Slot] = set()
        self._restarts: list[tuple[float, Slot]] = []
        self._strikes: dict[Slot, float] = {}

    def run(self) -> None:
        """Until the pool has ended."""
        engine = self._engine
        try:
            while engine.state != State.ENDED:
                self._step()
        except BaseException as error:
            # Of memory exhausted, or a mistake of ours: nobody may wait for ever.
            engine.break_down(f"its collector failed ({type(error).__name__}: {error})", error)
            self._kill_all()
            raise
        finally:
            engine.release()
            self._stopped.clear()
            self._strikes.clear()
            del self._results

    def _step(self) -> None:
        engine = self._engine
        batch = self._hear()
        if not batch:
            sleep_s = self._sleep_s()
            if sleep_s > 0 and board.death_count() == self._deaths:
                self._results._wait_items(sleep_s)
            batch = self._hear()
        if engine.state == State.ENDING:
            self._end()
        elif batch:
            self._settle(batch)
        self._look_for_the_dead()
        self._tick()
        if engine.state == State.CLOSING or engine.broken is not None:
            self._wind_down()

    def _hear(self) -> list[Any]:
        try:
            return self._results.get_many(_AT_ONCE, False)
        except Empty:
            return []

    def _sleep_s(self) -> float:
        if self._engine.state == State.ENDING or self._hurry:
            self._hurry = False
            return 0.0
        with self._lock:
            sleep_s = min(self._engine.watch.sleep_s(), _SLICE_S)
        if self._restarts:
            sleep_s = min(sleep_s, self._restarts[0][0] - time.monotonic())
        return sleep_s

    # ---- results ----

    def _settle(self, batch: list[Any]) -> None:
        engine, tasks = self._engine, self._engine.tasks
        heard: list[tuple[Task, int, int, int, Any]] = []
        ended: dict[Slot, int] = {}
        size, unpack = RESULT.size, RESULT.unpack_from
        broken = None
        runtime.hit("pool.parent.before_settle")
        with self._lock:
            for message in batch:
                data = message if type(message) is bytes else message.data
                if len(data) < size:
                    continue
                number, item, count, kind = unpack(data, len(data) - size)
                task = tasks.get(number)
                if task is None:
                    if kind == Kind.BROKEN:
                        broken = message
                    else:
                        self._drop(number, item, count, ended)
                    continue
                count = count or task.count - item
                heard.append((task, kind, item, count, message))
                task.next = item + count
                if task.next >= task.count and (slot := task.slot) is not None:
                    slot.forget(task)
                    ended[slot] = ended.get(slot, 0) + 1
                if kind != Kind.FAILURE or not task.options.retries:
                    task.left -= count
                    if not task.left:
                        del tasks[number]
            late = self._free(ended)
        for task, kind, item, count, message in heard:
            self._tell(task, kind, item, count, message)
            if task.id not in tasks:
                task.release()
        engine.tell_late(late)
        runtime.hit("pool.parent.after_settle")
        if broken is not None:
            self._break_for_initializer(broken)

    def _drop(self, number: int, item: int, count: int, ended: dict[Slot, int]) -> None:
        """What comes of a task that was cancelled."""
        for slot in self._engine.slots:
            task = slot.sent.get(number)
            if task is not None and item + (count or task.count) >= task.count:
                slot.forget(task)
                ended[slot] = ended.get(slot, 0) + 1

    def _free(self, ended: dict[Slot, int]) -> list[tuple[Task, BaseException]]:
        if not ended:
            return []
        now = time.monotonic()
        for slot, count in ended.items():
            slot.note(count, now)
            self._engine.file(slot)
        return self._engine.share_out()

    def _tell(self, task: Task, kind: int, item: int, count: int, message: Any) -> None:
        engine, sink = self._engine, task.sink
        if kind == Kind.FAILURE:
            self._tell_failure(task, item, count, message)
            return
        try:
            value = open_message(message)
        except BaseException as error:
            engine.fail(task, range(item, item + count), _not_rebuilt_here(task, error))
            return
        engine.tally.done(count)
        engine.tell(sink.give if kind == Kind.VALUE else sink.give_many, task.base + item, value)

    def _tell_failure(self, task: Task, item: int, count: int, message: Any) -> None:
        engine = self._engine
        error = failure.rebuild(failure.Failure(*open_message(message)), task.name, engine.cause, engine.forks)
        if task.options.retries:
            for each in range(item, item + count):
                self._fail_or_repeat(task, each, error)
        else:
            engine.fail(task, range(item, item + count), error)

    def _fail_or_repeat(self, task: Task, item: int, error: BaseException) -> None:
        """An item failed that is in no worker's hands: run it again, or tell."""
        engine, options = self._engine, task.options
        single: Task | None = None
        if task.attempts <= options.retries and isinstance(error, options.retry_on):
            try:
                single = task if task.count == 1 else task.part(item, item + 1)
            except Exception as why:
                error = why
        with self._lock:
            if task.id not in engine.tasks:
                return  # cancelled meanwhile
            if single is not task:
                task.left -= 1
                if not task.left:
                    del engine.tasks[task.id]
            if single is not None:
                single.next = 0
                single.attempts = task.attempts + 1
                engine.tasks[single.id] = single
                engine.watch.later(single, options.backoff * 2 ** (single.attempts - 2))
                return
        engine.fail(task, (item,), error)

    # ---- deaths ----

    def _look_for_the_dead(self) -> None:
        deaths, now = board.death_count(), time.monotonic()
        if deaths == self._deaths and now < self._next_look_s:
            return
        self._deaths, self._next_look_s = deaths, now + _LOOK_EVERY_S
        for slot in self._engine.slots:
            process = slot.process
            if process is not None and process.exitcode is not None:
                self._bury(slot, process)
                self._hurry = True

    def _bury(self, slot: Slot, process: Any) -> None:
        engine = self._engine
        left = self._results.qsize()
        while left > 0 and (batch := self._hear()):
            left -= len(batch)
            self._settle(batch)
        with self._lock:
            slot.process = None
            engine.processes.pop(process.pid, None)
            engine.workers.remove(process)
            hand = slot.in_hand()
            running = slot.desk.running()
            for task in hand:
                slot.forget(task)
            doom, slot.doom = slot.doom, None
            engine.file(slot)
            is_known = [task for task in hand if task.id in engine.tasks]
            ready = slot.desk.is_ready()
        for task in is_known:
            begun = running is not None and running[0] == task.id
            self._lose(slot, process, task, running[1] if begun and running is not None else None, doom)
        with self._lock:
            # What lies in its ring need not wait for the next worker there, if another has nothing to do.
            late = engine.share_out()
        engine.tell_late(late)
        self._restart(slot, process, ready)

    def _lose(self, slot: Slot, process: Any, task: Task, item: int | None, doom: Doom | None) -> None:
        """A worker died with a task in hand, running that item of it, or none."""
        engine = self._engine
        if item is None or item < task.next:
            engine.again([task] if not task.next else self._parts(task, (task.next, task.count)))
            return
        if doom is not None and doom.task is task and doom.item == item and doom.error is not None:
            error = doom.error()
        else:
            poison = 0 < task.options.retries < task.attempts
            peak = slot.peak_bytes
            error = verdicts.worker_died(task, process, _call_of(task, item), peak, poison=poison)
        first = task.next
        self._fail_or_repeat(task, item, error)
        if task.count > 1:
            engine.again(self._parts(task, (first, item), (item + 1, task.count)))
        elif task.id not in engine.tasks:
            task.release()

    def _parts(self, task: Task, *ranges: tuple[int, int]) -> list[Task]:
        parts = []
        for first, stop in ranges:
            if first < stop:
                try:
                    parts.append(task.part(first, stop))
                except Exception as error:
                    self._engine.fail(task, range(first, stop), error)
        with self._lock:
            self._engine.tasks.pop(task.id, None)
        task.release()
        return parts

    def _restart(self, slot: Slot, process: Any, ready: bool) -> None:
        engine = self._engine
        if ready:
            self._strikes.pop(slot, None)
        elif engine.state in (State.OPEN, State.CLOSING) and engine.broken is None:
            strike = _KILLED_STRIKE if process.exitcode in _KILLS else 1.0
            strikes = self._strikes[slot] = self._strikes.get(slot, 0.0) + strike
            if strikes >= _MOST_STRIKES:
                engine.break_down(
                    f"its workers end before they can take tasks, the last one, {process.name!r} (pid {process.pid}), "
                    f"with exit code {process.exitcode}; its standard error says why",
                    None,
                )
                return
            self._restarts.append((time.monotonic() + 0.02 * 2**strikes, slot))
            self._restarts.sort(key=lambda pair: pair[0])
            return
        engine.replace_worker(slot)

    # ---- by the clock ----

    def _tick(self) -> None:
        while self._engine.orphans:
            self._engine.orphans.popleft().drop()
        with self._lock:
            ready = self._engine.watch.tick()
        if ready:
            self._engine.again(ready)
        while self._restarts and self._restarts[0][0] <= time.monotonic():
            self._engine.replace_worker(self._restarts.pop(0)[1])
        self._engine.grow()
        if time.monotonic() >= self._next_rescue_s:
            self._next_rescue_s = time.monotonic() + _SLICE_S
            self._engine.rescue()

    # ---- the end ----

    def _break_for_initializer(self, message: Any) -> None:
        said = failure.Failure(*open_message(message))
        error = failure.rebuild(said, "initializer", self._engine.cause, self._engine.forks)
        self._engine.break_down(f"its initializer raised {said.text} in {said.who}", error)

    def _wind_down(self) -> None:
        """Closing, or broken: once there are no more tasks, let the workers go."""
        engine = self._engine
        if engine.broken is not None and engine.state == State.OPEN:
            return
        with self._lock:
            if (engine.tasks or engine.feeds) and engine.broken is None:
                return
            for slot in engine.slots:
                if slot.process is not None and slot not in self._stopped:
                    self._stopped.add(slot)
                    slot.stop()
            leaving = [slot.process for slot in self._stopped if slot.process is not None]
            if not leaving and not any(slot.is_starting for slot in engine.slots):
                engine.state = State.ENDED
        if leaving:
            # No results can come any more, so that nothing else is to be waited for.
            leaving[0].join(_SLICE_S)
            self._next_look_s = 0.0

    def _end(self) -> None:
        """Ending: kill the workers, and tell those who still wait."""
        engine = self._engine
        workers = [slot.process for slot in engine.slots if slot.process is not None]
        engine.drop_all(PoolBroken(f"{engine.title} was terminated before this task had ended"))
        until = time.monotonic() + _GRACE_S
        for process in workers:
            process.join(max(until - time.monotonic(), 0.0))
            if process.exitcode is None:
                process.kill()
                process.join(_LOOK_EVERY_S)
        self._next_look_s = 0.0
        if not any(slot.process is not None or slot.is_starting for slot in engine.slots):
            engine.state = State.ENDED

    def _kill_all(self) -> None:
        for slot in self._engine.slots:
            if slot.process is not None:
                slot.process.kill()


def _call_of(task: Task, item: int) -> str:
    # Of what we have here, not of the message: to rebuild that may be what killed the worker.
    if task.kind == Kind.CALL:
        return failure.call_text(*task.content)
    function, content = task.content
    args = content[item] if task.kind & ~Kind.TIMED == Kind.STARRED_ITEMS else (content[item],)
    return failure.call_text(function, args, {})


def _not_rebuilt_here(task: Task, error: BaseException) -> CannotRebuild:
    said = CannotRebuild(
        f"task {task.name!r} ended well, but what it returned cannot be rebuilt here: {type(error).__name__}: {error}. "
        "Pool and worker go on. Is what it needs importable in this process?",
        type_name="",
        text="",
    )
    said.__cause__ = error
    return said
