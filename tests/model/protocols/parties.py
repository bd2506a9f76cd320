"""What keeps a table under a guard: Semaphore, RWLock, Barrier, Condition.

The C code: src/hardy/_core/sync_party.h, sync_sem.h, sync_rw.h, sync_barrier.h, sync_cond.h; waiting and sweeping in
sync_party.pyx and sync_meet.pyx. Under the guard each store is a step, for the holder may die between any two.
"""

from __future__ import annotations

from collections.abc import Callable

from .explorer import DEAD, DONE, Action, Model, Program, State, over, pc
from .kernel import crash, futex_wait, lock, unlock, wake_all, wake_one

THREE = ("A", "B", "C")
PARTY: State = {"guard": "", "turn": 1, "waiting": 0, "empty": 1}
SEMAPHORE_VARIANTS = ("nobody said to wait", "turn not moved", "empty too new", "repair derives nothing", "no sweep")
RWLOCK_VARIANTS = ("no bury", "writer cleared first", "recovered cleared by reader", "readers not counted anew", "no wake")
BARRIER_VARIANTS = ("no sweep", "last does not look", "outcomes not repaired", "outcome before state", "no wake")
CONDITION_VARIANTS = ("lost with its dead", "passed twice", "free before notified", "no repair", "left before the lock")


def party_locals(processes: tuple[str, ...]) -> State:
    """What `hdy_call` holds: the turn to sleep on, how many to wake, the turn at the unlock."""
    return {f"{name}.{each}": 0 for each in processes for name in ("seen", "wake", "at")}


def say_that_i_wait(s: State, me: str, broken: str) -> None:  # hdy_party_wait
    if broken != "nobody said to wait":
        s["waiting"] = s["turn"]
    s[f"seen.{me}"] = s["turn"]


def move_turn(s: State, me: str, most: int, broken: str) -> None:  # hdy_party_wake
    if s["waiting"] - s["empty"] < 0:
        return
    if broken != "turn not moved":
        s["turn"] += 1
    s[f"wake.{me}"] = most


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


def semaphore(broken: str = "") -> Model:
    """Three take the one permit by `with`."""

    def dead_holders(s: State) -> list[str]:
        return [each for each in THREE if s[f"held.{each}"] and pc(s, each) == DEAD]

    def settle(s: State) -> None:  # hdy_sem_settle
        if broken != "repair derives nothing":
            s["value"] = 1 - sum(s[f"held.{each}"] for each in THREE)

    def try_it(s: State, me: str) -> str:  # hdy_sem_hold
        if s["value"] > 0:
            return "hold"
        say_that_i_wait(s, me, broken)
        return "off_to_sleep"

    def store(name: str, change: int, then: str) -> Action:
        def action(s: State, me: str) -> str:
            s[name.replace("me", me)] += change
            return then

        return action

    def turn(s: State, me: str) -> str:
        move_turn(s, me, 1, broken)
        return "off"

    def sweep(s: State, me: str) -> str:  # hdy_sem_drop
        for each in dead_holders(s):
            s[f"held.{each}"] = 0
            s["value"] = 1 - sum(s[f"held.{one}"] for one in THREE)
            return "sweep_turn"
        return "try"

    def sweep_turn(s: State, me: str) -> str:
        move_turn(s, me, 1, broken)
        return "try"

    def invariant(s: State) -> str:
        if sum(pc(s, each) == "inside" for each in THREE) > 1:
            return "two have the one permit"
        return ""

    repair = with_repair(THREE, "start", settle)
    may_look = slice_over("late", lambda s, me: s["value"] > 0 or bool(dead_holders(s)) or s["guard"] != "")
    program: Program = {
        "start": lock("guard", "try", repair),
        "try": try_it,
        "hold": store("held.me", 1, "less"),
        "less": store("value", -1, "unlock"),
        "unlock": unlock("guard", "inside"),
        "off_to_sleep": unlock("guard", "sleep"),
        "sleep": futex_wait("turn", "seen", "asleep", "start"),
        "asleep": may_look,
        "late": lock("guard", "try" if broken == "no sweep" else "sweep", repair),
        "sweep": sweep,
        "sweep_turn": sweep_turn,
        "inside": lock("guard", "give", repair),
        "give": store("held.me", -1, "more"),
        "more": store("value", 1, "turn"),
        "turn": turn,
        **leave_guard(THREE, DONE, "start", broken),
    }
    variables = {**PARTY, "value": 1, **party_locals(THREE), **{f"held.{each}": 0 for each in THREE}}
    return Model("semaphore", variables, dict.fromkeys(THREE, program), crash, crashes=2, invariant=invariant)


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
    writer = {**common, "try": try_write, "own": own, "inside": lock("guard", "clear", repair), "clear": clear, "give": give, "turn": turn}
    reader = {**common, "try": try_read, "row": row, "count": count, "inside": lock("guard", "end_read", repair)}
    reader |= {"end_read": end_read, "uncount": uncount}
    variables = {**PARTY, "writer": "", "reading": 0, "row.C": 0, "freed.C": False, "recovered": "", "hurt": "", "gone": ""}
    variables |= {**party_locals(THREE), **{f"told.{each}": "" for each in THREE}}
    programs: dict[str, Program] = {"A": writer, "B": writer, "C": reader}
    return Model("rwlock", variables, programs, died, crashes=2, invariant=invariant)


