"""Pipeline: what goes through, in which numbers, and what happens to what does not."""

from __future__ import annotations

import os
import signal
import threading
from functools import partial
from typing import Any

import pytest
from helpers import flows
from helpers.procfs import alive
from helpers.procs import run_script
from helpers.waiting import wait_until
from hypothesis import given
from hypothesis import strategies as st

import hardy
from hardy import CannotPickle, Event, Pipeline, PipelineFailed, ProcessDied, Queue, current_delivery
from hardy.pipeline.ids import Seen

DEADLINE_S = 30.0
METHODS = ["fork", "spawn", "forkserver"]


def all_of(queue: Any) -> list[Any]:
    return sorted(queue.get_many(1 << 20)) if queue.qsize() else []


@pytest.mark.parametrize("method", METHODS)
def test_items_go_from_source_through_stages_to_sink(method: str) -> None:
    """Each item comes once, and the report counts it at each step."""
    written = Queue()
    pipeline = Pipeline(ctx=method).source(partial(flows.count_to, 500)).stage(flows.double, processes=3)

    report = pipeline.sink(partial(flows.put_into, written)).run()

    assert all_of(written) == list(range(0, 1000, 2))
    assert [(step.name, step.kind, step.done) for step in report.steps] == [
        ("count_to", "source", 500),
        ("double", "stage", 500),
        ("put_into", "sink", 500),
    ]
    assert report.complete
    assert (report.dead, report.doubles) == ((), 0)
    assert all(step.rate > 0 and step.waiting == 0 and step.deaths == 0 for step in report.steps)


@pytest.mark.parametrize("method", METHODS)
def test_results_gives_what_the_last_stage_gives(method: str) -> None:
    """Without a sink, the caller is the end of the pipeline."""
    pipeline = Pipeline(ctx=method).source(range(300)).stage(flows.double, processes=2).stage(flows.double)

    assert sorted(pipeline.results()) == list(range(0, 1200, 4))
    assert pipeline.report().results == 300
    assert pipeline.report().complete


def test_generator_stage_gives_any_number() -> None:
    """None, one or several for each item."""
    pipeline = Pipeline().source(range(10)).stage(flows.odd_only).stage(flows.twice)

    assert sorted(pipeline.results()) == [-9, -7, -5, -3, -1, 1, 3, 5, 7, 9]


def test_sources_may_be_several_and_share_the_work() -> None:
    """Each process of a source knows its number; and further sources put into the same first stage."""
    pipeline = Pipeline().source(flows.share, processes=3).source([1000, 1001]).stage(flows.double)

    assert sorted(pipeline.results()) == [*range(0, 200, 2), 2000, 2002]


def test_empty_source_ends_the_pipeline() -> None:
    """Nothing in, nothing out, and no hang."""
    assert list(Pipeline().source([]).stage(flows.double, processes=3).results()) == []


@pytest.mark.parametrize(
    ("big", "bounds"), [(1, {"max_items": 3, "max_bytes": 0}), (10_000, {"max_items": 0, "max_bytes": 30_000})]
)
def test_bounds_hold_the_source_back(big: int, bounds: dict[str, int]) -> None:
    """A slow stage: no more waits for it than its bound allows, in items or in bytes."""
    marks, gate = Queue(), Event()
    items = [b"x" * big] * 50

    with Pipeline(ctx="fork").source(items).stage(partial(flows.mark, marks, gate), **bounds) as pipeline:
        results = pipeline.results()
        marks.get(timeout=DEADLINE_S)
        source, stage = pipeline.report().steps
        assert source.done <= 3 + 2
        assert stage.waiting <= 3
        gate.set()
        assert len(list(results)) == 50


def test_exception_is_tried_again_then_the_item_is_dead_and_the_rest_goes_on() -> None:
    """After max_deliveries it is in the report: with step, item, number of tries and the traceback of the last."""
    pipeline = (
        Pipeline().source(range(100)).stage(partial(flows.raise_at, 7), processes=2, max_deliveries=3, name="try")
    )

    out = sorted(pipeline.results())

    report = pipeline.report()
    (dead,) = report.dead
    assert out == [n for n in range(100) if n != 7]
    assert (dead.step, dead.item, dead.deliveries, dead.error) == ("try", 7, 3, "ValueError: cannot do with 7")
    assert "in raise_at" in dead.traceback
    assert "worker.py" not in dead.traceback
    assert (report.step("try").failed, report.step("try").redelivered) == (3, 2)
    assert "dead items: 1" in str(report)


