"""Real scripts in real processes, of which nothing is left afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from subprocess import CompletedProcess
from textwrap import dedent

from .procfs import alive, descendants, memfds, wait_dead

__all__ = ["alive", "descendants", "end_tree", "memfds", "run_script", "wait_dead"]

# How long a process may take to dump its stacks after SIGABRT.
DUMP_S = 2.0

# So that a script can import `helpers` as the tests do.
_PATH = os.pathsep.join(filter(None, (str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH"))))


def end_tree(pid: int) -> None:
    """Kill the process and its descendants; those with faulthandler dump their stacks first."""
    tree = [pid, *descendants(pid)]
    for each in tree:
        # One after the other: stacks that are written at the same time cannot be read.
        _signal(each, signal.SIGABRT)
        _signal(each, signal.SIGCONT)
        if not wait_dead(each, DUMP_S):
            _signal(each, signal.SIGKILL)
            wait_dead(each, DUMP_S)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it has ended by itself meanwhile


def run_script(
    source: str,
    *args: str,
    python: str = sys.executable,
    env: dict[str, str] | None = None,
    timeout_s: float = 30.0,
) -> CompletedProcess[str]:
    """Run the source as a script in a file of its own, which spawn needs to import it again.

    Args:
        source: the script; common indentation is taken off.
        *args: its arguments.
        python: the interpreter.
        env: variables to set besides those of this process.
        timeout_s: after so many seconds the whole tree dumps its stacks and is killed.

    Raises:
        AssertionError: it took too long; the message holds its output, with the stacks.
    """
    with tempfile.TemporaryDirectory(prefix="hardy-script-") as folder:
        script = Path(folder) / "script.py"
        script.write_text(dedent(source))
        # Files, not pipes: a grandchild that lives on would hold a pipe open, and hang the reader.
        out, err = Path(folder) / "stdout", Path(folder) / "stderr"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                [python, str(script), *args],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": _PATH, "PYTHONFAULTHANDLER": "1", **(env or {})},
            )
            try:
                process.wait(timeout_s)
                late = False
            except subprocess.TimeoutExpired:
                late = True
            finally:
                if process.poll() is None:
                    end_tree(process.pid)
                    process.wait()
        output = out.read_text(errors="replace"), err.read_text(errors="replace")
    if late:
        late_by = f"the script took longer than {timeout_s} s"
        raise AssertionError(f"{late_by}\n--- stdout\n{output[0]}\n--- stderr, with stacks\n{output[1]}")
    return CompletedProcess(process.args, process.returncode, *output)
