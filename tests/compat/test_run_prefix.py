"""`hardy run --prefix`: whose line each line is."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from helpers.waiting import wait_until

METHODS = ("fork", "spawn", "forkserver")
LIMIT_S = 40
LINES = 200


def run(folder: Path, source: str, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """The source as a program under `hardy run --prefix`; `python -m hardy` is the same command."""
    (folder / "program.py").write_text(source)
    command = [sys.executable, "-m", "hardy", "run", "--prefix", "program.py", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, **options)  # type: ignore[call-overload,no-any-return]


def without_pids(text: str) -> list[str]:
    return [re.sub(r"^\[(.*?) \d+\] ", r"[\1] ", line) for line in text.splitlines()]


MIXERS = f"""
import multiprocessing, os, sys

def work(word):
    for i in range({LINES}):
        sys.stdout.write(word)
        sys.stdout.flush()
        os.write(1, "é-".encode())
        print(i, word)
        print("error of", word, i, file=sys.stderr)

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    workers = [multiprocessing.Process(target=work, args=(word,), name=word) for word in ("ant", "bee", "cow")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print("all done")
"""


@pytest.mark.parametrize("method", METHODS)
def test_lines_of_several_processes_do_not_mix(tmp_path: Path, method: str) -> None:
    """Though each is written in three pieces; each bears its process's name and pid, in order."""
    done = run(tmp_path, MIXERS, method)

    out, err = without_pids(done.stdout), without_pids(done.stderr)
    for word in ("ant", "bee", "cow"):
        assert [line for line in out if line.startswith(f"[{word}]")] == [
            f"[{word}] {word}é-{i} {word}" for i in range(LINES)
        ]
        assert [line for line in err if line.startswith(f"[{word}]")] == [
            f"[{word}] error of {word} {i}" for i in range(LINES)
        ]
        assert len(set(re.findall(rf"^\[{word} (\d+)\]", done.stdout, re.MULTILINE))) == 1
    assert out[-1] == "[MainProcess] all done"
    assert (len(out), len(err), done.returncode) == (3 * LINES + 1, 3 * LINES, 0)


def test_lines_keep_their_order_when_a_process_waits_for_another(tmp_path: Path) -> None:
    """What was written before a start comes before the child's lines, and those before what follows its end."""
    done = run(
        tmp_path,
        """
import multiprocessing

if __name__ == "__main__":
    for i in range(40):
        print("before", i)
        worker = multiprocessing.Process(target=print, args=("child", i))
        worker.start()
        worker.join()
        print("after", i)
""",
    )

    said = [line.partition("] ")[2] for line in done.stdout.splitlines()]
    assert said == [f"{when} {i}" for i in range(40) for when in ("before", "child", "after")]


def test_output_of_c_code_and_of_programs_is_marked(tmp_path: Path) -> None:
    """Whoever writes to descriptors 1 and 2: libc, a shell that is started, a process made by os.fork."""
    done = run(
        tmp_path,
        """
import ctypes, multiprocessing, os, subprocess

def work():
    libc = ctypes.CDLL(None)
    libc.puts(b"from libc")
    libc.fflush(None)
    subprocess.run("echo from a shell; echo and its errors >&2", shell=True)

if __name__ == "__main__":
    worker = multiprocessing.Process(target=work, name="worker")
    worker.start()
    worker.join()
    pid = os.fork()
    if pid == 0:
        print("of a fork")
        os._exit(0)
    os.waitpid(pid, 0)
    print(pid)
""",
    )

    pid = done.stdout.splitlines()[-1].rpartition(" ")[2]
    assert without_pids(done.stdout)[:2] == ["[worker] from libc", "[worker] from a shell"]
    assert f"[MainProcess {pid}] of a fork" in done.stdout
    assert without_pids(done.stderr) == ["[worker] and its errors"]


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_lost_when_a_process_is_killed(tmp_path: Path, method: str) -> None:
    """What it printed is there, the last line without its end too."""
    done = run(
        tmp_path,
        """
import multiprocessing, os, signal, sys

def work():
    for i in range(2000):
        print("line", i)
    os.write(1, b"half a line")
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    workers = [multiprocessing.Process(target=work, name=name) for name in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    os.killpg(0, signal.SIGKILL)
""",
        method,
        start_new_session=True,
    )

    count = Counter(line.partition("]")[0] for line in without_pids(done.stdout))
    assert count == {"[a": 2001, "[b": 2001}
    assert without_pids(done.stdout).count("[a] half a line") == 1
    assert done.returncode == -signal.SIGKILL


def test_traceback_of_a_child_is_marked_line_by_line(tmp_path: Path) -> None:
    """And the program's own, with its exit status."""
    done = run(
        tmp_path,
        """
import multiprocessing

def work():
    raise ValueError("of the child")

if __name__ == "__main__":
    worker = multiprocessing.Process(target=work, name="worker")
    worker.start()
    worker.join()
    raise KeyError("of the program")
""",
    )

    lines = without_pids(done.stderr)
    assert "[worker] ValueError: of the child" in lines
    assert lines[-1] == "[MainProcess] KeyError: 'of the program'"
    assert all(line.startswith(("[worker] ", "[MainProcess] ")) for line in lines)
    assert done.returncode == 1


LIBRARIES = {
    "pool": "with multiprocessing.Pool(2) as pool: pool.map(say, range(4), 1)",
    "executor": "with concurrent.futures.ProcessPoolExecutor(2) as executor: list(executor.map(say, range(4)))",
    "joblib": "joblib.Parallel(n_jobs=2, backend='multiprocessing')(joblib.delayed(say)(n) for n in range(4))",
    "pebble": "with pebble.ProcessPool(2) as pool: list(pool.map(say, range(4)).result())",
    "mpire": "with mpire.WorkerPool(2) as pool: pool.map(say, range(4))",
}


@pytest.mark.parametrize("library", LIBRARIES)
def test_workers_of_libraries_have_names_too(tmp_path: Path, library: str) -> None:
    """Each line is one of a worker."""
    done = run(
        tmp_path,
        f"""
import concurrent.futures, multiprocessing
import joblib, mpire, pebble

def say(n):
    print("item", n)

if __name__ == "__main__":
    {LIBRARIES[library]}
    print("end")
""",
    )

    lines = without_pids(done.stdout)
    assert sorted(line.partition("] ")[2] for line in lines[:-1]) == [f"item {n}" for n in range(4)]
    assert not [line for line in lines[:-1] if line.startswith("[MainProcess]")]
    assert lines[-1] == "[MainProcess] end"
    assert done.returncode == 0


def test_prefix_shows_a_prompt_on_a_terminal(tmp_path: Path) -> None:
    """The beginning of a line is shown when nothing follows, and the answer is read."""
    program = tmp_path / "program.py"
    program.write_text("print('hello', input('name? '))")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "hardy", "run", "--prefix", str(program)], stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = bytearray()
        os.set_blocking(ours, False)

        assert wait_until(lambda: b"name? " in _more(ours, shown), LIMIT_S), shown
        os.write(ours, b"world\n")
        assert wait_until(lambda: b"hello world" in _more(ours, shown), LIMIT_S), shown
        assert process.wait(LIMIT_S) == 0
    os.close(ours)
    assert re.match(rb"\[MainProcess \d+\] name\? ", shown)


