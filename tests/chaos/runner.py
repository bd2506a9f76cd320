"""A chaos run as a user starts it: a command of its own, so that it may have a /dev/shm of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_chaos(*arguments: str, timeout_s: float = 150.0, module: str = "chaos") -> subprocess.CompletedProcess[str]:
    """The command, ended with all that it started when it takes too long."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(ROOT))))}
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )


def number(output: str, label: str) -> int:
    """The number in the first column of the table's row of that label."""
    for line in output.splitlines():
        cells = [cell.strip(" *") for cell in line.split("|")]
        if len(cells) > 2 and cells[1] == label:
            return int(cells[2].replace(",", ""))
    raise AssertionError(f"no row {label!r} in:\n{output}")
