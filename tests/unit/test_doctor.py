"""`hardy doctor`: what keeps a program from going on, and the mend."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import procfs, targets
from helpers.procs import run_script
from helpers.running import running
from helpers.waiting import wait_until

import hardy
from hardy._sync import deadlock
from hardy.observe import Watcher, doctor
from hardy.observe.doctor import Finding, Report, examine, report_text

LONG_S = 15.0


@pytest.fixture(autouse=True)
def no_reports() -> Iterator[None]:
    """The processes of these tests say nothing of deadlocks themselves."""
    before = deadlock.policy()
    deadlock.set_policy(0.2, "off")
    yield
    deadlock.set_policy(*before)


def wait_for_waits(processes: list[hardy.Process]) -> None:
    """Until each of them waits in hardy."""
    with Watcher() as watcher:

        def all_wait() -> bool:
            seen = watcher.take()
            return all((found := seen.process(each.pid or 0)) and found.waits for each in processes)

        assert wait_until(all_wait, LONG_S)


def examined(kind: str) -> tuple[Report, list[Finding]]:
    report = examine(os.getpid())
    assert report is not None
    return report, [each for each in report.findings if each.kind == kind]


def test_circle_is_found_with_the_mend() -> None:
    """Two processes with each other's locks: both are named, and what to do."""
    first, second = hardy.Lock(name="a"), hardy.Lock(name="b")
    here, there = hardy.Event(), hardy.Event()

    def take(one: Any, other: Any, mine: Any, its: Any) -> None:
        with one:
            mine.set()
            its.wait()
            with other:
                pass

    calls = (lambda: take(first, second, here, there), lambda: take(second, first, there, here))
    with running(*calls) as processes:
        here.wait(), there.wait()
        report, found = circle_of_locks(processes)

    (finding,) = found
    assert "'w1'" in finding.text
    assert "waits to acquire Lock 'a'" in finding.text
    assert "waits to acquire Lock 'b'" in finding.text
    assert "same order" in finding.mend
    text = report_text(report)
    assert "taken by `with`" in text
    assert "Mend: take locks in the same order" in text


def circle_of_locks(processes: list[hardy.Process]) -> tuple[Report, list[Finding]]:
    wait_for_waits(processes)
    last: list[tuple[Report, list[Finding]]] = []

    def is_found() -> bool:
        last[:] = [examined("deadlock")]
        return bool(last[0][1])

    assert wait_until(is_found, LONG_S)
    return last[0]


def test_circle_through_a_join_is_found() -> None:
    """Who joins a process while holding what it waits for, waits for itself."""
    lock = hardy.Lock(name="stock")

    def hold_and_join() -> None:
        with lock:
            inner = hardy.Process(target=lock.acquire, name="inner")
            inner.start()
            inner.join()

    with running(hold_and_join) as processes:
        _, (finding,) = circle_of_locks(processes)

    assert "join 'inner'" in finding.text
    assert "acquire Lock 'stock'" in finding.text


def test_circle_of_named_locks_is_told_as_a_circle() -> None:
    """Any thread of its holder may release a named lock: they wait for each other, which need not be for ever."""
    first, second = (hardy.NamedLock(f"{name}-{os.getpid()}") for name in "ab")
    here, there = hardy.Event(), hardy.Event()

    def take(one: Any, other: Any, mine: Any, its: Any) -> None:
        with one:
            mine.set()
            its.wait()
            with other:
                pass

    calls = (lambda: take(first, second, here, there), lambda: take(second, first, there, here))
    with running(*calls) as processes:
        here.wait(), there.wait()
        wait_for_waits(processes)
        assert wait_until(lambda: examined("circle")[1], LONG_S)
        _, (finding,) = examined("circle")

    assert f"waits to acquire NamedLock 'a-{os.getpid()}'" in finding.text
    assert "if nobody else releases" in finding.mend


def test_stopped_holder_is_found() -> None:
    """A process that somebody stopped is named, with the command that lets it go on."""
    lock, ready = hardy.Lock(name="stock"), hardy.Event()

    def hold() -> None:
        with lock:
            ready.set()
            signal.pause()

    with running(hold) as (holder,):
        ready.wait()
        os.kill(holder.pid or 0, signal.SIGSTOP)
        with running(lock.acquire) as waiters:
            wait_for_waits(waiters)
            _, (finding,) = examined("stopped")

    assert (finding.text, finding.mend) == (
        f"'w1' (pid {holder.pid}) is stopped, and 1 waits for locks that it holds",
        f"kill -CONT {holder.pid}",
    )


