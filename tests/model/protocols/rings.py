"""A queue's two sides: commits, looks without a guard, waiting and waking; leases; what is unfinished.

The C code: src/hardy/_core/ring.h, commit.h, lease.h, unfinished.h, users.h, repair.h.
"""

from __future__ import annotations

from .explorer import DEAD, DONE, Action, Model, Program, State, over, pc
from .kernel import crash, futex_wait, lock, unlock, wake_one

COMMIT_VARIANTS = ("change in place", "commit first", "one look", "repair flips")
WAIT_VARIANTS = ("look before ask", "word after wake", "ask before word", "answered without a count", "no wake")
LOOK_VARIANTS = ("no second look",)
LEASE_VARIANTS = ("state after head", "sweep takes the living's")
UNFINISHED_VARIANTS = ("no stamp", "booked before the commit", "repair does not book")


def commit(broken: str = "") -> Model:
    """Two write in a side's guard, a third looks without it (hdy_begin, hdy_commit, hdy_peek).

    An end is two words that must be equal: end.0 and end.1 exist twice.
    """

    def copy(word: int) -> Action:
        def action(s: State, me: str) -> str:
            holds = s["commits"] & 1
            if broken != "change in place":
                s[f"end{1 - holds}.{word}"] = s[f"end{holds}.{word}"]
            return f"copy{word + 1}" if word == 0 else "change0"

        return action

    def change(word: int) -> Action:
        def action(s: State, me: str) -> str:
            spare = (s["commits"] & 1) ^ (broken != "change in place")
            if broken == "commit first":
                spare ^= 1
            s[f"end{spare}.{word}"] += 1
            return "change1" if word == 0 else ("unlock" if broken == "commit first" else "commit")

        return action

    def flip(s: State, me: str) -> str:
        s["commits"] += 1
        s["committed"] += 1
        return "change0" if broken == "commit first" else "unlock"

    def repair(s: State) -> None:
        if broken == "repair flips":
            s["commits"] += 1

    def peek(label: str) -> Action:
        def action(s: State, me: str) -> str:
            if label == "start":
                s["first.R"] = s["commits"]
                return "word0"
            if label == "again":
                if s["commits"] != s["first.R"] and broken != "one look":
                    return "start"
                s["read.R"] = (s["x.R"], s["y.R"])
                return DONE
            word = int(label[-1])
            s["x.R" if word == 0 else "y.R"] = s[f"end{s['first.R'] & 1}.{word}"]
            return "word1" if word == 0 else "again"

        return action

    def invariant(s: State) -> str:
        holds = s["commits"] & 1
        if s["guard"] == "" and s[f"end{holds}.0"] != s[f"end{holds}.1"]:
            return "the end that holds is torn"
        if s["guard"] == "" and s[f"end{holds}.0"] != s["committed"]:
            return "a commit is lost or doubled"
        return "a look saw a torn end" if s["read.R"] and s["read.R"][0] != s["read.R"][1] else ""

    writer: Program = {
        "start": lock("guard", "copy0", repair),
        "copy0": copy(0),
        "copy1": copy(1),
        "change0": change(0),
        "change1": change(1),
        "commit": flip,
        "unlock": unlock("guard", "next"),
        "next": lambda s, me: DONE,
    }
    if broken == "commit first":
        writer = {**writer, "copy1": lambda s, me: copy(1)(s, me) and "commit"}
    reader: Program = {label: peek(label) for label in ("start", "word0", "word1", "again")}
    variables: State = {"guard": "", "commits": 0, "committed": 0, "first.R": 0, "x.R": 0, "y.R": 0, "read.R": ()}
    variables |= {f"end{twin}.{word}": 0 for twin in (0, 1) for word in (0, 1)}
    programs = {"V": writer, "W": writer, "X": writer, "R": reader}
    return Model("commit", variables, programs, crash, invariant=invariant)


