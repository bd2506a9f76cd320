"""What hardy does not rebuild (managers, values, pipes, shared memory) works with hardy's objects, and ends too."""

from __future__ import annotations

import glob
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from helpers.procfs import descendants, wait_dead
from helpers.procs import run_script
from helpers.waiting import wait_until

import hardy

METHODS = ("fork", "spawn", "forkserver")

# Each is a program that prints `ok`; the start method is its argument.
PROGRAMS = {
    "lock in a manager's dict": """
    def work(shared):
        with shared["lock"]:
            shared["n"] += 1

    def main():
        with hardy.Manager() as manager:
            shared = manager.dict(lock=hardy.Lock(), n=0)
            run(4, work, shared)
            return shared["n"] == 4 and not shared["lock"].locked()
    """,
    "queue and event through a manager's queue": """
    def work(inbox):
        queue, event = inbox.get()
        queue.put("seen")
        event.set()

    def main():
        with hardy.Manager() as manager:
            inbox, queue, event = manager.Queue(), hardy.Queue(), hardy.Event()
            inbox.put((queue, event))
            run(1, work, inbox)
            return event.is_set() and queue.get() == "seen"
    """,
    "value with a lock of hardy": """
    def work(value, array):
        with value.get_lock(), array.get_lock():
            value.get_obj().value += 1
            array[0] += 1

    def main():
        lock = hardy.Lock()
        value, array = hardy.Value("i", 0, lock=lock), hardy.Array("i", 1)
        run(4, work, value, array)
        return value.value == array[0] == 4 and value.get_lock() is lock
    """,
    "value of the stdlib with a lock of hardy": """
    def work(value):
        with value.get_lock():
            value.value += 1

    def main():
        value = multiprocessing.Value("i", 0, lock=hardy.RLock())
        run(4, work, value)
        return value.value == 4
    """,
    "queue, lock and condition through a pipe of the stdlib": """
    def work(pipe):
        queue, lock, condition = pipe.recv()
        with condition:
            queue.put(lock.locked())
            condition.notify()

    def main():
        ours, theirs = multiprocessing.Pipe()
        queue, lock = hardy.Queue(), hardy.Lock()
        condition = hardy.Condition()
        with lock:
            ours.send((queue, lock, condition))
            run(1, work, theirs)
        return queue.get() is True
    """,
    "connection and socket through a queue": """
    def work(queue):
        connection = queue.get()
        connection.send("hello")
        connection.close()

    def main():
        warnings.simplefilter("ignore", hardy.ForkWithThreadsWarning)  # the stdlib serves it with a thread
        ours, theirs = hardy.Pipe()
        queue = hardy.Queue()
        queue.put(theirs)
        run(1, work, queue)
        return ours.recv() == "hello"
    """,
    "shared memory through a queue": """
    def work(queue):
        block = queue.get()
        block.buf[0] = 5
        block.close()

    def main():
        block = SharedMemory(create=True, size=8)
        queue = hardy.Queue()
        queue.put(block)
        run(1, work, queue)
        seen = block.buf[0]
        block.close()
        block.unlink()
        return seen == 5
    """,
    "array of a pool's initializer": """
    def remember(array):
        global shared
        shared = array

    def work(n):
        with shared.get_lock():
            shared[0] += n

    def main():
        array = hardy.Array("i", 1)
        with hardy.Pool(2, remember, (array,)) as pool:
            pool.map(work, range(5))
        return array[0] == 10
    """,
    "sentinels, queues and connections in one wait": """
    def work(queue):
        queue.put(1)

    def main():
        queue, (ours, theirs) = hardy.Queue(), hardy.Pipe()
        process = hardy.Process(target=work, args=(queue,))
        process.start()
        process.join()
        theirs.send(2)
        ready = wait([process.sentinel, queue._reader, ours], 10)
        return len(ready) == 3
    """,
    "locks and queues of the stdlib in a process of hardy": """
    def work(lock, queue, event):
        with lock:
            queue.put("seen")
        event.set()

    def main():
        ctx = multiprocessing.get_context(sys.argv[1])
        lock, queue, event = ctx.Lock(), ctx.Queue(), ctx.Event()
        run(1, work, lock, queue, event)
        return event.is_set() and queue.get() == "seen"
    """,
}
HEAD = """
import multiprocessing
import sys
import warnings
import hardy
from hardy.connection import wait
from hardy.shared_memory import SharedMemory

def run(count, target, *args):
    processes = [hardy.Process(target=target, args=args) for _ in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.result(20)

"""
FOOT = """
if __name__ == "__main__":
    hardy.set_start_method(sys.argv[1])
    print("ok" if main() else "wrong")
"""


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("what", PROGRAMS)
def test_stdlibs_object_takes_hardys(what: str, method: str) -> None:
    """Without complaint, with every start method."""
    done = run_script(HEAD + dedent(PROGRAMS[what]) + FOOT, method)

    assert (done.stdout, done.stderr, done.returncode) == ("ok\n", "", 0)


