"""A main module that its own children cannot import: told by the parent, at its line, once."""

from __future__ import annotations

import pickle

import pytest
from helpers.procs import run_script

from hardy.errors import MainGuardMissing, ProcessDied, StartFailed

FRESH = ["spawn", "forkserver"]
HEAD = """
from concurrent.futures import ProcessPoolExecutor
import hardy

def work(*args):
    return 1

METHOD = "{method}"
ctx = hardy.get_context(METHOD)
"""
UNGUARDED = {
    "process": ("process = ctx.Process(target=work)\nprocess.start()\nprocess.join()\n", "process.start()"),
    "waits for what cannot come": (
        "queue = ctx.Queue()\nctx.Process(target=queue.put, args=(1,)).start()\nqueue.get()\n",
        "ctx.Process(target=queue.put, args=(1,)).start()",
    ),
    "many": (
        "for _ in range(5): ctx.Process(target=work).start()\n",
        "for _ in range(5): ctx.Process(target=work).start()",
    ),
    "by a function": (
        "def main():\n    ctx.Process(target=work).start()\n\nmain()\n",
        "main()",
    ),
    "manager": ("manager = ctx.Manager()\n", "manager = ctx.Manager()"),
    "pool": ("pool = ctx.Pool(3)\npool.map(work, range(9))\n", "pool = ctx.Pool(3)"),
    "executor": (
        "executor = ProcessPoolExecutor(3, mp_context=ctx)\nprint(executor.submit(work).result())\n",
        "print(executor.submit(work).result())",
    ),
    "after set_start_method": (
        "hardy.set_start_method(METHOD)\nhardy.Process(target=work).start()\n",
        "hardy.Process(target=work).start()",
    ),
}


@pytest.mark.parametrize("method", FRESH)
@pytest.mark.parametrize("case", UNGUARDED)
def test_missing_main_guard_is_one_error_of_the_parents(case: str, method: str) -> None:
    """It ends, with one traceback, that has the stdlib's key words, file, line, source and the guard."""
    body, line = UNGUARDED[case]
    source = HEAD.format(method=method) + body

    done = run_script(source)

    assert done.returncode == 1
    assert done.stderr.count("MainGuardMissing:") == 1, done.stderr
    assert done.stderr.count("Traceback") == 1, done.stderr
    number = source.splitlines().index(line) + 1
    assert f"script.py, line {number}:\n        {line}\n" in done.stderr
    for text in ("bootstrapping phase", "if __name__ == '__main__':", "freeze_support()"):
        assert text in done.stderr


CAUGHT = {
    "goes on": "pass",
    "exits": "sys.exit(0)",
    "raises another": "raise LookupError('no process') from None",
}


@pytest.mark.parametrize("method", FRESH)
@pytest.mark.parametrize("case", CAUGHT)
def test_child_is_ended_when_the_main_module_catches_its_refusal(case: str, method: str) -> None:
    """As the error says: the target does not run, and `start()` raises the same error in the parent."""
    done = run_script(
        HEAD.format(method=method) + "import sys\n\ndef tell():\n    print('the target ran')\n\n"
        f"try:\n    ctx.Process(target=tell).start()\nexcept Exception as error:\n"
        "    if __name__ == '__main__':\n        print(type(error).__name__, error.source)\n"
        f"    else:\n        {CAUGHT[case]}\n"
    )

    assert done.stdout == "MainGuardMissing ctx.Process(target=tell).start()\n", done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize("method", FRESH)
@pytest.mark.parametrize(
    "guard",
    [
        "if __name__ == '__main__':",
        "if hardy.current_process().name == 'MainProcess':",
        "if 'x' and __name__ != '__mp_main__':",
    ],
)
def test_any_guard_will_do(guard: str, method: str) -> None:
    """Whatever keeps the child from the line."""
    done = run_script(
        HEAD.format(method=method) + f"{guard}\n    process = ctx.Process(target=work)\n    process.start()\n"
        "    print(process.result())\n"
    )

    assert (done.stdout, done.stderr) == ("1\n", "")


@pytest.mark.parametrize("method", FRESH)
def test_start_method_may_be_set_outside_the_guard(method: str) -> None:
    """The child repeats what the parent said, which changes nothing."""
    done = run_script(
        HEAD.format(method=method) + "hardy.set_start_method(METHOD)\nif __name__ == '__main__':\n"
        "    process = hardy.Process(target=work)\n    process.start()\n    print(process.result())\n"
    )

    assert (done.stdout, done.stderr) == ("1\n", "")


MAIN_IN_CHILD = """
import multiprocessing
import sys
import hardy

AT_IMPORT = [__name__, __file__, __package__, __doc__, __spec__, __loader__, __cached__, sys.argv[0]]

def tell():
    main = sys.modules["__main__"]
    print(*AT_IMPORT, main is sys.modules["__mp_main__"], main.__file__ == __file__, main.tell is tell, flush=True)

if __name__ == "__main__":
    for library in (multiprocessing, hardy):
        process = library.get_context("spawn").Process(target=tell)
        process.start()
        process.join()
"""


def test_main_module_is_the_same_in_a_child_as_in_the_stdlibs() -> None:
    """Its names, its file, and the arguments that it sees while it is imported."""
    done = run_script(MAIN_IN_CHILD)

    stdlibs, ours = done.stdout.splitlines()
    assert ours == stdlibs
    assert ours.startswith("__mp_main__ ")
    assert done.stderr == ""


BROKEN = {
    "main module": ("if __name__ != '__main__': raise LookupError('only here')\n", "could not import the main module"),
    "target": (
        "if __name__ == '__main__':\n    def below(): pass\n    work = below\n",
        "could not rebuild its target and arguments",
    ),
}


@pytest.mark.parametrize("method", FRESH)
@pytest.mark.parametrize("case", BROKEN)
def test_child_that_cannot_begin_tells_its_parent(case: str, method: str) -> None:
    """Name, pid, what failed and the child's error, from `exception()`."""
    body, text = BROKEN[case]
    done = run_script(
        HEAD.format(method=method) + body + "if __name__ == '__main__':\n"
        "    process = ctx.Process(target=work, name='w1')\n    process.start()\n    error = process.exception()\n"
        "    print(type(error).__name__, process.exitcode)\n    print(error)\n"
        "    print(type(error.__cause__).__name__)\n"
    )

    lines = done.stdout.splitlines()
    assert lines[0] == "StartFailed 1", done.stderr
    assert lines[1].startswith("'w1' (pid ")
    assert text in lines[1]
    assert ("only here" if case == "main module" else "'below'") in lines[1]
    assert lines[2] == "RemoteTraceback"


def test_errors_of_a_start_travel_with_their_fields() -> None:
    """They pickle, and are what the stdlib raises."""
    missing = MainGuardMissing.at("a.py", 3, "start()")
    failed = StartFailed("text", name="w1", pid=5, exitcode=1)

    again = pickle.loads(pickle.dumps(missing))

    assert isinstance(again, RuntimeError)
    assert (again.file, again.line, again.source, str(again)) == ("a.py", 3, "start()", str(missing))
    assert isinstance(pickle.loads(pickle.dumps(failed)), ProcessDied)
