"""Who waits for what: rows that are written and read without a guard, and the proof of a deadlock from them.

The C code: src/hardy/_core/wait.h, `hdy_lock_show_holder` in sync_lock.h; the proof: `circle_of` in _sync/deadlock.py.
"""

from __future__ import annotations

from .explorer import DEAD, DONE, Action, Model, Program, State, pc

ROW_VARIANTS = (
    "turn stays",
    "closed first",
    "turn read late",
    "no second look",
    "claim by store",
    "row of the dead stays",
)
DEADLOCK_VARIANTS = ("seen too late", "not older than the look")
SIGNAL_VARIANTS = ("who acquired it is taken to release it",)


def wait_row(broken: str = "") -> Model:
    """Two show waits in one row, A twice, while a third reads it; `row` is (whose, open)."""
    writers = ("A", "B")

    def load(s: State, me: str) -> str:  # hdy_wait_claim
        s[f"seen.{me}"] = s["row"]
        owner = s["row"][0]
        if not owner or (pc(s, owner) == DEAD and broken != "row of the dead stays"):
            return "claim"
        # No row is free: this wait is not seen. That must be for one that lives.
        s["unseen"] |= pc(s, owner) == DEAD
        return DONE

    def claim(s: State, me: str) -> str:
        if broken != "claim by store" and s["row"] != s[f"seen.{me}"]:
            return "start"
        s["row"] = (me, broken != "closed first")
        return "turn"

    def turn(s: State, me: str) -> str:  # hdy_wait_begin
        s["turn"] += broken != "turn stays"
        s[f"waits.{me}"] += 1
        return "what"

    def store(field: str, then: str) -> Action:
        def action(s: State, me: str) -> str:
            s[field] = (me, s[f"waits.{me}"])
            return then

        return action

    def commit(s: State, me: str) -> str:
        s["row"] = (me, False)
        return "end"

    def end(s: State, me: str) -> str:  # hdy_wait_end
        s["row"] = ("", False)
        return "start" if me == "A" and s["waits.A"] < 2 else DONE

    def look_at_turn(then: str) -> Action:  # hdy_wait_read
        def action(s: State, me: str) -> str:
            s["number"] = s["turn"]
            return then

        return action

    def look(then: str) -> Action:
        def action(s: State, me: str) -> str:
            s["id"] = s["row"]
            return DONE if not s["row"][0] or s["row"][1] else then

        return action

    def copy(field: str, to: str, then: str) -> Action:
        def action(s: State, me: str) -> str:
            s[to] = s[field]
            return then

        return action

    def again(s: State, me: str) -> str:
        return "turn_again" if s["row"] == s["id"] or broken == "no second look" else "start"

    def turn_again(s: State, me: str) -> str:
        if s["turn"] != s["number"] and broken != "no second look":
            return "start"
        s["accepted"] = True
        return DONE

    def invariant(s: State) -> str:
        if s["unseen"]:
            return "the row of a dead process is never used again"
        whole = s["got what"] == s["got place"] and s["got what"][0] == s["id"][0]
        return "a reader took parts of two waits for one" if s["accepted"] and not whole else ""

    writer: Program = {
        "start": load,
        "claim": claim,
        "turn": turn,
        "what": store("what", "place"),
        "place": store("place", "commit"),
        "commit": commit,
        "end": end,
    }
    reader: Program = {
        "start": look_at_turn("look") if broken != "turn read late" else look("look_at_turn"),
        "look": look("copy"),
        "look_at_turn": look_at_turn("copy"),
        "copy": copy("what", "got what", "copy_place"),
        "copy_place": copy("place", "got place", "again"),
        "again": again,
        "turn_again": turn_again,
    }
    nothing = ("", 0)
    variables: State = {"row": ("", False), "turn": 0, "what": nothing, "place": nothing, "unseen": False}
    variables |= {"id": ("", False), "number": 0, "got what": nothing, "got place": nothing, "accepted": False}
    variables |= {f"{name}.{each}": 0 for each in writers for name in ("seen", "waits")}
    return Model(
        f"wait row {broken}", variables, {**dict.fromkeys(writers, writer), "R": reader}, crashes=1, invariant=invariant
    )


