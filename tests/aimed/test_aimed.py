"""A process is killed after each instruction of an operation, and the others go on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from aimed import stepper
from aimed.scenes import ALL, FIRST_TO_RUN
from helpers.procs import run_script

import hardy

SCENES = ALL if os.environ.get("HARDY_AIMED") == "all" else FIRST_TO_RUN

# The hardy that is imported here, which need not be the installed one: make mutants breaks a copy.
WHERE = [str(Path(__file__).parents[1]), str(Path(hardy.__file__).parents[1])]
# In an interpreter of its own: a victim is forked for each instruction, and from pytest that takes twice as long.
AIM = """
    import sys

    from aimed.scene import aim
    from aimed.scenes import ALL

    kind = ALL[sys.argv[1]]
    result = aim(kind)
    assert result.places > 50, result
    assert len(result.commits) <= kind.ends - kind.begins, result
    print("whole after", result.places, "kills")
"""

pytestmark = pytest.mark.skipif(bool(stepper.why_not()), reason=stepper.why_not())


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", SCENES)
def test_object_is_whole_when_its_user_is_killed_after_any_instruction(kind: str) -> None:
    """Nobody hangs, nothing is torn, and an operation happens at one instruction. `make aimed` runs more scenes."""
    done = run_script(AIM, kind, env={"PYTHONPATH": os.pathsep.join(WHERE)}, timeout_s=280)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("whole after"), done.stdout
