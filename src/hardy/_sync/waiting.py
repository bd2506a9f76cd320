"""What a thread waits for, in words: the one place for `hardy ps`, `top`, `doctor` and the reports of deadlocks."""

from __future__ import annotations

from typing import Any, NamedTuple

from hardy._core import runtime

__all__ = ["Wait", "object_title"]

# As the core numbers them (layout_board.h): what is waited for, and what one does with it.
_KINDS = {
    1: ("Lock", "acquire"),
    2: ("RLock", "acquire"),
    3: ("RWLock", "acquire (to read)"),
    4: ("RWLock", "acquire (to write)"),
    5: ("Semaphore", "acquire"),
    6: ("Event", "wait for"),
    7: ("Condition", "wait for"),
    8: ("Barrier", "wait at"),
    9: ("Queue", "get from"),
    10: ("Queue", "put into"),
    11: ("JoinableQueue", "join"),
    12: ("process", "join"),
    13: ("NamedLock", "acquire"),
}

# How a lock was taken, and who has ever released it (layout_sync.h).
TAKEN_WITH, RELEASED_BY_HOLDER, RELEASED_BY_OTHER, HOLDERS_OWN = 1, 2, 4, 8


def object_title(kind: str, label: dict[str, Any]) -> str:
    """What reports call a shared object: by its name, else after the line that made it."""
    if label["is_named"]:
        return f"{kind} {label['text']!r}"
    if not label["number"]:
        return f"a {kind}"
    made = f" ({label['text']})" if label["text"] else ""
    return f"{kind}-{label['number']}{made}"


class Wait(NamedTuple):
    """One thread that waits in hardy.

    Attributes:
        row, turn: together they name this wait for ever.
        identity: of the process.
        thread: key of the thread, as in the owner's field of a lock.
        tid: the thread, as the kernel numbers it.
        kind: what is waited for, as in "Lock"; "process" for an end.
        verb: what is done with it, as in "acquire".
        is_timed: whether the wait ends by itself.
        segment, place: where the object lies; for a process, 0 and its identity.
        label: what the object is called.
        since_ns: when it began, monotonic.
        holder, holder_thread, how: who held the lock, and how it was taken, when the waiter last looked; 0: not known.
        seen_ns: when that was.
        stack: its Python stack, once it has waited for a second; else "".
    """

    row: int
    turn: int
    identity: int
    thread: int
    tid: int
    kind: str
    verb: str
    is_timed: bool
    segment: int
    place: int
    label: dict[str, Any]
    since_ns: int
    holder: int
    holder_thread: int
    how: int
    seen_ns: int
    stack: str

    @classmethod
    def of(cls, row: dict[str, Any]) -> Wait:
        """From what the core read."""
        kind, verb = _KINDS.get(row["what"], ("object", "wait for"))
        same = {name: row[name] for name in cls._fields if name not in ("kind", "verb")}
        return cls(kind=kind, verb=verb, **same)

    @property
    def pid(self) -> int:
        """Of the process."""
        return runtime.pid_of(self.identity)

    @property
    def title(self) -> str:
        """What is waited for."""
        if self.kind == "process":
            return f"process {runtime.pid_of(self.place)}"
        return object_title(self.kind, self.label)

    @property
    def text(self) -> str:
        """What the thread does, as in `get from Queue 'jobs'`."""
        return f"{self.verb} {self.title}"