@pytest.mark.parametrize("method", METHODS)
def test_context_gives_only_hardys_contexts(method: str) -> None:
    """However one asks; and a child's default is hardy's, of its own start method."""
    done = run_script(
        """
        import sys
        import hardy

        def owner(thing):
            return type(thing).__module__.partition(".")[0]

        def work():
            ctx = hardy.get_context()
            names = [owner(hardy.get_context(name)) for name in (None, "fork", "spawn", "forkserver")]
            return hardy.get_start_method(), owner(ctx.Queue()), owner(ctx.Process()), names

        if __name__ == "__main__":
            ctx = hardy.get_context(sys.argv[1])
            assert ctx.get_context() is ctx and ctx.get_context(sys.argv[1]) is ctx
            assert [owner(ctx.get_context(name)) for name in ctx.get_all_start_methods()] == ["hardy"] * 3
            child = ctx.Process(target=work)
            child.start()
            print(*child.result())
        """,
        method,
    )

    assert (done.stdout, done.stderr) == (f"{method} hardy hardy {['hardy'] * 4}\n", "")


def test_context_is_one_of_the_stdlib_too() -> None:
    """For libraries that ask for the type."""
    for method in METHODS:
        assert isinstance(hardy.get_context(method), multiprocessing.context.BaseContext)
        assert isinstance(hardy.get_context(method).Process(), multiprocessing.process.BaseProcess)


# With everything that starts a server or leaves a name, and children of each kind; then it says so and waits.
EVERYTHING = """
import os, signal, sys
import multiprocessing
import hardy
from hardy.shared_memory import SharedMemory

def work(*_):
    signal.pause()

if __name__ == "__main__":
    hardy.set_start_method(sys.argv[1])
    manager = hardy.Manager()
    shared = manager.dict(queue=hardy.Queue())
    pool = hardy.Pool(2)
    block = SharedMemory(create=True, size=1 << 20)
    kept = [hardy.Value("i"), hardy.Array("d", 100_000), multiprocessing.Lock(), multiprocessing.Queue(), block, shared]
    children = [hardy.get_context(m).Process(target=work, args=(kept[:2],)) for m in ("fork", "spawn", "forkserver")]
    for child in children:
        child.start()
    pool.map(abs, range(10))
    print("ready", flush=True)
    signal.pause()
"""


@pytest.mark.parametrize("method", METHODS)
def test_killed_program_leaves_no_server_and_no_name(tmp_path: Path, method: str) -> None:
    """Its manager, workers, fork server and resource tracker end, and nothing stays in /dev/shm or /tmp."""
    script = tmp_path / "program.py"
    script.write_text(EVERYTHING)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    names = set(os.listdir("/dev/shm"))
    with subprocess.Popen(
        [sys.executable, str(script), method],
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(temporary)},
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"ready\n"
        tree = descendants(program.pid)

        program.send_signal(signal.SIGKILL)
        program.wait()

        assert len(tree) >= 7  # manager, two workers, three children, fork server, tracker
        assert all(wait_dead(pid) for pid in tree)
    assert wait_until(lambda: not set(os.listdir("/dev/shm")) - names), set(os.listdir("/dev/shm")) - names
    assert not list(temporary.iterdir())