def _more(fd: int, shown: bytearray) -> bytearray:
    try:
        shown += os.read(fd, 4096)
    except (BlockingIOError, OSError):
        pass  # nothing now, or nobody is left at the other end
    return shown


def test_program_is_told_when_nobody_reads_its_output(tmp_path: Path) -> None:
    """As in any pipe: `hardy run --prefix program.py | head -1` ends."""
    (tmp_path / "program.py").write_text("while True: print('y')")
    command = f"{sys.executable} -m hardy run --prefix program.py 2>/dev/null | head -1; echo ${{PIPESTATUS[0]}}"

    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT_S)

    assert without_pids(done.stdout) == ["[MainProcess] y", "1"]


def test_pid_and_end_of_the_command_are_the_programs(tmp_path: Path) -> None:
    """A signal to the command reaches the program; the printer is none of its children."""
    program = tmp_path / "program.py"
    program.write_text(
        """
import os, signal
try:
    os.waitpid(-1, 0)
except ChildProcessError:
    print(os.getpid(), flush=True)
signal.pause()
"""
    )
    with subprocess.Popen(
        [sys.executable, "-m", "hardy", "run", "--prefix", str(program)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"[MainProcess {process.pid}] {process.pid}\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT_S) == -signal.SIGTERM
        assert process.stdout.read() == ""
