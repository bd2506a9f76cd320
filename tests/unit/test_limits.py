"""Where the system gives no more: the answer that is promised, nothing half made, and what exists goes on."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.limits import make_group
from helpers.procs import run_script
from helpers.waiting import wait_until

LONG_S = 20.0
DENIED = [errno.EPERM, errno.ENOSYS]  # a seccomp filter that says so; a kernel that has no such call


def _group(kind: str, most: int) -> Iterator[Path]:
    group = make_group(kind, f"hardy-limits-{os.getpid()}", most)
    if group is None:
        pytest.skip(f"no control group with a limit of {kind} can be made here")
    yield group
    assert wait_until(lambda: not (group / "cgroup.procs").read_text(), LONG_S)
    group.rmdir()


@pytest.fixture
def small_memory() -> Iterator[Path]:
    """A control group of 64 MB."""
    yield from _group("memory", 64_000_000)


@pytest.fixture
def pool_memory() -> Iterator[Path]:
    """A control group of 100 MB, for several processes."""
    yield from _group("memory", 100_000_000)


@pytest.fixture
def few_pids() -> Iterator[Path]:
    """A control group of 12 processes and threads."""
    yield from _group("pids", 12)


@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_task_fails_as_out_of_memory_when_the_kernel_kills_its_worker(pool_memory: Path, method: str) -> None:
    """The error tells the cause, the task and how much memory was held; all others have their results."""
    script = """
        import os, sys
        import hardy

        def fill(limit):
            filled = []
            while True:
                filled.append(b"x" * 1_000_000)

        def square(n):
            return n * n

        if __name__ == "__main__":
            with open(sys.argv[1] + "/cgroup.procs", "w") as file:
                file.write(str(os.getpid()))
            with hardy.get_context(sys.argv[2]).Pool(2) as pool:
                filled = pool.options(name="fill-it").apply_async(fill, (7,))
                squares = pool.map(square, range(50), 1)
                try:
                    filled.get(50)
                except hardy.WorkerDied as error:
                    print(error.signal, error.out_of_memory, error.task, error.peak_memory > 10_000_000)
                    text = str(error)
                    print("SIGKILL, out of memory" in text, "fill(7)" in text, "MiB of memory" in text)
                print(squares == pool.map(square, range(50), 1))
    """

    done = run_script(script, str(pool_memory), method)

    assert done.stdout == "9 True fill-it True\nTrue True True\nTrue\n", done.stderr


def test_queue_is_intact_when_the_out_of_memory_killer_takes_who_fills_it(small_memory: Path) -> None:
    """Each object whose put had returned is there, whole; the dead is named; others go on putting."""
    done = run_script(
        """
        import os, sys
        from hardy import Process, Queue
        from hardy.sharedctypes import RawValue

        def fill(queue, returned, group):
            with open(group + "/cgroup.procs", "w") as file:
                file.write(str(os.getpid()))
            while True:
                queue.put(bytes([returned.value % 251]) * 1_000_000)
                returned.value += 1

        if __name__ == "__main__":
            queue, returned = Queue(), RawValue("i", 0)
            process = Process(target=fill, args=(queue, returned, sys.argv[1]), name="filler")
            process.start()
            error = process.exception()
            print(type(error).__name__, error.signal, "filler" in str(error))
            count = queue.qsize()
            print(0 <= count - returned.value <= 1, count > 20)
            print(all(queue.get() == bytes([turn % 251]) * 1_000_000 for turn in range(count)))
            queue.put("more")
            print(queue.get(timeout=5))
        """,
        str(small_memory),
    )

    assert done.stdout == "ProcessDied 9 True\nTrue True\nTrue\nmore\n", done.stdout + done.stderr


def test_start_raises_when_the_table_of_processes_is_full(few_pids: Path) -> None:
    """The kernel's own error, nothing half made; those that run go on, and when they have ended, more can start.

    A child for which there was just room, but none for the thread that watches its parent, says so and ends.
    """
    done = run_script(
        """
        import errno, os, sys
        from hardy import Process, ProcessDied, Queue, active_children

        def hold(queue):
            return queue.get()

        def outcome(process):
            try:
                return process.result(10)
            except ProcessDied as error:
                return f"exit status {error.exitcode}"

        if __name__ == "__main__":
            queue, started = Queue(), []
            with open(sys.argv[1] + "/cgroup.procs", "w") as file:
                file.write(str(os.getpid()))
            try:
                for _ in range(20):
                    process = Process(target=hold, args=(queue,))
                    process.start()
                    started.append(process)
            except OSError as error:
                print(errno.errorcode[error.errno], len(started) > 2)
            queue.put_many(["held"] * len(started))
            outcomes = [outcome(process) for process in started]
            print(outcomes.count("held") > 2, set(outcomes) <= {"held", "exit status 1"}, active_children())
            queue.put("held")
            process.start()
            print(process.result(10))
        """,
        str(few_pids),
    )

    assert done.stdout == "EAGAIN True\nTrue True []\nheld\n", done.stdout + done.stderr


def test_a_program_of_many_parts_fits_into_64_descriptors() -> None:
    """Eight processes, queues, and a thousand locks; one too many is an error that says the limit and the mend."""
    done = run_script("""
        import resource
        from hardy import Lock, Process, Queue, Semaphore

        def work(queue, results, locks):
            for number in iter(queue.get, None):
                with locks[number % len(locks)]:
                    results.put(number)

        if __name__ == "__main__":
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
            queue, results, locks = Queue(), Queue(), [Lock() for _ in range(1000)]
            processes = [Process(target=work, args=(queue, results, locks)) for _ in range(8)]
            for process in processes:
                process.start()
            queue.put_many(list(range(1000)) + [None] * 8)
            for process in processes:
                process.join()
            print(sorted(results.get_many(1000)) == list(range(1000)))
            queues = []
            try:
                while True:
                    queues.append(Queue())
            except OSError as error:
                print(error.errno, "64" in str(error), "ulimit -n" in str(error))
            del queues
            print(Process(target=work, args=(queue, results, locks)).exitcode, Queue().qsize())
    """)

    assert done.stdout == "True\n24 True True\nNone 0\n", done.stdout + done.stderr


def test_locks_are_made_at_the_address_limit_or_refused() -> None:
    """With RLIMIT_AS reached, a lock that cannot be had raises MemoryError or OSError; those that exist work."""
    done = run_script("""
        import resource
        from hardy import Lock

        locks = [Lock() for _ in range(10)]
        pages = int(open("/proc/self/statm").read().split()[0])
        limit = pages * resource.getpagesize() + (4 << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        try:
            for _ in range(200_000):
                locks.append(Lock())
        except (MemoryError, OSError):
            print("refused")
        while len(locks) > 1000:
            locks.pop()
        print(all(lock.acquire(False) for lock in locks))
    """)

    assert (done.stdout, done.stderr) == ("refused\nTrue\n", "")


@pytest.mark.parametrize("denied", DENIED)
def test_the_dead_are_noticed_when_futex_waitv_is_missing(denied: int) -> None:
    """A slower path keeps the promises: who waits for a dead holder's lock gets it, who waits for items gets them."""
    done = run_script(
        """
        import os, signal, sys, time, warnings
        from helpers.limits import forbid
        from hardy import Barrier, Lock, Process, Queue

        def die_holding(lock, barrier):
            lock.acquire()
            barrier.wait()
            os.kill(os.getpid(), signal.SIGKILL)

        def answer(questions, answers):
            for question in iter(questions.get, None):
                answers.put(question + 1)

        if __name__ == "__main__":
            if not forbid("futex_waitv", int(sys.argv[1])):
                print("no seccomp")
                sys.exit()
            warnings.simplefilter("ignore")
            lock, barrier = Lock(), Barrier(2)
            holder = Process(target=die_holding, args=(lock, barrier))
            holder.start()
            barrier.wait()
            print(lock.acquire(timeout=10), lock.recovered)
            questions, answers = Queue(), Queue()
            process = Process(target=answer, args=(questions, answers))
            process.start()
            for number in range(100):
                questions.put(number)
                assert answers.get(timeout=10) == number + 1
            questions.put(None)
            print(process.result(10))
        """,
        str(denied),
    )

    _skip_without_seccomp(done.stdout)
    assert done.stdout == "True True\nNone\n", done.stdout + done.stderr


@pytest.mark.parametrize("denied", DENIED)
@pytest.mark.parametrize("what", ["Queue()", "Lock()", "Semaphore()", "Process(target=int).start()"])
def test_one_clear_error_when_memfd_create_is_forbidden(what: str, denied: int) -> None:
    """Nothing of hardy can be shared without it: an OSError at first use, which says what was being made."""
    done = run_script(
        """
        import sys
        from helpers.limits import forbid
        from hardy import Lock, Process, Queue, Semaphore, active_children

        if __name__ == "__main__":
            if not forbid("memfd_create", int(sys.argv[1])):
                print("no seccomp")
                sys.exit()
            try:
                eval(sys.argv[2])
            except OSError as error:
                print(error.errno, str(error).count("shared memory"), active_children())
        """,
        str(denied),
        what,
    )

    _skip_without_seccomp(done.stdout)
    assert done.stdout == f"{denied} 1 []\n", done.stdout + done.stderr


@pytest.mark.parametrize("denied", DENIED)
def test_no_start_when_pidfd_open_is_missing(denied: int) -> None:
    """One clear error at `start()`, which names the call, and no process; locks and queues work."""
    done = run_script(
        """
        import os, sys
        from helpers.limits import forbid
        from hardy import Lock, Process, Queue, active_children

        if __name__ == "__main__":
            if not forbid("pidfd_open", int(sys.argv[1])):
                print("no seccomp")
                sys.exit()
            try:
                Process(target=os.getpid).start()
            except OSError as error:
                print(error.errno, "pidfd_open" in str(error), active_children())
            queue = Queue()
            queue.put(1)
            with Lock():
                print(queue.get())
        """,
        str(denied),
    )

    _skip_without_seccomp(done.stdout)
    assert done.stdout == f"{denied} True []\n1\n", done.stdout + done.stderr


def _skip_without_seccomp(output: str) -> None:
    if output == "no seccomp\n":
        pytest.skip("this kernel has no seccomp filters")
