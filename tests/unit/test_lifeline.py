"""The lifeline and the board of the core: who is watched, who is reaped, who is known by name."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import warnings

import pytest
from helpers import targets
from helpers.procs import run_script
from helpers.waiting import wait_until

from hardy._core import board, lifeline, runtime
from hardy.process import Process

LONG_S = 10.0


def tell_identities() -> tuple[int, int]:
    """This process's identity, as hardy has it and as /proc tells it."""
    return runtime.self_identity(), runtime.identity_of(os.getpid())


def test_lifeline_has_a_thread_only_while_it_watches() -> None:
    """A program without children has no thread of hardy's."""
    before = lifeline.thread_count()
    process = Process(target=targets.pause)
    process.start()
    during = lifeline.thread_count()

    process.kill()
    process.join()

    assert (before, during) == (0, 1)
    assert wait_until(lambda: lifeline.thread_count() == 0, LONG_S)


def test_raw_fork_is_no_hardy_child() -> None:
    """A child of a bare os.fork() has no lifeline, and neither reaps nor loses its siblings."""
    process = Process(target=targets.pause)
    process.start()
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        told = (lifeline.parent_pidfd(), lifeline.thread_count(), process._popen.poll())
        os.write(w, repr(told).encode())
        os._exit(0)
    os.waitpid(pid, 0)

    told = os.read(r, 100).decode()
    os.close(r)
    os.close(w)

    assert told == "(-1, 0, None)"
    assert process.is_alive()
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def test_signal_after_the_end_reaches_nobody() -> None:
    """A pidfd names one process for ever; a pid that is used again would not."""
    process = Process(target=targets.square, args=(1,))
    process.start()
    process.join()

    process.kill()
    process.terminate()

    assert process.exitcode == 0


def test_status_is_unknown_when_somebody_else_waited() -> None:
    """A program that waits for any child may take the status; the child's own word then counts."""
    done = run_script("""
        import os, signal
        from hardy.process import Process

        def work():
            os.read(begins, 1)
            return 5

        if __name__ == "__main__":
            begins, begin = os.pipe()
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            well = Process(target=work)
            well.start()
            os.write(begin, b"x")
            print(well.result(), well.exitcode)
            killed = Process(target=signal.pause)
            killed.start()
            killed.kill()
            print(type(killed.exception()).__name__, killed.exitcode in (255, -9))
    """)

    assert done.stdout == "5 0\nProcessDied True\n", done.stderr


def test_start_succeeds_when_the_child_is_gone_before_it_can_be_watched() -> None:
    """With SIGCHLD ignored nobody need wait for a child; it has ended as one that somebody else waited for."""
    done = run_script("""
        import os, signal
        from multiprocessing import connection
        from hardy._core import board
        from hardy.context import get_default_context
        from hardy.process import Process, active_children

        def work():
            return 5

        def wait_for_every_child():
            try:
                os.wait()
            except ChildProcessError:
                pass

        if __name__ == "__main__":
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            os.register_at_fork(after_in_parent=wait_for_every_child)
            context = get_default_context().get_context("fork")
            well = context.Process(target=work)
            well.start()
            well.kill()
            print(connection.wait([well.sentinel], 10) == [well.sentinel], well.result(), well.exitcode)
            killed = context.Process(target=lambda: os.kill(os.getpid(), signal.SIGKILL))
            killed.start()
            killed.join()
            print(type(killed.exception()).__name__, killed.exitcode, killed.is_alive(), active_children())
            print(len(board.live()), board.death_count())
            well.close()
    """)

    assert done.stdout == "True 5 0\nProcessDied 255 False []\n1 2\n", done.stderr


def test_identity_of_a_forked_child_is_the_same_to_all() -> None:
    """What the parent and the child take from a clock is what /proc tells everybody else."""
    for _ in range(20):
        process = Process(target=tell_identities)
        process.start()
        assert process._popen is not None
        assert process._popen.child is not None
        seen = process._popen.child.identity

        assert process.result(LONG_S) == (seen, seen)


def test_child_is_reaped_when_it_ends_while_a_signal_handler_runs_in_join() -> None:
    """Who joins a child takes notice of its end, but not while it does something else."""
    done = run_script("""
        import os, signal
        from helpers.waiting import wait_until
        from hardy.context import get_default_context

        def work():
            os.read(ends, 1)

        def handle(number, frame):
            os.write(end, b"x")
            print(wait_until(lambda: not os.path.exists(f"/proc/{process.pid}"), 10))

        if __name__ == "__main__":
            ends, end = os.pipe()
            signal.signal(signal.SIGALRM, handle)
            process = get_default_context().get_context("fork").Process(target=work)
            process.start()
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            process.join()
            print(process.exitcode)
    """)

    assert done.stdout == "True\n0\n", done.stderr


