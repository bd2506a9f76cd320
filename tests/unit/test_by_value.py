"""What pickle cannot carry, and cloudpickle can: lambdas, closures, what is typed into an interpreter or a notebook."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from hardy import CannotPickle, Queue
from hardy.context import get_default_context

FRESH = ["spawn", "forkserver"]
LONG_S = 20.0
TYPED = """
import hardy
ctx = hardy.get_context("{method}")
class Point:
    def __init__(self, x): self.x = x

factor = 2
def work(x): return Point(x * factor)

def show(process):
    process.start()
    return process.result()

point = show(ctx.Process(target=work, args=(21,)))
print(type(point) is Point, point.x)
print(show(ctx.Process(target=lambda: factor)))
queue = ctx.Queue()
print(show(ctx.Process(target=queue.put, args=(Point(5),))), queue.get().x)
"""


def run(arguments: list[str], text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], input=text, capture_output=True, text=True, timeout=LONG_S, check=False
    )


@pytest.mark.parametrize("method", FRESH)
@pytest.mark.parametrize("how", ["heredoc", "-c", "-i"])
def test_what_is_typed_travels(how: str, method: str) -> None:
    """As target, argument, result and message; a class comes back as the class that it is here."""
    text = TYPED.format(method=method)

    done = run(["-c", text], "") if how == "-c" else run(["-"] if how == "heredoc" else ["-i", "-q"], text)

    assert done.stdout.splitlines() == ["True 42", "2", "None 5"], done.stderr


@pytest.mark.parametrize("method", FRESH)
def test_what_is_typed_is_refused_with_the_mend_when_cloudpickle_is_missing(method: str) -> None:
    """At start, with the line of pip; nothing is started, nothing hangs."""
    done = run(["-"], "import sys; sys.modules['cloudpickle'] = None\n" + TYPED.format(method=method))

    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    for text in (
        "target is a function (work, <stdin>, line 9)",
        "defined in __main__, which is no file that a child could import",
        "pip install 'hardy[cloudpickle]'",
        "get_context('fork')",
    ):
        assert text in done.stderr


@pytest.mark.parametrize("method", FRESH)
def test_lambdas_and_closures_travel(method: str) -> None:
    """As targets, arguments and results."""
    ctx = get_default_context().get_context(method)
    offset = 5
    process = ctx.Process(target=lambda f: (f(1), lambda: offset), args=(lambda n: n + offset,))
    process.start()

    value, returned = process.result(LONG_S)

    assert (value, returned()) == (6, 5)


def test_lambdas_travel_through_queues() -> None:
    """As all that pickle refuses and cloudpickle takes."""
    queue: Queue[Any] = Queue()

    queue.put([lambda: 5])

    assert queue.get()[0]() == 5


def test_files_and_views_are_refused_all_the_same() -> None:
    """Cloudpickle would send a copy of what is in them."""
    queue: Queue[Any] = Queue()

    with open("/dev/null") as file:
        for obj in (file, memoryview(b"abc")):
            with pytest.raises(CannotPickle):
                queue.put([obj])


NOTEBOOK = """
import sys
from jupyter_client.manager import start_new_kernel

def show(message):
    print(message["content"].get("text", ""), end="")

kernel, client = start_new_kernel(kernel_name="python3")
try:
    for cell in sys.stdin.read().split("\\n\\n"):
        reply = client.execute_interactive(cell, timeout=20, output_hook=show)["content"]
        assert reply["status"] == "ok", reply
finally:
    client.stop_channels()
    kernel.shutdown_kernel(now=True)
"""


@pytest.mark.parametrize("method", FRESH)
def test_what_a_notebook_defines_travels(method: str) -> None:
    """In a kernel, cell by cell."""
    pytest.importorskip("ipykernel")

    done = run(["-c", NOTEBOOK], TYPED.format(method=method))

    assert done.stdout.splitlines() == ["True 42", "2", "None 5"], done.stderr