def _waiting(getters: tuple[str, ...], putters: dict[str, int], broken: str) -> Model:
    """hdy_ask, hdy_notify: `getters` take one message each, `putters` put so many."""

    def look(then_found: str, then_not: str) -> Action:
        def action(s: State, me: str) -> str:
            return then_found if s["tail"] > s["head"] else then_not

        return action

    def take(s: State, me: str) -> str:
        s["head"] += 1
        return "got"

    def seen(then: str) -> Action:
        def action(s: State, me: str) -> str:
            s[f"seen.{me}"] = s["word"]
            return then

        return action

    def ask(then: str) -> Action:
        def action(s: State, me: str) -> str:
            s["asks"] += 1
            return then

        return action

    def slice_over(s: State, me: str) -> str | None:
        # A look in vain only counts `asks` up; one a getter stands for all of them.
        if not s["crashed"] or (s["tail"] == s["head"] and s[f"vain.{me}"]):
            return None
        s[f"vain.{me}"] |= s["tail"] == s["head"]
        return "start"

    # In the head's guard: see the word, ask, look again.
    getter: dict[str, Action] = {
        "start": lock("guard.head", "look", lambda s: None),
        "look": look("take", "word"),
        "take": take,
        "word": seen("ask"),
        "ask": ask("again"),
        "again": look("take", "leave"),
        "got": unlock("guard.head", "end"),
        "end": lambda s, me: DONE,
        "leave": unlock("guard.head", "sleep"),
        "sleep": futex_wait("word", "seen", "asleep", "start"),
        "asleep": slice_over,
    }
    if broken == "look before ask":
        getter |= {"look": look("take", "again"), "again": look("take", "word"), "ask": ask("leave")}
    if broken == "ask before word":
        getter |= {
            "look": look("take", "ask"),
            "ask": ask("again"),
            "again": look("take", "word"),
            "word": seen("leave"),
        }

    def put(s: State, me: str) -> str:
        s["tail"] += 1
        return "unlock"

    def read_asks(s: State, me: str) -> str:
        s[f"asks.{me}"] = s["asks"]
        return "read_answered"

    def read_answered(s: State, me: str) -> str:
        s[f"answered.{me}"] = s["answered"]
        if s[f"asks.{me}"] == s["answered"] or broken == "no wake":
            return "next"
        return "wake" if broken == "word after wake" else "count_word"

    def count_word(s: State, me: str) -> str:
        s["word"] += 1
        return "answer" if broken == "word after wake" else "wake"

    def woke(s: State, me: str, woken: int) -> str:
        s[f"woken.{me}"] = woken
        return "count_word" if broken == "word after wake" else "answer"

    def answer(s: State, me: str) -> str:
        woken = s[f"woken.{me}"]
        if broken == "answered without a count" or woken < 1 or woken >= s[f"asks.{me}"] - s[f"answered.{me}"]:
            s["answered"] = s["asks"] if broken == "answered without a count" else s[f"asks.{me}"]
        return "next"

    def following(s: State, me: str) -> str:
        s[f"left.{me}"] -= 1
        return "start" if s[f"left.{me}"] else DONE

    putter: Program = {
        "start": lock("guard.tail", "put", lambda s: None),
        "put": put,
        "unlock": unlock("guard.tail", "read_asks"),
        "read_asks": read_asks,
        "read_answered": read_answered,
        "count_word": count_word,
        "wake": wake_one(getters, "asleep", "start", woke),
        "answer": answer,
        "next": following,
    }

    def goal(s: State) -> bool:
        # Fewer messages than getters, for a putter died: the rest may sleep, and no message may lie there.
        left = [each for each in getters if pc(s, each) not in (DONE, DEAD)]
        return over(s, putters) and (
            not left or (s["tail"] == s["head"] and all(pc(s, each) == "asleep" for each in left))
        )

    variables: State = {"guard.head": "", "guard.tail": "", "head": 0, "tail": 0, "word": 0, "asks": 0, "answered": 0}
    variables |= {f"{name}.{each}": 0 for each in getters for name in ("seen", "vain")}
    for each, count in putters.items():
        variables |= {f"left.{each}": count, f"asks.{each}": 0, f"answered.{each}": 0, f"woken.{each}": 0}
    programs: dict[str, Program] = {**dict.fromkeys(getters, getter), **dict.fromkeys(putters, putter)}
    return Model("waiting", variables, programs, crash, crashes=1, goal=goal)


