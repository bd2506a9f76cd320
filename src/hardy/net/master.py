"""The master: it keeps as many workers as were asked for; at a reload it brings in new ones, and the old ones drain.

    worker: starting --says so--> ready --told to end--> draining --no connection, or no time, left--> gone
    server: starting --all are ready--> serving <--> reloading (new ones are starting; then the old ones are draining)
            --stop--> stopping --> ended

One thread runs it. It sleeps in poll on an eventfd, which the supervisor's events and the calls of others ring, and on
the pipe on which workers say that they are ready. Children are temporary ones of a `Supervisor`: it starts, watches
and reaps them, and it is decided here who takes a dead one's place, since a module that cannot be imported must
neither end the server nor be tried without a pause.

If the master dies here: the workers end within a second, at any step (their lifelines).
"""

from __future__ import annotations

import collections
import contextlib
import logging
import math
import os
import select
import signal
import struct
import time
from typing import Any, Literal

from hardy.errors import ServerFailed, signal_name
from hardy.net.options import Plan
from hardy.net.serving import FAILED, READY, run_worker
from hardy.supervise import ChildError, ChildSpec, Supervisor, SupervisorEvent

__all__ = ["Master"]

_LOG = logging.getLogger("hardy.net")
# After the drain's own time-out, in which a worker ends by itself.
_KILL_AFTER_S = 2.5
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0


class _Worker:
    """One worker, as the master knows it."""

    def __init__(self, id: str, seat: int, number: int, generation: int) -> None:
        self.id, self.seat, self.number, self.generation = id, seat, number, generation
        self.pid = 0
        self.state: Literal["starting", "ready", "draining"] = "starting"
        self.kill_at = math.inf
        self.failure = ""
        self.abandoned = False


