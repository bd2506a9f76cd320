"""Ctrl-C ends a program once: one traceback, its parent's; death by SIGINT; nothing left."""

from __future__ import annotations

import os
import pty
import re
import signal
import sys
from pathlib import Path

import pytest
from helpers.procfs import descendants
from helpers.procs import alive, end_tree, run_script, wait_dead

METHODS = ["fork", "spawn", "forkserver"]
LONG_S = 20.0
PROGRAM = """
import os, signal, sys, time
import hardy

ctx = hardy.get_context(sys.argv[1])

def wait_for_signal(line):
    # A signal that comes just before `signal.pause` is seen only after the next one; here it leaves a byte to read.
    news, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told)
    line.put(1)
    os.read(news, 1)

def pause(line): wait_for_signal(line)
def get(line, queue): line.put(1); queue.get()
def lock(line, lock): line.put(1); lock.acquire()
def compute(line): line.put(1); import hashlib; hashlib.pbkdf2_hmac("sha256", b"x", b"y", 2_000_000_000)
def parent(line):
    child = ctx.Process(target=pause, args=(line,)); child.start(); child.join()
def clean_up(line):
    try: wait_for_signal(line)
    except KeyboardInterrupt: print("cleaned up", flush=True)

def start(target, *args):
    children = [ctx.Process(target=target, args=(line, *args)) for _ in range(3)]
    for child in children: child.start()
    for _ in children: line.get()
    print("ready", flush=True)
    return children

if __name__ == "__main__":
    line, queue, mutex = ctx.Queue(), ctx.Queue(), ctx.Lock()
    BODY
"""
BODIES = {
    "join": "start(pause)[0].join()",
    "result": "start(pause)[0].result()",
    "get": "start(get, queue); queue.get()",
    "lock": "mutex.acquire(); start(lock, mutex); mutex.acquire()",
    "map": "pool = ctx.Pool(2); pool.map(len, ['']); print('ready', flush=True); pool.map(time.sleep, [60] * 4)",
    "grandchildren": "start(parent)[0].join()",
    "a long C call": "start(compute)[0].join()",
    # Connected before it is ready: interrupted in the midst of that, the stdlib tells of two errors.
    "manager": "news = ctx.Manager().Queue(); news.qsize(); start(pause); news.get()",
    "cleans up": "start(clean_up)[0].join()",
}


def ctrl_c(script: Path, method: str) -> tuple[int, str, list[int]]:
    """Run it in a terminal, and type Ctrl-C when it is ready.

    Returns:
        the status, what was on the terminal, and the processes that it had.
    """
    pid, terminal = pty.fork()
    if pid == 0:
        # From Python 3.13 on a traceback in a terminal is coloured.
        os.environ["PYTHON_COLORS"] = "0"
        os.execv(sys.executable, [sys.executable, str(script), method])
    shown = b""
    tree: list[int] = []
    signal.alarm(int(LONG_S))
    previous = signal.signal(signal.SIGALRM, lambda *_: end_tree(pid))
    try:
        while True:
            try:
                got = os.read(terminal, 65536)
            except OSError:
                break  # nobody has the terminal any more
            if not got:
                break
            if not tree and b"ready" in got:
                tree = descendants(pid)
                os.write(terminal, b"\x03")
            shown += got
        _, status = os.waitpid(pid, 0)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
        os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown.decode(), tree


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", BODIES)
def test_ctrl_c_ends_the_tree_with_one_traceback(case: str, method: str, tmp_path: Path) -> None:
    """Whatever parent and children wait for; a child that handles it has had its turn."""
    script = tmp_path / "script.py"
    script.write_text(PROGRAM.replace("BODY", BODIES[case]))

    status, shown, tree = ctrl_c(script, method)

    assert status == -signal.SIGINT, shown
    assert shown.count("Traceback") == 1, shown
    assert re.search(r"^KeyboardInterrupt\r?$", shown, re.MULTILINE), shown
    assert tree
    assert all(wait_dead(pid, LONG_S) or not alive(pid) for pid in tree)
    assert shown.count("cleaned up") == (3 if case == "cleans up" else 0)
    # Its server ignores Ctrl-C, is ended by the program, and is nothing that one would wait for.
    assert "SyncManager" not in shown


STARTING = """
import os, sys
import hardy

if __name__ == "__main__":
    held = os.open(sys.argv[0] + ".held", os.O_RDWR)
    ctx = hardy.get_context(sys.argv[1])
    ctx.set_forkserver_preload(["slow_to_import"])
    ctx.Process(target=print).start()
"""
SLOW_TO_IMPORT = """
import pathlib
with open(pathlib.Path(__file__).with_name("script.py.held"), "rb") as held:
    print("ready", flush=True)
    held.read()  # until the program has ended
"""


def test_ctrl_c_ends_the_tree_with_one_traceback_when_the_forkserver_has_only_begun(tmp_path: Path) -> None:
    """While it imports what it preloads, and has not yet learnt to ignore Ctrl-C."""
    script = tmp_path / "script.py"
    script.write_text(STARTING)
    (tmp_path / "slow_to_import.py").write_text(SLOW_TO_IMPORT)
    os.mkfifo(tmp_path / "script.py.held")

    status, shown, tree = ctrl_c(script, "forkserver")

    assert status == -signal.SIGINT, shown
    assert shown.count("Traceback") == 1, shown
    assert tree
    assert all(wait_dead(pid, LONG_S) or not alive(pid) for pid in tree)


OF_THE_STDLIB = """
import multiprocessing, signal, sys
import hardy

def tell(who):
    print(who, "can be interrupted:", signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ()), flush=True)

if __name__ == "__main__":
    for module in (hardy, multiprocessing):
        child = module.get_context("forkserver").Process(target=tell, args=(module.__name__,))
        child.start()
        child.join()
"""


def test_children_of_the_forkserver_can_be_interrupted_when_they_are_of_the_stdlib() -> None:
    """Hardy's processes and the stdlib's share one forkserver; neither runs with SIGINT held back."""
    done = run_script(OF_THE_STDLIB)

    assert done.stdout.splitlines() == [
        "hardy can be interrupted: True",
        "multiprocessing can be interrupted: True",
    ], done.stderr
