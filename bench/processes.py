"""The processes of one measurement: started in order, let go together, their answers collected."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

__all__ = ["BenchError", "Gate", "Role", "run_python", "run_roles"]

# A measurement takes about a second; one that takes this long hangs.
_LIMIT_S = 30.0


class BenchError(Exception):
    """A measurement went wrong: what it measured is broken, or the bench is."""


def run_python(*arguments: str, env: dict[str, str] | None = None, limit_s: float = 90.0) -> str:
    """What a fresh interpreter prints.

    Raises:
        BenchError: it took longer than `limit_s`, or did not end well; with what it said.
    """
    command = f"python {' '.join(arguments)}"
    try:
        done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=limit_s, env=env)
    except subprocess.TimeoutExpired:
        raise BenchError(f"{command} took more than {limit_s:.0f} s") from None
    if done.returncode:
        raise BenchError(f"{command} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


class Gate:
    """A role's line to the runner."""

    def __init__(self, line: Connection) -> None:
        self._line = line

    def opened(self) -> None:
        """Say that the other role may start: this one has opened its end."""
        self._line.send(("opened", None))

    def ready(self) -> None:
        """Say that the measurement may begin, and wait until all roles have said so."""
        self._line.send(("ready", None))
        self._line.recv()

    def answer(self, kind: str, value: Any) -> None:
        self._line.send((kind, value))


# What one process does: it calls `opened` and `ready` once each, and returns its answer.
Role = Callable[[Gate], Any]


def _main(role: Role, line: Connection) -> None:
    gate = Gate(line)
    try:
        gate.answer("done", role(gate))
    except BaseException:
        gate.answer("failed", traceback.format_exc())


def _expect(kind: str, process: multiprocessing.process.BaseProcess, line: Connection) -> Any:
    if not line.poll(_LIMIT_S):
        raise BenchError(f"{process.name} (pid {process.pid}) did not get to {kind!r} in {_LIMIT_S:.0f} s")
    try:
        got, value = line.recv()
    except EOFError:
        raise BenchError(f"{process.name} (pid {process.pid}) died before {kind!r}") from None
    if got != kind:
        raise BenchError(f"{process.name} (pid {process.pid}) before {kind!r}:\n{value}")
    return value


def run_roles(roles: Sequence[Role]) -> list[Any]:
    """The answers of the roles, each run in a process of its own, forked from this one.

    Each role is started when the one before it has opened its end; the clock is theirs to read.

    Raises:
        BenchError: a role raised, died or hung.
    """
    context = multiprocessing.get_context("fork")
    started = []
    try:
        for role in roles:
            ours, theirs = context.Pipe()
            process = context.Process(target=_main, args=(role, theirs), daemon=True)
            process.start()
            theirs.close()
            started.append((process, ours))
            _expect("opened", process, ours)
        for process, line in started:
            _expect("ready", process, line)
        for _, line in started:
            line.send("go")
        return [_expect("done", process, line) for process, line in started]
    except BaseException:
        for process, _ in started:
            process.kill()
        raise
    finally:
        for process, line in started:
            process.join()
            line.close()
            process.close()