def test_killed_tree_leaves_no_path() -> None:
    """Though nobody of it is left to clean up: neither fork server nor manager had one."""
    before = set(glob.glob("/tmp/pymp-*"))

    done = run_script(
        """
        import os, signal
        import hardy

        if __name__ == "__main__":
            os.setpgid(0, 0)
            ctx = hardy.get_context("forkserver")
            manager = ctx.Manager()
            print(dict(manager.dict(a=1)), flush=True)
            os.killpg(0, signal.SIGKILL)
        """
    )

    assert done.stdout == "{'a': 1}\n"
    assert not set(glob.glob("/tmp/pymp-*")) - before


def test_manager_is_reached_by_who_knows_the_key() -> None:
    """From a process of another tree, by its address; and by nobody else."""
    done = run_script(
        """
        import subprocess, sys
        from hardy.managers import BaseManager

        class Registry(BaseManager):
            pass

        Registry.register("names", callable=lambda: ["shared"])
        CLIENT = (
            "from multiprocessing.managers import BaseManager\\n"
            "class Registry(BaseManager): pass\\n"
            "Registry.register('names')\\n"
            "client = Registry(bytes.fromhex({address!r}), {key!r})\\n"
            "client.connect()\\n"
            "print(client.names().copy())\\n"
        )
        import hardy
        hardy.set_start_method("fork")
        with Registry(authkey=b"secret") as manager:
            for key in (b"secret", b"guess"):
                source = CLIENT.format(address=manager.address.hex(), key=key)
                done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
                print(done.stdout.strip(), done.stderr.strip().rpartition("\\n")[2])
        """
    )

    known, guessed = done.stdout.splitlines()
    assert known == "['shared'] ", done.stderr
    assert "AuthenticationError" in guessed


def typed(obj: Any) -> str:
    return type(obj).__module__.partition(".")[0]


def test_default_of_every_maker_is_hardys() -> None:
    """Whatever is made without a context."""
    made = [hardy.Lock(), hardy.Queue(), hardy.SimpleQueue(), hardy.Event(), hardy.Semaphore(), hardy.Process()]

    assert {typed(obj) for obj in made} == {"hardy"}


def ask(shared: Any, queue: Any, ready: Any, go: Any) -> list[tuple[str, int | None, str]]:
    """What calls to a manager's objects raise: with a connection of before its end, and without."""
    shared["seen"] = True
    ready.set()
    go.wait(30)
    told = []
    for call in (lambda: shared["seen"], queue.qsize, lambda: shared["seen"]):
        try:
            call()
        except hardy.ManagerDied as error:
            told.append((error.name, error.pid, str(error)))
    return told


@pytest.mark.parametrize("method", METHODS)
def test_proxies_name_the_server_that_was_killed(method: str) -> None:
    """In the process that started it, with the signal, and in others; and every proxy, also one that never called."""
    context = hardy.get_context(method)
    manager = context.Manager()
    try:
        shared, queue, ready, go = manager.dict(), manager.Queue(), context.Event(), context.Event()
        child = context.Process(target=ask, args=(shared, queue, ready, go))
        child.start()
        assert ready.wait(30)
        process = manager._process
        os.kill(process.pid, signal.SIGKILL)
        go.set()

        told = child.result(30)
        for call in (lambda: shared["seen"], queue.qsize, manager.list):
            with pytest.raises(hardy.ManagerDied, match=rf"'{process.name}' \(pid {process.pid}, SIGKILL\)") as caught:
                call()
            assert (caught.value.signal, caught.value.exitcode) == (signal.SIGKILL, -signal.SIGKILL)
            assert isinstance(caught.value, (EOFError, ConnectionRefusedError, ConnectionResetError, BrokenPipeError))
        assert [(name, pid) for name, pid, _ in told] == [("SyncManager", process.pid)] * 3
    finally:
        manager.shutdown()


def test_proxy_says_so_when_its_manager_was_shut_down() -> None:
    """A call that found nobody did nothing."""
    with hardy.Manager() as manager:
        shared = manager.list([1])

    with pytest.raises(hardy.ManagerDied, match=r"exit 0\) has ended: it was shut down\. This call did nothing"):
        shared.append(2)


def test_managers_of_the_stdlib_raise_what_they_did() -> None:
    """Hardy's client is told from the address."""
    with multiprocessing.Manager() as manager:
        shared = manager.list([1])

    with pytest.raises((OSError, EOFError)) as caught:
        shared.append(2)
    assert not isinstance(caught.value, hardy.ManagerDied)
