"""Random kills over all that hardy shares; and that the harness which does it can fail."""

from __future__ import annotations

import random

import pytest

from chaos.faults import FOUND_AS, subject_of

from .runner import number, run_chaos

RUN_S = 60


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_chaos_finds_nothing_wrong_with_hardy(request: pytest.FixtureRequest) -> None:
    """Kills at random, of which some meet a critical section: every number that must be zero is."""
    seed = random.SystemRandom().randrange(1_000_000)

    done = run_chaos("--seconds", str(RUN_S), "--seed", str(seed), timeout_s=RUN_S + 100)

    report = f"make chaos SECONDS={RUN_S} SEED={seed}\n{done.stdout[-20_000:]}\n{done.stderr[-2000:]}"
    assert done.returncode == 0, report
    print(report)
    assert number(done.stdout, "kills (SIGKILL and SIGTERM)") > 0
    assert number(done.stdout, "... that met an operation") > 0


@pytest.mark.parametrize("fault", sorted(FOUND_AS))
def test_chaos_finds_the_fault(fault: str) -> None:
    """A library with a fault is found out, and by the right name: none of the zeros is there by construction."""
    options = ("--kit", f"faulty:{fault}", "--only", subject_of(fault))

    done = run_chaos("--seconds", "25", "--seed", "3", "--steps", "20", *options, timeout_s=55)

    assert done.returncode == 1, done.stdout
    assert number(done.stdout, "rounds that failed") == 1
    assert f"\n  {FOUND_AS[fault]}: " in done.stdout
    assert "the same kills again: make chaos SEED=3 ROUND=" in done.stdout


def test_chaos_shows_every_stack_when_something_hangs() -> None:
    """A hang comes with the Python stacks of each process, and what the kernel says of it."""
    options = ("--kit", "faulty:hanging", "--only", "Queue", "--steps", "10")

    done = run_chaos("--seconds", "25", "--seed", "3", *options, timeout_s=55)

    assert "in get" in done.stdout
    assert "wchan: " in done.stdout
    assert "State: S (sleeping)" in done.stdout


def test_chaos_shows_a_peer_failing() -> None:
    """The same kills end multiprocessing's own lock: its dead owner keeps it, and its children become orphans."""
    done = run_chaos("--seconds", "12", "--seed", "3", "--steps", "20", "--kit", "mp", "--only", "Lock", timeout_s=55)

    assert done.returncode == 0, done.stdout
    assert number(done.stdout, "rounds that failed") > 0
