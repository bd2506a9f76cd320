"""Lock and Event: one word each (src/hardy/_core/sync_lock.h, waiting in sync.pyx).

Each label is one step of the C function named beside it.
"""

from __future__ import annotations

from .explorer import DEAD, DONE, Model, Program, State, over, pc
from .kernel import futex_wait, look_again, wake_all, wake_one

THREE = ("A", "B", "C")
LOCK_VARIANTS = ("no wake", "flag dropped after sleep", "no mark", "recovered not told", "mark lost")
EVENT_VARIANTS = ("no wake", "wake one", "times not counted", "mark not atomic")


def lock(broken: str = "") -> Model:
    """Three processes acquire and release once; `word` is (owner, somebody may sleep)."""

    def take(contended: bool) -> object:
        def action(s: State, me: str) -> str:  # hdy_lock_take: the compare-and-swap
            if s["word"] != ("", False):
                return "load"
            s["word"] = (me, contended and broken != "flag dropped after sleep")
            s["unsound"] |= s["dirty"]
            return "inside"

        return action

    def load(s: State, me: str) -> str:  # LockCell.contend
        owner, _flag = s["word"]
        if not owner:
            return "take_slept" if s[f"slept.{me}"] else "start"
        s[f"seen.{me}"] = s["word"]
        if s[f"late.{me}"] and pc(s, owner) == DEAD:
            return "take_over"
        return "mark"

    def mark(s: State, me: str) -> str:  # hdy_lock_mark
        owner, flag = s[f"seen.{me}"]
        if not flag and broken != "no mark":
            if broken != "mark lost" and s["word"] != s[f"seen.{me}"]:
                return "load"
            s["word"] = (owner, True)
        s[f"seen.{me}"] = (owner, flag or broken != "no mark")
        return "sleep"

    def slept(late: bool) -> object:
        def action(s: State, me: str) -> str | None:
            if late and not s["crashed"]:
                return None
            s[f"slept.{me}"] = True
            s[f"late.{me}"] = late
            return "load"

        return action

    def take_over(s: State, me: str) -> str:  # hdy_lock_take_over
        if s["word"] != s[f"seen.{me}"]:
            return "load"
        s["word"] = (me, True)
        if broken != "recovered not told":
            s["dirty"] = False
        return "inside"

    def inside(s: State, me: str) -> str:
        return "release"

    def release(s: State, me: str) -> str:  # hdy_lock_release: the exchange
        _, flag = s["word"]
        s["word"] = ("", False)
        return "wake" if flag and broken != "no wake" else DONE

    def crash(s: State, me: str) -> None:
        if s["word"][0] == me:
            s["dirty"] = True

    def invariant(s: State) -> str:
        if sum(pc(s, each) in ("inside", "release") for each in THREE) > 1:
            return "two hold the lock"
        return "somebody took the lock of a dead owner and was not told" if s["unsound"] else ""

    program: Program = {
        "start": take(False),
        "load": load,
        "take_slept": take(True),
        "mark": mark,
        "sleep": futex_wait("word", "seen", "asleep", "awake"),
        "asleep": slept(True),
        "awake": slept(False),
        "take_over": take_over,
        "inside": inside,
        "release": release,
        "wake": wake_one(THREE, "asleep", "awake", lambda s, me, woken: DONE),
    }
    first = {"seen": None, "slept": False, "late": False}
    local = {f"{name}.{each}": value for each in THREE for name, value in first.items()}
    variables = {"word": ("", False), "dirty": False, "unsound": False, **local}
    return Model("lock", variables, dict.fromkeys(THREE, program), crash, crashes=2, invariant=invariant)


def event(broken: str = "") -> Model:
    """Two wait, a third sets and clears at once; `word` is (times set, somebody waits, is set)."""
    waiters = ("A", "B")

    def since(s: State, me: str) -> str:  # EventCell.wait
        s[f"since.{me}"] = s["word"][0]
        return "look"

    def look(s: State, me: str) -> str:  # hdy_event_passed
        times, _waits, is_set = s[f"seen.{me}"] = s["word"]
        return DONE if is_set or times != s[f"since.{me}"] else "mark"

    def mark(s: State, me: str) -> str:
        times, waits, is_set = s[f"seen.{me}"]
        if not waits:
            if broken != "mark not atomic" and s["word"] != s[f"seen.{me}"]:
                return "look"
            s["word"] = s[f"seen.{me}"] = (times, True, is_set)
        return "sleep"

    def set_it(s: State, me: str) -> str:  # hdy_event_set
        times, waits, _is_set = s["word"]
        for each in waiters:
            s[f"owed.{each}"] = pc(s, each) != "start"
        s["word"] = (times + (broken != "times not counted"), False, True)
        return "wake" if waits and broken != "no wake" else "clear"

    def wake(s: State, me: str) -> str:
        wake_all(s, waiters, "asleep", "look")
        return "clear"

    def clear(s: State, me: str) -> str:  # hdy_event_clear
        times, waits, _is_set = s["word"]
        s["word"] = (times, waits, False)
        return DONE

    def goal(s: State) -> bool:
        # Who comes after the last set waits for the next one.
        left = [each for each in waiters if pc(s, each) not in (DONE, DEAD)]
        return over(s, "S") and all(pc(s, each) == "asleep" and not s[f"owed.{each}"] for each in left)

    waiter: Program = {
        "start": since,
        "look": look,
        "mark": mark,
        "sleep": futex_wait("word", "seen", "asleep", "look"),
        "asleep": look_again("look"),
    }
    setter: Program = {
        "start": set_it,
        "wake": wake_one(waiters, "asleep", "look", lambda s, me, woken: "clear") if broken == "wake one" else wake,
        "clear": clear,
    }
    came = {f"{name}.{each}": None for each in waiters for name in ("since", "seen", "owed")}
    return Model("event", {"word": (0, False, False), **came}, {"A": waiter, "B": waiter, "S": setter}, goal=goal)


MODELS = [(lock, LOCK_VARIANTS), (event, EVENT_VARIANTS)]
