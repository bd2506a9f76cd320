"""What runs in the processes of a pipeline.

A stage's process, and what is left when it is killed after each step:

    taken      the item goes to another process, delivered once more
    computed   the same
    put        the same; the output is there, and comes again as a twin with the same id, which the end leaves out
    counted    the same; the item is counted twice
    acked      nothing: it was done with

A source's: put, and killed before the position is written: the item comes again, as a twin.
"""

from __future__ import annotations

import inspect
import itertools
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from hardy._core import runtime
from hardy._ipc.queues import Queue
from hardy._ipc.tasks import Lease, TaskQueue
from hardy.errors import CannotUnpickle
from hardy.pipeline.counts import Cell, Counts
from hardy.pipeline.ids import Id, Seen
from hardy.pipeline.report import DeadItem
from hardy.pipeline.steps import Step

__all__ = ["Delivery", "Item", "current_delivery", "run_source", "run_step"]

Item = tuple[Id, Any]

runtime._declare(
    "pipeline.source.before_put",
    "pipeline.source.after_put",
    "pipeline.source.counted",
    "pipeline.source.finished",
    "pipeline.stage.taken",
    "pipeline.stage.computed",
    "pipeline.stage.put",
    "pipeline.stage.counted",
    "pipeline.stage.acked",
    "pipeline.stage.buried",
)


class Delivery(NamedTuple):
    """The item that a step's function has in hand.

    Attributes:
        step: the name of the step.
        id: the item's id: the same when the item comes again, so that a write can be made under it.
        deliveries: how often the item was given out, this time included.
    """

    step: str
    id: Id
    deliveries: int


_current: Delivery | None = None


def current_delivery() -> Delivery:
    """In a function of a stage or sink: which item it has, and how often that was given out.

    Raises:
        LookupError: this is no such function.
    """
    if _current is None:
        raise LookupError("current_delivery() is for the functions of a pipeline's stages and sink, while they run")
    return _current


def run_source(step: Step, number: int, counts: Counts, output: TaskQueue[Item]) -> None:
    """Put what the source gives, going on where an earlier process of it was killed."""
    source = step.first_row + number
    row = counts.row(source)
    position = row[Cell.PUT]
    if row[Cell.STARTS] and step.rerun == "again":
        # The item that was put last may not have been counted: its id must not be given to a new one.
        position += 1
    row.add(Cell.STARTS)
    arguments: tuple[int, ...] = (number, step.processes) if step.processes > 1 else ()
    if step.rerun == "seek":
        arguments = (*arguments, position)
    items = iter(step.function(*arguments))
    if step.rerun == "skip":
        items = itertools.islice(items, position, None)
    while not counts.wanted_end:
        try:
            value = next(items)
        except StopIteration:
            break
        runtime.hit("pipeline.source.before_put")
        output.put(((source, position), value))
        runtime.hit("pipeline.source.after_put")
        position += 1
        row[Cell.PUT] = position
        row.add(Cell.DONE)
        runtime.hit("pipeline.source.counted")
    row[Cell.FINISHED] = 1
    runtime.hit("pipeline.source.finished")


def run_step(
    step: Step,
    number: int,
    counts: Counts,
    items: TaskQueue[Item],
    output: TaskQueue[Item] | None,
    dead: Queue,
) -> None:
    """Work on items until this process is ended."""
    row = counts.row(step.first_row + number)
    seen = Seen() if output is None else None
    outputs = _many if _is_generator(step.function) else _one
    row.add(Cell.STARTS)
    while True:
        try:
            lease = items.take()
        except CannotUnpickle:
            # It lies among the dead letters of the queue, where the owner of the pipeline finds it.
            row.add(Cell.FAILED)
            continue
        id, value = lease.item
        _note(step, row, lease, id)
        if seen is not None and seen.has(id):
            row.add(Cell.DOUBLES)
            lease.ack()
            continue
        try:
            for made in outputs(step.function, id, value):
                runtime.hit("pipeline.stage.computed")
                if output is not None:
                    output.put(made)
                    row.add(Cell.PUT)
                    runtime.hit("pipeline.stage.put")
        except BaseException as error:
            row.add(Cell.FAILED)
            _give_back(step, lease, id, value, error, dead)
            continue
        if seen is not None:
            seen.add(id)
        row.add(Cell.DONE)
        runtime.hit("pipeline.stage.counted")
        lease.ack()
        runtime.hit("pipeline.stage.acked")


def _note(step: Step, row: Any, lease: Lease[Item], id: Id) -> None:
    global _current
    row.add(Cell.TAKEN)
    if lease.deliveries > 1:
        row.add(Cell.AGAIN)
    _current = Delivery(step.name, id, lease.deliveries)
    runtime.hit("pipeline.stage.taken")


def _give_back(step: Step, lease: Lease[Item], id: Id, value: Any, error: BaseException, dead: Queue) -> None:
    if not step.max_deliveries or lease.deliveries < step.max_deliveries:
        lease.nack()
        return
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    text = "".join(traceback.format_exception(type(error), error, trace))
    line = traceback.format_exception_only(type(error), error)[-1].strip()
    dead.put(DeadItem(step.name, value, lease.deliveries, line, text, id))
    runtime.hit("pipeline.stage.buried")
    lease.ack()


def _is_generator(function: Callable[..., Any]) -> bool:
    while hasattr(function, "func"):
        function = function.func
    return inspect.isgeneratorfunction(function) or inspect.isgeneratorfunction(type(function).__call__)


def _one(function: Callable[..., Any], id: Id, value: Any) -> Iterable[Item]:
    return ((id, function(value)),)


def _many(function: Callable[..., Any], id: Id, value: Any) -> Iterator[Item]:
    for number, made in enumerate(function(value)):
        yield (*id, number), made
