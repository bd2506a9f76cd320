"""`progress=True`: a bar on a terminal, plain lines elsewhere, nothing without it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

from helpers.procs import run_script

LIMIT_S = 30
PROGRAM = """
import hardy
from helpers.pool_tasks import square

if __name__ == "__main__":
    with hardy.Pool(2) as pool:
        pool.map(square, range(50), progress=True)
        list(pool.imap_unordered(square, (n for n in range(40)), progress=True))
        pool.map(square, range(3))
    with hardy.ProcessPoolExecutor(2) as executor:
        list(executor.map(square, range(30), progress=True))
"""


def test_progress_is_a_line_when_nobody_looks_on() -> None:
    """At the end, and every few seconds; on standard error."""
    done = run_script(PROGRAM)

    assert (done.returncode, done.stdout) == (0, "")
    first, second, third = done.stderr.splitlines()
    assert first.startswith("square: 50 of 50, ")
    assert first.endswith("/s, 0 s left")
    assert second.startswith("square: 40, ")
    assert third.startswith("square: 30 of 30, ")


def test_progress_is_a_bar_on_a_terminal(tmp_path: Path) -> None:
    """With the number of items and the rate."""
    script = tmp_path / "script.py"
    script.write_text(PROGRAM)
    ours, theirs = pty.openpty()
    try:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "TERM": "xterm", "COLUMNS": "100"}
        subprocess.run([sys.executable, str(script)], stderr=theirs, env=environment, check=True, timeout=LIMIT_S)
        said = os.read(ours, 1 << 20).decode()
    finally:
        os.close(ours)
        os.close(theirs)

    assert "50/50" in said
    assert "/s" in said
