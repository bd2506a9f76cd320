"""Running somebody's script so that nothing of it is left: not a child, not a daemon, not an orphan.

The script runs under a keeper, a process of hardy's that adopts whatever loses its parent below it
(PR_SET_CHILD_SUBREAPER), and that ends all of it: when the script has ended, when its time is up, at Ctrl-C, and when
the one who asked for it is killed.

    caller --starts--> keeper --starts--> script --starts--> whatever it likes

Killed are: the script (the keeper goes on, and ends the rest); the caller (the keeper sees it, and ends the tree); the
keeper (the caller is a subreaper too while it waits: the tree falls to it).

The script writes to a terminal of its own (a pty), so that its lines come whole and in order, as they do when a
learner runs it.
"""

from __future__ import annotations

import ctypes
import os
import selectors
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import hardy

__all__ = ["Ran", "run_scripts"]

# linux/prctl.h
_PR_SET_CHILD_SUBREAPER = 36
# More than any lesson prints; one that prints without end is stopped here.
_MOST_BYTES = 1 << 20
# What a program's helpers (a forkserver, a resource tracker) need to see that it has ended.
_GRACE_S = 0.5
# How often those who are yet to end are looked for: the kernel has no event for grandchildren.
_LOOK_S = 0.02


class Ran(NamedTuple):
    """What became of scripts that ran beside each other.

    Attributes:
        outputs: what each wrote, to stdout and stderr.
        statuses: exit status of each, minus the signal when it was killed; None: it had not ended in time.
        left: command lines of what they left running, ended by now.
        too_much: whether one wrote more than is kept, and was ended for it.
    """

    outputs: tuple[str, ...]
    statuses: tuple[int | None, ...]
    left: tuple[str, ...] = ()
    too_much: bool = False


def run_scripts(
    scripts: Sequence[Path], *, timeout_s: float, echo: bool = False, env: dict[str, str] | None = None
) -> Ran:
    """Run scripts beside each other, and end all that they started.

    Args:
        scripts: files that Python can run, or sessions (see `console`); each runs in the folder that it lies in.
        timeout_s: seconds until all of them are ended.
        echo: whether what they write is also shown while it comes.
        env: variables to set besides those of this process.

    Returns:
        What they wrote, and how they ended.

    Raises:
        ProcessDied: the process that kept them was killed.
    """
    spared = {pid for pid, _, _ in _descendants()}
    _adopt_orphans(True)
    # It outlives us for as long as it takes to end what it keeps.
    keeper = hardy.get_context("fork").Process(
        target=_keep, args=(scripts, timeout_s, echo, env or {}), name="keeper", outlive_parent=True
    )
    keeper.start()
    try:
        ran: Ran = keeper.result()
        return ran
    finally:
        keeper.terminate()
        keeper.join()
        _end_all(spared)
        _adopt_orphans(False)


def _adopt_orphans(whether: bool) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, int(whether), 0, 0, 0)


def _descendants() -> list[tuple[int, int, str]]:
    """Pid, parent's pid and state of all below this process, nearest first."""
    children: dict[int, list[tuple[int, int, str]]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                state, parent = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[:2]
            except (OSError, ValueError):
                continue  # it has ended meanwhile
            children.setdefault(int(parent), []).append((int(entry), int(parent), state))
    found = children.get(os.getpid(), [])
    for pid, _, _ in found:
        found += children.get(pid, [])
    return found


def _end_all(spared: set[int]) -> None:
    """Kill all descendants, and reap what falls to us when its parent is killed, until there are none."""
    me = os.getpid()
    while below := [each for each in _descendants() if each[0] not in spared]:
        for pid, parent, _ in below:
            try:
                os.kill(pid, signal.SIGKILL)
                if parent == me:
                    os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass  # it has ended, or been reaped, meanwhile


def _command_line(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return ""
    return b" ".join(words).decode(errors="replace")


def _keep(scripts: Sequence[Path], timeout_s: float, echo: bool, env: dict[str, str]) -> Ran:
    """What the keeper does."""
    _adopt_orphans(True)
    # The terminal's Ctrl-C is for the script; the caller's word for us is SIGTERM.
    signal.signal(signal.SIGINT, lambda number, frame: None)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    try:
        return _run(scripts, time.monotonic() + timeout_s, echo, env)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _end_all(set())


def _run(scripts: Sequence[Path], deadline: float, echo: bool, env: dict[str, str]) -> Ran:
    watched = selectors.DefaultSelector()
    caller = hardy.parent_process()
    assert caller is not None
    watched.register(caller.sentinel, selectors.EVENT_READ)
    processes: list[subprocess.Popen[bytes]] = []
    outputs = [bytearray() for _ in scripts]
    for number, script in enumerate(scripts):
        process, master = _start(script, env)
        processes.append(process)
        watched.register(master, selectors.EVENT_READ, number)
        watched.register(os.pidfd_open(process.pid), selectors.EVENT_READ)
    too_much = False

    def read(wait_s: float) -> bool:
        """Take what was written; false once the caller has ended or too much was written."""
        nonlocal too_much
        for key, _ in watched.select(max(0.0, wait_s)):
            if key.fd == caller.sentinel:
                return False
            if key.data is None:
                watched.unregister(key.fd)
                continue
            try:
                chunk = os.read(key.fd, 65536)
            except OSError:
                chunk = b""  # EIO: nobody has the other end any more
            if not chunk:
                watched.unregister(key.fd)
                continue
            outputs[key.data] += chunk
            too_much = len(outputs[key.data]) > _MOST_BYTES
            if echo:
                sys.stdout.buffer.write(chunk)
                sys.stdout.buffer.flush()
        return not too_much

    goes_on = True
    while goes_on and any(process.poll() is None for process in processes) and time.monotonic() < deadline:
        goes_on = read(deadline - time.monotonic())
    statuses = tuple(process.poll() for process in processes)
    left: tuple[str, ...] = ()
    if None not in statuses:
        grace = min(deadline, time.monotonic() + _GRACE_S)
        while _living() and time.monotonic() < grace:
            read(_LOOK_S)
        left = tuple(filter(None, map(_command_line, _living())))
    _end_all(set())
    while goes_on and len(watched.get_map()) > 1:
        goes_on = read(0.0)
    return Ran(tuple(output.decode(errors="replace") for output in outputs), statuses, left, too_much)


def _living() -> list[int]:
    return [pid for pid, _, state in _descendants() if state not in "ZX"]


def _start(script: Path, env: dict[str, str]) -> tuple[subprocess.Popen[bytes], int]:
    """Start it on a terminal of its own; returns it and our end."""
    how = ["-m", "hardy.apps.learn.console"] if script.suffix == ".console" else []
    master, slave = os.openpty()
    try:
        attributes = termios.tcgetattr(slave)
        attributes[1] &= ~termios.ONLCR  # lines end as they do in a file
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        # Colours would be part of what is compared.
        plain = {**os.environ, "NO_COLOR": "1", "PYTHON_COLORS": "0", "TERM": "dumb", **env}
        # With it a line and its end are two writes, and lines of two processes are mixed.
        plain.pop("PYTHONUNBUFFERED", None)
        process = subprocess.Popen(
            [sys.executable, *how, script.name],
            cwd=script.parent,
            env=plain,
            stdin=subprocess.DEVNULL,
            stdout=slave,
            stderr=slave,
        )
    finally:
        os.close(slave)
    return process, master
