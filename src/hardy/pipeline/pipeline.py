"""`Pipeline`: how a user describes one, runs it, and asks it how it goes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from multiprocessing.util import Finalize
from types import TracebackType
from typing import Any

from hardy._ipc.queues import check_bound
from hardy.context import get_default_context
from hardy.pipeline.conductor import Conductor, Stopped
from hardy.pipeline.counts import Cell, Counts
from hardy.pipeline.ids import Seen
from hardy.pipeline.report import PipelineReport, StepReport
from hardy.pipeline.steps import Rerun, Step, check_source, check_step, name_of

__all__ = ["Pipeline"]

# Before the finalizer of its supervisor, which is 100.
_EXIT_PRIORITY = 110


class Pipeline:
    """Sources, stages and a sink, each in processes of its own, with a task queue between each two.

        report = Pipeline().source(read).stage(parse, processes=4).sink(write).run()

    An item is acknowledged once what became of it is in the next queue; a process killed at any time loses nothing.
    What such a kill leaves twice is told apart by the item's id, and left out at the end.

    Args:
        max_items: how many items wait for a step, or as results, at most, unless the step says otherwise; 0: no bound.
        max_bytes: the same in bytes.
        name: what errors call it.
        ctx: a context, or the name of a start method; None: the default.

    If the process of a pipeline dies, its processes end with it.

    Raises:
        TypeError, ValueError: an argument is wrong.
    """

    def __init__(self, *, max_items: int = 1000, max_bytes: int = 0, name: str | None = None, ctx: Any = None) -> None:
        self._bounds = check_bound("max_items", max_items), check_bound("max_bytes", max_bytes)
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name must be a string or None, not {type(name).__name__}")
        if ctx is None or isinstance(ctx, str):
            ctx = ctx and get_default_context().get_context(ctx)
        elif not hasattr(ctx, "TaskQueue"):
            raise TypeError(f"ctx must be a context of hardy, the name of a start method or None, not {ctx!r:.60}")
        self._ctx = ctx
        self._name = name
        self._steps: list[Step] = []
        self._conductor: Conductor | None = None
        self._ended = threading.Event()
        self._seen = Seen()
        self._results = self._doubles = 0
        self._failure: BaseException | None = None
        self._final: PipelineReport | None = None
        self._owner_pid = 0

    def source(
        self,
        read: Callable[..., Iterable[Any]] | Iterable[Any],
        *,
        processes: int = 1,
        rerun: Rerun = "skip",
        name: str | None = None,
    ) -> Pipeline:
        """Add a source: the items of `read()`. There may be several, before the first stage.

        Args:
            read: a function that gives an iterable (a generator function), or a collection. With several processes
                each calls `read(number, processes)`, number counting from 0, for its share.
            processes: how many.
            rerun: what is done when its process was killed. `skip`: `read` is called again, and as many items as were
                given before are passed over; it must give the same ones in the same order. `seek`: it is called with
                one more argument, how many were given before, and goes on from there. `again`: it is called again, and
                whatever it gives is new, as with a socket or another queue.
            name: of the step; None: that of the function.

        An exception in `read` ends the pipeline: nobody can know what it would have given.
        """
        self._check_open("source")
        if self._steps and self._steps[-1].kind != "source":
            raise ValueError("the sources of a pipeline come before its stages")
        check_step("source", read if callable(read) else int, processes, 0)
        function = check_source(read, processes, rerun)
        return self._add("source", read, function, processes, name, rerun=rerun)

    def stage(
        self,
        function: Callable[[Any], Any],
        *,
        processes: int = 1,
        max_items: int | None = None,
        max_bytes: int | None = None,
        max_deliveries: int = 5,
        name: str | None = None,
    ) -> Pipeline:
        """Add a stage: what the function returns for an item goes on; of a generator function, each that it yields.

        Args:
            function: called with an item.
            processes: how many work on items at a time.
            max_items: how many items wait for it at most; who puts more waits. None: the pipeline's.
            max_bytes: the same in bytes.
            max_deliveries: how often an item is given to it at most, when the function raises or its process dies;
                then the item is among the dead ones of the report. 0: without end.
            name: of the step; None: that of the function.
        """
        return self._add_step("stage", function, processes, max_items, max_bytes, max_deliveries, name)

    def sink(
        self,
        function: Callable[[Any], Any],
        *,
        processes: int = 1,
        max_items: int | None = None,
        max_bytes: int | None = None,
        max_deliveries: int = 5,
        name: str | None = None,
    ) -> Pipeline:
        """Add the last step: the function is called with each item. The arguments are those of `stage`."""
        return self._add_step("sink", function, processes, max_items, max_bytes, max_deliveries, name)

    def _add_step(
        self,
        kind: Any,
        function: Any,
        processes: int,
        max_items: int | None,
        max_bytes: int | None,
        max_deliveries: int,
        name: str | None,
    ) -> Pipeline:
        self._check_open(kind)
        if not self._steps:
            raise ValueError(f"a pipeline begins with a source: call source() before {kind}()")
        check_step(kind, function, processes, max_deliveries)
        items = self._bounds[0] if max_items is None else check_bound("max_items", max_items)
        size = self._bounds[1] if max_bytes is None else check_bound("max_bytes", max_bytes)
        bounds = {"max_items": items, "max_bytes": size, "max_deliveries": max_deliveries}
        return self._add(kind, function, function, processes, name, **bounds)

    def _add(self, kind: Any, named: Any, function: Any, processes: int, name: str | None, **options: Any) -> Pipeline:
        name = name_of(named, name, {step.name for step in self._steps})
        first_row = sum(step.processes for step in self._steps)
        self._steps.append(Step(kind, name, function, processes, first_row, **options))
        return self

    def start(self) -> None:
        """Start its processes.

        Raises:
            ValueError: it has no source, or was started before.
            Exception: what the start of a process raised (`CannotPickle`, OSError); nothing is left of the others.
        """
        if self._conductor is not None:
            raise ValueError(f"{self._title()} was started before; make another one")
        if not self._steps:
            raise ValueError("a pipeline begins with a source: call source() before start()")
        ctx = self._ctx or get_default_context().get_context()
        self._owner_pid = os.getpid()
        self._counts = Counts(sum(step.processes for step in self._steps))
        try:
            conductor = Conductor(self._title(), self._steps, self._counts, self._bounds, ctx)
            conductor.supervisor.start()
        except BaseException:
            self._counts.close()
            raise
        self._began_s = time.monotonic()
        self._conductor = conductor
        # A daemon, for it must not hold up the end of the program; the finalizer ends the processes then.
        self._thread = threading.Thread(target=self._lead, args=(conductor,), name="hardy-pipeline", daemon=True)
        self._finalizer = Finalize(None, self._stop_at_exit, exitpriority=_EXIT_PRIORITY)
        self._thread.start()

    def run(self) -> PipelineReport:
        """Start it, wait for its end, and say how it went. Ctrl-C ends it at once.

        Raises:
            ValueError: it has no sink; iterate `results()` instead.
            PipelineFailed: a step cannot work.
        """
        if self._steps and self._steps[-1].kind != "sink":
            raise ValueError(f"{self._title()} has no sink: add one, or iterate results()")
        with self:
            return self.join()

    def results(self) -> Iterator[Any]:
        """What the last stage gives, each item once, as it comes; starts the pipeline if that was not done.

        Leaving the loop before its end ends the pipeline.

        Raises:
            ValueError: it has a sink, where the items go.
            PipelineFailed: a step cannot work.
        """
        if self._steps and self._steps[-1].kind == "sink":
            raise ValueError(f"{self._title()} has a sink, where its items go; results() is for one without")
        if self._conductor is None:
            self.start()
        self._check_ours("results")
        assert self._conductor is not None
        return self._give(self._conductor)

    def _give(self, conductor: Conductor) -> Iterator[Any]:
        items = conductor.queues[-1]
        try:
            while not conductor.stopping:
                item = items.get()
                if item is None:
                    break
                id, value = item
                if self._seen.has(id):
                    self._doubles += 1
                    continue
                self._seen.add(id)
                self._results += 1
                yield value
            self.join()
        finally:
            if not self._ended.is_set():
                self.stop(drain=False)

    def join(self, timeout: float | None = None) -> PipelineReport:
        """Wait until everything that the sources gave went through; how it went.

        Args:
            timeout: seconds to wait at most; None: no end.

        Raises:
            TimeoutError: it goes on.
            PipelineFailed: a step cannot work.
        """
        self._check_ours("join")
        if not self._ended.wait(timeout):
            raise TimeoutError(f"{self._title()} still runs after {timeout} s")
        self._thread.join()
        self._finalizer.cancel()
        if self._failure is not None:
            raise self._failure
        return self.report()

    def stop(self, drain: bool = True, timeout: float | None = None) -> PipelineReport:
        """End it; how it went.

        Args:
            drain: let the sources end after the item that they have in hand, and wait until everything that they gave
                has gone through. False: kill all its processes at once; what was on its way is gone.
            timeout: seconds that the sources have to end; then they are killed. None: no end.

        Without a sink, a stop with `drain` does not wait: go on reading `results()`, which ends when all has come.

        Raises:
            PipelineFailed: a step cannot work.
        """
        self._check_ours("stop")
        conductor = self._conductor
        assert conductor is not None
        if not drain:
            conductor.stop()
        elif not conductor.sources_ended.is_set():
            self._counts.want_end()
            if timeout is not None and not conductor.sources_ended.wait(timeout):
                conductor.end_sources()
        if drain and self._steps[-1].kind != "sink":
            return self.report()
        return self.join()

    def report(self) -> PipelineReport:
        """How it goes, or how it went."""
        self._check_ours("report")
        if self._final is None and self._conductor is not None:
            self._conductor.collect_dead()
        report = self._final or self._reported(complete=False)
        # What the reader of the results counts, which may go on after the end.
        return replace(report, results=self._results, doubles=report.doubles + self._doubles)

    def pids(self, step: str) -> list[int]:
        """The process ids of a step, now.

        Raises:
            KeyError: there is no such step.
        """
        self._check_ours("pids")
        ids = {id for each in self._steps if each.name == step for id in each.child_ids()}
        if not ids:
            raise KeyError(step)
        assert self._conductor is not None
        children = self._conductor.supervisor.which_children()
        return [child.pid for child in children if child.id in ids and child.pid is not None]

    def __enter__(self) -> Pipeline:
        if self._conductor is None:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self._steps[-1].kind == "sink":
            try:
                self.join()
                return
            except KeyboardInterrupt:
                self.stop(drain=False)
                raise
        try:
            self.stop(drain=False)
        except Exception:
            if error is None:
                raise

    def _lead(self, conductor: Conductor) -> None:
        try:
            conductor.conduct()
            complete = True
        except Stopped:
            complete = False
        except BaseException as error:
            # For whoever asks, or else for the end of the program.
            self._failure = error
            complete = False
        self._final = self._reported(complete)
        self._counts.close()
        if self._failure is None:
            self._finalizer.cancel()
        self._ended.set()

    def _reported(self, complete: bool) -> PipelineReport:
        conductor = self._conductor
        assert conductor is not None
        now_s = time.monotonic()
        waiting = iter(conductor.queues)
        steps = []
        for step in self._steps:
            sums = self._sums(step)
            end_s = conductor.ended_s.get(step.name, now_s)
            steps.append(
                StepReport(
                    step.name,
                    step.kind,
                    step.processes,
                    taken=sums[Cell.TAKEN],
                    done=sums[Cell.DONE],
                    put=sums[Cell.PUT],
                    redelivered=sums[Cell.AGAIN],
                    failed=sums[Cell.FAILED],
                    deaths=conductor.deaths[step.name],
                    waiting=0 if step.kind == "source" else next(waiting).qsize(),
                    rate=sums[Cell.DONE] / max(end_s - self._began_s, 1e-9),
                )
            )
        doubles = sum(self._sums(step)[Cell.DOUBLES] for step in self._steps)
        seconds = now_s - self._began_s
        return PipelineReport(tuple(steps), tuple(conductor.dead), 0, doubles, seconds, complete)

    def _sums(self, step: Step) -> list[int]:
        rows = [self._counts.row(step.first_row + number) for number in range(step.processes)]
        return [sum(row[cell] for row in rows) for cell in Cell]

    def _stop_at_exit(self) -> None:
        """At the end of a program that left it running, or did not ask why it failed: that is printed."""
        self.stop(drain=False)

    def _title(self) -> str:
        return f"pipeline {self._name!r}" if self._name else "the pipeline"

    def _check_open(self, doing: str) -> None:
        if self._conductor is not None:
            raise ValueError(f"{doing}(): {self._title()} runs already")
        if self._steps and self._steps[-1].kind == "sink":
            raise ValueError(f"{doing}(): {self._title()} ends with its sink")

    def _check_ours(self, doing: str) -> None:
        if self._conductor is None:
            raise ValueError(f"{doing}() of {self._title()}: it has not been started")
        if self._owner_pid != os.getpid():
            raise ValueError(
                f"{doing}() of {self._title()} in process {os.getpid()}: it belongs to process {self._owner_pid}"
            )
