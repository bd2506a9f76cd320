"""What keeps a table under a guard: Semaphore and RWLock, and what all of these share.

The C code: src/hardy/_core/sync_party.h, sync_sem.h, sync_rw.h; waiting and sweeping in sync_party.pyx. Under the
guard each store is a step, for the holder may die between any two.
"""

from __future__ import annotations

from collections.abc import Callable

from .explorer import DEAD, DONE, Action, Model, Program, State, over, pc
from .kernel import crash, futex_wait, lock, unlock, wake_all, wake_one

THREE = ("A", "B", "C")
PARTY: State = {"guard": "", "turn": 1, "waiting": 0, "empty": 1}
SEMAPHORE_VARIANTS = ("nobody said to wait", "turn not moved", "empty too new", "repair derives nothing", "no sweep")
SEMAPHORE_BARE_VARIANTS = ("no flag", "flag seen before the swap", "value before the row", "turn not moved")
RWLOCK_VARIANTS = (
    "no bury",
    "writer cleared first",
    "recovered cleared by reader",
    "readers not counted anew",
    "no wake",
)


def party_locals(processes: tuple[str, ...]) -> State:
    """What `hdy_call` holds: the turn to sleep on, how many to wake, the turn at the unlock."""
    return {f"{name}.{each}": 0 for each in processes for name in ("seen", "wake", "at")}


def say_that_i_wait(s: State, me: str, broken: str) -> None:  # hdy_party_wait
    if broken != "nobody said to wait":
        s["waiting"] = s["turn"]
    s[f"seen.{me}"] = s["turn"]


def move_turn(s: State, me: str, most: int, broken: str) -> bool:  # hdy_party_wake
    if s["waiting"] - s["empty"] < 0:
        return False
    if broken != "turn not moved":
        s["turn"] += 1
    s[f"wake.{me}"] = most
    return True


def leave_guard(processes: tuple[str, ...], then: str, awake: str, broken: str) -> dict[str, Action | list[Action]]:
    """hdy_party_run after its operation: unlock, wake, and `empty` when the wake-up reached nobody."""

    def off(s: State, me: str) -> str:
        s[f"at.{me}"] = s["turn"] + (broken == "empty too new")
        s["guard"] = ""
        most = s[f"wake.{me}"]
        if broken == "no wake":
            return then
        return "wake" if most == 1 else "wake_all" if most else then

    def woke(s: State, me: str, woken: int) -> str:
        s[f"wake.{me}"] = 0
        return then if woken else "note_empty"

    def wake_everyone(s: State, me: str) -> str:
        return woke(s, me, wake_all(s, processes, "asleep", awake))

    def note_empty(s: State, me: str) -> str:
        s["empty"] = s[f"at.{me}"]
        return then

    return {
        "off": off,
        "wake": wake_one(processes, "asleep", awake, woke),
        "wake_all": wake_everyone,
        "note_empty": note_empty,
    }


def with_repair(processes: tuple[str, ...], awake: str, derive: Callable[[State], None]) -> Callable[[State], None]:
    """The repair: derive the sums, then let everyone look again (hdy_party_wake_all)."""

    def repair(s: State) -> None:
        derive(s)
        s["turn"] += 1
        wake_all(s, processes, "asleep", awake)

    return repair


def slice_over(then: str, useful: Callable[[State, str], bool]) -> Action:
    """The end of a slice after a death; only where the look can change something, to keep turns few."""

    def action(s: State, me: str) -> str | None:
        return then if s["crashed"] and useful(s, me) else None

    return action


