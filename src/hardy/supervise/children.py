"""The children of one supervisor: started in order, dealt with when they die, ended in reverse order.

Every method is called with the supervisor's guard held.
"""

from __future__ import annotations

import os
import time
from typing import Any, Literal

from hardy._core import lifeline, runtime
from hardy.errors import ChildError, RestartIntensityReached
from hardy.supervise.child import Child, Ended
from hardy.supervise.events import Kind, SupervisorEvent, Teller
from hardy.supervise.spec import ChildSpec
from hardy.supervise.strategy import Intensity, Strategy, concerned, is_restarted

__all__ = ["AutoShutdown", "Children", "check_spec"]

AutoShutdown = Literal["never", "any_significant", "all_significant"]

runtime._declare(
    "supervise.child.started",
    "supervise.child.died",
    "supervise.restart.decided",
    "supervise.restart.stopped_others",
    "supervise.restart.started",
    "supervise.stop.one_ended",
)


class Children:
    """The list of children, and what is done with it.

    Attributes:
        all: in start order.
        stopping: set, by anybody at any time, when nothing is to be started any more.
        failure: why the supervisor gave up, or None.
        hurry_fd: an eventfd, readable when the children are to be killed rather than asked.
    """

    def __init__(
        self, name: str, strategy: Strategy, counter: Intensity, auto_shutdown: AutoShutdown, teller: Teller, ctx: Any
    ) -> None:
        self.all: list[Child] = []
        self.stopping = False
        self.failure: RestartIntensityReached | None = None
        self.hurry_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._name, self._strategy, self._counter = name, strategy, counter
        self._auto_shutdown, self._teller, self._ctx = auto_shutdown, teller, ctx

    def add(self, spec: ChildSpec) -> Child:
        """A new child at the end, started. Raises what the start raises; it is not added then."""
        child = Child(spec)
        self.launch(child)
        self.all.append(child)
        return child

    def launch(self, child: Child) -> None:
        """Start a child's process. Raises what the start raises."""
        child.start(self._ctx)
        self._note("started", child, Ended(child.process.pid, None, None))
        runtime.hit("supervise.child.started")

    def end(self, child: Child) -> None:
        """End a child's process, if it has one, as its spec says; a temporary child is forgotten."""
        if child.process is not None:
            # One that has died meanwhile is said to have done so.
            if lifeline.wait_readable(child.process.sentinel, 0):
                self._note("died", child, child.collect())
            else:
                ended = child.terminate(self.hurry_fd)
                self._note("killed" if ended.killed else "terminated", child, ended)
            runtime.hit("supervise.stop.one_ended")
        if child.spec.restart == "temporary":
            self.all.remove(child)

    def end_last(self) -> bool:
        """End the last child that has a process, nothing being started any more; whether there was one."""
        self.stopping = True
        for child in reversed(self.all):
            if child.process is not None:
                self.end(child)
                return True
        return False

    def close(self) -> None:
        """Give the descriptor back, once all have ended."""
        # In this order: a signal's handler must not ring what has become another's descriptor.
        fd, self.hurry_fd = self.hurry_fd, -1
        os.close(fd)

    def deal_with_deaths(self) -> None:
        """Look for children that have ended by themselves, and do what their specs say."""
        for child, process in [(child, child.process) for child in self.all]:
            # Dealing with one may have ended or replaced others.
            if process is None or child.process is not process or not lifeline.wait_readable(process.sentinel, 0):
                continue
            if self.stopping:
                return
            ended = child.collect()
            self._note("died", child, ended)
            runtime.hit("supervise.child.died")
            if is_restarted(child.spec.restart, ended.exitcode):
                self._restart(child, ended)
            else:
                self._let_go(child)

    def find(self, id: str) -> Child:
        """The child of that id.

        Raises:
            ChildError: there is none.
        """
        for child in self.all:
            if child.spec.id == id:
                return child
        known = ", ".join(repr(child.spec.id) for child in self.all) or "none"
        raise ChildError(f"there is no child {id!r}; the children are: {known}", id=id, reason="not_found")

    def find_stopped(self, id: str, doing: str) -> Child:
        """The child of that id, which has no process.

        Raises:
            ChildError: there is none, or it runs.
        """
        child = self.find(id)
        if child.process is not None:
            raise ChildError(
                f"{doing}: child {id!r} runs (pid {child.process.pid}); call terminate_child() first",
                id=id,
                reason="running",
            )
        return child

    def _let_go(self, child: Child) -> None:
        if child.spec.restart == "temporary":
            self.all.remove(child)
        if not child.spec.significant:
            return
        others = any(each.process is not None and each.spec.significant for each in self.all)
        if self._auto_shutdown == "any_significant" or (self._auto_shutdown == "all_significant" and not others):
            self.stopping = True

    def _restart(self, child: Child, ended: Ended) -> None:
        error = ended.error
        while self._counter.allows(time.monotonic()):
            self._note("restarting", child, ended)
            runtime.hit("supervise.restart.decided")
            try:
                self._restart_concerned(child)
            except Exception as why:
                # It could not be started: one more failure of this child, which the intensity bounds.
                error = why
                continue
            runtime.hit("supervise.restart.started")
            return
        self._give_up(child, ended, error)

    def _restart_concerned(self, dead: Child) -> None:
        places = concerned(self._strategy, self.all.index(dead), len(self.all))
        group = [self.all[place] for place in places]
        for child in reversed(group):
            if child is not dead or child.process is not None:
                self.end(child)
        runtime.hit("supervise.restart.stopped_others")
        for child in group:
            if self.stopping:
                return
            if child.spec.restart != "temporary":
                self.launch(child)
                child.restarts += 1

    def _give_up(self, child: Child, ended: Ended, error: BaseException | None) -> None:
        allowed = f"{self._counter.intensity} in {self._counter.period_s} s"
        why = f"{type(error).__name__}: {error}" if error else f"it ended with exit code {ended.exitcode}"
        self.failure = RestartIntensityReached(
            f"{self._name} gave up: more restarts than {allowed}. The last to end was child {child.spec.id!r} "
            f"(pid {ended.pid}): {why}. All its children were stopped, in order. Mend what ends the child, or allow "
            "more by intensity=... and period=...",
            id=child.spec.id,
            intensity=self._counter.intensity,
            period=self._counter.period_s,
        )
        self.failure.__cause__ = error
        self._note("gave_up", child, ended)
        self.stopping = True

    def _note(self, kind: Kind, child: Child, ended: Ended) -> None:
        self._teller.note(SupervisorEvent(kind, child.spec.id, ended.pid, ended.exitcode, ended.error))


def check_spec(spec: ChildSpec, others: list[ChildSpec], auto_shutdown: AutoShutdown, reason: str) -> None:
    """Refuse a spec that does not go with the others.

    Raises:
        ChildError: its id is taken; `reason` says by what.
        ValueError: it is significant, and that means nothing here.
    """
    if spec.significant and auto_shutdown == "never":
        raise ValueError(f"child {spec.id!r} is significant, which means nothing with auto_shutdown='never'")
    if any(other.id == spec.id for other in others):
        raise ChildError(
            f"there is a child {spec.id!r} already; ids are unique within a supervisor", id=spec.id, reason=reason
        )
