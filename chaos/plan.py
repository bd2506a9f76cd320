"""What one round is: which subject, how it is started, what is done to it. All of it drawn from a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

KILL, AIMED, BURST, STOP, STOP_KILL, TERM = "kill", "aimed kill", "burst", "stop", "stop, then kill", "SIGTERM"
_ACTIONS = {KILL: 40, AIMED: 28, BURST: 8, STOP: 9, STOP_KILL: 7, TERM: 8}

BUSY, QUIET = "busy", "quiet"


@dataclass(frozen=True)
class Step:
    """One thing that is done to the world.

    Attributes:
        action: one of the above.
        victims: seats; only a burst has more than one.
        after_ops: it happens when the victim has begun so many more operations,
        patience_s: or after so long.
        delay_us: and then so much later, or that long between stop and kill, or stop and go.
        outer: of a process that started another, the outer one is the victim.
    """

    action: str
    victims: tuple[int, ...]
    after_ops: int
    patience_s: float
    delay_us: int
    outer: bool


@dataclass(frozen=True)
class Plan:
    """One round. It is sent to the world as text.

    Attributes:
        seed, number: what all of it was drawn from.
        kit: the library under test ("hardy", or a peer, or a faulty one).
        subject: what is shared ("Queue", "Lock", ...).
        pace: "busy": bursts; "quiet": an operation now and then, so that nothing repairs a lost wake-up.
        method: the start method.
        nested: each seat is a process that starts the process that works.
        limits: the seats have little memory and few descriptors.
        term_handler: SIGTERM raises SystemExit in every other process, instead of ending it.
        kill_main: the round ends by SIGKILL to the world's main process.
        steps: what is done.
    """

    seed: int
    number: int
    kit: str
    subject: str
    pace: str
    method: str
    nested: bool
    limits: bool
    term_handler: bool
    kill_main: bool
    steps: list[Step] = field(default_factory=list)

    def __str__(self) -> str:
        words = [f"round {self.number} of seed {self.seed}: {self.kit} {self.subject}, {self.pace}, {self.method}"]
        words += ["processes that start processes"] if self.nested else []
        words += ["little memory, few descriptors"] if self.limits else []
        words += ["SIGTERM handled"] if self.term_handler else []
        words += ["main process killed"] if self.kill_main else []
        return ", ".join(words)


def generator(seed: int, number: int, *more: int) -> random.Random:
    """Random numbers of that round, the same in every run."""
    return random.Random(":".join(map(str, (seed, number, *more))))


def draw_plan(seed: int, number: int, kit: str, subject: str, seats: int, steps: int, *, can_nest: bool) -> Plan:
    """The round of that number.

    Args:
        seed: of the run.
        number: of the round.
        kit: the library.
        subject: what is shared.
        seats: how many processes there are to kill.
        steps: how many things are done to them.
        can_nest: whether the library lets its processes start processes, by any start method.
    """
    rng = generator(seed, number)
    pace = rng.choices((BUSY, QUIET), (3, 1))[0]
    method = rng.choices(("fork", "forkserver", "spawn"), (14, 1, 1))[0] if can_nest else "fork"
    nested = can_nest and method == "fork" and rng.random() < 0.15
    return Plan(
        seed=seed,
        number=number,
        kit=kit,
        subject=subject,
        pace=pace,
        method=method,
        nested=nested,
        limits=rng.random() < 0.15,
        term_handler=rng.random() < 0.5,
        kill_main=rng.random() < 0.2,
        steps=[_draw_step(rng, seats, pace) for _ in range(steps)],
    )


def _draw_step(rng: random.Random, seats: int, pace: str) -> Step:
    action = rng.choices(list(_ACTIONS), list(_ACTIONS.values()))[0]
    victims = rng.sample(range(seats), rng.randint(2, 4) if action == BURST else 1)
    stopped = action in (STOP, STOP_KILL)
    return Step(
        action=action,
        victims=tuple(victims),
        after_ops=rng.randint(1, 60 if pace == BUSY else 2),
        patience_s=rng.uniform(0.02, 0.08) if pace == BUSY else rng.uniform(0.1, 0.3),
        delay_us=rng.randint(1000, 120_000) if stopped else rng.randint(0, 300),
        outer=rng.random() < 0.5,
    )