def test_lifeline_thread_leaves_at_once_before_a_fork_of_the_program() -> None:
    """It lingers for who starts the next process soon; but Python warns who forks with threads."""
    process = Process(target=targets.square, args=(1,))
    process.start()
    process.join()

    lifeline.let_go()

    assert lifeline.thread_count() == 0


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python warns of forks with threads from 3.12 on")
def test_fork_warns_of_threads_exactly_when_they_are_not_the_lifelines() -> None:
    """The lifeline's thread holds no lock of anybody; another thread may."""
    watched = Process(target=targets.pause)
    watched.start()

    def warned() -> int:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            process = Process(target=targets.square, args=(1,))
            process.start()
            process.join()
        return sum("multi-threaded" in str(each.message) for each in caught)

    alone = warned()
    leave = threading.Event()
    thread = threading.Thread(target=leave.wait)
    thread.start()
    beside_another = warned()
    leave.set()
    thread.join()

    assert (alone, beside_another) == (0, 1)
    watched.kill()
    watched.join()


def test_board_names_the_living_and_the_dead() -> None:
    """By identity and by pid: name, pid, and exit code once there is one."""
    process = Process(target=targets.pause, name="näme-1")
    process.start()
    pid = process.pid
    assert pid is not None
    identity = runtime.identity_of(pid)
    living = board.describe(identity)
    rows = board.live()
    below = board.descendants(runtime.self_identity())

    process.kill()
    process.join()

    assert living == ("näme-1", pid, None)
    assert (identity, runtime.self_identity(), "näme-1") in rows
    assert (identity, runtime.self_identity(), "näme-1") in below
    assert board.describe(identity) == ("näme-1", pid, -signal.SIGKILL)
    assert board.describe_pid(pid) == ("näme-1", pid, -signal.SIGKILL)
    assert identity not in [row[0] for row in board.live()]


def test_board_knows_nothing_of_strangers() -> None:
    """None for what hardy did not start."""
    stranger = subprocess.Popen(["sleep", "100"])
    identity = runtime.identity_of(stranger.pid)

    found = board.describe(identity), board.describe_pid(stranger.pid), board.describe(0)

    stranger.kill()
    stranger.wait()
    assert found == (None, None, None)


def test_board_counts_deaths() -> None:
    """Every reaper says so: waiters on other objects need not poll."""
    before = board.death_count()
    process = Process(target=targets.square, args=(1,))
    process.start()

    process.join()

    assert board.death_count() == before + 1


def test_board_cuts_a_long_name_at_a_character() -> None:
    """No half of a character is ever read."""
    process = Process(target=targets.square, args=(1,), name="ä" * 60)
    process.start()
    process.join()

    found = board.describe_pid(process.pid or 0)

    assert found is not None
    assert found[0] == "ä" * 46


def test_board_reuses_the_places_of_the_dead_and_keeps_the_living() -> None:
    """More claims than places: the oldest dead give way, the living do not."""
    process = Process(target=targets.pause, name="old")
    process.start()
    assert process.pid is not None
    identity = runtime.identity_of(process.pid)

    for _ in range(5000):
        board.give_back(board.claim("failed", False))

    assert board.describe(identity) == ("old", process.pid, None)
    me = board.describe(runtime.self_identity())
    assert me is not None
    assert me[0] == "MainProcess"
    process.kill()
    process.join()


def test_board_loses_no_place_when_claimers_are_killed() -> None:
    """A place whose claimer died half-way is claimed again."""
    done = run_script("""
        import os
        from hardy._core import board, runtime

        board.ensure("main")
        for step in ["after_cas", "before_close", "after_close"]:
            for _ in range(10):
                if os.fork() == 0:
                    runtime.arm(f"board.claim.{step}=kill")
                    board.claim("lost", False)
                    os._exit(1)
                assert os.wait()[1] == 9
        claimed = [board.claim("kept", False) for _ in range(4200)]
        print(len({slot for slot in claimed if slot >= 0}), min(claimed))
    """)

    assert done.stdout == "4095 -1\n", done.stderr


def test_board_says_how_a_process_ended_that_is_reaped() -> None:
    """To all who ask, long after the kernel has forgotten it."""
    done = run_script("""
        import os
        import hardy
        from hardy._core import board

        if __name__ == "__main__":
            process = hardy.get_context("fork").Process(target=os._exit, args=(3,), name="leaver")
            process.start()
            process.join()
            print(board.describe_pid(process.pid) == ("leaver", process.pid, 3))
    """)

    assert done.stdout == "True\n", done.stderr


def test_place_on_the_board_that_is_claimed_again_is_nobodys() -> None:
    """Else the next process would be taken for the former one until it has said who it is."""
    done = run_script("""
        import hardy
        from hardy._core import board, look

        if __name__ == "__main__":
            for name in "one", "two":
                process = hardy.get_context("fork").Process(target=int, name=name)
                process.start()
                process.join()
            for _ in range(4200):
                board.claim("next", False)
            print([row["name"] for row in look.own_board()])
    """)

    assert done.stdout == "['MainProcess']\n", done.stderr
