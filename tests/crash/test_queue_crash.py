"""A queue after a kill at each of its steps.

The cases are generated from the failpoints in the code. Each one takes a quiet queue (no later traffic that would
mend a lost wake-up) with others waiting, kills a process at the failpoint, and checks that the others go on, that
no message is lost, doubled or torn but for what the dead one had in hand, and that the memory comes back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from helpers.crew import Crew, new_crew
from crash.queue_registry import PREFIXES, REGISTRY, Scenario

import hardy._core.tasks  # noqa: F401  (declares the failpoints of the rings)
from hardy._core import runtime


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