def _semaphore_steps(broken: str, permits: int) -> tuple[State, dict[str, Program]]:
    """What `with` does, and what a bare release and a bare acquire do: variables, and programs by kind.

    A swap of `count` is one step: value, total and the flag that somebody may sleep change together.
    """

    def dead_holders(s: State) -> list[str]:
        return [each for each in THREE if s[f"held.{each}"] and pc(s, each) == DEAD]

    def settle(s: State) -> None:  # hdy_sem_settle
        if broken != "repair derives nothing":
            s["value"] = s["total"] - sum(s[f"held.{each}"] for each in THREE)

    def try_or_mark(bare: bool, then: str) -> Action:  # hdy_sem_try_or_mark
        def action(s: State, me: str) -> str:
            if s["value"] > 0:
                s["value"] -= 1
                s["total"] -= bare
                return then
            s["sleeps"] = int(broken != "no flag")
            return "say"

        return action

    def say(s: State, me: str) -> str:
        say_that_i_wait(s, me, broken)
        return "off_to_sleep"

    def try_bare(s: State, me: str) -> str:  # hdy_sem_try
        if s["value"] == 0:
            return "again"
        s["value"] -= 1
        s["total"] -= 1
        return "inside"

    def look(s: State, me: str) -> str:  # hdy_sem_give, without the guard
        if s["sleeps"]:
            return "give_in_guard"
        return "count_blindly" if broken == "flag seen before the swap" else count(s, me)

    def count(s: State, me: str) -> str:
        s["value"] += 1
        s["total"] += 1
        return DONE

    def count_in_guard(s: State, me: str) -> str:  # hdy_sem_release
        count(s, me)
        return "turn"

    def store(name: str, change: int, then: str) -> Action:
        def action(s: State, me: str) -> str:
            s[name.replace("me", me)] += change
            return then

        return action

    def turn(s: State, me: str) -> str:  # hdy_sem_freed
        return "off" if move_turn(s, me, 1, broken) else "lower"

    def lower(s: State, me: str) -> str:
        s["sleeps"] = 0
        return "off"

    def sweep(s: State, me: str) -> str:  # hdy_sem_drop
        for each in dead_holders(s):
            s[f"held.{each}"] = 0
            return "sweep_settle"
        return "try"

    def sweep_settle(s: State, me: str) -> str:
        s["value"] = s["total"] - sum(s[f"held.{each}"] for each in THREE)
        return "sweep_turn"

    def sweep_turn(s: State, me: str) -> str:
        move_turn(s, me, 1, broken)
        return "try"

    repair = with_repair(THREE, "again", settle)
    may_look = slice_over("late", lambda s, me: s["value"] > 0 or bool(dead_holders(s)) or s["guard"] != "")
    asleep: Program = {
        "say": say,
        "off_to_sleep": unlock("guard", "sleep"),
        "sleep": futex_wait("turn", "seen", "asleep", "again"),
        "asleep": may_look,
        "late": lock("guard", "try" if broken == "no sweep" else "sweep", repair),
        "sweep": sweep,
        "sweep_settle": sweep_settle,
        "sweep_turn": sweep_turn,
    }
    awake: Program = {"turn": turn, "lower": lower, **leave_guard(THREE, DONE, "again", broken)}
    value_first = broken == "value before the row"
    by_with: Program = {
        **asleep,
        "start": lock("guard", "try", repair),
        "again": lock("guard", "try", repair),
        "try": try_or_mark(False, "hold"),
        "hold": store("held.me", 1, "unlock"),
        "unlock": unlock("guard", "inside"),
        "inside": lock("guard", "more" if value_first else "give", repair),
        "give": store("held.me", -1, "turn" if value_first else "more"),
        "more": store("value", 1, "give" if value_first else "turn"),
        **awake,
    }
    gives: Program = {
        "start": look,
        "count_blindly": count,
        "give_in_guard": lock("guard", "give", repair),
        "give": count_in_guard,
        **awake,
    }
    takes: Program = {
        **asleep,
        **gives,
        "start": try_bare,
        "again": lock("guard", "try", repair),
        "try": try_or_mark(True, "unlock"),
        "unlock": unlock("guard", "inside"),
        "inside": look,
    }
    counts = {"value": permits, "total": permits, "sleeps": 0, **{f"held.{each}": 0 for each in THREE}}
    return {**PARTY, **counts, **party_locals(THREE)}, {"with": by_with, "gives": gives, "takes": takes}


def _inside(s: State) -> int:
    return sum(pc(s, each) == "inside" for each in THREE)


def semaphore(broken: str = "") -> Model:
    """Three take the one permit by `with`."""
    variables, programs = _semaphore_steps(broken, permits=1)

    def invariant(s: State) -> str:
        return "two have the one permit" if _inside(s) > 1 else ""

    return Model("semaphore", variables, dict.fromkeys(THREE, programs["with"]), crash, crashes=2, invariant=invariant)


def semaphore_bare(broken: str = "") -> Model:
    """There is no permit. B gives one; A takes it by `with`, C bare, and gives it again."""
    variables, programs = _semaphore_steps(broken, permits=0)

    def invariant(s: State) -> str:
        if _inside(s) > 1:
            return "two have the one permit"
        return "more permits than there are" if s["value"] > s["total"] - s["held.A"] else ""

    def goal(s: State) -> bool:
        # What B did not come to give, or C to give again, nobody can have.
        return over(s, THREE) or (s["total"] == 0 and over(s, ("B",)) and pc(s, "C") in ("asleep", DONE, DEAD))

    program = {"A": programs["with"], "B": programs["gives"], "C": programs["takes"]}
    return Model("semaphore_bare", variables, program, crash, crashes=2, invariant=invariant, goal=goal)


