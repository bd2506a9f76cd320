"""A soak that is too short to prove anything but that it works, and that it can fail."""

from __future__ import annotations

import pytest

from .runner import run_chaos

SOAK_S = "15"


@pytest.mark.slow
def test_soak_finds_memory_descriptors_and_rates_flat() -> None:
    """Under kills, nothing grows."""
    done = run_chaos("--seconds", SOAK_S, module="chaos.soak", timeout_s=50)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "| TaskQueue | " in done.stdout


@pytest.mark.slow
def test_soak_finds_a_program_that_grows() -> None:
    """Memory and descriptors that are never given back fail it."""
    done = run_chaos("--seconds", SOAK_S, "--kit", "faulty:growing", module="chaos.soak", timeout_s=50)

    assert done.returncode == 1, done.stdout + done.stderr
    assert "NOT FLAT: Queue: main_bytes grew from " in done.stdout
    assert "NOT FLAT: Lock: descriptors grew from " in done.stdout