def waiting_one_putter(broken: str = "") -> Model:
    """Two getters, one putter of two messages."""
    return _waiting(("G", "H"), {"P": 2}, broken)


def waiting_two_putters(broken: str = "") -> Model:
    """Two getters, two putters of a message each."""
    return _waiting(("G", "H"), {"P": 1, "Q": 1}, broken)


def look(broken: str = "") -> Model:
    """hdy_look: head and tail as they stood together, while one puts and one gets."""

    def step(side: str, most: int) -> Action:
        def action(s: State, me: str) -> str | None:
            if side == "head" and s["head"] == s["tail"]:
                return None if pc(s, "P") not in (DONE, DEAD) else DONE
            s[side] += 1
            s["ever"] |= 1 << (s["tail"] - s["head"])
            return "start" if s[side] < most else DONE

        return action

    def read(name: str, side: str, then: str) -> Action:
        def action(s: State, me: str) -> str:
            s[name] = s[side]
            if name == "head.L" and not s["since"]:
                s["since"] = True
                s["ever"] = 1 << (s["tail"] - s["head"])
            return then

        return action

    def check(side: str, mine: str, then: str) -> Action:
        def action(s: State, me: str) -> str:
            if s[side] != s[mine] and broken != "no second look":
                return then
            s["said"] = s["tail.L"] - s["head.L"]
            return DONE

        return action

    program: Program = {
        "start": read("head.L", "head", "tail"),
        "tail": read("tail.L", "tail", "check_head"),
        "check_head": check("head", "head.L", "head"),
        "head": read("head.L", "head", "check_tail"),
        "check_tail": check("tail", "tail.L", "tail"),
    }

    def invariant(s: State) -> str:
        said = s["said"]
        return "a number that never was" if said is not None and not (said >= 0 and s["ever"] >> said & 1) else ""

    variables: State = {"head": 0, "tail": 0, "ever": 1, "since": False, "head.L": 0, "tail.L": 0, "said": None}
    programs: dict[str, Program] = {"P": {"start": step("tail", 3)}, "G": {"start": step("head", 3)}, "L": program}
    return Model("look", variables, programs, crashes=1, invariant=invariant)


