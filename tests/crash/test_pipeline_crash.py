"""A process of a pipeline killed at each step of its life; and the pipeline's own process.

    source -> stage -> results: what comes out is what went in, each item once.

The failpoints are those of the code: a new one is tested from the day it is named.
"""

from __future__ import annotations

import json

import pytest
from helpers.procs import run_script

import hardy.pipeline  # noqa: F401 - names its failpoints
from hardy._core import runtime

POINTS = [name for name in runtime.failpoints() if name.startswith("pipeline.")]
SOURCE = [name for name in POINTS if name.startswith("pipeline.source.")]
STAGE = [name for name in POINTS if name.startswith("pipeline.stage.")]
OWNER = [name for name in POINTS if name.startswith("pipeline.owner.")]

SCENARIO = """
    import json, sys
    from functools import partial
    from hardy import Event, Pipeline
    from helpers import flows
    from helpers.waiting import wait_until

    def main():
        kind, point, method, rerun = sys.argv[1:5]
        once, buried = Event(), Event()
        at = {"pipeline.source.finished": 59}.get(point, 20)
        pipeline = Pipeline(ctx=method)
        if kind == "source":
            read = flows.armed_count_from if rerun == "seek" else flows.armed_count
            pipeline.source(partial(read, once, point, at, 60), rerun=rerun).stage(flows.double)
        else:
            work = flows.armed_then_raise if point.endswith("buried") else flows.armed
            work = partial(work, once, buried, point, at)
            pipeline.source(range(60)).stage(work, processes=2, max_deliveries=2, name="work")
            pipeline.stage(flows.double)
        if kind == "stage":
            pipeline.start()
            assert wait_until(lambda: pipeline.report().step("work").deaths, 20)
            buried.set()
        out = sorted(pipeline.results())
        report = pipeline.report()
        print(json.dumps({
            "missing": sorted(set(range(0, 120, 2)) - set(out)), "twins": len(out) - len(set(out)),
            "deaths": sum(step.deaths for step in report.steps),
            "again": sum(step.redelivered for step in report.steps), "dead": [each.item for each in report.dead],
            "doubles": report.doubles, "complete": report.complete}))

    if __name__ == "__main__":
        main()
"""


def run(kind: str, point: str, method: str, rerun: str = "skip") -> dict[str, object]:
    done = run_script(SCENARIO, kind, point, method, rerun)
    assert done.returncode == 0, done.stderr
    report: dict[str, object] = json.loads(done.stdout)
    return report


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("rerun", ["skip", "seek"])
@pytest.mark.parametrize("point", SOURCE)
def test_no_item_is_lost_or_comes_twice_when_a_source_is_killed_at(point: str, rerun: str, method: str) -> None:
    """It is run again, and goes on where it was; what it had put unrecorded comes again, and is left out."""
    report = run("source", point, method, rerun)

    finished = point == "pipeline.source.finished"
    assert report.pop("again") == 0
    assert report == {
        "missing": [],
        "twins": 0,
        "deaths": 0 if finished else 1,
        "dead": [],
        "doubles": 1 if point == "pipeline.source.after_put" else 0,
        "complete": True,
    }


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("point", STAGE)
def test_no_item_is_lost_or_comes_twice_when_a_stage_is_killed_at(point: str, method: str) -> None:
    """Another process takes the item; an output that was put but not acknowledged comes again, and is left out."""
    report = run("stage", point, method)

    buried = point == "pipeline.stage.buried"
    assert report == {
        "missing": [40] if buried else [],
        "twins": 0,
        "deaths": 1,
        "again": 0 if point == "pipeline.stage.acked" else 1,
        "dead": [20] if buried else [],
        "doubles": 1 if point in ("pipeline.stage.put", "pipeline.stage.counted") else 0,
        "complete": True,
    }


SINK = """
    import json, sys
    from functools import partial
    from hardy import Event, Pipeline, Queue
    from helpers import flows
    from helpers.waiting import wait_until

    def main():
        point, method = sys.argv[1:3]
        once, buried, written = Event(), Event(), Queue()
        write = partial(flows.armed_put, once, buried, point, 20, written)
        pipeline = Pipeline(ctx=method).source(range(60)).stage(flows.double).sink(write, processes=2, name="write")
        with pipeline:
            assert wait_until(lambda: pipeline.report().step("write").deaths, 20)
            buried.set()
            report = pipeline.join()
        out = written.get_many(1000)
        missing = sorted(set(range(0, 120, 2)) - set(out))
        deaths = report.step("write").deaths
        print(json.dumps([missing, len(out) - len(set(out)) <= 1, deaths, report.complete]))

    if __name__ == "__main__":
        main()
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("point", [name for name in STAGE if not name.endswith((".put", ".buried"))])
def test_no_item_is_lost_when_a_sink_is_killed_at(point: str, method: str) -> None:
    """At least once: only what it had in hand may be written again."""
    done = run_script(SINK, point, method)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[], True, 1, True]


OWNED = """
    import json, os, sys
    import hardy
    from functools import partial
    from hardy import Event, Pipeline, Queue
    from hardy._core import runtime
    from helpers import flows
    from helpers.procs import wait_dead

    def own(point, method, pids):
        go = Event()
        pipeline = Pipeline(ctx=method).source(partial(flows.count_after, go, 10)).stage(flows.double, processes=2)
        pipeline.sink(flows.double).start()
        pids.put([pid for step in ("count_after", "double", "double2") for pid in pipeline.pids(step)])
        runtime.arm(f"{point}=kill")
        go.set()
        pipeline.join()

    def main():
        point, method = sys.argv[1:3]
        pids = Queue()
        process = hardy.get_context(method).Process(target=own, args=(point, method, pids))
        process.start()
        process.join(15)
        left = [pid for pid in pids.get(timeout=1) if not wait_dead(pid)]
        print(json.dumps([process.exitcode, left]))

    if __name__ == "__main__":
        main()
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("point", OWNER)
def test_processes_end_with_the_owner_of_their_pipeline_when_it_is_killed_at(point: str, method: str) -> None:
    """With their lifeline, whatever they were doing."""
    done = run_script(OWNED, point, method)

    assert done.returncode == 0, done.stderr
    exitcode, left = json.loads(done.stdout)
    assert (exitcode, left) == (-9, [])


def test_there_are_failpoints_of_each_kind() -> None:
    """The lists cannot become empty unnoticed, and hold all."""
    assert len(SOURCE) >= 4
    assert len(STAGE) >= 6
    assert OWNER
    assert sorted(SOURCE + STAGE + OWNER) == sorted(POINTS)