def test_item_that_fails_for_a_while_is_done_in_the_end() -> None:
    """Each delivery knows which one it is; without a limit an item is tried as often as it takes."""
    pipeline = Pipeline().source(range(5)).stage(partial(flows.raise_until, 20), max_deliveries=0)

    assert sorted(pipeline.results()) == list(range(5))
    assert pipeline.report().steps[1].failed == 5 * 19


def test_item_that_kills_each_process_is_dead_and_the_rest_goes_on() -> None:
    """A poison item costs max_deliveries processes, and the report says of what they died."""
    pipeline = Pipeline().source(range(100)).stage(partial(flows.die_at, 7), processes=2, max_deliveries=3)

    out = sorted(pipeline.results())

    (dead,) = pipeline.report().dead
    assert out == [n for n in range(100) if n != 7]
    assert (dead.item, dead.deliveries) == (7, 3)
    assert "SIGKILL" in dead.error
    assert pipeline.report().steps[1].deaths == 3


@pytest.mark.parametrize("leave", [flows.exit_at, flows.leave_at])
def test_function_that_leaves_its_process_loses_nothing(leave: Any) -> None:
    """os._exit(0) is a death as any other; sys.exit in a stage is an exception as any other."""
    pipeline = Pipeline().source(range(20)).stage(partial(leave, 7), max_deliveries=2)

    out = sorted(pipeline.results())

    dead = [each.item for each in pipeline.report().dead]
    assert sorted(out + dead) == list(range(20))
    assert dead == ([] if leave is flows.exit_at else [7])


def test_exception_in_a_source_ends_the_pipeline_with_its_traceback() -> None:
    """Nobody can know what it would have given next."""
    pipeline = Pipeline(name="shop").source(lambda: map(partial(flows.raise_at, 3), range(9)), name="read")

    with pytest.raises(PipelineFailed, match="pipeline 'shop' was ended: its source 'read' raised") as caught:
        list(pipeline.stage(flows.double).results())

    assert isinstance(caught.value.__cause__, ValueError)
    assert caught.value.step == "read"


def test_source_that_cannot_work_ends_the_pipeline() -> None:
    """One that dies again and again without giving an item is not started for ever."""
    pipeline = Pipeline(ctx="fork").source(lambda: map(partial(flows.abort_at, 0), range(3)), name="read")

    with pytest.raises(PipelineFailed, match="source 'read' died 10 times without having done anything"):
        pipeline.sink(flows.double).run()


def test_stage_that_cannot_start_ends_the_pipeline() -> None:
    """Nor is a stage whose processes die before they can take an item."""
    pipeline = Pipeline(ctx="spawn").source(range(3)).sink(flows.Deadly(), name="deadly")

    with pytest.raises(PipelineFailed, match="sink 'deadly' died 10 times") as caught:
        pipeline.run()

    assert isinstance(caught.value.__cause__, ProcessDied)


def test_stage_whose_processes_are_killed_idle_goes_on() -> None:
    """However often: waiting for an item that does not come is no failure."""
    feed = Queue()
    pipeline = Pipeline(ctx="fork").source(partial(flows.take_from, feed), rerun="again")

    with pipeline.stage(flows.double, name="idle"):
        for _ in range(25):
            before = wait_until(lambda: pipeline.pids("idle"))
            os.kill(before[0], signal.SIGKILL)
            assert wait_until(lambda before=before: pipeline.pids("idle") not in ([], before))
        for item in (1, 2, None):
            feed.put(item)
        assert sorted(pipeline.results()) == [2, 4]


def test_stop_with_drain_finishes_what_was_given() -> None:
    """An endless source ends after the item in hand; everything that it gave goes through."""
    written = Queue()
    pipeline = (
        Pipeline().source(partial(flows.count_to, 1 << 60)).stage(flows.double).sink(partial(flows.put_into, written))
    )

    with pipeline:
        written.get(timeout=DEADLINE_S)
        report = pipeline.stop()

    assert report.complete
    assert written.qsize() + 1 == report.step("count_to").done
    assert report.step("put_into").done == report.step("count_to").done


def test_stop_with_drain_kills_a_source_that_waits_for_the_world() -> None:
    """After its time-out; what was given before goes through."""
    feed, written = Queue(), Queue()
    pipeline = Pipeline().source(partial(flows.take_from, feed), rerun="again").sink(partial(flows.put_into, written))

    with pipeline:
        feed.put("a")
        assert written.get(timeout=DEADLINE_S) == "a"
        report = pipeline.stop(timeout=0.05)

    assert report.complete
    assert report.step("put_into").done == 1


