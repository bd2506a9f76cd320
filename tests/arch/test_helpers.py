"""The helpers that other tests trust."""

from __future__ import annotations

import os

import pytest
from helpers.procs import alive, descendants, memfds, run_script, wait_dead
from helpers.waiting import wait_until


def test_run_script_gives_output_and_status() -> None:
    """Arguments go in; what is printed and the exit status come back."""
    done = run_script("import sys; print(sys.argv[1]); sys.exit(3)", "word")

    assert (done.returncode, done.stdout) == (3, "word\n")


def test_run_script_dumps_stacks_and_ends_the_tree_when_late() -> None:
    """A script that hangs is killed with its children, and the error shows where it hung."""
    source = """
        import os, signal
        def hangs_here():
            signal.pause()
        child = os.fork()
        if child:
            print(os.getpid(), child, flush=True)
        hangs_here()
        """

    with pytest.raises(AssertionError, match="in hangs_here") as caught:
        run_script(source, timeout_s=1)

    pids = str(caught.value).partition("--- stdout\n")[2].splitlines()[0].split()
    assert [alive(int(pid)) for pid in pids] == [False, False]


def test_procfs_helpers_tell_of_a_child() -> None:
    """A child is a descendant and alive until it is killed; a zombie is dead."""
    read_end, write_end = os.pipe()
    fd = os.memfd_create("hardy-test")
    child = os.fork()
    if not child:
        os.close(write_end)
        os.read(read_end, 1)
        os._exit(0)

    before = alive(child), child in descendants(os.getpid()), "hardy-test" in memfds(child)
    for each in (read_end, write_end, fd):
        os.close(each)
    ended = wait_dead(child)

    assert before == (True, True, True)
    assert ended
    assert not alive(child)
    os.waitpid(child, 0)


def test_wait_until_gives_the_last_value_when_time_is_up() -> None:
    """It does not raise: the caller asserts, and says what it missed."""
    assert wait_until(lambda: 0, timeout_s=0.01) == 0
