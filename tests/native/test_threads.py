"""The C programs of this folder, as `make sanitize` runs them, but at full speed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CORE = HERE.parents[1] / "src/hardy/_core"
COMPILER = shutil.which(os.environ.get("CC", "cc"))


@pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")
@pytest.mark.parametrize("name", ["threads", "ring_threads"])
def test_objects_are_whole_when_threads_use_them_at_once(name: str, tmp_path: Path) -> None:
    """Every count is right, every message comes once, and every look sees one instant."""
    program = tmp_path / name
    flags = ["-std=gnu11", "-O2", "-pthread", f"-I{CORE}"]
    subprocess.run([str(COMPILER), *flags, str(HERE / f"{name}.c"), "-o", str(program)], check=True)

    done = subprocess.run([str(program)], capture_output=True, text=True, timeout=50)

    assert done.returncode == 0, done.stderr
