r"""Leads a running pipeline to its end: starts sources again, drains step by step, collects the dead items.

    sources run --all have ended--> step 1 drains --its queue is done with--> step 2 drains --> ... --> end
         \                               \                                       \
          '--- stop, or a failure --------'---------------------------------------'---> everything is ended at once

A step drains when nobody puts into its queue any more. Once every item is acknowledged, nothing is in anybody's hand:
its processes, which wait for items, are ended, and what they put lies in the next queue. So no end-marker is needed
that a kill could swallow.

Runs in a thread of the pipeline's own process.
"""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections import Counter
from queue import Empty, Full
from typing import Any

from hardy._core import runtime
from hardy._ipc.queues import Queue
from hardy._ipc.tasks import DeadLetter, TaskQueue
from hardy.errors import ChildError, PipelineFailed, ProcessDied
from hardy.pipeline.counts import Cell, Counts
from hardy.pipeline.ids import Id
from hardy.pipeline.report import DeadItem
from hardy.pipeline.steps import Step
from hardy.pipeline.worker import Item, run_source, run_step
from hardy.supervise import ChildSpec, Supervisor, SupervisorEvent

__all__ = ["Conductor", "Stopped"]

# A stage whose processes die so often before they could wait for an item, or a source that dies so often without
# having given one, cannot work. When it is killed each time, somebody may only have bad luck with it.
_MOST_IDLE_DEATHS = 10
_MOST_IDLE_KILLS = 100
_KILLS = (signal.SIGKILL, signal.SIGTERM)
_SLICE_S = 0.05

runtime._declare("pipeline.owner.source_ended", "pipeline.owner.step_drained")


class Stopped(Exception):
    """The pipeline was stopped before it had come to its end."""


