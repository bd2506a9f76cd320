"""Waiting for others: Barrier and Condition.

The C code: src/hardy/_core/sync_barrier.h, sync_cond.h; waiting and sweeping in sync_meet.pyx.
"""

from __future__ import annotations

from collections.abc import Callable

from .explorer import DEAD, DONE, Model, Program, State, over, pc
from .kernel import crash, futex_wait, lock, unlock, wake_all
from .parties import PARTY, THREE, leave_guard, move_turn, party_locals, say_that_i_wait, slice_over, with_repair

BARRIER_VARIANTS = ("no sweep", "last does not look", "outcomes not repaired", "outcome before state", "no wake")
CONDITION_VARIANTS = ("lost with its dead", "passed twice", "free before notified", "no repair", "left before the lock")


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
        "asleep": slice_over(
            "bury_lock", lambda s, me: dead_party(s) or s["guard"] != "" or s[f"row.{me}"][0] != "ARRIVED"
        ),
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
        return not left or (
            missing and s["state"] == (0, False) and all(pc(s, each) == "asleep" for each in left) and not dead_party(s)
        )

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
    variables: State = {
        "guard": "",
        "guard.lock": "",
        "tickets": 0,
        "passing": (),
        "given": 0,
        "used": 0,
        "void": 0,
        "moved": "",
    }
    for each in THREE:
        variables |= {f"row.{each}": "FREE", f"ticket.{each}": 0, f"pair.{each}": ()}
    programs = {**dict.fromkeys(THREE, waiter), "N": notifier}
    return Model("condition", variables, programs, crash, crashes=2, invariant=invariant, goal=goal)


MODELS = [(barrier, BARRIER_VARIANTS), (condition, CONDITION_VARIANTS)]