def lease(broken: str = "") -> Model:
    """One message, a slot, three takers in the head's guard: take, ack, redelivery (lease.h).

    The slot counts when its state is not FREE and the head has passed the message.
    """

    def look_for(s: State, me: str) -> str:  # hdy_lease_take
        owner = s["owner"]
        if s["head"] == 1:
            if s["slot"] == "FREE":
                return "nothing"
            if s["slot"] == "READY":
                return "retake_owner"
            gone = pc(s, owner) == DEAD or (broken == "sweep takes the living's" and owner != me)
            return "sweep" if gone else "not_yet"
        return "fill"

    def fill(s: State, me: str) -> str:
        s["owner"] = me
        return "head" if broken == "state after head" else "state"

    def slot(state: str, then: str) -> Action:
        def action(s: State, me: str) -> str:
            s["slot"] = state
            return then

        return action

    def head(s: State, me: str) -> str:  # hdy_commit
        s["head"] = 1
        return "state" if broken == "state after head" else "unlock_held"

    def own(s: State, me: str) -> str:
        s["owner"] = me
        return "retake"

    def ack(s: State, me: str) -> str:
        if s["slot"] != "LEASED" or s["owner"] != me:
            s["lost"] += 1
        else:
            s["slot"] = "FREE"
            s["acked"] += 1
        return "unlock_done"

    def not_yet(s: State, me: str) -> str:
        s["guard"] = ""
        return "start"

    def invariant(s: State) -> str:
        if s["acked"] > 1:
            return "acknowledged twice"
        if s["lost"]:
            return "a living holder lost its lease"
        counts = s["slot"] != "FREE" and s["head"] == 1
        if s["guard"] == "" and s["head"] == 1 and not counts and not s["acked"]:
            return "the message is lost"
        return ""

    taker: Program = {
        "start": lock("guard", "look", lambda s: None),
        "look": look_for,
        "fill": fill,
        "state": slot("LEASED", "unlock_held" if broken == "state after head" else "head"),
        "head": head,
        "sweep": slot("READY", "retake_owner"),
        "retake_owner": own,
        "retake": slot("LEASED", "unlock_held"),
        "unlock_held": unlock("guard", "working"),
        "working": lock("guard", "ack", lambda s: None),
        "ack": ack,
        "unlock_done": unlock("guard", "end"),
        "nothing": unlock("guard", "end"),
        "end": lambda s, me: DONE,
        "not_yet": not_yet,
    }
    variables: State = {"guard": "", "slot": "FREE", "owner": "", "head": 0, "acked": 0, "lost": 0}
    return Model("lease", variables, dict.fromkeys(("A", "B", "C"), taker), crash, invariant=invariant)


def unfinished(broken: str = "") -> Model:
    """What a process got and did not finish: a commit names its actor and a stamp; booked once (users.h)."""
    takers = ("A", "B")

    def book(s: State) -> None:  # hdy_user_settle
        actor, stamp = s["last"]
        if actor and (s[f"booked.{actor}"][1] != stamp or broken == "no stamp"):
            s[f"booked.{actor}"] = (s[f"booked.{actor}"][0] + 1, stamp)

    def repair(s: State) -> None:
        if broken != "repair does not book":
            book(s)

    def act(s: State, me: str) -> str:  # hdy_user_act, hdy_commit
        if broken == "booked before the commit":
            s[f"booked.{me}"] = (s[f"booked.{me}"][0] + 1, s["last"][1] + 1)
            return "late_commit"
        s["last"] = (me, s["last"][1] + 1)
        s[f"got.{me}"] += 1
        return "settle"

    def late_commit(s: State, me: str) -> str:
        s["last"] = (me, s["last"][1] + 1)
        s[f"got.{me}"] += 1
        return "unlock"

    def settle(s: State, me: str) -> str:
        book(s)
        return "unlock"

    def again(s: State, me: str) -> str:
        s[f"left.{me}"] -= 1
        return "start" if s[f"left.{me}"] else DONE

    def invariant(s: State) -> str:
        if s["guard"] != "":
            return ""
        wrong = [each for each in takers if s[f"booked.{each}"][0] != s[f"got.{each}"]]
        return f"what {wrong[0]} has got is booked wrongly" if wrong else ""

    program: Program = {
        "start": lock("guard", "act", repair),
        "act": act,
        "late_commit": late_commit,
        "settle": settle,
        "unlock": unlock("guard", "again"),
        "again": again,
    }
    looker: Program = {
        "start": lock("guard", "unlock", repair),
        "unlock": unlock("guard", "end"),
        "end": lambda s, me: DONE,
    }
    variables: State = {"guard": "", "last": ("", 0)}
    for each in takers:
        variables |= {f"booked.{each}": (0, 0), f"got.{each}": 0, f"left.{each}": 2}
    return Model("unfinished", variables, {**dict.fromkeys(takers, program), "J": looker}, crash, invariant=invariant)


MODELS = [
    (commit, COMMIT_VARIANTS),
    (waiting_one_putter, WAIT_VARIANTS),
    (waiting_two_putters, ()),
    (look, LOOK_VARIANTS),
    (lease, LEASE_VARIANTS),
    (unfinished, UNFINISHED_VARIANTS),
]