class Conductor:
    """The processes of one running pipeline.

    Attributes:
        queues: the input queue of each step but the sources, in order; without a sink, then that of the results.
        dead: the dead items that are known.
        deaths: how many processes of each step died.
        ended_s: when each step that has ended did so, on the monotonic clock.
        sources_ended: set when no source runs any more.
        stopping: set when everything is to end at once, or has ended.
    """

    def __init__(self, title: str, steps: list[Step], counts: Counts, bounds: tuple[int, int], ctx: Any) -> None:
        self._steps = steps
        self._sources = [step for step in steps if step.kind == "source"]
        self._others = [step for step in steps if step.kind != "source"]
        self._counts = counts
        self._title = title
        self.queues: list[TaskQueue[Item]] = [
            ctx.TaskQueue(
                step.max_items, maxbytes=step.max_bytes, max_deliveries=step.max_deliveries, name=f"to {step.name}"
            )
            for step in self._others
        ]
        if self._steps[-1].kind != "sink":
            self.queues.append(ctx.TaskQueue(bounds[0], maxbytes=bounds[1], name="results"))
        self._dead_items: Queue = ctx.Queue(name="dead items")
        self.dead: list[DeadItem] = []
        self._buried: set[tuple[str, Id | None]] = set()
        self._burying = threading.Lock()
        self.deaths: Counter[str] = Counter()
        self.ended_s: dict[str, float] = {}
        self.sources_ended = threading.Event()
        self.stopping = False
        self._idle_deaths: Counter[tuple[str, bool]] = Counter()
        self._progress: dict[str, int] = {}
        self._last_death: dict[str, BaseException | None] = {}
        self._events: queue.SimpleQueue[SupervisorEvent | None] = queue.SimpleQueue()
        self._step_of = {id: step for step in steps for id in step.child_ids()}
        self._open_sources = {id for step in self._sources for id in step.child_ids()}
        # Consumers come first: what a source puts finds somebody at once. At a stop the sources end first.
        children = [spec for step in reversed(self._steps) for spec in self._specs_of(step)]
        self.supervisor = Supervisor(
            children, intensity=float("inf"), name=title, on_event=self._events.put, ctx=ctx.get_start_method()
        )

    def _specs_of(self, step: Step) -> list[ChildSpec]:
        return [self._spec_of(step, number) for number in range(step.processes)]

    def _spec_of(self, step: Step, number: int) -> ChildSpec:
        id = step.child_ids()[number]
        if step.kind == "source":
            # Temporary: whether it is started again depends on more than its exit code, and is decided here.
            args: tuple[Any, ...] = (step, number, self._counts, self.queues[0])
            return ChildSpec(id, run_source, args, restart="temporary", shutdown="brutal_kill")
        place = self._others.index(step)
        output = self.queues[place + 1] if step.kind == "stage" else None
        args = (step, number, self._counts, self.queues[place], output, self._dead_items)
        return ChildSpec(id, run_step, args, restart="permanent", shutdown="brutal_kill")

    def conduct(self) -> None:
        """To the end of the pipeline.

        Raises:
            Stopped: `stop` was called.
            PipelineFailed: a source raised, or the processes of a step die without doing anything.
        """
        try:
            while self._open_sources:
                self._deal_with(self._events.get())
            self._mark_ended(self._sources)
            self.sources_ended.set()
            runtime.hit("pipeline.owner.source_ended")
            for step, items in zip(self._others, self.queues, strict=False):
                self._drain(items)
                for id in step.child_ids():
                    self.supervisor.terminate_child(id)
                self._mark_ended([step])
                runtime.hit("pipeline.owner.step_drained")
            if len(self.queues) > len(self._others):
                # The results: when they have been read, whoever reads is told that there are no more.
                self._drain(self.queues[-1])
        finally:
            self.stopping = True
            self.sources_ended.set()
            self.supervisor.stop()
            self._count_the_rest()
            self._mark_ended(self._steps)
            self.collect_dead()
            self._tell_reader()

    def stop(self) -> None:
        """Let `conduct` end at once."""
        self.stopping = True
        self._events.put(None)

    def end_sources(self) -> None:
        """End the sources that still run, whatever they wait for."""
        for id in list(self._open_sources):
            try:
                self.supervisor.terminate_child(id)
            except (ChildError, ValueError):
                pass  # it has ended by itself, or everything has

    def collect_dead(self) -> None:
        """Bring `dead` up to date."""
        with self._burying:
            try:
                while True:
                    self._bury(self._dead_items.get_nowait())
            except Empty:
                pass
            for step, items in zip(self._others, self.queues, strict=False):
                for letter in items.dead_letters(clear=True):
                    self._bury(self._dead_item(step, letter))

    def _dead_item(self, step: Step, letter: DeadLetter[Item]) -> DeadItem:
        if letter.item is None:
            return DeadItem(step.name, None, letter.deliveries, f"CannotUnpickle: {letter.error}")
        id, value = letter.item
        last = self._last_death.get(step.name)
        error = f"each process that it was given to died; the last of the step to do so: {last}"
        return DeadItem(step.name, value, letter.deliveries, error, "", id)

    def _bury(self, item: DeadItem) -> None:
        # A process that was killed between saying so and acknowledging leaves both: what it said comes first.
        if item.id is None or (item.step, item.id) not in self._buried:
            self._buried.add((item.step, item.id))
            self.dead.append(item)

    def _drain(self, items: TaskQueue[Item]) -> None:
        while True:
            try:
                items.join(_SLICE_S)
                return
            except TimeoutError:
                self._deal_with_all()

    def _deal_with_all(self) -> None:
        while not self._events.empty():
            self._deal_with(self._events.get())

    def _deal_with(self, event: SupervisorEvent | None) -> None:
        if self.stopping:
            raise Stopped
        if event is None:
            return
        step = self._step_of.get(event.id)
        if step is None or event.kind not in ("died", "terminated", "killed"):
            return
        if step.kind == "source":
            self._deal_with_source(step, event)
        elif event.kind == "died":
            self._count_death(step, event)

    def _deal_with_source(self, step: Step, event: SupervisorEvent) -> None:
        number = step.child_ids().index(event.id)
        finished = self._counts.row(step.first_row + number)[Cell.FINISHED]
        if event.kind != "died" or finished or self._counts.wanted_end:
            self._open_sources.discard(event.id)
            return
        if event.error is not None and not isinstance(event.error, ProcessDied):
            raise self._failed(step, "raised, and what it would have given next is not known", event.error)
        self._count_death(step, event)
        self.supervisor.start_child(self._spec_of(step, number))

    def _count_the_rest(self) -> None:
        """Deaths that nobody has dealt with, since everything has ended."""
        while not self._events.empty():
            event = self._events.get()
            if event is not None and event.kind == "died" and event.id in self._step_of:
                self._note_death(self._step_of[event.id], event)

    def _note_death(self, step: Step, event: SupervisorEvent) -> None:
        number = step.child_ids().index(event.id)
        if step.kind == "source" and self._counts.row(step.first_row + number)[Cell.FINISHED]:
            return
        self.deaths[step.name] += 1
        self._last_death[step.name] = event.error

    def _count_death(self, step: Step, event: SupervisorEvent) -> None:
        self._note_death(step, event)
        rows = [self._counts.row(step.first_row + number) for number in range(step.processes)]
        progress = sum(row[Cell.PUT if step.kind == "source" else Cell.STARTS] for row in rows)
        killed = event.exitcode is not None and -event.exitcode in _KILLS
        if progress != self._progress.get(step.name, 0):
            self._idle_deaths[step.name, True] = self._idle_deaths[step.name, False] = 0
        self._progress[step.name] = progress
        self._idle_deaths[step.name, killed] += 1
        if self._idle_deaths[step.name, killed] >= (_MOST_IDLE_KILLS if killed else _MOST_IDLE_DEATHS):
            times = self._idle_deaths[step.name, killed]
            raise self._failed(step, f"died {times} times without having done anything", event.error)

    def _failed(self, step: Step, what: str, error: BaseException | None) -> PipelineFailed:
        failure = PipelineFailed(
            f"{self._title} was ended: its {step.kind} {step.name!r} {what}. The last error: "
            f"{type(error).__name__}: {error}",
            step=step.name,
        )
        failure.__cause__ = error
        return failure

    def _mark_ended(self, steps: list[Step]) -> None:
        for step in steps:
            self.ended_s.setdefault(step.name, time.monotonic())

    def _tell_reader(self) -> None:
        if len(self.queues) > len(self._others):
            try:
                self.queues[-1].put(None, block=False)
            except Full:
                pass  # then the reader does not wait, and looks at `stopping` itself
