"""Deadlocks of locks: found by whoever waits, reported once, and never falsely.

Each thread that waits for a lock shows (wait.h) which thread it saw holding it, and when. A circle of such waits is a
deadlock when each holder's own wait is older than the look that saw it hold: since that look it has been waiting, and
only it gives the lock up. A second look at all rows must find the same waits, so that they held at one time.

Left out, for they may end by themselves: waits with a time-out; threads that wait inside of a signal handler, besides;
and a Lock that another than its holder has ever released. A circle is proved when every lock of it is its holder's to
release: an RLock; a Lock taken by `with`, whose end releases it; a Lock made with deadlock="raise". Of a Lock that was
taken by acquire() nobody can know who will release it, whatever was done before: then the report says so, and nothing
is raised. When it is one thread that waits for what it took itself, that is how a lock serves as a signal: no report.

Who acts is the thread whose wait is the youngest: the circle is as old as that wait. The others need do nothing.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from hardy._core import board, look, runtime
from hardy._sync.owner import describe
from hardy._sync.waiting import HOLDERS_OWN, RELEASED_BY_OTHER, TAKEN_WITH, Wait
from hardy.errors import DeadlockError

__all__ = ["ACTIONS", "Policy", "Watched", "circle_of", "circle_text", "is_holders_own", "policy", "set_policy"]

ACTIONS = ("report", "raise", "off")
_NEVER_S = 3600.0
# After a look that found nothing.
_AGAIN_S = 1.0
_LONG_S = 1.0


class Policy(NamedTuple):
    """After how many seconds of a wait to look, and what to do then."""

    after_s: float
    action: str


def _from_environment(text: str) -> Policy:
    """As in `off`, `raise`, `2.5`, `raise:2.5`.

    Raises:
        ValueError: it is none of these.
    """
    action, _, after = text.partition(":")
    if action not in ACTIONS:
        action, after = "report", text
    try:
        return check_policy(float(after) if after else 5.0, action)
    except ValueError as error:
        raise ValueError(
            f'HARDY_DEADLOCK={text!r}: {error}; it is "off", "report", "raise", seconds as in "2.5", or "raise:2.5"'
        ) from None


def check_policy(after: float, action: str) -> Policy:
    """A policy, if it is one.

    Raises:
        ValueError: `after` is no positive number of seconds, or there is no such action.
    """
    if action not in ACTIONS:
        raise ValueError(f'action must be "report", "raise" or "off", not {action!r}')
    if not 0 < after < float("inf"):
        raise ValueError(f'after must be a positive number of seconds, not {after}; action="off" looks for none')
    return Policy(after, action)


def set_policy(after_s: float, action: str) -> None:
    """Put a policy in force, in this process and those that it forks."""
    global _policy
    _policy = Policy(after_s, action)
    board.show_stacks_after(_LONG_S if action == "off" else min(_LONG_S, after_s / 2))


def policy() -> Policy:
    """The policy in force."""
    return _policy


_policy: Policy
set_policy(*_from_environment(os.environ.get("HARDY_DEADLOCK") or "report"))


class Watched:
    """Looks for a deadlock while a lock is waited for; mixed into the locks' Python classes."""

    _deadlock: str | None = None

    if TYPE_CHECKING:

        @property
        def name(self) -> str | None: ...

    def _stuck(self, row: int, turn: int, waited_s: float, may_raise: bool) -> float:
        action = self._deadlock or _policy.action
        if action == "off":
            return _NEVER_S
        if waited_s < _policy.after_s:
            return _policy.after_s - waited_s
        circle = circle_of(row, turn)
        if not circle:
            return _AGAIN_S
        if circle[0] != max(circle, key=_age):
            return _NEVER_S
        if action == "raise" and may_raise and all(map(is_holders_own, circle)):
            raise DeadlockError(circle_text(circle), cycle=tuple(_entry(circle, at) for at in range(len(circle))))
        _report(circle)
        return _NEVER_S


def check_deadlock(deadlock: str | None) -> str | None:
    """What a lock was told to do about deadlocks.

    Raises:
        ValueError: there is no such action.
    """
    if deadlock is not None and deadlock not in ACTIONS:
        raise ValueError(f'deadlock must be "report", "raise", "off" or None, not {deadlock!r}')
    return deadlock


def _age(wait: Wait) -> tuple[int, int, int]:
    return wait.since_ns, wait.identity, wait.thread


