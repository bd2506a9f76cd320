"""A queue after a kill at each of its steps.

The cases are generated from the failpoints in the code. Each one takes a quiet queue (no later traffic that would
mend a lost wake-up) with others waiting, kills a process at the failpoint, and checks that the others go on, that
no message is lost, doubled or torn but for what the dead one had in hand, and that the memory comes back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from crash.queue_registry import PREFIXES, REGISTRY, Scenario
from helpers.crew import Crew, new_crew
from helpers.ring_view import holders_of_guards, look, units_in_use

from hardy._core import runtime
from hardy._ipc.tasks import TaskQueue  # its import declares the failpoints of all rings


def cases() -> Iterator[pytest.param]:
    for name in runtime.failpoints():
        if not name.startswith(PREFIXES):
            continue
        for pattern, scenarios in REGISTRY:
            if re.fullmatch(pattern, name):
                for scenario, hits in scenarios:
                    for hit in hits:
                        yield pytest.param(scenario, f"{name}=kill:{hit}", id=f"{name}-{scenario.__name__}-{hit}")
                break
        else:
            yield pytest.param(None, name, id=f"{name}-unmapped")


@pytest.fixture
def crew() -> Iterator[Crew]:
    with new_crew() as crew:
        yield crew


@pytest.mark.parametrize(("scenario", "failpoint"), list(cases()))
def test_queue_is_whole_when_a_user_is_killed(crew: Crew, scenario: Scenario | None, failpoint: str) -> None:
    """Whoever dies wherever: the others go on, every message is there once, and the memory comes back."""
    assert scenario, f"the failpoint {failpoint} is new: give it a scenario in REGISTRY"

    world = scenario(crew, failpoint)

    world.assert_whole()


def test_view_from_outside_agrees_with_the_queue() -> None:
    """The offsets by which the tests read a queue's memory are those of the layout."""
    queue: TaskQueue[bytes] = TaskQueue(5, max_deliveries=1)
    for size in (10, 100, 100_000, 1000):
        queue.put(bytes(size))
    queue.take().nack()
    lease = queue.take()

    view = look(queue)

    assert (view.count, view.bytes) == (queue.qsize(), queue.nbytes()) == (2, 101_000)
    assert (view.head, view.tail, view.arenas, view.hands) == (2, 4, 1, 0)
    assert (view.leased, view.ready, view.dead) == (2, 0, 1)
    lease.ack()
    assert look(queue).leased == 1
    assert holders_of_guards(queue) == set()
    # A block, a table of leases, and the large message.
    assert units_in_use(queue) == 2 + 2
