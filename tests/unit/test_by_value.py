"""What pickle cannot carry, and cloudpickle can: lambdas, closures, what is typed into an interpreter or a notebook."""

from __future__ import annotations

import subprocess
import sys
import threading
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

class Oops(Exception): pass

factor = 2
def work(x): return Point(x * factor)

def fail(): raise Oops("there")

def show(process):
    process.start()
    return process.result()

point = show(ctx.Process(target=work, args=(21,)))
print(type(point) is Point, point.x)
print(show(ctx.Process(target=lambda: factor)))
queue = ctx.Queue()
print(show(ctx.Process(target=queue.put, args=(Point(5),))), queue.get().x)
failed = ctx.Process(target=fail)
failed.start()
print(type(failed.exception()) is Oops, failed.exception().__cause__.traceback_text.count("in fail"))
"""
SHOWN = ["True 42", "2", "None 5", "True 1"]


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

    assert done.stdout.splitlines() == SHOWN, done.stderr


@pytest.mark.parametrize("method", FRESH)
def test_what_is_typed_is_refused_with_the_mend_when_cloudpickle_is_missing(method: str) -> None:
    """At start, with the line of pip; nothing is started, nothing hangs."""
    done = run(["-"], "import sys; sys.modules['cloudpickle'] = None\n" + TYPED.format(method=method))

    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    for text in (
        "target is a function (work, <stdin>, line 11)",
        "defined in __main__, which is no file that a child could import",
        "pip install 'hardy[cloudpickle]'",
        "get_context('fork')",
    ):
        assert text in done.stderr


POOLS = """
import hardy
ctx = hardy.get_context("{method}")
class Point:
    def __init__(self, x): self.x = x

factor = 2
def work(x): return Point(x * factor)

with ctx.Pool(1) as pool:
    points = pool.map(work, [1, 2, 3], 2)
    print([point.x for point in points], all(type(point) is Point for point in points))
    print([point.x for point in pool.imap(work, [4])], pool.apply(getattr, (Point(5), "x")))
with hardy.ProcessPoolExecutor(1, mp_context=ctx) as executor:
    print([point.x for point in executor.map(work, [6])], executor.submit(lambda: work).result()(7).x)
    class Oops(Exception): pass
    def fail(): raise Oops("there")
    print(type(executor.submit(fail).exception()) is Oops)
"""
REFUSED = """
import sys; sys.modules["cloudpickle"] = None
import hardy
ctx = hardy.get_context("{method}")
def work(x): return x

with ctx.Pool(1) as pool, hardy.ProcessPoolExecutor(1, mp_context=ctx) as executor:
    for result in pool.apply_async(work, (1,)), pool.map_async(work, [1]):
        print(result.ready(), result._value)
    future = executor.submit(work, 1)
    print(future.done(), future.exception())
    print(pool.apply(abs, (-1,)), executor.submit(abs, -1).result())
"""
FORKED = """
import hardy
def prepare(): globals()["factor"] = 2
def work(x): return x * factor

with hardy.get_context("fork").Pool(1, prepare) as pool:
    print(pool.map(work, [1, 2]))
    def late(): pass
    result = pool.apply_async(late)
    result.wait()
    print(result._value)
"""


@pytest.mark.parametrize("method", FRESH)
def test_what_is_typed_travels_to_workers_of_pools(method: str) -> None:
    """As task, argument and result; a class comes back as the class that it is here."""
    done = run(["-"], POOLS.format(method=method))

    assert done.stdout.splitlines() == ["[2, 4, 6] True", "[8] 5", "[12] 14", "True"], done.stderr


@pytest.mark.parametrize("method", FRESH)
def test_what_is_typed_is_refused_with_the_mend_by_pools_when_cloudpickle_is_missing(method: str) -> None:
    """When it is submitted; the pools go on."""
    done = run(["-"], REFUSED.format(method=method))

    *refusals, last = done.stdout.splitlines()
    assert len(refusals) == 3, done.stderr
    for refusal in refusals:
        assert refusal.startswith(
            "True cannot send this task to a worker: function is a function (work, <stdin>, line 5)"
        )
        assert "pip install 'hardy[cloudpickle]'" in refusal
    assert last == "1 1"


def test_what_is_typed_is_known_by_its_name_to_forked_workers() -> None:
    """With the globals that their initializer set; what is defined later is not, and the error says what to do."""
    done = run(["-"], FORKED)

    results, error = done.stdout.splitlines()
    assert results == "[2, 4]", done.stderr
    assert "Can't get attribute 'late'" in error
    assert "define it before the pool is made, or make the pool anew" in error


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


def test_what_cloudpickle_refuses_is_found_by_its_path() -> None:
    """Within functions and classes too; its reason is told and is the cause, and what it can carry is not blamed."""
    lock = threading.Lock()
    process = (
        get_default_context().get_context("spawn").Process(target=lambda: lock.acquire(), args=(lambda: 1,), name="w1")
    )

    with pytest.raises(CannotPickle, match=r"cannot start 'w1'.*\(TypeError: cannot pickle '_thread.lock'") as caught:
        process.start()

    assert caught.value.path == "target.<variable lock>"
    assert isinstance(caught.value.__cause__, TypeError)
    with pytest.raises(CannotPickle) as caught:
        Queue().put([lambda: 1, {"a": lambda: lock}])
    assert caught.value.path == "object[1]['a'].<variable lock>"


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

    assert done.stdout.splitlines() == SHOWN, done.stderr
