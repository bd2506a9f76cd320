"""`hardy.otel`: spans and metrics reach OpenTelemetry while things happen, from the processes in which they do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import hardy

# An application with OpenTelemetry of its own. Each process exports into one file; by itself only after an hour.
APPLICATION = """
import json, os, signal, sys
import hardy
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

def as_line(span):
    parent = span.parent.span_id if span.parent else 0
    told = [span.name, span.context.span_id, parent, span.status.status_code.name, span.attributes.get("process.pid")]
    return json.dumps(told + [span.attributes.get("hardy.ending")]) + "\\n"

def set_up():
    exporter = ConsoleSpanExporter(out=open("spans", "a"), formatter=as_line)
    trace.set_tracer_provider(TracerProvider())
    trace.get_tracer_provider().add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=3_600_000))

def work(queue):
    with hardy.span("parse"):
        queue.put(os.getpid())

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def square(x):
    with hardy.span("multiply"):
        return x * x

def broken(x):
    raise ValueError(x)

if __name__ == "__main__":
    set_up()
    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider([reader]))
    context = hardy.get_context(sys.argv[1])
    queue = context.Queue(name="jobs")
    with hardy.otel(set_up), trace.get_tracer("shop").start_as_current_span("request"):
        for name, target, args in ("worker", work, (queue,)), ("victim", die, ()):
            process = context.Process(target=target, args=args, name=name)
            process.start()
            process.join()
        with context.Pool(1) as pool:
            assert pool.apply(square, (7,)) == 49
            error = pool.apply_async(broken, (7,))
            error.wait()
            assert pool.map(square, range(3)) == [0, 1, 4]
            data = reader.get_metrics_data()
        # Terminated, right after its last result.
    points = [
        [metric.name, dict(point.attributes), point.value]
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    ]
    trace.get_tracer_provider().shutdown()
    print(json.dumps({"points": points, "worker": queue.get(), "main": os.getpid()}))
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_spans_and_metrics_are_told_while_things_happen(method: str, tmp_path: Path) -> None:
    """Lives, tasks below who submitted them, spans below their process; a kill; gauges. Ended workers lose none."""
    (tmp_path / "application.py").write_text(APPLICATION)
    line = [sys.executable, "application.py", method]

    done = subprocess.run(line, capture_output=True, text=True, timeout=50, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    got = json.loads(done.stdout)
    spans = [json.loads(line) for line in (tmp_path / "spans").read_text().splitlines()]
    name_of = {span[1]: span[0] for span in spans}
    by_name: dict[str, list[list[Any]]] = {}
    for span in spans:
        by_name.setdefault(span[0], []).append(span)
    parents = {name: {name_of.get(span[2]) for span in found} for name, found in by_name.items()}
    assert parents["worker"] == parents["victim"] == parents["square"] == parents["broken"] == {"request"}
    assert (parents["parse"], parents["multiply"]) == ({"worker"}, {"square"})
    assert [len(by_name[name]) for name in ("square", "multiply", "broken", "parse")] == [4, 4, 1, 1]
    assert by_name["parse"][0][4] == by_name["worker"][0][4] == got["worker"] != got["main"]
    assert by_name["victim"][0][3::2] == ["ERROR", "SIGKILL"]
    assert by_name["worker"][0][3::2] == ["UNSET", "exit 0"]
    assert by_name["broken"][0][3] == "ERROR"
    for point in (
        ["hardy.queue.length", {"hardy.queue": "Queue 'jobs'"}, 1],
        ["hardy.queue.puts", {"hardy.queue": "Queue 'jobs'"}, 1],
        ["hardy.process.ends", {"hardy.ending": "SIGKILL"}, 1],
        ["hardy.process.ends", {"hardy.ending": "exit 0"}, 1],
    ):
        assert point in got["points"]
    calls = {each[1]["hardy.outcome"]: each[2] for each in got["points"] if each[0].startswith("hardy.pool")}
    assert calls == {"queued": 0, "running": 0, "done": 4, "failed": 1}


def test_it_is_on_once_and_not_beside_a_trace_that_tells_the_same() -> None:
    """Twice would be told twice; after `close` it may be switched on again."""
    with hardy.otel():
        with pytest.raises(RuntimeError, match="on already"):
            hardy.otel()
        with pytest.raises(RuntimeError, match="told twice"):
            hardy.trace(otel=True)

    with hardy.otel(), hardy.span("nobody listens"):
        process = hardy.Process(target=int)
        process.start()
        process.join()
        process.close()


def test_it_names_the_extra_when_the_api_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the call."""
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "hardy.observe.live", raising=False)
    monkeypatch.delitem(vars(hardy), "otel", raising=False)

    with pytest.raises(ModuleNotFoundError, match=r"pip install 'hardy\[otel\]'"):
        _ = hardy.otel