def test_queue_that_nobody_reads_is_found() -> None:
    """A full queue with a producer that waits, and nobody who gets."""
    queue = hardy.Queue(1, name="out")
    queue.put(1)

    with running(lambda: queue.put(2)) as processes:
        wait_for_waits(processes)
        (finding,) = (each for each in examined("unread")[1] if "'out'" in each.text)

    assert finding.text == ("Queue 'out' holds 1 object(s), none was ever taken, and 1 waits for somebody to take them")


def test_queue_that_nobody_feeds_is_found() -> None:
    """All who have it wait: one for its objects, the other for the end of that one."""

    def make_and_join() -> None:
        queue = hardy.Queue(name="in")
        reader = hardy.Process(target=queue.get)
        reader.start()
        reader.join()

    with running(make_and_join) as processes:
        wait_for_waits(processes)
        assert wait_until(
            lambda: any("Queue 'in' is empty, 1 waits" in each.text for each in examined("unfed")[1]), LONG_S
        )


STUCK = """
import sys, threading
import hardy

def wait_for(event):
    event.wait()

if __name__ == "__main__":
    event, queue = hardy.Event(name="never"), hardy.Queue(name="in")
    if sys.argv[1] == "all wait":
        process = hardy.Process(target=wait_for, args=(event,), name="waiter")
        process.start()
        print(flush=True)
        process.join()
    else:
        threading.Thread(target=sys.stdin.readline).start()
        print(flush=True)
        queue.get()
"""


