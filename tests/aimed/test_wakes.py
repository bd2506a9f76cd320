"""A wake-up is one system call, made when somebody sleeps and not otherwise.

Without it the sleeper would still look by itself some time later, so only the system calls tell.
"""

from __future__ import annotations

import pytest
from aimed import meet_scenes, queue_scenes, stepper, sync_scenes
from aimed.scene import Scene
from helpers.crew import new_crew

FUTEX = 202
WAKE, REQUEUE, COMMAND_MASK = 1, 3, 0x7F

WAITED = [
    queue_scenes.PutWaited, queue_scenes.GetWaited,
    sync_scenes.ReleaseWaited, sync_scenes.SetEvent, sync_scenes.SemReleaseWaited, meet_scenes.Notify,
    meet_scenes.LastParty, meet_scenes.WriteEndWaited, meet_scenes.ReadEndWaited,
]  # fmt: skip
IN_VAIN = [queue_scenes.PutForTheDead, sync_scenes.SemReleaseForTheDead, sync_scenes.ReleaseForTheDead]
ALONE = [
    queue_scenes.PutAgain, queue_scenes.GetAgain,
    sync_scenes.Acquire, sync_scenes.Release, sync_scenes.RAcquire, sync_scenes.RRelease, sync_scenes.ClearEvent,
    sync_scenes.SemAcquire, sync_scenes.SemRelease, sync_scenes.SemEnter, sync_scenes.SemLeave,
    meet_scenes.Read, meet_scenes.ReadEnd, meet_scenes.Write, meet_scenes.WriteEnd,
]  # fmt: skip

pytestmark = [
    pytest.mark.skipif(bool(stepper.why_not()), reason=stepper.why_not()),
    pytest.mark.filterwarnings("ignore::hardy.errors.OwnerDiedWarning"),
]


def calls_of(kind: type[Scene]) -> list[tuple[int, int]]:
    with new_crew() as crew:
        scene = kind(crew)
        victim = stepper.Victim(scene.warm, scene.strike, scene.arranged)
        try:
            calls = victim.system_calls()
        finally:
            victim.kill()
        try:
            scene.check()
        finally:
            scene.close()
        return calls


@pytest.mark.parametrize("kind", WAITED, ids=lambda kind: kind.__name__)
def test_operation_wakes_when_somebody_sleeps(kind: type[Scene]) -> None:
    """Who sleeps is woken by the operation itself."""
    calls = calls_of(kind)

    made = [operation & COMMAND_MASK for number, operation in calls if number == FUTEX]
    assert made in ([WAKE], [REQUEUE]), f"system calls: {calls}"


@pytest.mark.parametrize("kind", IN_VAIN, ids=lambda kind: kind.__name__)
def test_operation_wakes_in_vain_only_once_when_the_sleeper_was_killed(kind: type[Scene]) -> None:
    """A dead sleeper costs one system call, and not one each time."""
    calls = calls_of(kind)

    assert [operation & COMMAND_MASK for number, operation in calls if number == FUTEX] == [WAKE]


@pytest.mark.parametrize("kind", ALONE, ids=lambda kind: kind.__name__)
def test_operation_makes_no_system_call_when_nobody_waits(kind: type[Scene]) -> None:
    """Uncontended, nothing enters the kernel."""
    assert calls_of(kind) == []
