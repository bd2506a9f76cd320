"""A supervisor killed at each step of what it does; and stopped by signals.

    root (the test's script) -> supervisor (armed) -> child, child, nested supervisor -> leaf

The failpoints are those of the code: a new one is tested from the day it is named.
"""

from __future__ import annotations

import json

import pytest
from helpers.procs import run_script

import hardy.supervise  # noqa: F401 - names its failpoints
from hardy._core import runtime

POINTS = [name for name in runtime.failpoints() if name.startswith("supervise.")]

SCENARIO = """
    import json, os, signal, sys
    import hardy
    from hardy import ChildSpec, Supervisor
    from hardy._core import runtime
    from helpers.procs import alive, wait_dead
    from helpers.supervised import come_and_pause
    from helpers.targets import Inherited

    def come_as_leaf(passed):
        os.write(passed.fd, b"-%d\\n" % os.getpid())
        signal.pause()

    def supervise(passed, point, method):
        def arm(event):
            # Only this process, and only once everybody runs: its children are not to die of themselves.
            if (event.kind, event.id) == ("started", "nested") and point:
                runtime.arm(f"{point}=kill")
                os.write(passed.fd, b"0\\n")
        nested = Supervisor([ChildSpec("leaf", come_as_leaf, (passed,))])
        children = [ChildSpec(id, come_and_pause, (passed,)) for id in "ab"] + [ChildSpec("nested", nested)]
        Supervisor(children, strategy="one_for_all", on_event=arm, ctx=method).run()

    def main():
        point, method, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
        read_end, write_end = os.pipe()
        process = hardy.get_context(method).Process(target=supervise, args=(Inherited(write_end), point, method))
        process.start()
        os.close(write_end)
        lines = os.fdopen(read_end, "rb")
        pids = [int(lines.readline()) for _ in range(4 if point else 3)]
        first = next(pid for pid in pids if pid > 0)
        # A child of the outer supervisor dies, and the supervisor does all that it does; or it is told to stop.
        if ".stop." in point or not point:
            os.kill(process.pid, number)
        else:
            os.kill(first, signal.SIGKILL)
        process.join(15)
        pids += [int(line) for line in lines]  # until the last who could write has ended
        left = [pid for pid in map(abs, pids) if pid and not wait_dead(pid)]
        print(json.dumps({"exitcode": process.exitcode, "left": left, "came": len(pids)}))

    if __name__ == "__main__":
        main()
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("point", POINTS)
def test_children_end_when_their_supervisor_is_killed_at(point: str, method: str) -> None:
    """Whatever it was doing: its children, and those of a nested supervisor, end with it."""
    done = run_script(SCENARIO, point, method, "15")

    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["exitcode"], report["left"]) == (-9, [])


@pytest.mark.parametrize("number", [2, 15])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_supervisor_stops_all_when_it_gets_a_signal(method: str, number: int) -> None:
    """SIGINT and SIGTERM: an ordered stop, nested ones too, and `run` returns."""
    done = run_script(SCENARIO, "", method, str(number))

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"exitcode": 0, "left": [], "came": 3}
    assert "Traceback" not in done.stderr


def test_supervisor_kills_when_it_is_told_twice() -> None:
    """A second SIGTERM does not wait for a child that ignores the first."""
    source = """
        import os, signal
        from hardy import ChildSpec, Process, Supervisor
        from helpers.supervised import be_deaf
        from helpers.targets import Inherited

        def supervise(passed):
            def tell(event):
                os.write(passed.fd, f"{event.kind}\\n".encode())
            children = [ChildSpec("deaf", be_deaf, (passed,), shutdown="infinity"), ChildSpec("soft", signal.pause)]
            Supervisor(children, on_event=tell).run()

        if __name__ == "__main__":
            read_end, write_end = os.pipe()
            process = Process(target=supervise, args=(Inherited(write_end),))
            process.start()
            os.close(write_end)
            lines = os.fdopen(read_end)
            print(sorted(lines.readline().strip() for _ in range(3)))
            process.terminate()
            print(lines.readline().strip())
            process.terminate()
            process.join()
            print(lines.read().split(), process.exitcode)
        """

    done = run_script(source)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["['deaf', 'started', 'started']", "terminated", "['killed', 'stopped'] 0"]


def test_program_that_forgets_to_stop_ends_all_the_same() -> None:
    """Its children are stopped in order at its end; a failure that nobody asked for is printed."""
    source = """
        import signal, sys
        from hardy import ChildSpec, Supervisor
        from helpers.supervised import fail

        if __name__ == "__main__":
            tell = lambda event: print(event.kind, event.id, flush=True)
            Supervisor([ChildSpec("a", signal.pause), ChildSpec("b", signal.pause)], on_event=tell).start()
            broken = Supervisor([ChildSpec("c", fail, ("broken",))], intensity=0)
            broken.start()
            broken._ended.wait()
        """

    done = run_script(source)

    assert done.returncode == 0, done.stderr
    expected = ["started a", "started b", "terminated b", "terminated a", "stopped "]
    assert done.stdout.splitlines() == expected
    assert "RestartIntensityReached: Supervisor of 1 gave up" in done.stderr


def test_there_are_failpoints() -> None:
    """The list cannot become empty unnoticed."""
    assert len(POINTS) >= 6
