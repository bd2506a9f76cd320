"""What is seen of hardy's programs from outside: `hardy ps` and what it stands on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import pytest
from helpers import procfs, targets
from helpers.procs import run_script
from helpers.running import running
from helpers.waiting import wait_until

import hardy
from hardy._core import board, look, runtime
from hardy.cli.ps import ps_text
from hardy.observe import Process, Snapshot, Watcher
from hardy.observe.text import bytes_text, duration_text

LONG_S = 10.0


def looked_until(seen: Callable[[Snapshot], object]) -> Snapshot:
    """The first snapshot that shows it."""
    with Watcher() as watcher:
        last: list[Snapshot] = []

        def look_again() -> bool:
            last[:] = [watcher.take()]
            return bool(seen(last[0]))

        assert wait_until(look_again, LONG_S), ps_text(last[0], None)
        return last[0]


def waits_of(snapshot: Snapshot, pid: int | None) -> list[str]:
    found = snapshot.process(pid or 0)
    return [snapshot.wait_text(wait) for wait in found.waits] if found else []


def of_pid(snapshot: Snapshot, pid: int | None) -> Process:
    found = snapshot.process(pid or 0)
    assert found is not None, ps_text(snapshot, None)
    return found


def test_wait_is_shown_with_what_is_waited_for() -> None:
    """Every kind of wait names its object, by the user's name for it."""
    lock, rlock, rwlock = hardy.Lock(name="stock"), hardy.RLock(name="desk"), hardy.RWLock(name="book")
    semaphore, event, barrier = hardy.Semaphore(0, name="seats"), hardy.Event(name="go"), hardy.Barrier(2, name="meet")
    condition = hardy.Condition(name="news")
    empty, full, joinable = hardy.Queue(name="in"), hardy.Queue(1, name="out"), hardy.JoinableQueue(name="jobs")
    named = hardy.NamedLock(f"shop-{os.getpid()}")
    full.put(1)
    joinable.put(1)

    def wait_for_news() -> None:
        with condition:
            condition.wait()

    expected = {
        lock.acquire: "acquire Lock 'stock'",
        rlock.acquire: "acquire RLock 'desk'",
        rwlock.acquire_read: "acquire (to read) RWLock 'book'",
        rwlock.acquire_write: "acquire (to write) RWLock 'book'",
        semaphore.acquire: "acquire Semaphore 'seats'",
        event.wait: "wait for Event 'go'",
        barrier.wait: "wait at Barrier 'meet'",
        wait_for_news: "wait for Condition 'news'",
        empty.get: "get from Queue 'in'",
        lambda: full.put(2): "put into Queue 'out'",
        joinable.join: "join JoinableQueue 'jobs'",
        named.acquire: f"acquire NamedLock 'shop-{os.getpid()}'",
    }
    with lock, rlock, rwlock.write(), named, running(*expected) as processes:
        snapshot = looked_until(lambda found: all(waits_of(found, each.pid) for each in processes))

    assert [waits_of(snapshot, each.pid) for each in processes] == [[text] for text in expected.values()]
    assert all(of_pid(snapshot, each.pid).state == "waiting" for each in processes)
    assert f"held by 'pytest' (pid {os.getpid()})" in ps_text(snapshot, None).replace(
        of_pid(snapshot, os.getpid()).name, "pytest"
    )


def test_unnamed_object_is_called_after_the_line_that_made_it() -> None:
    """Without a name there is still something to look for."""
    lock = hardy.Lock()
    line = sys._getframe().f_lineno - 1

    with lock, running(lock.acquire) as (process,):
        snapshot = looked_until(lambda found: waits_of(found, process.pid))

    (text,) = waits_of(snapshot, process.pid)
    assert text.startswith("acquire Lock-")
    assert text.endswith(f"(test_observe.py:{line})")


def test_join_of_a_process_is_shown() -> None:
    """Who waits for the end of another is said to, by that one's name."""

    def start_and_join() -> None:
        inner = hardy.Process(target=targets.pause, name="inner")
        inner.start()
        inner.join()

    with running(start_and_join) as (outer,):
        snapshot = looked_until(lambda found: waits_of(found, outer.pid))

    (text,) = waits_of(snapshot, outer.pid)
    assert text.startswith("join 'inner' (pid ")


def test_process_is_shown_as_it_was_started() -> None:
    """Name, parent, daemon, and for how long it has waited."""
    event = hardy.Event()

    with running(event.wait, name="w-1", daemon=True) as (process,):
        snapshot = looked_until(lambda found: waits_of(found, process.pid))

    found = of_pid(snapshot, process.pid)
    assert (found.name, found.parent, found.is_daemon, found.trouble) == ("w-1", os.getpid(), True, "")
    assert 0 <= (snapshot.taken_ns - found.waits[0].since_ns) / 1e9 < LONG_S
    program = snapshot.program_of(process.pid or 0)
    assert program is not None
    assert program.root == os.getpid()


