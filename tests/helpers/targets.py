"""What the tests run in children; here so that spawn and forkserver can import it too."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

from hardy.context import get_default_context
from hardy.process import Process, current_process, parent_process

__all__ = ["Inherited"]


class Inherited:
    """A descriptor that a child of any start method gets; attribute `fd`."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __reduce__(self) -> tuple[Any, ...]:
        from multiprocessing.reduction import DupFd

        return _inherited, (DupFd(self.fd),)


def _inherited(passed: Any) -> Inherited:
    return Inherited(passed.detach())


def square(n: int) -> int:
    return n * n


def give_bytes(count: int) -> bytes:
    return b"x" * count


def raise_value_error(text: str) -> None:
    raise ValueError(text)


def exit_with(code: object) -> None:
    sys.exit(code)  # type: ignore[arg-type]


def exit_at_once(code: int) -> None:
    os._exit(code)


def pause() -> None:
    signal.pause()


def say_and_pause(passed: Inherited) -> None:
    """Write this process's pid, as a line."""
    os.write(passed.fd, b"%d\n" % os.getpid())
    signal.pause()


def stop_oneself() -> str:
    os.kill(os.getpid(), signal.SIGSTOP)
    return "went on"


def kill_oneself(number: int) -> None:
    os.kill(os.getpid(), number)


def give_unpicklable() -> Any:
    return {"sessions": [1, threading.Lock()]}


class TwoArguments(Exception):
    """Pickles, and does not unpickle: the mistake that everybody makes once."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first)


class HoldsLock(Exception):
    """Does not pickle."""

    def __init__(self) -> None:
        super().__init__("held")
        self.lock = threading.Lock()


def raise_two_arguments() -> None:
    raise TwoArguments("a", "b")


def raise_unpicklable() -> None:
    raise HoldsLock


class RebuildsBadly:
    """Pickles, and raises when it is rebuilt."""

    def __reduce__(self) -> tuple[Any, ...]:
        return raise_value_error, ("cannot rebuild",)


def give_what_rebuilds_badly() -> RebuildsBadly:
    return RebuildsBadly()


def describe_oneself() -> dict[str, Any]:
    parent = parent_process()
    assert parent is not None
    return {
        "name": current_process().name,
        "pid": os.getpid(),
        "parent": parent.pid,
        "parent_name": parent.name,
        "parent_lives": parent.is_alive(),
        "hardy": isinstance(current_process(), Process().__class__.__mro__[1]),
        "start_method": get_default_context().get_start_method(),
        "daemon": current_process().daemon,
    }


def start_grandchild(daemon: bool) -> int:
    child = Process(target=square, args=(3,), daemon=daemon)
    child.start()
    result: int = child.result()
    return result


class SaysWhatTravels:
    """Leaves its lock at home, and forgets the one that its session holds."""

    def __init__(self) -> None:
        self.hidden = threading.Lock()
        self.session = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {"session": self.session}


class Person(Process):
    """A subclass with its own `__init__` and `run`, as tutorials write it."""

    def __init__(self, name: str, age: int) -> None:
        self.name = name
        self.age = age
        super().__init__()

    def run(self) -> str:
        return f"{self.name} is {self.age}"


class LatePerson(Process):
    """As `Person`, but it calls its base first."""

    def __init__(self, name: str, age: int) -> None:
        super().__init__()
        self.name = name
        self.age = age

    def run(self) -> str:
        return f"{self.name} is {self.age}"


class Forgetful(Process):
    """Does not call its base."""

    def __init__(self) -> None:
        self.age = 1
