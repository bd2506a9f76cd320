"""The list of mutants fits the source."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_mutants_apply_to_the_source() -> None:
    """Each mutant's text is in its file exactly once, so that `make mutants` breaks what it says."""
    done = subprocess.run(
        [sys.executable, "tools/mutants.py", "--list"], cwd=ROOT, capture_output=True, text=True, timeout=30
    )

    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 20