def barrier(broken: str = "") -> Model:
    """Three parties come once; `state` is (generation, broken)."""

    def settle(s: State) -> None:  # hdy_barrier_settle
        generation, is_broken = s["state"]
        s["arrived"] = 0
        for each in THREE:
            outcome, came = s[f"row.{each}"]
            if outcome == "ARRIVED":
                if came != generation:
                    s[f"row.{each}"] = ("PASSED", came)
                elif is_broken:
                    s[f"row.{each}"] = ("LOST", came)
                else:
                    s["arrived"] += 1

    def dead_party(s: State) -> bool:
        return any(pc(s, each) == DEAD and s[f"row.{each}"][0] == "ARRIVED" for each in THREE)

    def arrive(s: State, me: str) -> str:  # hdy_barrier_arrive
        generation, is_broken = s["state"]
        if is_broken:
            return "unlock_lost"
        if s["arrived"] == 2 and not s[f"looked.{me}"] and broken != "last does not look":
            return "unlock_to_look"
        s[f"row.{me}"] = ("ARRIVED", generation)
        return "count"

    def count(s: State, me: str) -> str:
        s["arrived"] += 1
        if s["arrived"] < 3:
            say_that_i_wait(s, me, broken)
            return "off_to_sleep"
        s["corpse"] = dead_party(s) and s["known"]
        return "outcomes" if broken == "outcome before state" else "pass"

    def pass_on(s: State, me: str) -> str:  # hdy_barrier_commit
        s["state"] = (s["state"][0] + 1, False)
        return "turn" if broken == "outcome before state" else "outcomes"

    def outcomes(s: State, me: str) -> str:
        if broken == "outcome before state":
            for each in THREE:
                s[f"row.{each}"] = ("PASSED", 0)
            return "pass"
        settle(s)
        return "turn"

    def turn(s: State, me: str) -> str:
        move_turn(s, me, 9, broken)
        return "off"

    def leave(s: State, me: str) -> str:  # hdy_barrier_leave
        outcome, came = s[f"row.{me}"]
        if outcome == "ARRIVED":
            say_that_i_wait(s, me, broken)
            return "off_to_sleep"
        s[f"row.{me}"] = ("FREE", came)
        s[f"end.{me}"] = outcome
        s["guard"] = ""
        return DONE

    def bury(s: State, me: str) -> str:  # hdy_barrier_bury
        if dead_party(s) and broken != "no sweep" and not s["state"][1]:
            s["state"] = (s["state"][0], True)
            return "bury_outcomes"
        return "buried"

    def bury_outcomes(s: State, me: str) -> str:
        settle(s)
        for each in THREE:
            if pc(s, each) == DEAD:
                s[f"row.{each}"] = ("FREE", 0)
        return "bury_turn"

    def bury_turn(s: State, me: str) -> str:
        if s["waiting"] - s["empty"] >= 0:
            s["turn"] += 1
            wake_all(s, THREE, "asleep", "leave_lock")
        return "buried"

    def buried(s: State, me: str) -> str:
        s["guard"] = ""
        s[f"looked.{me}"] = True
        return "leave_lock" if s[f"row.{me}"][0] != "FREE" else "start"

    def mark_known(s: State, me: str) -> str:
        # From here on the last party could know of every death until now.
        s["known"] = dead_party(s)
        return "bury_lock"

    def lost(s: State, me: str) -> str:
        s[f"end.{me}"] = "LOST"
        s["guard"] = ""
        return DONE

    def invariant(s: State) -> str:
        ends = {s[f"end.{each}"] for each in THREE} - {""}
        if len(ends) > 1:
            return "one passed and another was told that it is broken"
        return "the last one passed with a dead party" if s["corpse"] else ""

    def died(s: State, me: str) -> None:
        crash(s, me)
        if s[f"row.{me}"][0] == "ARRIVED" and s["arrived"] == 2 and broken == "last does not look":
            s["known"] = True

    repair = with_repair(THREE, "leave_lock", (lambda s: None) if broken == "outcomes not repaired" else settle)
    program: Program = {
        "start": lock("guard", "arrive", repair),
        "arrive": arrive,
        "count": count,
        "pass": pass_on,
        "outcomes": outcomes,
        "turn": turn,
        **leave_guard(THREE, "leave_lock", "leave_lock", broken),
        "off_to_sleep": unlock("guard", "sleep"),
        "sleep": futex_wait("turn", "seen", "asleep", "leave_lock"),
        "asleep": slice_over("bury_lock", lambda s, me: dead_party(s) or s["guard"] != "" or s[f"row.{me}"][0] != "ARRIVED"),
        "leave_lock": lock("guard", "leave", repair),
        "leave": leave,
        "unlock_to_look": unlock("guard", "look"),
        "look": mark_known,
        "bury_lock": lock("guard", "bury", repair),
        "bury": bury,
        "bury_outcomes": bury_outcomes,
        "bury_turn": bury_turn,
        "buried": buried,
        "unlock_lost": lost,
    }
    variables = {**PARTY, "state": (0, False), "arrived": 0, "known": False, "corpse": False, **party_locals(THREE)}
    for each in THREE:
        variables |= {f"row.{each}": ("FREE", 0), f"looked.{each}": False, f"end.{each}": ""}

    def goal(s: State) -> bool:
        # Who is alone because another died before it came may sleep: nobody has broken the barrier.
        left = [each for each in THREE if pc(s, each) not in (DONE, DEAD)]
        missing = any(pc(s, each) == DEAD and s[f"row.{each}"] == ("FREE", 0) and not s["state"][1] for each in THREE)
        return not left or (missing and s["state"] == (0, False) and all(pc(s, each) == "asleep" for each in left) and not dead_party(s))

    def at_end(s: State) -> str:
        passed = any(s[f"end.{each}"] == "PASSED" for each in THREE)
        return "some passed, and the state does not say so" if passed and s["state"] != (1, False) else ""

    programs = dict.fromkeys(THREE, program)
    return Model("barrier", variables, programs, died, crashes=1, invariant=invariant, goal=goal, at_end=at_end)


