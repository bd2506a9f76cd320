"""A timeline, handed to OpenTelemetry: spans with the times at which things happened, and metrics.

Handed over after the fact, by one process, through the API alone: what a killed process had recorded gets there too,
which spans that it had in its own SDK's buffers would not.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

from hardy._version import __version__
from hardy.observe.ends import is_failure
from hardy.observe.timeline.read import Interval, Life, Timeline

try:
    from opentelemetry import context, metrics, trace
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "handing a trace to OpenTelemetry needs its API, which is not installed: pip install 'hardy[otel]'"
    ) from error

__all__ = ["hand_over", "nobody_listens"]

# Shorter waits are in the metrics only: a program may have millions of them.
_SHORTEST_WAIT_NS = 1_000_000
# What the SDK's batch processor exports at once by default; it has room for four times as many, and drops the rest.
_FLUSH_EVERY = 512
_PATIENCE_S = 5.0


def nobody_listens() -> bool:
    """Whether the providers of this process are the API's own, which throw everything away."""
    own = ("opentelemetry.trace", "opentelemetry.metrics")
    providers = (trace.get_tracer_provider(), metrics.get_meter_provider())
    return all(type(provider).__module__.startswith(own) for provider in providers)


def hand_over(
    timeline: Timeline,
    tracer_provider: trace.TracerProvider | None = None,
    meter_provider: metrics.MeterProvider | None = None,
) -> int:
    """Hand spans and metrics to OpenTelemetry, and have the SDK export them.

    A process without a traced parent becomes a child of the span that is current here.

    Args:
        timeline: what was recorded.
        tracer_provider: who gets the spans; None: the one of this process.
        meter_provider: who gets the metrics; None: the one of this process.

    Returns:
        How many spans there were.
    """
    if tracer_provider is None and meter_provider is None and nobody_listens():
        warnings.warn(
            "the trace went nowhere: nobody has set up an OpenTelemetry SDK in this process "
            "(opentelemetry.trace.set_tracer_provider)",
            RuntimeWarning,
            stacklevel=3,
        )
    tracer_provider = tracer_provider or trace.get_tracer_provider()
    meter_provider = meter_provider or metrics.get_meter_provider()
    _measure(timeline, meter_provider.get_meter("hardy", __version__))
    spans = _Spans(timeline, tracer_provider)
    spans.tell()
    _flush(meter_provider)
    return spans.told


def _flush(provider: Any) -> bool:
    """Have what was handed over exported; whether it is worth the while to do so again."""
    began = time.monotonic()
    # Not in the API: an SDK need not have it.
    force_flush: Callable[[], Any] | None = getattr(provider, "force_flush", None)
    if force_flush is None:
        return False
    return force_flush() is not False and time.monotonic() - began < _PATIENCE_S


class _Spans:
    def __init__(self, timeline: Timeline, provider: trace.TracerProvider) -> None:
        self.timeline = timeline
        self.provider = provider
        self.tracer = provider.get_tracer("hardy", __version__)
        self.told = 0
        self.flushes = True

    def tell(self) -> None:
        """Start and end all spans."""
        lives: dict[int, trace.Span] = {}
        for life in self.timeline.lives:  # by their begin: parents first
            span = self._start(life.name or "process", life.begin_ns, lives.get(life.parent))
            span.set_attributes({"process.pid": life.pid, "hardy.kind": "process", "hardy.ending": _ending(life)})
            if is_failure(life.ending):
                span.set_status(trace.Status(trace.StatusCode.ERROR, _ending(life)))
            lives[life.identity] = span
            self._intervals(life, span)
            self._end(span, life.begin_ns, life.end_ns)
        _flush(self.provider)

    def _intervals(self, life: Life, top: trace.Span) -> None:
        # By thread, what is going on: by time, so an interval's parent is the innermost that holds all of it.
        going_on: dict[int, list[tuple[Interval, trace.Span]]] = {}
        for each in life.intervals:
            if each.kind not in ("task", "span", "wait"):
                continue
            if each.kind == "wait" and each.end_ns - each.begin_ns < _SHORTEST_WAIT_NS:
                continue
            outer = going_on.setdefault(each.thread, [])
            while outer and outer[-1][0].end_ns < each.end_ns:
                outer.pop()
            # A task's number would make as many names as there are tasks.
            name, _, number = each.name.rpartition(" #") if each.kind == "task" else (each.name, "", "")
            span = self._start(name, each.begin_ns, outer[-1][1] if outer else top)
            span.set_attributes({"process.pid": life.pid, "hardy.kind": each.kind})
            if number:
                span.set_attribute("hardy.task.number", int(number))
            if each.cut:
                span.set_attribute("hardy.cut", True)
            if each.failed:
                span.set_status(trace.Status(trace.StatusCode.ERROR, _raised(each)))
            elif each.cut and life.killed:
                span.set_status(trace.Status(trace.StatusCode.ERROR, f"its process was killed: {life.ending}"))
            if each.kind != "wait":
                outer.append((each, span))
            self._end(span, each.begin_ns, each.end_ns)

    def _start(self, name: str, begin_ns: int, parent: trace.Span | None) -> trace.Span:
        # None: the context of whoever calls.
        inside = None if parent is None else trace.set_span_in_context(parent, context.Context())
        return self.tracer.start_span(name, inside, start_time=self.timeline.began_wall_ns + begin_ns)

    def _end(self, span: trace.Span, begin_ns: int, end_ns: int) -> None:
        span.end(self.timeline.began_wall_ns + max(begin_ns, end_ns))
        self.told += 1
        if self.flushes and self.told % _FLUSH_EVERY == 0:
            # A collector that does not answer must not hold the program up once for every batch.
            self.flushes = _flush(self.provider)


def _ending(life: Life) -> str:
    return life.ending or "running"


def _raised(interval: Interval) -> str:
    if interval.kind == "span":
        return "an exception left it"
    return "it raised" if interval.failed == 1 else f"{interval.failed} of its calls raised"


def _measure(timeline: Timeline, meter: metrics.Meter) -> None:
    counters = {
        "put": meter.create_counter("hardy.queue.puts", "{message}", "Messages that were put into queues"),
        "get": meter.create_counter("hardy.queue.gets", "{message}", "Messages that were taken from queues"),
    }
    times = {
        "wait": meter.create_histogram("hardy.wait.duration", "s", "How long was waited"),
        "hold": meter.create_histogram("hardy.lock.hold.duration", "s", "How long locks were held"),
    }
    tasks = meter.create_counter("hardy.tasks", "{task}", "Tasks of pools and executors")
    ends = meter.create_counter("hardy.process.ends", "{process}", "Processes that ended")
    dropped = meter.create_counter("hardy.trace.dropped", "{event}", "Events for which the trace had no room")
    dropped.add(timeline.dropped)
    for life in timeline.lives:
        if life.ending:
            ends.add(1, {"hardy.ending": life.ending})
        for each in life.intervals:
            if each.kind in counters:
                counters[each.kind].add(each.count, {"hardy.queue": each.thing})
            elif each.kind in times:
                # A series for each process that was waited for would be one for every process that ever was.
                about = {} if each.wait == "the end of" else {"hardy.object": each.thing}
                about |= {"hardy.wait": each.wait} if each.kind == "wait" else {}
                times[each.kind].record(max(each.end_ns - each.begin_ns, 0) / 1e9, about)
            elif each.kind == "task":
                outcome = "failed" if each.failed else "cut" if each.cut else "done"
                tasks.add(1, {"hardy.task": each.name.rpartition(" #")[0], "hardy.outcome": outcome})
