"""A process killed, or stopped, at each step of starting, running and reaping another.

The tests are made from the list of failpoints: a new one is tested from the day it is named.

    root (unarmed) -> middle (armed) -> leaf (armed by inheritance)
                   -> bystander

Wherever the blow falls, on the middle or on the leaf: the root is told who died, the bystander and new
processes work on, nobody is left over, and there is no zombie.
"""

from __future__ import annotations

import json

import pytest
from helpers.procs import run_script

import hardy.context  # noqa: F401 - names its failpoints
from hardy._core import runtime

PREFIXES = ("proc.", "board.", "lifeline.")
ONLY = {
    "proc.spawn.": ["spawn"],
    "proc.forkserver.": ["forkserver"],
    "proc.child.after_fork": ["fork"],
    "proc.child.before_arm": ["spawn"],
}


def cases() -> list[tuple[str, str]]:
    """Each failpoint of this part, with the start methods that pass it."""
    found = []
    for name in runtime.failpoints():
        if name.startswith(PREFIXES):
            methods = next((only for prefix, only in ONLY.items() if name.startswith(prefix)), ["fork", "spawn"])
            found += [(name, method) for method in methods]
    return found


SCENARIO = """
    import json, os, signal, sys
    from pathlib import Path
    from hardy import errors
    from hardy.context import get_default_context
    from hardy._core import board, runtime
    from helpers.waiting import wait_until

    def leaf(passed):
        os.write(passed.fd, b"%d " % os.getpid())
        return 5

    def middle(name, action, method, passed):
        os.write(passed.fd, b"%d " % os.getpid())
        os.environ["HARDY_FAILPOINT"] = f"{name}={action}"
        runtime.arm(os.environ["HARDY_FAILPOINT"])
        process = get_default_context().get_context(method).Process(target=leaf, args=(passed,), name="leaf")
        process.start()
        if name == "lifeline.parent.died":
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return ["returned", process.result(), process.exitcode]
        except errors.ProcessDied as error:
            return [error.name, error.signal]

    def echo(passed):
        while data := os.read(passed[0].fd, 1):
            os.write(passed[1].fd, data)

    def square(n):
        return n * n

    def children():
        return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()

    def main():
        from helpers.targets import Inherited
        name, action, method = sys.argv[1:4]
        fork = get_default_context().get_context("fork")
        (ask_r, ask_w), (tell_r, tell_w), (pids_r, pids_w) = os.pipe(), os.pipe(), os.pipe()
        bystander = fork.Process(target=echo, args=((Inherited(ask_r), Inherited(tell_w)),), name="bystander")
        bystander.start()
        victim = fork.Process(
            target=middle, args=(name, action, method, Inherited(pids_w)), name="middle", daemon=True)
        victim.start()
        report = {}
        try:
            report["end"] = victim.result(15 if action == "kill" else 0.5)
        except errors.ProcessDied as error:
            report["end"] = [error.name, error.signal]
        except TimeoutError:
            report["end"] = "timeout"
        os.write(ask_w, b"?")
        report["bystander"] = os.read(tell_r, 1).decode()
        fresh = fork.Process(target=square, args=(3,))
        fresh.start()
        report["fresh"] = fresh.result(15)
        victim.kill()
        bystander.kill()
        os.set_blocking(pids_r, False)
        others = lambda: [row for row in board.live() if row[0] != runtime.self_identity()]
        wait_until(lambda: not others() and not [p for p in children() if p not in servers()], 1.0)
        report["living"] = [row[2] for row in others()]
        report["zombies"] = [p for p in children() if p not in servers()]
        print(json.dumps(report))

    def servers():
        found = []
        for pid in children():
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue  # reaped meanwhile
            if b"forkserver import main" in command or b"resource_tracker import main" in command:
                found.append(pid)
        return found

    if __name__ == "__main__":
        main()
"""


@pytest.mark.parametrize(("name", "method"), cases())
def test_others_go_on_when_a_process_is_killed_at(name: str, method: str) -> None:
    """Who waits is told who died of SIGKILL; nobody else notices; nothing is left; what was committed counts."""
    done = run_script(SCENARIO, name, "kill", method)

    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    committed = name == "proc.outcome.after_commit"
    assert report.pop("end") in ([["returned", 5, -9]] if committed else [["middle", 9], ["leaf", 9]])
    assert report == {"bystander": "?", "fresh": 9, "living": [], "zombies": []}


@pytest.mark.parametrize(("name", "method"), cases())
def test_others_go_on_when_a_process_is_stopped_at(name: str, method: str) -> None:
    """A stopped process delays nobody; and when its parent is killed it ends, stopped as it is."""
    done = run_script(SCENARIO, name, "stop", method)

    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    end = report.pop("end")
    assert end in ("timeout", ["middle", 9], ["returned", 5, 0]), end
    assert report == {"bystander": "?", "fresh": 9, "living": [], "zombies": []}


def test_there_are_failpoints_of_each_part() -> None:
    """The list cannot become empty unnoticed."""
    names = {name.split(".")[0] + "." for name, _ in cases()}

    assert names == set(PREFIXES)