def rwlock(broken: str = "") -> Model:
    """Two write once, one reads once; `hurt` says that a writer died inside and nobody has written since."""
    writers = ("A", "B")

    def settle(s: State) -> None:  # hdy_rw_settle
        if broken != "readers not counted anew":
            s["reading"] = s["row.C"] * (not s["freed.C"])

    def dead_writer(s: State) -> bool:
        return bool(s["writer"]) and pc(s, s["writer"]) == DEAD

    def dead_reader(s: State) -> bool:
        return pc(s, "C") == DEAD and s["row.C"] and not s["freed.C"]

    def try_write(s: State, me: str) -> str:  # hdy_rw_write
        if not s["writer"] and not s["reading"]:
            return "own"
        say_that_i_wait(s, me, broken)
        return "off_to_sleep"

    def own(s: State, me: str) -> str:
        s["writer"] = me
        s[f"told.{me}"] = s["recovered"]
        return "unlock"

    def try_read(s: State, me: str) -> str:  # hdy_rw_read
        if not s["writer"]:
            return "row"
        say_that_i_wait(s, me, broken)
        return "off_to_sleep"

    def row(s: State, me: str) -> str:
        s["row.C"] = 1
        return "count"

    def count(s: State, me: str) -> str:
        s["reading"] += 1
        s["told.C"] = s["recovered"]
        return "unlock"

    def end_read(s: State, me: str) -> str:
        s["row.C"] = 0
        return "uncount"

    def uncount(s: State, me: str) -> str:
        s["reading"] -= 1
        if broken == "recovered cleared by reader":
            s["recovered"] = ""
        move_turn(s, me, 9, broken)
        return "off"

    def clear(s: State, me: str) -> str:  # hdy_rw_write_end
        s["recovered"] = ""
        return "give"

    def give(s: State, me: str) -> str:
        s["writer"] = ""
        s["hurt"] = ""
        return "turn"

    def turn(s: State, me: str) -> str:
        move_turn(s, me, 9, broken)
        return "off"

    def bury(s: State, me: str) -> str:  # hdy_rw_bury
        if dead_writer(s) and broken != "no bury":
            if broken == "writer cleared first":
                s["gone"] = s["writer"]
                s["writer"] = ""
                return "bury_recovered"
            s["recovered"] = s["writer"]
            return "bury_writer"
        if dead_reader(s):
            s["freed.C"] = True
            return "bury_row"
        return "try"

    def bury_writer(s: State, me: str) -> str:
        s["writer"] = ""
        return "bury_turn"

    def bury_recovered(s: State, me: str) -> str:
        s["recovered"] = s["gone"]
        return "bury_turn"

    def bury_row(s: State, me: str) -> str:
        settle(s)
        return "bury_turn"

    def bury_turn(s: State, me: str) -> str:
        if s["waiting"] - s["empty"] >= 0:
            s["turn"] += 1
            wake_all(s, THREE, "asleep", "start")
        return "try"

    def died(s: State, me: str) -> None:
        crash(s, me)
        if s["writer"] == me:
            s["hurt"] = me

    def invariant(s: State) -> str:
        inside = [each for each in THREE if pc(s, each) == "inside"]
        if len(inside) > 1 and any(each in writers for each in inside):
            return "a writer is not alone"
        untold = [each for each in inside if s["hurt"] and not s[f"told.{each}"]]
        return f"{untold[0]} was not told of the dead writer" if untold else ""

    repair = with_repair(THREE, "start", settle)
    useful = slice_over("late", lambda s, me: dead_writer(s) or dead_reader(s) or s["guard"] != "" or not s["writer"])
    common: dict[str, Action | list[Action]] = {
        "start": lock("guard", "try", repair),
        "unlock": unlock("guard", "inside"),
        "off_to_sleep": unlock("guard", "sleep"),
        "sleep": futex_wait("turn", "seen", "asleep", "start"),
        "asleep": useful,
        "late": lock("guard", "bury", repair),
        "bury": bury,
        "bury_writer": bury_writer,
        "bury_recovered": bury_recovered,
        "bury_row": bury_row,
        "bury_turn": bury_turn,
        **leave_guard(THREE, DONE, "start", broken),
    }
    writer = {
        **common,
        "try": try_write,
        "own": own,
        "inside": lock("guard", "clear", repair),
        "clear": clear,
        "give": give,
        "turn": turn,
    }
    reader = {**common, "try": try_read, "row": row, "count": count, "inside": lock("guard", "end_read", repair)}
    reader |= {"end_read": end_read, "uncount": uncount}
    variables = {
        **PARTY,
        "writer": "",
        "reading": 0,
        "row.C": 0,
        "freed.C": False,
        "recovered": "",
        "hurt": "",
        "gone": "",
    }
    variables |= {**party_locals(THREE), **{f"told.{each}": "" for each in THREE}}
    programs: dict[str, Program] = {"A": writer, "B": writer, "C": reader}
    return Model("rwlock", variables, programs, died, crashes=2, invariant=invariant)


MODELS = [(semaphore, SEMAPHORE_VARIANTS), (semaphore_bare, SEMAPHORE_BARE_VARIANTS), (rwlock, RWLOCK_VARIANTS)]
