"""What a scene is, how all of its instructions are gone through, and what must hold afterwards."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from aimed.stepper import Place, Victim, record
from helpers.crew import Actor, Crew, Line, new_crew

from hardy._core import runtime
from hardy.errors import OwnerDiedWarning

# How long the others may take to go on after a death (1 s is promised; the machine is shared).
GO_ON_S = 3.0


class Scene:
    """One operation, whose process dies in it; a fresh one for each instruction.

    `check` says how far the operation had come, as a number. Over the places of the trace it must go from
    `begins` to `ends` and never back: a death one instruction later cannot undo what was done.

    Attributes:
        begins, ends: what `check` says of an operation that never began, and of one that is done.
        adds_up: whether it says more of two that are done than of one.
    """

    begins = 0
    ends = 1
    adds_up = True

    def __init__(self, crew: Crew) -> None:
        self.crew = crew
        self._descriptors: list[int] = []

    def warm(self) -> None:
        """In the victim, before it is traced: what a process does once, at its first use of hardy."""
        runtime.self_identity()

    def arranged(self) -> None:
        """In the survivor, while `warm` may wait for it: what must come after the victim's first steps."""

    def strike(self) -> None:
        """In the victim: the operation."""
        raise NotImplementedError

    def check(self) -> int:
        """In the survivor: use the object, prove that it is whole, and say how far the operation came."""
        raise NotImplementedError

    def pipe(self) -> tuple[int, int]:
        """A pipe for as long as the scene."""
        ends = os.pipe()
        self._descriptors.extend(ends)
        return ends

    def close(self) -> None:
        """Give the descriptors back."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def asleep(self, target: Callable[..., None], *args: Any) -> Actor:
        """A bystander that has come to sleep in `target(line, *args)`."""
        actor = self.crew.start(target, *args)
        actor.wait_asleep()
        return actor


def says(line: Line, act: Callable[[], Any]) -> None:
    """For bystanders: do it, and say what came of it."""
    warnings.simplefilter("ignore", OwnerDiedWarning)
    line.say(act())


def heard(actor: Actor, timeout_s: float = GO_ON_S) -> Any:
    """What the bystander says first; the assertion fails when that is nothing."""
    actor.ended(timeout_s)
    said = actor.hear()
    assert said, f"the bystander did not go on within {timeout_s} s: {actor!r}"
    assert said[0][0] != "raised", said[0][1]
    return said[0][0]


@dataclass
class Result:
    """What a scene came to.

    Attributes:
        places: the instructions of the trace; one process was killed at each.
        missed: victims that came to the end without the place that they were to die at (their path was another).
        commits: the places right after which the outcome changed.
        seconds: how long it all took.
    """

    places: int
    missed: int
    commits: list[str]
    seconds: float


class Broken(AssertionError):
    """A kill after which the promise did not hold; the text names the instruction."""


def trace(kind: type[Scene]) -> list[Place]:
    """The instructions of the scene's operation."""
    with new_crew() as crew:
        scene = kind(crew)
        try:
            return record(scene.warm, scene.strike, scene.arranged)
        finally:
            scene.close()


def kill_at(scene: Scene, place: Place | None) -> bool:
    """Let a victim die right before that place (None: at the end); whether it came there."""
    victim = Victim(scene.warm, scene.strike, scene.arranged)
    came = False
    try:
        if place is None:
            victim.run_through()
        else:
            came = victim.run_to(place)
    finally:
        victim.kill()
    return came


def outcome(kind: type[Scene], place: Place | None) -> tuple[int, bool]:
    """How far the operation came whose process died there, and whether it did die there."""
    with new_crew() as crew, warnings.catch_warnings():
        warnings.simplefilter("ignore", OwnerDiedWarning)
        scene = kind(crew)
        try:
            came = kill_at(scene, place)
            return scene.check(), came
        finally:
            scene.close()


def aim(kind: type[Scene]) -> Result:
    """Kill at every instruction of the scene's operation, and check each time what is left."""
    began = time.monotonic()
    # Once before, for what the survivor does at its first take-over only: the victims are forked from it.
    outcome(kind, place=None)
    places = trace(kind)
    result = Result(len(places), 0, [], 0.0)
    seen = kind.begins
    # One CPU for the two of us: the victim runs when we wait, and a breakpoint costs half as much.
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cpus)})
    try:
        for index, place in enumerate(places):
            # Breakpoints stop before an instruction: what died is what executed the one before.
            before = places[index - 1].name if index else "the call"
            try:
                now, came = outcome(kind, place)
            except Exception as error:
                raise Broken(f"{kind.__name__}: killed after {before} ({index} of {len(places)}): {error}") from error
            if not came:
                result.missed += 1
                continue
            if not kind.begins <= now <= kind.ends:
                raise Broken(f"{kind.__name__}: killed after {before}: outcome {now} of {kind.ends}")
            # How the C library copies and allocates depends on its heap: one of its passings may be another one in
            # the next victim, so these say nothing of before and after.
            if not place.ours:
                continue
            if now < seen:
                raise Broken(f"{kind.__name__}: killed after {before}: outcome {now} after {seen}")
            if now > seen:
                result.commits.append(before)
            seen = now
        now, _ = outcome(kind, place=None)
    finally:
        os.sched_setaffinity(0, cpus)
    if now != kind.ends:
        raise Broken(f"{kind.__name__}: the whole operation gives {now}, not {kind.ends}")
    if result.missed > len(places) // 20:
        raise Broken(f"{kind.__name__}: {result.missed} of {len(places)} victims went another way; nothing is proved")
    result.seconds = time.monotonic() - began
    return result


@cache
def around_commit(kind: type[Scene]) -> tuple[Place, Place]:
    """The place before the instruction that is the operation, and the one after it."""
    places = trace(kind)
    low, high = 0, len(places) - 1
    while high - low > 1:
        middle = (low + high) // 2
        if outcome(kind, places[middle])[0] > kind.begins:
            high = middle
        else:
            low = middle
    return places[low], places[high]


def repaired(kind: type[Scene], after: bool) -> type[Scene]:
    """The scene in which a first process has died at the commit, in the guard, and the repairer dies too.

    Args:
        kind: a scene whose operation changes its object by one commit, under a guard.
        after: whether the first death came after the commit.
    """

    class Repaired(kind):  # type: ignore[misc, valid-type]
        begins = kind.begins + (kind.ends if after else 0)
        ends = begins + kind.ends if kind.adds_up else kind.ends

        def __init__(self, crew: Crew) -> None:
            super().__init__(crew)
            assert kill_at(self, around_commit(kind)[after]), "the first death did not come where it should"

    Repaired.__name__ = f"{kind.__name__}_repaired_{'after' if after else 'before'}"
    return Repaired
