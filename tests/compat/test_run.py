"""`hardy run` and `hardy.install()`: programs that import `multiprocessing`, unchanged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from helpers.procs import run_script

METHODS = ("fork", "spawn", "forkserver")
LIMIT_S = 40
# Says for each thing whose it is; in a child, too.
PROGRAM = """
import sys
import multiprocessing as mp
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import Lock, Manager, Pool, Process, Queue, Value, get_context

class Worker(Process):
    def __init__(self, queue):
        super().__init__()
        self.queue = queue

    def run(self):
        self.queue.put([mp.get_start_method(), owner(Lock()), owner(mp.Process), owner(get_context("spawn"))])

def owner(thing):
    return (thing if isinstance(thing, type) else type(thing)).__module__.partition(".")[0]

if __name__ == "__main__":
    mp.set_start_method(sys.argv[1])
    queue = Queue()
    worker = Worker(queue)
    worker.start()
    print(*queue.get())
    worker.join()
    with Pool(2) as pool:
        print(pool.map(abs, [-1, -2]))
    with ProcessPoolExecutor(2) as executor:
        print(list(executor.map(abs, [-3])))
    with Manager() as manager:
        print(dict(manager.dict(a=1)), manager.Pool(1).apply(abs, [-4]))
    print(owner(Value("i", 5).get_lock()), sys.argv[1:], __name__)
"""


def said(method: str) -> str:
    return f"{method} hardy hardy hardy\n[1, 2]\n[3]\n{{'a': 1}} 4\nhardy ['{method}', '--flag'] __main__\n"


def hardy_run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hardy", "run", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S)


@pytest.mark.parametrize("method", METHODS)
def test_run_puts_a_script_and_its_children_on_hardy(tmp_path: Path, method: str) -> None:
    """Every start method, the stdlib's own executor, pools and managers included."""
    (tmp_path / "program.py").write_text(PROGRAM)

    done = hardy_run(tmp_path, "program.py", method, "--flag")

    assert (done.stdout, done.stderr, done.returncode) == (said(method), "", 0)


# As with `python -m package`, children of spawn do not import a package's __main__.
@pytest.mark.parametrize(("name", "method"), [("package", "fork"), ("package.program", "spawn")])
def test_run_takes_a_module_or_a_package(tmp_path: Path, name: str, method: str) -> None:
    """As `python -m`, with imports relative to the package; children of spawn find it by its name."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    for file in ("__main__.py", "program.py"):
        (package / file).write_text("from . import helper" + PROGRAM)
    (package / "helper.py").touch()

    done = hardy_run(tmp_path, "-m", name, method, "--flag")

    assert (done.stdout, done.stderr, done.returncode) == (said(method), "", 0)


def test_run_ends_with_the_programs_exit_status(tmp_path: Path) -> None:
    """Also the one of an error, with the program's traceback."""
    (tmp_path / "leaves.py").write_text("import sys; sys.exit(7)")
    (tmp_path / "fails.py").write_text("1 / 0")

    leaves, fails = hardy_run(tmp_path, "leaves.py"), hardy_run(tmp_path, "fails.py")

    assert leaves.returncode == 7
    assert fails.returncode == 1
    assert "ZeroDivisionError" in fails.stderr
    assert "fails.py" in fails.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "usage: hardy run"),
        (["-m"], "usage: hardy run"),
        (["-x", "program.py"], "usage: hardy run"),
        (["missing.py"], "No such file or directory: 'missing.py'"),
        (["-m", "missing_module"], "no module missing_module that could be run"),
    ],
)
def test_run_says_what_is_wrong_with_its_arguments(tmp_path: Path, arguments: list[str], message: str) -> None:
    """A line on standard error, and the exit status 2."""
    done = hardy_run(tmp_path, *arguments)

    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("method", METHODS)
def test_install_does_the_same_from_inside(method: str) -> None:
    """A program that calls it first, then imports multiprocessing; calling it twice does no harm."""
    done = run_script("import hardy\nhardy.install()\nhardy.install()\n" + PROGRAM, method, "--flag", timeout_s=LIMIT_S)

    assert (done.stdout, done.stderr, done.returncode) == (said(method), "", 0)