@pytest.mark.parametrize("case", ["all wait", "a thread may put"])
def test_program_is_stuck_when_nobody_is_left_to_go_on(case: str, tmp_path: Path) -> None:
    """Who waits for an event that nobody can set is told; not so where a thread does something else than wait."""
    script = tmp_path / "stuck.py"
    script.write_text(STUCK)
    with subprocess.Popen(
        [sys.executable, str(script), case], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as program:
        assert program.stdout is not None
        program.stdout.readline()
        with Watcher() as watcher:
            assert wait_until(
                lambda: (
                    (seen := watcher.take().program_of(program.pid))
                    and all(each.waits for each in seen.processes)
                    and len(seen.processes) == 1 + (case == "all wait")
                ),
                LONG_S,
            )
        report = examine(program.pid)
        program.kill()

    assert report is not None
    assert [each.kind for each in report.findings] == (["stuck"] if case == "all wait" else [])
    assert all("'waiter'" in each.text and "waits for Event 'never'" in each.text for each in report.findings)


def test_semaphore_at_zero_is_found_with_who_has_the_permits() -> None:
    """Permits that a dead process took by a bare acquire() are told from those that somebody holds."""
    semaphore, ready = hardy.BoundedSemaphore(2, name="seats"), hardy.Event()
    semaphore.acquire()

    def hold() -> None:
        with semaphore:
            ready.set()
            signal.pause()

    with running(hold) as (holder,):
        ready.wait()
        with running(semaphore.acquire) as waiters:
            wait_for_waits(waiters)
            (finding,) = (each for each in examined("semaphore")[1] if "'seats'" in each.text)

    assert finding.text.startswith(
        f"BoundedSemaphore 'seats' has no permit left, 1 waits: 'w1' (pid {holder.pid}) has 1; "
        "1 was taken by a bare acquire(); who takes by a bare acquire() is not recorded"
    )
    assert "take permits by `with`" in finding.mend


@pytest.mark.parametrize("kind", [hardy.Semaphore, hardy.BoundedSemaphore])
def test_semaphore_at_zero_names_who_has_died(kind: Any) -> None:
    """Who took a permit by a bare acquire() is not known: of those that have ended, the killed are named first."""

    def take_and_die(semaphore: Any) -> None:
        semaphore.acquire()
        os.kill(os.getpid(), signal.SIGKILL)

    def make_and_join() -> None:
        semaphore = kind(1, name="seats")
        taker = hardy.Process(target=take_and_die, args=(semaphore,), name="taker")
        taker.start()
        taker.join()
        semaphore.acquire()

    with running(make_and_join) as processes:
        wait_for_waits(processes)

        def found() -> list[str]:
            return [each.text for each in examined("semaphore")[1] if "it may be 'taker' (pid" in each.text]

        assert wait_until(found, LONG_S)
        (text,) = found()

    assert ", SIGKILL)" in text
    assert f"{kind.__name__} 'seats' has no permit left, 1 waits: none by `with`" in text


def test_zombie_is_a_finding() -> None:
    """What is not collected is told, with the mend alone in its place."""
    hardy.Lock()
    pid = os.fork()
    if not pid:
        os._exit(0)
    try:
        assert wait_until(lambda: getattr(procfs.stat(pid), "state", "") == "Z", LONG_S)
        _, found = examined("zombie")
    finally:
        os.waitpid(pid, 0)

    assert [each for each in found if str(pid) in each.text and "os.waitpid()" in each.mend]


def test_doctor_command_tells_a_healthy_program() -> None:
    """Status 0 and a word of it; 2 for a process that is none of hardy's."""
    script = "import hardy, signal; lock = hardy.Lock(); print(flush=True); signal.pause()"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        program.stdout.readline()
        command = [sys.executable, "-m", "hardy", "doctor"]
        healthy = subprocess.run([*command, str(program.pid)], capture_output=True, text=True, timeout=30)
        as_json = subprocess.run([*command, str(program.pid), "--json"], capture_output=True, text=True, timeout=30)
        program.kill()
    unknown = subprocess.run([*command, "4194303"], capture_output=True, text=True, timeout=30)

    assert (healthy.returncode, healthy.stdout.splitlines()[-1]) == (0, "Nothing wrong was found.")
    assert json.loads(as_json.stdout)["findings"] == []
    assert (unknown.returncode, unknown.stdout) == (2, "")


ON_SIGNAL = """
import os, signal, sys
import hardy
from hardy.observe import Watcher
from helpers.waiting import wait_until

def wait_for_it(event, queue):
    queue.put(os.getpid())
    event.wait()

if __name__ == "__main__":
    hardy.doctor_on_signal()
    context = hardy.get_context(sys.argv[1])
    event, queue = context.Event(name="go"), context.Queue()
    child = context.Process(target=wait_for_it, args=(event, queue), name="w")
    child.start()
    pid = queue.get()
    with Watcher() as watcher:
        assert wait_until(lambda: watcher.take().process(pid).waits)
        os.kill(pid, signal.SIGUSR2)
        assert wait_until(lambda: os.fstat(2).st_size > 0)
    event.set()
    child.join()
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_signal_has_a_process_tell_on_itself(method: str) -> None:
    """After `doctor_on_signal`, a process that waits in hardy answers SIGUSR2 with the report and its stacks."""
    done = run_script(ON_SIGNAL, method)

    assert done.returncode == 0, done.stderr
    assert "wait for Event 'go'" in done.stderr
    assert "Stack of thread MainThread" in done.stderr
    assert "in wait_for_it\n    event.wait()" in done.stderr


def test_stack_from_outside_is_py_spys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stack of a holder that runs is read by py-spy where there is one; else the report says how to get it."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    without = doctor.stack_from_outside(1)
    (tmp_path / "py-spy").write_text('#!/bin/sh\necho "Operation not permitted" >&2; exit 1\n')
    (tmp_path / "py-spy").chmod(0o755)

    assert "hardy[stacks]" in without
    assert "--cap-add SYS_PTRACE" in doctor.stack_from_outside(17)


def compute(ready: Any) -> None:
    ready.set()
    while True:
        sum(range(1000))


def test_stack_from_outside_is_that_of_a_process_that_computes() -> None:
    """With the real py-spy: the function that runs; or, where the system forbids to trace, that it does."""
    if shutil.which("py-spy", path=f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}") is None:
        pytest.skip("needs py-spy: pip install hardy[stacks]")
    ready = hardy.Event()

    with running(lambda: compute(ready)) as (process,):
        ready.wait()
        stack = doctor.stack_from_outside(process.pid or 0)

    assert "    compute (test_doctor.py:" in stack or "--cap-add SYS_PTRACE" in stack


def test_busy_holder_is_found_when_others_wait_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who holds a lock for long without waiting for anything of hardy's is named."""
    monkeypatch.setattr(doctor, "_LONG_S", 0.0)
    monkeypatch.setattr(doctor, "stack_from_outside", lambda pid: "  a stack\n")
    lock, ready = hardy.Lock(name="stock"), hardy.Event()

    def hold() -> None:
        with lock:
            ready.set()
            targets.pause()

    with running(hold) as (holder,):
        ready.wait()
        with running(lock.acquire) as waiters:
            wait_for_waits(waiters)
            report, found = examined("held")
            (finding,) = (each for each in found if "'stock'" in each.text)

    assert finding.text.startswith(f"Lock 'stock' is held by 'w1' (pid {holder.pid}), which waits for something that")
    assert "  a stack\n" in report.stacks.values()
