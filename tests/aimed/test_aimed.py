"""A process is killed after each instruction of an operation, and the others go on."""

from __future__ import annotations

import os

import pytest
from aimed import meet_scenes, queue_scenes, stepper, sync_scenes
from aimed.scene import Scene, aim

SCENES = queue_scenes.FIRST_TO_RUN + sync_scenes.FIRST_TO_RUN + meet_scenes.FIRST_TO_RUN
if os.environ.get("HARDY_AIMED") == "all":
    SCENES += queue_scenes.FURTHER + sync_scenes.FURTHER + meet_scenes.FURTHER

pytestmark = pytest.mark.skipif(bool(stepper.why_not()), reason=stepper.why_not())


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", SCENES, ids=lambda kind: kind.__name__)
def test_object_is_whole_when_its_user_is_killed_after_any_instruction(kind: type[Scene]) -> None:
    """Nobody hangs, nothing is torn, and an operation happens at one instruction. `make aimed` runs more scenes."""
    result = aim(kind)

    assert result.places > 50
    assert len(result.commits) <= kind.ends - kind.begins