def test_stop_without_drain_kills_everything() -> None:
    """At once, and the report says that it is not complete."""
    marks, gate = Queue(), Event()
    pipeline = Pipeline(ctx="fork").source(range(100)).sink(partial(flows.mark, marks, gate))
    pipeline.start()
    pid, _ = marks.get(timeout=DEADLINE_S)

    report = pipeline.stop(drain=False)

    assert not report.complete
    assert not alive(pid)


def test_leaving_the_results_early_ends_the_pipeline() -> None:
    """A break out of the loop leaves nobody behind."""
    pipeline = Pipeline().source(partial(flows.count_to, 1 << 60)).stage(flows.double, processes=2)

    for first in pipeline.results():
        assert first % 2 == 0
        break

    assert not pipeline.report().complete
    assert pipeline.pids("double") == []


def test_stop_inside_the_loop_lets_it_end() -> None:
    """With drain: the loop goes on until all that was given has come."""
    pipeline = Pipeline().source(partial(flows.count_to, 1 << 60)).stage(flows.double)
    seen = []

    for item in pipeline.results():
        seen.append(item)
        if len(seen) == 10:
            pipeline.stop()

    assert seen == list(range(0, 2 * pipeline.report().step("count_to").done, 2))
    assert pipeline.report().complete


def test_exception_in_the_block_ends_the_pipeline() -> None:
    """And comes out as it is."""
    pipeline = Pipeline().source(partial(flows.count_to, 1 << 60)).sink(flows.double)

    with pytest.raises(ZeroDivisionError), pipeline:
        _ = 1 / 0

    assert not pipeline.report().complete


def test_report_can_be_asked_while_it_runs() -> None:
    """Dead items too."""
    marks, gate = Queue(), Event()
    pipeline = Pipeline(ctx="fork").source([7]).stage(partial(flows.raise_at, 7), max_deliveries=1)
    with pipeline.stage(partial(flows.mark, marks, gate)):
        results = list(pipeline.results())

    assert results == []
    assert [each.item for each in pipeline.report().dead] == [7]


def test_bad_message_is_a_dead_item() -> None:
    """What cannot be rebuilt in the stage's process costs that item alone."""
    pipeline = Pipeline().source(lambda: [1, Unbuildable(), 2], name="read").stage(flows.double)

    assert sorted(pipeline.results()) == [2, 4]
    (dead,) = pipeline.report().dead
    assert "no such part here" in dead.error
    assert dead.item is None


def test_result_that_cannot_be_sent_is_a_dead_item() -> None:
    """With the path to the culprit."""
    pipeline = (
        Pipeline(ctx="fork").source([1]).stage(lambda n: {"lock": threading.Lock()}, max_deliveries=1, name="lock")
    )

    assert list(pipeline.results()) == []
    assert "['lock']" in pipeline.report().dead[0].error


def refuse() -> None:
    raise ImportError("no such part here")


class Unbuildable:
    def __reduce__(self) -> tuple[Any, ...]:
        return refuse, ()


def test_step_that_cannot_be_pickled_is_refused_at_start() -> None:
    """With spawn: CannotPickle, and nothing is left of the processes that were started before."""
    # A lambda would travel, with cloudpickle.
    pipeline = Pipeline(ctx="spawn").source(range(3)).sink(partial(print, threading.Lock()))

    with pytest.raises(CannotPickle, match="lock"):
        pipeline.run()


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda p: p.stage(flows.double), ValueError, "begins with a source"),
        (lambda p: p.start(), ValueError, "begins with a source"),
        (lambda p: p.source(iter([1])), TypeError, "cannot be begun again"),
        (lambda p: p.source(3), TypeError, "a function that gives items, or a collection, not int"),
        (lambda p: p.source([1], processes=2), ValueError, "one process"),
        (lambda p: p.source([1], rerun="never"), ValueError, "rerun must be one of"),
        (lambda p: p.source([1]).source([2], name="list"), ValueError, "a step 'list' already"),
        (lambda p: p.source([1]).stage(3), TypeError, "a stage takes a function, not int"),
        (
            lambda p: p.source([1]).stage(flows.double, processes=0),
            ValueError,
            "processes of a stage must be at least 1",
        ),
        (lambda p: p.source([1]).stage(flows.double, processes=True), TypeError, "processes of a stage must be an int"),
        (lambda p: p.source([1]).stage(flows.double, max_items=-1), ValueError, "max_items"),
        (lambda p: p.source([1]).stage(flows.double, max_deliveries=-1), ValueError, "max_deliveries of a stage"),
        (lambda p: p.source([1]).stage(flows.double).source([2]), ValueError, "come before its stages"),
        (lambda p: p.source([1]).sink(flows.double).stage(flows.double), ValueError, "ends with its sink"),
        (lambda p: p.source([1]).run(), ValueError, "has no sink"),
        (lambda p: p.source([1]).sink(flows.double).results(), ValueError, "has a sink"),
        (lambda p: p.source([1]).stop(), ValueError, "has not been started"),
    ],
)
def test_pipeline_refuses_what_makes_no_sense(make: Any, error: type[Exception], text: str) -> None:
    """At the call, saying what to do."""
    with pytest.raises(error, match=text):
        make(Pipeline())


