"""Libraries with a fault on purpose: the harness must find each of them, or it proves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from chaos.kits import HardyKit, Kit

# Every so many operations of a process the fault shows.
_EVERY = 40


class _Faulty:
    """A queue or lock of hardy, but for what a subclass changes."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._turn = 0

    def _is_turn(self) -> bool:
        self._turn += 1
        return self._turn % _EVERY == 0

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_inner":
            raise AttributeError(name)
        return getattr(self._inner, name)


class _Losing(_Faulty):
    def put(self, obj: Any) -> None:
        if obj is None or not self._is_turn():
            self._inner.put(obj)


class _Doubling(_Faulty):
    def put(self, obj: Any) -> None:
        self._inner.put(obj)
        if obj is not None and self._is_turn():
            self._inner.put(obj)


class _Swapping(_Faulty):
    """Two of one producer's objects change places."""

    _held: Any = None

    def put(self, obj: Any) -> None:
        if self._held is not None:
            self._inner.put(obj)
            self._inner.put(self._held)
            self._held = None
        elif obj is not None and self._is_turn():
            self._held = obj
        else:
            self._inner.put(obj)


class _Corrupting(_Faulty):
    def get(self, *arguments: Any, **named: Any) -> Any:
        obj = self._inner.get(*arguments, **named)
        return {**obj, "text": "?"} if isinstance(obj, dict) and self._is_turn() else obj


class _Hanging(_Faulty):
    """A get that nobody wakes."""

    def get(self, *arguments: Any, **named: Any) -> Any:
        if self._is_turn():
            signal.pause()
        return self._inner.get(*arguments, **named)


class _Unmarking(_Faulty):
    """A lease that was given out before is given out as new."""

    def take(self, *arguments: Any, **named: Any) -> Any:
        return _FirstDelivery(self._inner.take(*arguments, **named))


class _FirstDelivery(_Faulty):
    deliveries = 1


class _Open(_Faulty):
    """A lock that lets some in beside its holder."""

    _let_in = False

    def acquire(self, *arguments: Any, **named: Any) -> bool:
        self._turn += 1
        if self._turn % 3 == 0:
            self._let_in = True
            return True
        return bool(self._inner.acquire(*arguments, **named))

    def release(self) -> None:
        if self._let_in:
            self._let_in = False
        else:
            self._inner.release()


class _Silent(_Faulty):
    """A lock that does not tell of a dead owner."""

    recovered = False


class _Keeping(_Faulty):
    """A lock that a dead owner keeps: what the standard library has."""

    def acquire(self, *arguments: Any, **named: Any) -> bool:
        got = bool(self._inner.acquire(*arguments, **named))
        while self._inner.recovered:
            signal.pause()
        return got


def _start(command: str) -> int:
    return subprocess.Popen([sys.executable, "-c", command], start_new_session=True).pid


def _leave_orphan() -> None:
    _start("import time; time.sleep(20)")


def _leave_zombie() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)


def _leave_name() -> None:
    name = f"/dev/shm/chaos-left-{os.getpid()}"
    with open(name, "w") as file:
        file.write("x")


def _leave_descriptor() -> None:
    os.dup(0)


_QUEUES: dict[str, type[_Faulty]] = {
    "losing": _Losing,
    "doubling": _Doubling,
    "swapping": _Swapping,
    "corrupting": _Corrupting,
    "hanging": _Hanging,
    "unmarking": _Unmarking,
}
_LOCKS: dict[str, type[_Faulty]] = {"open": _Open, "silent": _Silent, "keeping": _Keeping}
_LEFT: dict[str, Callable[[], None]] = {
    "orphan": _leave_orphan,
    "zombie": _leave_zombie,
    "name": _leave_name,
    "descriptor": _leave_descriptor,
}
# For a soak: more memory and descriptors all the time.
GROWING = "growing"
# What each must be found as.
FOUND_AS = {
    "losing": "lost",
    "doubling": "doubled",
    "swapping": "out of order",
    "corrupting": "corrupt",
    "hanging": "hangs",
    "unmarking": "doubled",
    "open": "not excluded",
    "silent": "unmarked",
    "keeping": "hangs",
    "orphan": "orphans",
    "zombie": "zombies",
    "name": "names left",
    "descriptor": "leaked descriptors",
    "leaking bytes": "leaked bytes",
}


def subject_of(fault: str) -> str:
    """The subject that shows it."""
    if fault in _LOCKS:
        return "Lock"
    return "TaskQueue" if fault == "unmarking" else "Queue"


def kit_class(fault: str) -> type[Kit]:
    """hardy with that fault."""
    if fault not in FOUND_AS and fault != GROWING:
        raise ValueError(f"no fault {fault!r}; there are {', '.join(FOUND_AS)}")

    class FaultyKit(HardyKit):
        nests = False

        def make(self, subject: str) -> Any:
            made = super().make(subject)
            if fault in _QUEUES:
                return _QUEUES[fault](made)
            if fault in _LOCKS:
                return _LOCKS[fault](made)
            return made

        def wait(self, processes: list[Any], timeout_s: float) -> None:
            if fault in _LEFT and not self.__dict__.setdefault("left", False):
                self.__dict__["left"] = True
                _LEFT[fault]()
            if fault == GROWING:
                self.__dict__.setdefault("grown", []).append((os.urandom(1 << 20), os.dup(0)))
            super().wait(processes, timeout_s)

        def bytes_left(self, shared: Any) -> int:
            return 64 << 20 if fault == "leaking bytes" else super().bytes_left(shared)

    return FaultyKit


__all__ = ["FOUND_AS", "GROWING", "kit_class", "subject_of"]
