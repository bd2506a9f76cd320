"""What a trace holds arrives in OpenTelemetry: with its times, under its parents, and whoever was killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import hardy
from hardy.cli import trace as command
from hardy.observe.timeline import otel
from hardy.observe.timeline.read import Interval, Life, Timeline

# An application with OpenTelemetry of its own, as its users have: prints what its exporter and its reader got.
APPLICATION = """
import json, os, signal, sys, time
import hardy
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

def work(queue, lock):
    with hardy.span("parse"), lock:
        for number in range(3):
            queue.put(number)
        with hardy.span("dies in it"):
            os.kill(os.getpid(), signal.SIGKILL)

def square(x):
    with hardy.span("multiply"):
        return x * x

def broken(x):
    raise ValueError(x)

if __name__ == "__main__":
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    trace.set_tracer_provider(TracerProvider())
    trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(spans))
    metrics.set_meter_provider(MeterProvider([reader]))
    context = hardy.get_context(sys.argv[1])
    queue, lock = context.Queue(name="jobs"), context.Lock(name="stock")
    before = time.time_ns()
    with trace.get_tracer("shop").start_as_current_span("request"), hardy.trace(otel=True):
        with hardy.ProcessPoolExecutor(1, mp_context=context) as pool:
            assert pool.submit(square, 7).result() == 49
            assert isinstance(pool.submit(broken, 7).exception(), ValueError)
        process = context.Process(target=work, args=(queue, lock), name="worker")
        process.start()
        assert [queue.get() for _ in range(3)] == [0, 1, 2]
        process.join()
    after = time.time_ns()
    points = [
        [metric.name, dict(point.attributes), getattr(point, "value", None) or getattr(point, "count", 0)]
        for resource in reader.get_metrics_data().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    ]
    name_of = {span.context.span_id: span.name for span in spans.get_finished_spans()}
    found = [
        {
            "name": span.name,
            "parent": name_of.get(span.parent.span_id) if span.parent else None,
            "status": [span.status.status_code.name, span.status.description],
            "attributes": dict(span.attributes),
            "in_time": before <= span.start_time <= span.end_time <= after,
            "trace": span.context.trace_id,
        }
        for span in spans.get_finished_spans()
    ]
    print(json.dumps({"spans": found, "points": points, "worker": process.pid}))
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_trace_arrives_in_opentelemetry_when_a_process_is_killed(method: str, tmp_path: Path) -> None:
    """Process, task and span, each under its parent and below the caller's span; the killed process with all it did."""
    script = tmp_path / "application.py"
    script.write_text(APPLICATION)

    done = subprocess.run([sys.executable, str(script), method], capture_output=True, text=True, timeout=50)

    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout)
    spans = {span["name"]: span for span in got["spans"]}
    assert [spans[name]["parent"] for name in ("MainProcess", "worker", "parse", "dies in it")] == [
        "request",
        "MainProcess",
        "worker",
        "parse",
    ]
    assert spans["multiply"]["parent"] == "square"
    assert spans["square"]["parent"] == spans["broken"]["parent"] != "MainProcess"
    assert {span["trace"] for span in got["spans"]} == {spans["request"]["trace"]}
    assert all(span["in_time"] for span in got["spans"])
    assert spans["worker"]["status"] == ["ERROR", "SIGKILL"]
    assert spans["worker"]["attributes"]["process.pid"] == got["worker"]
    assert spans["dies in it"]["status"] == ["ERROR", "its process was killed: SIGKILL"]
    assert spans["broken"]["status"] == ["ERROR", "it raised"]
    assert spans["square"]["status"] == spans["multiply"]["status"] == ["UNSET", None]
    for point in (
        ["hardy.queue.puts", {"hardy.queue": "jobs"}, 3],
        ["hardy.queue.gets", {"hardy.queue": "jobs"}, 3],
        ["hardy.lock.hold.duration", {"hardy.object": "stock"}, 1],
        ["hardy.tasks", {"hardy.task": "square", "hardy.outcome": "done"}, 1],
        ["hardy.tasks", {"hardy.task": "broken", "hardy.outcome": "failed"}, 1],
        ["hardy.process.ends", {"hardy.ending": "SIGKILL"}, 1],
    ):
        assert point in got["points"]


