"""No orphan and no zombie, whoever dies of what: the lifeline."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest
from helpers.procfs import processes
from helpers.procs import alive, run_script
from helpers.waiting import wait_until

METHODS = ["fork", "spawn", "forkserver"]
# A promise of the design: nobody outlives its parent by more than this.
ORPHAN_S = 1.0

# Ends by SIGKILL as soon as its children have written their pids; prints them.
FAMILY = """
    import os, re, signal, sys, threading
    from hardy.context import get_default_context
    from hardy.process import Process

    def idle(fd):
        os.write(fd, b"%d\\n" % os.getpid())
        signal.pause()

    def hold_the_gil(fd):
        os.write(fd, b"%d\\n" % os.getpid())
        re.match(r"(a+)+$", "a" * 64 + "b")

    def stop_oneself(fd):
        os.write(fd, b"%d\\n" % os.getpid())
        os.kill(os.getpid(), signal.SIGSTOP)

    def have_a_child(fd):
        os.write(fd, b"%d\\n" % os.getpid())
        Process(target=call, args=("idle", Passed(fd))).start()
        signal.pause()

    class Passed:
        def __init__(self, fd): self.fd = fd
        def __reduce__(self):
            from multiprocessing.reduction import DupFd
            from multiprocessing.context import get_spawning_popen
            return _rebuilt, (DupFd(self.fd),)

    def _rebuilt(dup):
        return Passed(dup.detach())

    def call(name, passed):
        globals()[name](passed.fd)

    if __name__ == "__main__":
        method, name, count, by_thread = sys.argv[1:5]
        get_default_context().set_start_method(method)
        r, w = os.pipe()
        child = Process(target=call, args=(name, Passed(w)), daemon=True)
        if by_thread == "thread":
            starter = threading.Thread(target=child.start)
            starter.start()
            starter.join()
        else:
            child.start()
        pids = b""
        while pids.count(b"\\n") < int(count):
            pids += os.read(r, 100)
        print(pids.decode(), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def family_is_dead(pids: list[int]) -> bool:
    every = processes()
    return not any(pid in every and every[pid].running for pid in pids)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("thread", ["thread", "main"])
@pytest.mark.parametrize(("child", "count"), [("idle", 1), ("hold_the_gil", 1), ("have_a_child", 2)])
def test_descendants_end_when_parent_is_killed(method: str, thread: str, child: str, count: int) -> None:
    """They end within a second, also inside a C call that holds the GIL, and when their starting thread is gone."""
    done = run_script(FAMILY, method, child, str(count), thread)

    pids = [int(word) for word in done.stdout.split()]
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(pids) == count
    assert wait_until(lambda: family_is_dead(pids), ORPHAN_S)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_stopped_child_ends_when_parent_is_killed(method: str) -> None:
    """A stopped process runs no lifeline; the kernel ends it with its parent."""
    done = run_script(FAMILY, method, "stop_oneself", "1", "main")

    pids = [int(word) for word in done.stdout.split()]
    assert len(pids) == 1, done.stderr
    assert wait_until(lambda: family_is_dead(pids), ORPHAN_S)


SURVIVOR = """
    import os, signal, threading
    from hardy.process import Process

    def stop_oneself(fd):
        os.write(fd, b"%d\\n" % os.getpid())
        os.kill(os.getpid(), signal.SIGSTOP)

    def start_by_thread(fd):
        starter = threading.Thread(target=Process(target=stop_oneself, args=(fd,), daemon=True).start)
        starter.start()
        starter.join()
        signal.pause()

    if __name__ == "__main__":
        r, w = os.pipe()
        child = Process(target=start_by_thread, args=(w,))
        child.start()
        pid = int(os.read(r, 100))
        pidfd = os.pidfd_open(pid)
        child.kill()
        child.join()
        import select
        print("ended", bool(select.select([pidfd], [], [], 5)[0]))
"""


def test_stopped_grandchild_ends_when_child_is_killed() -> None:
    """Whoever reaps a process ends its stopped children, whichever thread had started them."""
    done = run_script(SURVIVOR)

    assert done.stdout == "ended True\n", done.stderr


OUTLIVER = """
    import os, signal
    from hardy.process import Process

    def idle(fd):
        os.write(fd, b"%d\\n" % os.getpid())
        signal.pause()

    if __name__ == "__main__":
        r, w = os.pipe()
        Process(target=idle, args=(w,), outlive_parent=True).start()
        print(int(os.read(r, 100)), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_child_lives_on_when_it_was_told_to_outlive_its_parent() -> None:
    """`outlive_parent=True` is the way to ask for an orphan."""
    done = run_script(OUTLIVER)

    pid = int(done.stdout)
    pidfd = os.pidfd_open(pid)
    lived = not wait_until(lambda: not alive(pid), ORPHAN_S)
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    os.close(pidfd)
    assert lived


EARLY = """
    import os, signal
    from hardy.process import Process

    def in_child():
        os.kill(os.getpid(), signal.SIGKILL)

    class Early(Process):
        def run(self):
            signal.pause()

    if __name__ == "__main__":
        # The child cannot be faster than this: its parent is dead when it comes out of fork().
        os.register_at_fork(after_in_parent=in_child)
        print(os.getpid(), flush=True)
        Early().start()
"""


def test_child_ends_when_parent_dies_before_it_was_armed() -> None:
    """The parent's pidfd is older than the child: an early death is seen as any other."""
    marker = f"hardy-early-{os.getpid()}"

    done = run_script(EARLY, marker)

    assert done.returncode == -signal.SIGKILL, done.stderr
    assert wait_until(lambda: not _by_argument(marker), ORPHAN_S)


def _by_argument(marker: str) -> list[int]:
    found = []
    for pid, stat in processes().items():
        try:
            with open(f"/proc/{pid}/cmdline") as file:
                if marker in file.read() and stat.running:
                    found.append(pid)
        except OSError:
            continue
    return found


PID_1 = """
    import os, sys
    from hardy.process import Process

    def idle(fd):
        os.write(fd, b"x")
        os.read(0, 1)

    if __name__ == "__main__":
        if os.getpid() != 1:
            os.execvp("unshare", ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, __file__])
        r, w = os.pipe()
        child = Process(target=idle, args=(w,))
        child.start()
        os.read(r, 1)
        print(os.getpid(), child.result())
"""


def test_child_lives_when_parent_is_pid_1() -> None:
    """That the parent's pid is 1 does not mean that it has died, and the child was adopted."""
    probe = subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f"no pid namespace may be made here: {probe.stderr.strip()}")

    done = run_script(PID_1)

    assert done.stdout == "1 None\n", done.stderr
