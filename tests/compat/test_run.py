"""`hardy run` and `hardy.install()`: programs that import `multiprocessing`, unchanged."""

from __future__ import annotations

import subprocess
import sys
import zipfile
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


PROBE = '''"""The doc."""
import sys
mine = {name: value for name, value in globals().items() if name not in ("sys", "mine", "__builtins__")}
kinds = {"__loader__": lambda it: type(it).__name__, "__spec__": lambda it: it and (it.name, it.origin, it.parent)}
print({name: kinds.get(name, lambda it: it)(value) for name, value in sorted(mine.items())})
print(sys.argv, sys.path[0], sys.modules["__main__"].__dict__ is globals(), "__builtins__" in globals())

class Here:
    value: int = 1

print(Here.__annotations__, Here.__module__, __import__("pickle").loads(__import__("pickle").dumps(Here())).value)
'''
WAYS = {
    "file": ["probe.py", "a", "-b"],
    "file elsewhere": ["inner/probe.py"],
    "module": ["-m", "inner.probe", "-m"],
    "package": ["-m", "inner"],
    "code": ["-c", PROBE, "a"],
    "stdin": ["-", "a"],
    "folder": ["inner", "a"],
    "zip": ["packed.zip", "a"],
}


@pytest.mark.parametrize("way", WAYS)
def test_run_gives_the_program_what_python_gives_it(tmp_path: Path, way: str) -> None:
    """Arguments, first folder of the path, names of the main module; and none of hardy's own `__future__` imports."""
    (tmp_path / "inner").mkdir()
    for file in ("probe.py", "inner/probe.py", "inner/__main__.py"):
        (tmp_path / file).write_text(PROBE)
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as packed:
        packed.writestr("__main__.py", PROBE)
    said = [
        subprocess.run(
            [sys.executable, *head, *WAYS[way]],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            input=PROBE,
        )
        for head in ([], ["-m", "hardy", "run"])
    ]

    assert said[0].stdout
    assert (said[1].stdout, said[1].stderr) == (said[0].stdout, said[0].stderr)


ENDS = {
    "exception": "1 / 0",
    "exit": "import sys; sys.exit(7)",
    "message": "import sys; sys.exit('why')",
    "kill": "import os; os.kill(os.getpid(), 9)",
    "interrupt": "import os, signal; os.kill(os.getpid(), signal.SIGINT); signal.pause()",
    "syntax": "def :",
    "hook": "import sys, traceback\nsys.excepthook = lambda *error: print(traceback.extract_tb(error[2]))\n1 / 0",
    "atexit": "import atexit, sys; atexit.register(lambda: print(sys.modules['__main__'].late)); late = 'late'",
}


@pytest.mark.parametrize("end", ENDS)
def test_run_ends_as_python_ends_it(tmp_path: Path, end: str) -> None:
    """With the same status, and the same words on standard error: the traceback shows nothing of hardy."""
    (tmp_path / "program.py").write_text(ENDS[end])
    said = [
        subprocess.run(
            [sys.executable, *head, "program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT_S
        )
        for head in ([], ["-m", "hardy", "run"])
    ]

    ours, theirs = said[1], said[0]
    assert (ours.returncode, ours.stdout, ours.stderr) == (theirs.returncode, theirs.stdout, theirs.stderr)


@pytest.mark.parametrize("method", METHODS)
def test_run_sends_what_the_script_defines(tmp_path: Path, method: str) -> None:
    """Classes and functions of the script itself, there and back."""
    (tmp_path / "program.py").write_text(
        """
import multiprocessing, sys
from dataclasses import dataclass

@dataclass
class Point:
    x: int

def move(inbox, outbox):
    point = inbox.get()
    outbox.put(Point(point.x + 1))

if __name__ == "__main__":
    ctx = multiprocessing.get_context(sys.argv[1])
    inbox, outbox = ctx.Queue(), ctx.Queue()
    ctx.Process(target=move, args=(inbox, outbox)).start()
    inbox.put(Point(1))
    print(outbox.get(timeout=20))
"""
    )

    done = hardy_run(tmp_path, "program.py", method)

    assert (done.stdout, done.stderr, done.returncode) == ("Point(x=2)\n", "", 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "usage: hardy run"),
        (["-m"], "usage: hardy run"),
        (["-x", "program.py"], "usage: hardy run"),
        (["--prefix"], "usage: hardy run"),
        (["-c"], "usage: hardy run"),
        (["empty"], "no __main__ module in 'empty'"),
        (["missing.py"], "No such file or directory: 'missing.py'"),
        (["-m", "missing_module"], "no module missing_module that could be run"),
    ],
)
def test_run_says_what_is_wrong_with_its_arguments(tmp_path: Path, arguments: list[str], message: str) -> None:
    """A line on standard error, and the exit status 2."""
    (tmp_path / "empty").mkdir()

    done = hardy_run(tmp_path, *arguments)

    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("method", METHODS)
def test_install_does_the_same_from_inside(method: str) -> None:
    """A program that calls it first, then imports multiprocessing; calling it twice does no harm."""
    done = run_script("import hardy\nhardy.install()\nhardy.install()\n" + PROGRAM, method, "--flag", timeout_s=LIMIT_S)

    assert (done.stdout, done.stderr, done.returncode) == (said(method), "", 0)