def test_command_hands_over_what_a_killed_program_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """`hardy trace --otel`: the first process is killed, and its spans are told all the same."""
    script, exporter = tmp_path / "program.py", InMemorySpanExporter()
    script.write_text("import hardy, os, signal\nwith hardy.span('last'):\n    os.kill(os.getpid(), signal.SIGKILL)\n")
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    meters = MeterProvider(shutdown_on_exit=False)
    monkeypatch.setattr(otel.trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setattr(otel.metrics, "get_meter_provider", lambda: meters)
    monkeypatch.chdir(tmp_path)

    status = command.main(["--otel", "--", str(script)])

    last, main = exporter.get_finished_spans()
    assert (status, last.name, main.name) == (128 + 9, "last", "MainProcess")
    assert last.parent is not None
    assert last.parent.span_id == main.context.span_id
    assert main.status.description == "SIGKILL"
    assert "1 processes, 2 spans: OpenTelemetry" in capfd.readouterr().err
    assert not (tmp_path / "trace.html").exists()


def test_command_runs_nothing_when_nobody_listens(tmp_path: Path) -> None:
    """Without an SDK in its process, `--otel` says what to do, and the program is not run for nothing."""
    script, ran = tmp_path / "program.py", tmp_path / "ran"
    script.write_text(f"open({str(ran)!r}, 'w')\n")
    line = [sys.executable, "-m", "hardy", "trace", "--otel", "--", str(script)]

    done = subprocess.run(line, capture_output=True, text=True, timeout=50)

    assert done.returncode == 2
    assert "opentelemetry-instrument hardy trace --otel" in done.stderr
    assert not ran.exists()


def test_trace_warns_when_nobody_listens() -> None:
    """The API throws everything away when no SDK is set up; that is not silent."""
    with pytest.warns(RuntimeWarning, match="set_tracer_provider"), hardy.trace(otel=True):
        pass


def test_trace_names_the_extra_when_the_api_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At the call, before anything is recorded or run; `import hardy` itself does not need it."""
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "hardy.observe.timeline.otel")

    with pytest.raises(ModuleNotFoundError, match=r"pip install 'hardy\[otel\]'"):
        hardy.trace(otel=True)
    status = command.main(["--otel", "--", "script.py"])

    assert status == 2
    assert "pip install 'hardy[otel]'" in capsys.readouterr().err


def timeline_of(intervals: list[Interval]) -> Timeline:
    life = Life(1, 7, "p", begin_ns=0, end_ns=10**10, ending="exit 0", intervals=intervals)
    return Timeline([life], [], 10**10, 10**18, 5)


def test_hand_over_drops_nothing_when_there_are_more_spans_than_the_batch_processor_holds() -> None:
    """Thousands at once: more than the SDK's queue takes, which is emptied in between."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=3_600_000))
    intervals = [Interval("span", "s", at, at + 1, 1) for at in range(0, 20_000, 2)]
    try:
        told = otel.hand_over(timeline_of(intervals), provider)
    finally:
        provider.shutdown()

    assert told == len(exporter.get_finished_spans()) == 10_001


def test_hand_over_asks_a_slow_collector_once() -> None:
    """Whoever does not answer holds the program up for one batch, not for each."""
    asked: list[Any] = []

    class Slow(TracerProvider):
        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            asked.append(timeout_millis)
            return False

    otel.hand_over(timeline_of([Interval("span", "s", 0, 1, 1)] * 2_000), Slow(shutdown_on_exit=False))

    assert len(asked) == 2  # the first batch; and the end


def test_hand_over_has_short_waits_in_the_metrics_only() -> None:
    """A span for a wait that somebody would look for; a measure for each. What had no room is counted."""
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    waits = [
        Interval("wait", "waits for lock stock", begin, end, 1, thing="stock", wait="lock")
        for begin, end in ((0, 1_000), (2_000, 2_000_002_000))
    ]

    otel.hand_over(timeline_of(waits), provider, MeterProvider([reader], shutdown_on_exit=False))

    wait, _ = exporter.get_finished_spans()
    assert (wait.name, wait.start_time, wait.end_time) == (
        "waits for lock stock",
        10**18 + 2_000,
        10**18 + 2_000_002_000,
    )
    data = reader.get_metrics_data()
    assert data is not None
    points = {m.name: m.data.data_points[0] for m in data.resource_metrics[0].scope_metrics[0].metrics}
    waited: Any = points["hardy.wait.duration"]
    assert dict(waited.attributes) == {"hardy.wait": "lock", "hardy.object": "stock"}
    assert (waited.count, waited.sum) == (2, pytest.approx(2.000001))
    dropped: Any = points["hardy.trace.dropped"]
    assert dropped.value == 5