def test_wait_ends_when_the_waiter_is_killed() -> None:
    """A dead process waits for nothing, and its row is used again."""
    event = hardy.Event()
    with running(event.wait) as (process,):
        looked_until(lambda found: waits_of(found, process.pid))
        process.kill()
        process.join()

        with running(event.wait) as (other,):
            snapshot = looked_until(lambda found: waits_of(found, other.pid))

    assert snapshot.process(process.pid or 0) is None


def test_long_wait_leaves_its_stack() -> None:
    """After a second, others can read where a thread waits."""
    queue = hardy.Queue()

    def take_from_the_queue() -> None:
        queue.get()

    with running(take_from_the_queue) as (process,):
        snapshot = looked_until(
            lambda found: any(wait.stack for wait in of_pid(found, process.pid).waits) if found else None
        )

    stack = of_pid(snapshot, process.pid).waits[0].stack
    assert "in take_from_the_queue" in stack
    assert "queue.get()" in stack
    assert "looked_until" not in stack


def test_stack_has_only_the_users_lines() -> None:
    """Not those of the standard library below and above them; unless there are no others."""
    stacks = [""] * 2

    def work() -> None:
        pool.submit(seen, 0).result()

    def seen(at: int) -> None:
        stacks[at] = board._stack_text()

    with ThreadPoolExecutor(1) as pool:
        thread = threading.Thread(target=seen, args=(1,))
        thread.start()
        thread.join()
        work()

    assert all("in seen" in stack for stack in stacks)
    assert not any(module in stack for stack in stacks for module in ("threading.py", "concurrent"))


def test_observer_is_none_of_the_observed() -> None:
    """Who looks has the memory open as well, and is not taken for one who uses it."""
    command = [sys.executable, "-m", "hardy", "ps", "--watch", "0.05"]
    with (
        running(hardy.Event().wait) as (process,),
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as ps,
    ):
        assert ps.stdout is not None
        assert list(islice((line for line in ps.stdout if "PID" in line), 3))
        snapshot = looked_until(lambda found: waits_of(found, process.pid))
        ps.kill()

    assert snapshot.process(ps.pid) is None


def test_zombie_is_explained() -> None:
    """What its parent has not collected is shown, with what to do."""
    hardy.Event().is_set()
    pid = os.fork()
    if not pid:
        os._exit(0)
    try:
        snapshot = looked_until(lambda found: (each := found.process(pid)) and each.state == "zombie")
    finally:
        os.waitpid(pid, 0)

    assert "os.waitpid()" in of_pid(snapshot, pid).trouble
    assert f"{pid} " in ps_text(snapshot, {pid})


ORPHAN = """
import os, signal
import hardy
from helpers import targets

def middle():
    child = hardy.Process(target=targets.pause, name="left", outlive_parent=True)
    child.start()
    print(child.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    process = hardy.Process(target=middle)
    process.start()
    process.join()
"""


def test_orphan_is_explained() -> None:
    """Whose parent has ended, and who was told to stay, is shown as that."""
    pid = int(run_script(ORPHAN).stdout)
    try:
        snapshot = looked_until(lambda found: found.process(pid))
    finally:
        os.kill(pid, signal.SIGKILL)
        assert procfs.wait_dead(pid)

    assert of_pid(snapshot, pid).name == "left"
    assert "outlive_parent=True" in of_pid(snapshot, pid).trouble


def test_restarts_of_a_supervised_process_are_shown() -> None:
    """A process knows how many had its place before it."""
    queue = hardy.Queue()

    def say_and_wait() -> None:
        queue.put(os.getpid())
        signal.pause()

    spec = hardy.ChildSpec("w", say_and_wait)
    with hardy.Supervisor([spec]):
        os.kill(queue.get(), signal.SIGKILL)
        second = queue.get()
        snapshot = looked_until(lambda found: found.process(second))

    assert of_pid(snapshot, second).restarts == 1


def test_queue_and_lock_are_shown_with_what_they_hold() -> None:
    """Length and counts of a queue; the holder of a lock."""
    queue, lock = hardy.Queue(7, name="numbers"), hardy.Lock(name="one")
    queue.put_many([1, 2, 3])
    queue.get()

    with lock:
        snapshot = looked_until(lambda found: found.shared)

    shared = {each.title: each.facts for each in snapshot.shared if os.getpid() in each.pids}
    ring = shared["Queue 'numbers'"]
    assert (ring["count"], ring["put"], ring["got"], ring["maxsize"]) == (2, 3, 1, 7)
    assert shared["Lock 'one'"]["holder"] == runtime.self_identity()


