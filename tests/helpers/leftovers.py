"""The fixture that proves, after every test, that the test left nothing behind.

A snapshot before the test and one after it are compared: processes, threads, descriptors, names in
/dev/shm, mapped memfds. What is there for the rest of the process (hardy's slab of small objects, the
standard library's forkserver) may appear once, and is part of every later snapshot.
"""

from __future__ import annotations

import gc
import os
import re
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from . import procfs
from .procs import end_tree
from .waiting import wait_until

# Opened at first use and kept until the process ends: one of each is no leak, a second one is.
FORKSERVER_SOCKET = "socket of the forkserver"
ONCE_PER_PROCESS = ("/memfd:hardy-slab", "/memfd:hardy-board", "pidfd of this process", FORKSERVER_SOCKET)
# The standard library's own servers live as long as the process that started them. For each, this
# process holds one pipe.
SERVERS = re.compile(r"from multiprocessing\.(forkserver|resource_tracker) import main")
SHM = Path("/dev/shm")


@dataclass(frozen=True)
class Snapshot:
    """What this process holds at one instant."""

    processes: frozenset[procfs.Stat]
    servers: frozenset[int]
    threads: frozenset[threading.Thread]
    descriptors: Counter[str]
    shm_names: frozenset[str]
    mapped: Counter[str]


def take_snapshot() -> Snapshot:
    """The present state, after a garbage collection."""
    gc.collect()
    ours, servers = _processes()
    return Snapshot(
        processes=ours,
        servers=servers,
        threads=frozenset(threading.enumerate()),
        descriptors=Counter(_kind(fd, target) for fd, target in procfs.descriptors().items()),
        shm_names=frozenset(os.listdir(SHM)) if SHM.is_dir() else frozenset(),
        mapped=Counter(f"/memfd:{name}" for name, _inode in procfs.mapped_memfds()),
    )


def _processes() -> tuple[frozenset[procfs.Stat], frozenset[int]]:
    """The processes that this one is answerable for, and which of them are the stdlib's servers.

    Those are its descendants, and the orphans: what runs in its process group, but was taken over by a
    process outside of it. (A neighbour in the group, started by the same script, is none of ours.)
    """
    every = procfs.processes()
    me = every[os.getpid()]
    elders = set()
    elder = me.ppid
    while elder in every:
        elders.add(elder)
        elder = every[elder].ppid
    tree = set(procfs.descendants(me.pid, every))
    ours, servers = set(), set()
    for each in every.values():
        if each.pid in tree and each.ppid == me.pid and SERVERS.search(procfs.command_line(each.pid)):
            servers.add(each.pid)
        elif each.pid in tree or (
            each.pgid == me.pgid
            and each.running
            and each.pid not in elders | {me.pid}
            and (each.ppid not in every or every[each.ppid].pgid != me.pgid)
        ):
            # State and parent change in a process's life; who it is does not.
            ours.add(each._replace(state="Z" if not each.running else "-", ppid=0, pgid=0))
    return frozenset(ours), frozenset(servers)


def _kind(fd: int, target: str) -> str:
    """A descriptor by what it is open on: its number, and a pipe's inode, say nothing in a later snapshot."""
    if target == "anon_inode:[pidfd]":
        try:
            info = Path(f"/proc/self/fdinfo/{fd}").read_text()
        except FileNotFoundError:
            return target  # closed meanwhile
        return "pidfd of this process" if re.search(rf"^Pid:\s+{os.getpid()}$", info, re.MULTILINE) else target
    if re.search(r"/pymp-\w+/listener-\w+ \(deleted\)$", target):
        return FORKSERVER_SOCKET
    return re.sub(r"^(pipe|socket):\[\d+\]$", r"\1", target.removesuffix(" (deleted)"))


def left_behind(before: Snapshot, shm_at_end: frozenset[str]) -> list[str]:
    """What there is now that there was not before, a line each.

    Args:
        before: the state before the test.
        shm_at_end: the names in /dev/shm when it ended. What appears there later is another program's: a semaphore
            of the standard library has a name for an instant.
    """
    now = take_snapshot()
    lines = []
    for each in sorted(now.processes - before.processes):
        lines.append(f"process {each.pid} ({procfs.command_line(each.pid)})" if each.running else f"zombie {each.pid}")
    lines += [f"thread {thread.name!r} (daemon={thread.daemon})" for thread in now.threads - before.threads]
    new_pipes = len(now.servers - before.servers)
    for kind, count in sorted((now.descriptors - before.descriptors).items()):
        if kind == "pipe" and count <= new_pipes:
            continue
        if not _first_of_its_kind(kind, count, before.descriptors):
            lines.append(f"{count} open descriptor(s): {kind}")
    lines += [
        f"name {SHM / name}" for name in sorted(now.shm_names & shm_at_end - before.shm_names) if not _foreign(name)
    ]
    for kind, count in sorted((now.mapped - before.mapped).items()):
        if not _first_of_its_kind(kind, count, before.mapped):
            lines.append(f"{count} mapping(s): {kind}")
    return lines


def _first_of_its_kind(kind: str, count: int, before: Counter[str]) -> bool:
    return kind in ONCE_PER_PROCESS and count == 1 and before[kind] == 0


def _foreign(shm_name: str) -> bool:
    """Whether a process that is none of ours maps that name: other programs use /dev/shm too."""
    ours = {os.getpid(), *procfs.descendants(os.getpid())}
    for pid in procfs.processes().keys() - ours:
        try:
            maps = Path(f"/proc/{pid}/maps").read_text()
        except OSError:
            continue  # it has ended, or is another user's
        if f"{SHM / shm_name}\n" in maps:
            return True
    return False


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("leftovers_grace_s", "how long what a test left may take to end (seconds)", default="5")


def pytest_collection_finish() -> None:
    """Take what is there before the first test out of each later collection: they were half of the tests' time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """After the test, no process, thread, descriptor, shared memory or name of it is left."""
    before = take_snapshot()
    yield
    grace_s = float(request.config.getini("leftovers_grace_s"))
    shm_at_end = frozenset(os.listdir(SHM)) if SHM.is_dir() else frozenset()
    left: list[str] = []

    def is_clean() -> bool:
        left[:] = left_behind(before, shm_at_end)
        return not left

    if not wait_until(is_clean, grace_s):
        _end_processes(before)
        pytest.fail(f"left behind, {grace_s:g} s after the test:\n  " + "\n  ".join(left), pytrace=False)


def _end_processes(before: Snapshot) -> None:
    """End what the test left running, so that one leak fails one test only."""
    known = {(each.pid, each.start_ticks) for each in before.processes}
    for each in take_snapshot().processes:
        if (each.pid, each.start_ticks) not in known:
            end_tree(each.pid)
            _reap(each.pid)


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass  # not our child, or reaped by hardy
