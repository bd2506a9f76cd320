"""A wake-up is one system call, made when somebody sleeps and not otherwise.

Without it the sleeper would still look by itself some time later, so only the system calls tell.
"""

from __future__ import annotations

from typing import Any

import pytest
from aimed import meet_scenes, queue_scenes, stepper, sync_scenes
from aimed.scene import Scene, around_commit, kill_at
from aimed.stepper import FUTEX, Victim
from helpers.crew import new_crew
from helpers.ring_view import holders_of_guards

WAKE, REQUEUE, COMMAND_MASK = 1, 3, 0x7F

WAITED = [
    queue_scenes.PutWaited, queue_scenes.GetWaited, queue_scenes.TaskDoneWaited,
    queue_scenes.NackWaited, queue_scenes.AckWaited,
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


@pytest.mark.parametrize("kind", [queue_scenes.GetNews, queue_scenes.PutNews], ids=lambda kind: kind.__name__)
def test_waiter_looks_again_when_it_has_asked(kind: Any) -> None:
    """News that come just before the ask: who brought them saw nobody who asks, so the asker must see them itself."""
    with new_crew() as crew:
        scene = kind(crew)
        stepped = Victim(scene.warm, scene.strike)
        try:
            place = stepped.run_until(scene.has_asked)
        finally:
            stepped.kill()
    with new_crew() as crew:
        scene = kind(crew)
        victim = Victim(scene.warm, scene.strike)
        try:
            assert victim.run_to(place)
            scene.news()
            assert not victim.run_to_sleep()
        finally:
            victim.kill()
        assert scene.check()


@pytest.mark.parametrize("kind", [queue_scenes.GetNews, queue_scenes.PutNews], ids=lambda kind: kind.__name__)
def test_waiter_is_told_when_the_news_come_just_before_it_sleeps(kind: Any) -> None:
    """It has looked twice, and is about to enter the kernel: the kernel must not let it sleep."""
    with new_crew() as crew:
        scene = kind(crew)
        victim = Victim(scene.warm, scene.strike)
        try:
            assert victim.run_to_sleep()
            scene.news()
            assert not victim.sleeps()
            victim.run_through()
        finally:
            victim.kill()
        assert scene.check()


@pytest.mark.parametrize("kind", [queue_scenes.PutWaited, queue_scenes.GetWaited], ids=lambda kind: kind.__name__)
def test_repair_wakes_whom_the_dead_one_would_have_woken(kind: Any) -> None:
    """It died in the guard, with its message committed; who comes next has no news of its own."""
    with new_crew() as crew:
        scene = kind(crew)
        sleeper = scene.crew.actors[-1]
        sleeper.stop()
        while sleeper.pid in holders_of_guards(scene.queue):  # it looks for itself now and then
            sleeper.resume()
            sleeper.wait_asleep()
            sleeper.stop()
        assert kill_at(scene, around_commit(kind)[1])
        next_one = Victim(scene.warm, scene.come_by)
        try:
            calls = next_one.system_calls()
        finally:
            next_one.kill()
        sleeper.resume()
        assert scene.check()

    assert [operation & COMMAND_MASK for number, operation in calls if number == FUTEX] == [WAKE]