def is_holders_own(wait: Wait) -> bool:
    """Whether only the holder of what is waited for gives it up."""
    return wait.kind == "RLock" or (_may_be_holders_own(wait) and bool(wait.how & (TAKEN_WITH | HOLDERS_OWN)))


def _may_be_holders_own(wait: Wait) -> bool:
    return wait.kind in ("Lock", "RLock") and not wait.how & RELEASED_BY_OTHER


def circle_of(row: int, turn: int) -> list[Wait]:
    """The circle that a wait is part of, that wait first; each waits for a lock that the next one holds.

    It is a deadlock when `is_holders_own` is true for each; else another may release what was taken by acquire().

    Returns:
        an empty list when there is none, as far as can be proved.
    """
    circle = _circle([Wait.of(each) for each in look.own_waits()], row, turn)
    if len(circle) == 1 and not is_holders_own(circle[0]):
        return []
    if circle:
        # All at one time: none of these waits has ended since it was read.
        now = {(each["row"], each["turn"]) for each in look.own_waits()}
        if not all((each.row, each.turn) in now for each in circle):
            return []
    return circle


def _circle(waits: list[Wait], row: int, turn: int) -> list[Wait]:
    by_thread: dict[tuple[int, int], Wait | None] = {}
    for each in waits:
        thread = (each.identity, each.thread)
        by_thread[thread] = None if thread in by_thread else each
    first = next((each for each in waits if (each.row, each.turn) == (row, turn)), None)
    circle: list[Wait] = []
    at = first
    while at is not None and at not in circle:
        circle.append(at)
        if at.is_timed or not at.seen_ns or not at.holder_thread or not _may_be_holders_own(at):
            return []
        holder = by_thread.get((at.holder, at.holder_thread))
        if holder is None or holder.since_ns >= at.seen_ns:
            return []
        at = holder
    return circle if at is first and first is not None else []


def _who(wait: Wait) -> str:
    who = describe(wait.identity).text
    return who if wait.tid == wait.pid else f"thread {wait.tid} of {who}"


def _entry(circle: list[Wait], at: int) -> tuple[int, str, str, str]:
    wait = circle[at]
    return wait.pid, describe(wait.identity).name, circle[at - 1].title, wait.title


def _taken(wait: Wait) -> str:
    return "taken by `with`" if wait.how & TAKEN_WITH else "taken by acquire()"


def circle_text(circle: list[Wait]) -> str:
    """The deadlock in words, with every stack, and the mend."""
    now = max(each.seen_ns for each in circle)
    others = " or ".join(each.title for each in circle if not is_holders_own(each))
    if others:
        unless = f"unless another thread releases {others}, taken by acquire()"
        lines = [f"a deadlock, {unless}: {len(circle)} threads wait for each other's locks.", ""]
    elif len(circle) == 1:
        wait = circle[0]
        lines = [f"deadlock: a thread waits for a lock that it holds itself, {wait.title}; it waits for ever.", ""]
    else:
        lines = [f"deadlock: {len(circle)} threads wait for each other's locks; none of them can go on.", ""]
    for at, wait in enumerate(circle):
        held = circle[at - 1]
        lines.append(f"{_who(wait)}")
        lines.append(f"  holds {held.title}, {_taken(held)},")
        lines.append(f"  and has waited {(now - wait.since_ns) / 1e9:.1f} s for {wait.title}, here:")
        lines.append(_stack_of(wait).rstrip())
        lines.append("")
    if len(circle) == 1:
        lines.append("Use an RLock, which its thread may take again, or do not take the lock where it is held already.")
    else:
        lines.append(
            "Take the locks in the same order everywhere, or one lock for both; acquire(timeout=...) gives up."
        )
    return "\n".join(lines)


def _stack_of(wait: Wait) -> str:
    if wait.stack:
        return wait.stack
    if wait.identity == runtime.self_identity() and wait.tid == threading.get_native_id():
        return board._stack_text()
    return "  (its stack is not known: it did not look for deadlocks for so long)"


def _report(circle: list[Wait]) -> None:
    """Tell the user, in one piece; whoever waits goes on waiting, whatever comes of it."""
    stream: Any = sys.stderr
    if stream is None:
        return
    text = circle_text(circle)
    advice = 'hardy.deadlock(action="raise") has DeadlockError raised in the last to wait'
    if all(map(is_holders_own, circle)):
        advice += "."
    else:
        advice += ', if each Lock was taken by `with` or made with Lock(deadlock="raise").'
    try:
        stream.write(f"hardy: {text}\n{advice}\n")
        stream.flush()
    except (OSError, ValueError):
        return  # closed, or nobody reads it any more