class Master:
    """Runs in one thread; `request_stop` and `request_reload` may be called from any, and from a signal's handler."""

    def __init__(self, plan: Plan, count: int, ctx: Any) -> None:
        self._plan, self._count = plan, count
        self._workers: list[_Worker] = []
        self._generation = 1
        self._events: collections.deque[SupervisorEvent] = collections.deque()
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._heard, self._reports = ctx.Pipe(False)
        self._supervisor = Supervisor(name=plan.name, on_event=self._note, ctx=ctx)
        self._stops = 0
        self._wants_reload = False
        self._reloading = False
        self._failures = 0
        self._fill_at = 0.0

    def request_stop(self) -> None:
        """End the server; a second call ends it at once."""
        self._stops += 1
        self._ring()

    def request_reload(self) -> None:
        """Bring in new workers; while a reload goes on it is done after that one."""
        self._wants_reload = True
        self._ring()

    def worker_pids(self) -> list[int]:
        """Of those that serve."""
        return [each.pid for each in list(self._workers) if each.state == "ready"]

    def start(self) -> None:
        """Start the workers; returns when all are ready.

        Raises:
            ServerFailed: one ended before; all were stopped.
        """
        self._supervisor.start()
        try:
            for number in range(self._count):
                self._launch(number)
            while not self._stops and any(each.state == "starting" for each in self._workers):
                ended = self._turn()
                if ended:
                    raise ServerFailed(f"{self._plan.name} cannot serve: {self._why(*ended[0])}")
        except BaseException:
            self._end()
            raise

    def run(self) -> None:
        """Keep serving, until `request_stop`; returns when all workers have ended."""
        try:
            while not self._stops:
                self._deal_with(self._turn())
                if self._wants_reload and not self._reloading and not self._are_draining():
                    self._begin_reload()
                if self._reloading:
                    self._look_at_reload()
                else:
                    self._fill()
            self._drain(self._workers)
            while self._workers and self._stops < 2:
                self._turn()
        finally:
            self._end()

    def _end(self) -> None:
        self._supervisor.stop()
        for worker in self._workers:
            self._plan.seats.clear(worker.seat)
        self._workers.clear()
        self._heard.close()
        self._reports.close()
        fd, self._wake_fd = self._wake_fd, -1
        os.close(fd)

    def _note(self, event: SupervisorEvent) -> None:
        self._events.append(event)
        self._ring()

    def _ring(self) -> None:
        # Closed, or closed under us by the end: then there is nobody to wake.
        with contextlib.suppress(OSError, ValueError):
            os.eventfd_write(self._wake_fd, 1)

    def _turn(self) -> list[tuple[_Worker, SupervisorEvent]]:
        """Sleep until something happens; the workers that have ended."""
        poll = select.poll()
        poll.register(self._wake_fd, select.POLLIN)
        poll.register(self._heard.fileno(), select.POLLIN)
        due = min([each.kill_at for each in self._workers] + [self._fill_at if self._is_short() else math.inf])
        poll.poll(None if due == math.inf else max(0, math.ceil((due - time.monotonic()) * 1000)))
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake_fd)
        self._hear()
        ended = []
        while self._events:
            event = self._events.popleft()
            if event.kind in ("died", "killed", "terminated"):
                worker = next((each for each in self._workers if each.id == event.id), None)
                if worker is not None:
                    self._workers.remove(worker)
                    self._plan.seats.clear(worker.seat)
                    ended.append((worker, event))
        self._kill_late()
        return ended

    def _hear(self) -> None:
        while self._heard.poll(0):
            said = self._heard.recv_bytes()
            (pid,) = struct.unpack_from("q", said, 1)
            worker = next((each for each in self._workers if each.pid == pid), None)
            if worker is None:
                continue
            if said[:1] == READY and worker.state == "starting":
                worker.state = "ready"
                if worker.generation == self._generation:
                    self._failures = 0
            elif said[:1] == FAILED:
                worker.failure = said[9:].decode(errors="replace")

    def _launch(self, number: int) -> None:
        seat = min(set(range(self._plan.seats.count)) - {each.seat for each in self._workers})
        worker = _Worker(f"{self._plan.name}-{number}.{self._generation}", seat, number, self._generation)
        args = (self._plan, seat, number, self._generation, self._reports)
        self._workers.append(worker)
        try:
            worker.pid = self._supervisor.start_child(
                ChildSpec(worker.id, run_worker, args, restart="temporary", shutdown="brutal_kill")
            )
        except BaseException:
            self._workers.remove(worker)
            raise

    def _deal_with(self, ended: list[tuple[_Worker, SupervisorEvent]]) -> None:
        for worker, event in ended:
            if worker.state == "draining":
                if event.exitcode and not worker.abandoned:
                    _LOG.warning("%s while it drained", self._why(worker, event))
            elif worker.state == "ready" and not event.exitcode:
                _LOG.info("%s drained, as somebody told it to; another takes its place", worker.id)
            elif worker.state == "ready":
                what = "its connections ended with it; another takes its place"
                _LOG.warning("%s; %s", self._why(worker, event), what)
            elif self._reloading and worker.generation == self._generation:
                self._abandon_reload(self._why(worker, event))
            else:
                self._failed(self._why(worker, event))

    def _failed(self, why: str) -> None:
        self._failures += 1
        pause_s = min(_FIRST_PAUSE_S * 2 ** (self._failures - 1), _LONGEST_PAUSE_S)
        self._fill_at = time.monotonic() + pause_s
        _LOG.error("a worker cannot start, the next try is in %g s: %s", pause_s, why)

    def _is_short(self) -> bool:
        return not self._reloading and not self._stops and bool(self._missing())

    def _missing(self) -> list[int]:
        """The numbers that no worker of this generation bears."""
        there = {each.number for each in self._workers if each.state != "draining"}
        return [number for number in range(self._count) if number not in there]

    def _fill(self) -> None:
        for number in self._missing():
            if time.monotonic() < self._fill_at or len(self._workers) >= self._plan.seats.count:
                return
            try:
                self._launch(number)
            except Exception as error:
                self._failed(f"{type(error).__name__}: {error}")

    def _are_draining(self) -> bool:
        return any(each.state == "draining" for each in self._workers)

    def _begin_reload(self) -> None:
        self._wants_reload = False
        self._reloading = True
        self._generation += 1
        try:
            for number in range(self._count):
                self._launch(number)
        except Exception as error:
            self._abandon_reload(f"{type(error).__name__}: {error}")

    def _look_at_reload(self) -> None:
        new = [each for each in self._workers if each.generation == self._generation]
        if len(new) == self._count and all(each.state == "ready" for each in new):
            self._reloading = False
            self._failures = 0
            _LOG.warning("reloaded: %d new workers serve; the old ones drain", self._count)
            self._drain([each for each in self._workers if each.generation != self._generation])

    def _abandon_reload(self, why: str) -> None:
        self._reloading = False
        _LOG.error("the reload failed, and the old workers go on. %s\nMend it, and reload again", why)
        for worker in [each for each in self._workers if each.generation == self._generation]:
            with contextlib.suppress(ChildError):
                self._supervisor.terminate_child(worker.id)
            worker.state, worker.abandoned = "draining", True
        self._generation -= 1

    def _drain(self, workers: list[_Worker]) -> None:
        for worker in workers:
            worker.state = "draining"
            worker.kill_at = time.monotonic() + self._plan.limits.drain_timeout + _KILL_AFTER_S
            # One that has ended meanwhile is told of soon.
            with contextlib.suppress(ChildError):
                self._supervisor.signal_child(worker.id, signal.SIGTERM)

    def _kill_late(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if worker.kill_at <= now:
                worker.kill_at = math.inf
                _LOG.error("%s (pid %d) did not end in time and is killed", worker.id, worker.pid)
                with contextlib.suppress(ChildError):
                    self._supervisor.terminate_child(worker.id)

    def _why(self, worker: _Worker, event: SupervisorEvent) -> str:
        if worker.failure:
            return worker.failure
        who = f"worker {worker.id} (pid {event.pid})"
        if event.exitcode is not None and event.exitcode < 0:
            return f"{who} was killed by {signal_name(-event.exitcode)}"
        if event.error is not None:
            return f"{who} ended: {type(event.error).__name__}: {event.error}"
        return f"{who} ended"