def deadlock(broken: str = "", is_signal: bool = False) -> Model:
    """Two take and free two locks, each in an order of its own choice, each twice; R looks for a circle.

    A row is (lock, since), what its thread saw (holder, when). Times are kept as their ranks. A circle is true when
    each holds the lock that the other waits for, and nobody else may release it. Nobody dies: a death ends a
    deadlock, and makes none. `is_signal`: what A takes first it takes by acquire(); its thread stands there as "a", and
    S may release it, once.
    """
    both, locks = ("A", "B"), ("L", "M")
    times = [*(f"{field}.{who}" for who in both for field in ("since", "at", "saw at", "got since", "got at"))]

    def tick(s: State, name: str) -> None:
        s[name] = max(s[each] for each in times) + 1
        rank = {time: i for i, time in enumerate(sorted({0, *(s[each] for each in times)}))}
        s.update({each: rank[s[each]] for each in times})

    def choose(lock: str) -> Action:
        def action(s: State, me: str) -> str | None:
            if lock in s[f"has.{me}"] or not s[f"left.{me}"]:
                return None
            s[f"left.{me}"] -= 1
            s[f"wants.{me}"] = lock
            return "take"

        return action

    def take(s: State, me: str) -> str:  # hdy_lock_take: the word
        lock = s[f"wants.{me}"]
        s[f"word seen.{me}"] = s[f"word.{lock}"]
        if s[f"word.{lock}"]:
            return "look" if s[f"since.{me}"] else "begin"
        s[f"word.{lock}"] = me
        return "name"

    def name(s: State, me: str) -> str:  # its thread
        s[f"thread.{s[f'wants.{me}']}"] = "a" if is_signal and me == "A" and s["left.A"] == 1 else me
        s[f"has.{me}"] += s[f"wants.{me}"]
        return "end_of_wait"

    def end_of_wait(s: State, me: str) -> str:  # hdy_wait_end
        for field in ("since", "at", "saw at"):
            s[f"{field}.{me}"] = 0
        s[f"holder.{me}"] = s[f"saw.{me}"] = s[f"word seen.{me}"] = ""
        return "next"

    def begin(s: State, me: str) -> str:  # hdy_wait_begin
        tick(s, f"since.{me}")
        return "look"

    def look(s: State, me: str) -> str:  # hdy_lock_show_holder: the clock, then the lock
        tick(s, f"at.{me}")
        return "load"

    def load(s: State, me: str) -> str:
        s[f"holder.{me}"] = s[f"thread.{s[f'wants.{me}']}"]
        return "show"

    def show(s: State, me: str) -> str:  # hdy_wait_sees
        if broken == "seen too late":
            tick(s, f"at.{me}")
        s[f"saw.{me}"], s[f"saw at.{me}"] = s[f"holder.{me}"], s[f"at.{me}"]
        return "sleep"

    def sleep(s: State, me: str) -> str | None:  # while the word is as it was
        return "take" if s[f"word.{s[f'wants.{me}']}"] != s[f"word seen.{me}"] else None

    def free(s: State, me: str) -> str:  # hdy_lock_free: the thread, then the word
        if not s[f"has.{me}"]:
            return DONE
        s[f"thread.{s[f'has.{me}'][0]}"] = ""
        return "free_word"

    def free_word(s: State, me: str) -> str:
        s[f"word.{s[f'has.{me}'][0]}"] = ""
        s[f"has.{me}"] = s[f"has.{me}"][1:]
        return "next"

    def free_of_a(s: State, me: str) -> str | None:  # hdy_lock_free, by one who does not hold it
        if s["thread.M"] != "a":
            return None
        s["thread.M"] = ""
        s["has.A"] = s["has.A"].replace("M", "")
        return "word"

    def free_word_of_a(s: State, me: str) -> str:
        s["word.M"] = ""
        return DONE

    def read(who: str, then: str) -> Action:  # circle_of: one row after the other
        def action(s: State, me: str) -> str:
            s[f"got since.{who}"], s[f"got at.{who}"] = s[f"since.{who}"], s[f"saw at.{who}"]
            s[f"got.{who}"] = s[f"saw.{who}"]
            return then

        return action

    def judge(s: State, me: str) -> str:
        is_older = broken == "not older than the look"
        for who, other in (("A", "B"), ("B", "A")):
            trusted = s[f"got.{who}"].upper() if broken.startswith("who acquired") else s[f"got.{who}"]
            if trusted != other or not s[f"got since.{other}"]:
                return DONE
            if s[f"got since.{other}"] >= s[f"got at.{who}"] and not is_older:
                return DONE
        return "report"

    def report(s: State, me: str) -> str | None:  # the second reading: the same waits
        if any(s[f"since.{who}"] != s[f"got since.{who}"] for who in both):
            return DONE
        s["false"] = s["thread.M"] == "a" or any(
            not s[f"since.{a}"] or s[f"wants.{a}"] not in s[f"has.{b}"] for a, b in (("A", "B"), ("B", "A"))
        )
        return DONE

    mover: Program = {
        "start": [choose(lock) for lock in locks],
        "next": [*(choose(lock) for lock in locks), free],
        "take": take,
        "name": name,
        "end_of_wait": end_of_wait,
        "begin": begin,
        "look": look,
        "load": load,
        "show": show,
        "sleep": sleep,
        "free_word": free_word,
    }
    looker: Program = {"start": read("A", "read_B"), "read_B": read("B", "judge"), "judge": judge, "report": report}
    variables: State = {f"{field}.{lock}": "" for lock in locks for field in ("word", "thread")}
    texts = ("wants", "holder", "has", "saw", "word seen", "got")
    variables |= {f"{field}.{who}": "" for who in both for field in texts}
    variables |= {**dict.fromkeys(times, 0), "left.A": 2, "left.B": 2, "false": False}
    return Model(
        f"deadlock {broken} {is_signal}",
        variables,
        # Which of the two locks is the first makes no difference.
        {
            "A": {**mover, "start": choose("M")},
            "B": mover,
            "R": looker,
            **({"S": {"start": free_of_a, "word": free_word_of_a}} if is_signal else {}),
        },
        crashes=0,
        invariant=lambda s: "a deadlock was reported that is none" if s["false"] else "",
        goal=lambda s: True,
    )


def signal(broken: str = "") -> Model:
    """The same with a lock that another may release."""
    return deadlock(broken, is_signal=True)


MODELS = [(wait_row, ROW_VARIANTS), (deadlock, DEADLOCK_VARIANTS), (signal, SIGNAL_VARIANTS)]
