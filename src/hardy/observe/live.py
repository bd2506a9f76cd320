"""`hardy.otel`: spans and metrics to OpenTelemetry while they happen, each from the process in which it happens."""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any
from weakref import WeakKeyDictionary

from hardy._proc import told
from hardy._version import __version__
from hardy.context import tell_children
from hardy.observe.ends import Ends, is_failure
from hardy.observe.gauges import register

try:
    from opentelemetry import context, metrics, trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "telling OpenTelemetry needs its API, which is not installed: pip install 'hardy[otel]'"
    ) from error

__all__ = ["LiveTelemetry", "otel"]

_TOLD = "hardy_otel"
_PATIENCE_S = 1.0
_REST_S = 30.0
_W3C = TraceContextTextMapPropagator()


class LiveTelemetry:
    """Tells OpenTelemetry of this process; what `hardy.otel` returns.

    Args:
        setup: sets up the SDK in a process that is started as a new interpreter.
        is_new: whether this process is one, and has yet to be told of its `setup`.
    """

    def __init__(self, setup: Callable[[], object] | None = None, is_new: bool = False) -> None:
        self._setup = setup
        self._is_new = is_new
        self._pid = os.getpid()
        self._tracer = trace.get_tracer("hardy", __version__)
        self._starting: WeakKeyDictionary[Any, trace.Span] = WeakKeyDictionary()
        self._ends = Ends(_end)
        self._no_flush_before_s = 0.0

    # ---- told by what starts processes and runs tasks ----

    def carried(self) -> bytes:
        """The current span, as it goes with a task."""
        return _pack(context.get_current())

    def starting(self, process: Any) -> Any:
        """A span for a process's life begins, here: it is told of whatever the process dies of."""
        span = self._tracer.start_span(process.name, attributes={"hardy.kind": "process"})
        self._starting[process] = span
        # With the process object, and not before it: the setup may be of `__main__`, which is imported first.
        return _pack(trace.set_span_in_context(span)), self._setup

    def started(self, process: Any) -> None:
        """Its span ends with it."""
        span = self._starting.pop(process, None)
        if span is not None:
            span.set_attribute("process.pid", process.pid)
            self._ends.watch(process, span)

    @contextmanager
    def running(self, carried: Any) -> Iterator[None]:
        """What this process does is below the span of its life."""
        parent, self._setup = carried or (b"", None)
        if self._is_new and self._setup is not None:
            self._setup()
        self._is_new = False
        before = context.attach(_unpack(parent))
        try:
            yield
        finally:
            context.detach(before)
            self._ends.close()
            self.flush()

    def span(self, name: str) -> Any:
        """A span, and what is made inside of it is below it."""
        return self._tracer.start_as_current_span(name, attributes=_about("span"))

    @contextmanager
    def task(self, name: str, number: int, carried: bytes) -> Iterator[None]:
        """A task's span is below what was current where it was submitted, else below its process."""
        inside = _unpack(carried) if carried else None
        about = {**_about("task"), "hardy.task.number": number}
        with self._tracer.start_as_current_span(name, inside, attributes=about):
            yield

    def flush(self) -> None:
        """Export what is in this process's buffers: who is killed next exports no more."""
        now = time.monotonic()
        force_flush = getattr(trace.get_tracer_provider(), "force_flush", None)
        if force_flush is None or now < self._no_flush_before_s:
            return
        if force_flush(int(_PATIENCE_S * 1000)) is False or time.monotonic() - now >= _PATIENCE_S:
            # A collector that does not answer must not hold up each task.
            self._no_flush_before_s = time.monotonic() + _REST_S

    # ---- on and off ----

    def begin(self) -> LiveTelemetry:
        """Tell from now on, here and in the processes that are started."""
        told.observe(self)
        tell_children(_TOLD, _begin_in_child)
        # Before the SDK's own end, which was registered earlier.
        atexit.register(self.close)
        return self

    def close(self) -> None:
        """Tell no more; the lives of processes that still run end here, as "running"."""
        if told.observer is self:
            told.observe(None)
            tell_children(_TOLD, _do_nothing)
        atexit.unregister(self.close)
        if self._pid == os.getpid():
            self._ends.close()
            self.flush()

    def __enter__(self) -> LiveTelemetry:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def otel(setup: Callable[[], object] | None = None) -> LiveTelemetry:
    """From now on, tell OpenTelemetry's API what this process, and those that it starts, do, while they do it.

    Spans: of each process's life, from the process that started it; of each task, below the span in which it was
    submitted; of each `hardy.span`. Metrics, from this process alone: processes, how they ended, lengths of queues,
    who waits for locks, calls of pools.

    Args:
        setup: called in each process that is a new interpreter (spawn, forkserver), to set up the SDK there; must be
            importable. A forked process has its parent's SDK.

    Returns:
        what tells; `close()` it, or use it in `with`. Otherwise that is done when the program ends.

    If a process dies here: its own span says of what. What it had begun and not ended is lost; what it had ended is
    exported before a task's result is given away.

    Raises:
        ModuleNotFoundError: OpenTelemetry's API is not installed.
        RuntimeError: it is on already.
    """
    if told.observer is not None:
        raise RuntimeError("hardy.otel() is on already: close() what it returned before you call it again")
    live = LiveTelemetry(setup)
    register(metrics.get_meter("hardy", __version__), lambda: told.observer is live)
    return live.begin()


def _begin_in_child() -> None:
    LiveTelemetry(is_new=True).begin()


def _do_nothing() -> None:
    """What children are told once it is off."""


def _about(kind: str) -> dict[str, Any]:
    return {"hardy.kind": kind, "process.pid": os.getpid()}


def _pack(inside: context.Context) -> bytes:
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, inside)
    packed = carrier.get("traceparent", "").encode()
    return packed if len(packed) == told.CARRIED_BYTES else b""


def _unpack(carried: bytes) -> context.Context:
    return _W3C.extract({"traceparent": carried.decode()}, context.Context()) if carried else context.Context()


def _end(span: trace.Span, ending: str) -> None:
    span.set_attribute("hardy.ending", ending)
    if is_failure(ending):
        span.set_status(trace.Status(trace.StatusCode.ERROR, ending))
    span.end()
