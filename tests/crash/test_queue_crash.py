"""A queue after a kill at each of its steps.

The cases are generated from the failpoints in the code. Each one takes a quiet queue (no later traffic that would
mend a lost wake-up) with others waiting, kills a process at the failpoint, and checks that the others go on, that
no message is lost, doubled or torn but for what the dead one had in hand, and that the memory comes back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from crash import queue_scenarios as q
from crash.crew import Crew, new_crew
from crash.queue_scenarios import FIRST_DEATHS, Scenario, repairer

import hardy._core.tasks  # noqa: F401  (declares the failpoints of the rings)
from hardy._core import runtime

PREFIXES = ("ring.", "heap.", "guard.")

# Which scenarios reach a failpoint, each with the hits at which it kills. The first pattern that matches counts.
REGISTRY: list[tuple[str, list[tuple[Scenario, tuple[int, ...]]]]] = [
    (r"ring\.put\.after_record", [(q.put_small, (1, 2)), (q.put_batch, (1, 5)), (q.put_large, (1,))]),
    (r"ring\.put\.after_jump", [(q.put_batch, (1, 2)), (q.put_over_block, (1,))]),
    (r"ring\.put\.after_part", [(q.put_large, (1,)), (q.put_chain, (1,))]),
    (r"ring\.put\.(before|after)_hand_over", [(q.put_large, (1,)), (q.put_chain, (1,))]),
    (r"ring\.get\.after_copy", [(q.get_small, (1,)), (q.get_batch, (1, 4)), (q.woken_getter, (1,))]),
    (r"ring\.get\.before_free_block", [(q.get_over_block, (1,)), (q.get_batch, (1, 2))]),
    (r"ring\.get\.(before|after)_take_in_hand", [(q.get_large, (1,)), (q.get_chain, (1,))]),
    (
        r"ring\.wake\..*",
        [(q.put_small, (1,)), (q.put_batch, (1,)), (q.put_large, (1,)), (q.get_small, (1,)), (q.get_chain, (1,))],
    ),
    (
        r"ring\.commit\..*",
        [
            (q.put_small, (1, 2)),
            (q.put_small_into_bounded, (1,)),
            (q.put_batch, (1,)),
            (q.put_over_block, (1, 2)),
            (q.put_large, (1,)),
            (q.put_chain, (1,)),
            (q.get_small, (1,)),
            (q.get_batch, (1,)),
            (q.get_over_block, (1, 3)),
            (q.get_large, (1,)),
            (q.get_chain, (1,)),
            (q.woken_getter, (1,)),
        ],
    ),
    (r"ring\.wait\.after_ask", [(q.get_when_empty, (1, 2)), (q.put_when_full, (1, 2)), (q.put_large_when_full, (1,))]),
    (r"ring\.user\..*", [(q.put_small, (1,)), (q.close, (1,))]),
    (
        r"heap\.alloc\..*",
        [(q.put_batch, (1, 2)), (q.put_over_block, (1,)), (q.put_large, (1,)), (q.put_chain, (1, 2, 3))],
    ),
    (r"heap\.chain\.after_extent", [(q.put_large, (1,)), (q.put_chain, (1, 2, 3))]),
    (r"heap\.grow\..*", [(q.put_chain, (1, 2))]),
    (r"heap\.hand\.before_free", [(q.get_large, (1,)), (q.get_chain, (1,))]),
    (r"heap\.free\..*", [(q.get_over_block, (1,)), (q.get_batch, (1, 2)), (q.get_large, (1,)), (q.get_chain, (1, 2))]),
    (r"heap\.trim\..*", [(q.idle_trims, (1,))]),
    (r"heap\.sweep\..*", [(q.idle_sweeps, (1, 2)), (q.alloc_sweeps, (1,))]),
    (r"guard\.dead\..*|ring\.repair\.(after_mark|done)", [(repairer(first), (1,)) for first in FIRST_DEATHS]),
    (r"ring\.repair\.after_unit", [(repairer(first), (1, 2)) for first in FIRST_DEATHS]),
]


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