def test_named_lock_is_shown_while_nobody_waits_for_it(tmp_path: Path) -> None:
    """Its holder is, too, which has no memory of hardy's; a long name is a digest until somebody waits."""
    script = tmp_path / "holder.py"
    names = [f"two  words {os.getpid()}", f"{os.getpid()} " + "long " * 30]
    script.write_text(
        "import hardy, sys\nlocks = [hardy.NamedLock(name) for name in sys.argv[1:]]\n"
        "[lock.acquire() for lock in locks]\nprint(flush=True)\nsys.stdin.readline()\n"
    )
    command = [sys.executable, str(script), *names]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()

        def locks_of(snapshot: Snapshot) -> dict[str, int]:
            found = (each for each in snapshot.shared if holder.pid in each.pids)
            return {each.title: runtime.pid_of(each.facts["holder"]) for each in found}

        alone = looked_until(lambda found: found.process(holder.pid))
        with running(hardy.NamedLock(names[1]).acquire) as (waiter,):
            waited = looked_until(lambda found: waits_of(found, waiter.pid))
        holder.communicate("\n", timeout=30)

    assert of_pid(alone, holder.pid).name == "holder.py"
    short, long = sorted(locks_of(alone).items(), reverse=True)
    assert short == (f"NamedLock {names[0]!r}", holder.pid)
    assert long[0].startswith("NamedLock 'sha256-")
    assert sorted(title[:20] for title in locks_of(waited)) == sorted(f"NamedLock {name!r}"[:20] for name in names)


def test_ps_command_gives_json() -> None:
    """`hardy ps PID --json` has the program of that process, with its waits."""
    event = hardy.Event(name="go")
    with running(event.wait, name="w-2") as (process,):
        looked_until(lambda found: waits_of(found, process.pid))
        command = [sys.executable, "-m", "hardy", "ps", str(process.pid), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)

    (program,) = json.loads(done.stdout)["programs"]
    (found,) = (each for each in program["processes"] if each["pid"] == process.pid)
    assert program["root"] == os.getpid()
    assert (found["name"], found["state"], found["waits"][0]["object"]) == ("w-2", "waiting", "Event 'go'")


def test_ps_command_watches_until_it_is_interrupted() -> None:
    """`hardy ps --watch` shows one picture after the other, and Ctrl-C is its end, not an error."""
    event = hardy.Event(name="go")
    with running(event.wait) as (process,):
        command = [sys.executable, "-m", "hardy", "ps", str(process.pid), "--watch", "0.05"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as ps:
            assert ps.stdout is not None
            pictures = list(islice((line for line in ps.stdout if "PID" in line), 2))
            ps.send_signal(signal.SIGINT)
            _, errors = ps.communicate(timeout=30)

    assert (len(pictures), ps.returncode, errors) == (2, 0, "")


def test_ps_command_says_when_a_process_is_none_of_hardys() -> None:
    """A pid that is not there is named, and the status is 1."""
    done = subprocess.run(
        [sys.executable, "-m", "hardy", "ps", "4194303"], capture_output=True, text=True, check=False, timeout=30
    )

    assert done.returncode == 1
    assert "4194303 is no process of hardy's" in done.stderr


def test_memory_of_another_version_is_named_not_read() -> None:
    """A program on another hardy is said to be one."""
    pages = bytearray(4096)
    with running(hardy.Event().wait) as (process,):
        snapshot = looked_until(lambda found: waits_of(found, process.pid))
        (fd,) = (fd for fd, target in procfs.descriptors().items() if "memfd:hardy-board" in target)
        pages[:64] = os.pread(fd, 64, 0)
    pages[8:12] = (99).to_bytes(4, sys.byteorder)
    us = f"process {os.getpid()} runs a hardy of another version (its memory has layout 99"
    assert not any(us in note for note in snapshot.notes)
    fd = os.memfd_create("hardy-board")
    try:
        os.write(fd, pages)
        snapshot = looked_until(lambda found: found.notes)
    finally:
        os.close(fd)

    assert any(us in note for note in snapshot.notes)


def test_nothing_is_made_when_nothing_is_waited_for() -> None:
    """Locks and queues that nobody waits at cost no memory for observation."""
    done = run_script(
        """
        import os
        import hardy
        lock, queue = hardy.Lock(), hardy.Queue()
        for n in range(100):
            with lock:
                queue.put(n)
                queue.get()
        print(*sorted(os.readlink(f"/proc/self/fd/{fd}").split()[0] for fd in range(3, 20)
                      if os.path.exists(f"/proc/self/fd/{fd}") or os.path.islink(f"/proc/self/fd/{fd}")))
        """
    )

    assert done.stdout.split() == ["/memfd:hardy-ring", "/memfd:hardy-slab"], done.stderr


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (12.9, "12 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (3e5, "3 d 11 h")]
)
def test_duration_is_readable(seconds: float, text: str) -> None:
    """Two units at the most."""
    assert duration_text(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(512, "512 B"), (3.25 * 2**20, "3.2 MiB"), (2**40, "1024 GiB")])
def test_size_is_readable(count: float, text: str) -> None:
    """In the largest unit that fits."""
    assert bytes_text(count) == text


def test_look_refuses_too_little_memory() -> None:
    """A truncated segment is an error, not a read beyond its end."""
    with pytest.raises(ValueError, match="are needed"):
        look.read_board(bytes(100))
    assert look.read_head(bytes(16)) is None
    assert look.read_slab(bytes(200)) == []