@pytest.mark.parametrize("options", [{"max_items": "3"}, {"max_bytes": 1.5}, {"name": 3}, {"ctx": 3}])
def test_pipeline_refuses_bad_arguments(options: dict[str, Any]) -> None:
    """At the call."""
    with pytest.raises(TypeError):
        Pipeline(**options)


def test_current_delivery_is_for_steps_only() -> None:
    """Elsewhere it says so."""
    with pytest.raises(LookupError, match="functions of a pipeline"):
        current_delivery()


def test_pipeline_is_the_owners() -> None:
    """A child cannot stop its parent's pipeline."""
    pipeline = Pipeline(ctx="fork").source(range(3)).sink(flows.double)
    with pipeline:
        child = hardy.get_context("fork").Process(target=pipeline.stop)
        child.start()
        assert "it belongs to process" in str(child.exception())


def test_killed_processes_of_every_step_lose_nothing() -> None:
    """Sources and stages are killed again and again: each item comes out once."""
    pipeline = (
        Pipeline(max_items=20)
        .source(partial(flows.count_to, 3000))
        .stage(flows.double, processes=3, max_deliveries=0, name="one")
        .stage(flows.twice, processes=2, max_deliveries=0, name="two")
    )
    out, steps = [], ["count_to", "one", "two"]

    for item in pipeline.results():
        out.append(item)
        if len(out) % 200 == 0 and len(out) <= 4000:
            step = steps[len(out) // 200 % 3]
            before = pipeline.report().step(step).deaths
            os.kill(wait_until(lambda step=step: pipeline.pids(step))[0], signal.SIGKILL)
            assert wait_until(lambda step=step, before=before: pipeline.report().step(step).deaths == before + 1)

    assert sorted(out) == sorted([2 * n for n in range(3000)] + [-2 * n for n in range(3000)])
    assert sum(step.deaths for step in pipeline.report().steps) == 20


@given(st.lists(st.lists(st.integers(0, 20_000), min_size=1, max_size=3).map(tuple)))
def test_seen_knows_what_has_come(ids: list[tuple[int, ...]]) -> None:
    """As a set of ids would."""
    seen, model = Seen(), set()

    for id in ids:
        assert seen.has(id) == (id in model)
        seen.add(id)
        model.add(id)

    assert all(seen.has(id) for id in model)


def test_ctrl_c_ends_a_pipeline_with_one_traceback() -> None:
    """The caller gets KeyboardInterrupt; its processes say nothing, and none is left."""
    source = """
        import os
        from hardy import Pipeline
        from helpers import flows

        if __name__ == "__main__":
            os.setpgid(0, 0)
            Pipeline(ctx="fork").source(range(100)).stage(flows.double, processes=3).sink(flows.interrupt_all).run()
        """

    done = run_script(source)

    assert done.returncode == -signal.SIGINT
    assert done.stderr.count("Traceback") == 1
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")


def test_program_that_forgets_its_pipeline_ends_all_the_same() -> None:
    """What ran is ended; a failure that nobody asked for is printed."""
    source = """
        from functools import partial
        from hardy import Pipeline
        from helpers import flows

        if __name__ == "__main__":
            Pipeline().source(partial(flows.count_to, 1 << 60)).sink(flows.double).start()
            broken = Pipeline(name="broken").source(partial(flows.raise_all, 1)).sink(flows.double)
            broken.start()
            broken._ended.wait()
        """

    done = run_script(source)

    assert done.returncode == 0, done.stderr
    assert "PipelineFailed: pipeline 'broken' was ended" in done.stderr