def condition(broken: str = "") -> Model:
    """Three wait, a fourth notifies one; the dead one's notification goes to another (hdy_cond_*)."""

    def oldest(s: State) -> str:
        waiting = [each for each in THREE if s[f"row.{each}"] == "WAITING"]
        return min(waiting, key=lambda each: s[f"ticket.{each}"], default="")

    def wake_row(s: State, row: str) -> None:
        if pc(s, row) == "asleep":
            s[f"pc.{row}"] = "retake"

    def enlist(s: State, me: str) -> str:  # hdy_cond_enlist
        s["tickets"] += 1
        s[f"ticket.{me}"] = s["tickets"]
        s[f"row.{me}"] = "WAITING"
        return "enlisted"

    def sleep(s: State, me: str) -> str:
        if s[f"row.{me}"] == "WAITING":
            return "asleep"
        return "early" if broken == "left before the lock" else "retake"

    def dead_row(s: State) -> str:
        return next((each for each in THREE if pc(s, each) == DEAD and s[f"row.{each}"] == "NOTIFIED"), "")

    def slice_end(s: State, me: str) -> str | None:  # only where the sweep has something to do
        return "sweep_guard" if dead_row(s) or s["passing"] or s["guard"] == "owner died" else None

    def sweep(s: State, me: str) -> str:  # hdy_cond_drop, hdy_cond_pass
        gone, to = dead_row(s), oldest(s)
        if not gone:
            return "swept"
        if broken == "lost with its dead":
            s[f"row.{gone}"] = "FREE"
            return "swept"
        if not to:
            s[f"row.{gone}"] = "FREE"
            s["void"] += 1
            return "swept"
        s[f"pair.{me}"] = (gone, to)
        if broken == "free before notified":
            s[f"row.{gone}"] = "FREE"
            return "pass_notified"
        s["passing"] = (gone, to)
        return "pass_notified"

    def pass_notified(s: State, me: str) -> str:  # hdy_cond_finish_passing
        s[f"row.{s[f'pair.{me}'][1]}"] = "NOTIFIED"
        return "pass_free"

    def pass_free(s: State, me: str) -> str:
        if broken != "passed twice":
            s[f"row.{s[f'pair.{me}'][0]}"] = "FREE"
        return "pass_done"

    def pass_done(s: State, me: str) -> str:
        s["passing"] = ()
        wake_row(s, s[f"pair.{me}"][1])
        return "swept"

    def repair(s: State) -> None:  # hdy_cond_repair
        if broken == "no repair":
            return
        if s["passing"]:
            gone, to = s["passing"]
            s[f"row.{to}"] = "NOTIFIED"
            s[f"row.{gone}"] = "FREE"
            s["passing"] = ()
        for each in THREE:
            if s[f"row.{each}"] == "NOTIFIED":
                wake_row(s, each)

    def leave(s: State, me: str) -> str:  # hdy_cond_leave
        if broken != "left before the lock":
            s["used"] += s[f"row.{me}"] == "NOTIFIED"
        s[f"row.{me}"] = "FREE"
        return "left"

    def use(s: State, me: str) -> str:
        s["used"] += broken == "left before the lock"
        s["guard.lock"] = ""
        return DONE

    def mark(s: State, me: str) -> str:  # hdy_cond_notify
        row = oldest(s)
        if not row:
            return "marked"
        s[f"row.{row}"] = "NOTIFIED"
        s["given"] = 1
        s["moved"] = row
        return "move"

    def move(s: State, me: str) -> str:  # hdy_cond_move: to sleep on the lock, that is: to wait for it
        wake_row(s, s["moved"])
        return "marked"

    def invariant(s: State) -> str:
        if s["used"] > s["given"]:
            return "one notification let two go on"
        notified = sum(s[f"row.{each}"] == "NOTIFIED" for each in THREE)
        if s["guard"] == "" and notified + s["used"] + s["void"] > s["given"]:
            return "one notification became two"
        return ""

    def goal(s: State) -> bool:
        left = [each for each in THREE if pc(s, each) not in (DONE, DEAD)]
        settled = s["given"] == s["used"] + s["void"] or not left
        return over(s, "N") and settled and all(pc(s, each) == "asleep" for each in left)

    nothing: Callable[[State], None] = lambda s: None  # noqa: E731
    early = broken == "left before the lock"
    waiter: Program = {
        "start": lock("guard.lock", "enlist_guard", nothing),
        "enlist_guard": lock("guard", "enlist", repair),
        "enlist": enlist,
        "enlisted": unlock("guard", "let_go"),
        "let_go": unlock("guard.lock", "sleep"),
        "sleep": sleep,
        "asleep": slice_end,
        "sweep_guard": lock("guard", "sweep", repair),
        "sweep": sweep,
        "pass_notified": pass_notified,
        "pass_free": pass_free,
        "pass_done": pass_done,
        "swept": unlock("guard", "sleep"),
        "early": lock("guard", "leave", repair),
        "retake": lock("guard", "leave", repair) if early else lock("guard.lock", "back", nothing),
        "back": lock("guard", "leave", repair),
        "leave": leave,
        "left": unlock("guard", "late_lock" if early else "out"),
        "late_lock": lock("guard.lock", "out", nothing),
        "out": use,
    }
    notifier: Program = {
        "start": lock("guard.lock", "guard", nothing),
        "guard": lock("guard", "mark", repair),
        "mark": mark,
        "move": move,
        "marked": unlock("guard", "out"),
        "out": unlock("guard.lock", "end"),
        "end": lambda s, me: DONE,
    }
    variables: State = {"guard": "", "guard.lock": "", "tickets": 0, "passing": (), "given": 0, "used": 0, "void": 0, "moved": ""}
    for each in THREE:
        variables |= {f"row.{each}": "FREE", f"ticket.{each}": 0, f"pair.{each}": ()}
    programs = {**dict.fromkeys(THREE, waiter), "N": notifier}
    return Model("condition", variables, programs, crash, crashes=2, invariant=invariant, goal=goal)


MODELS = [
    (semaphore, SEMAPHORE_VARIANTS),
    (rwlock, RWLOCK_VARIANTS),
    (barrier, BARRIER_VARIANTS),
    (condition, CONDITION_VARIANTS),
]
