"""Who notices a death: the lifeline of a child, and the slots of the board.

The C code: src/hardy/_core/lifeline.h and lifeline.pyx, board.h.
"""

from __future__ import annotations

from .explorer import DEAD, DONE, Action, Model, Program, State, pc

LIFELINE_VARIANTS = ("pidfd opened by the child", "parent's pid asked", "death signal alone")
BOARD_VARIANTS = ("identity stays", "closed first", "no second look", "claim by store")


def lifeline(broken: str = "") -> Model:
    """The parent forks and may die at any step; the child arms itself. No child may stay (arm in lifeline.pyx)."""

    def open_self(s: State, me: str) -> str:
        s["pidfd"] = "parent"
        return "fork"

    def fork(s: State, me: str) -> str:
        s["child"] = True
        return "run"

    def born(s: State, me: str) -> str | None:
        if not s["child"]:
            return DONE if pc(s, "P") in (DEAD, DONE) else None
        return "arm"

    def gone(s: State) -> bool:
        return pc(s, "P") in (DEAD, DONE)

    def arm(s: State, me: str) -> str:
        if broken == "pidfd opened by the child":
            # By its pid, which another process may have by now.
            s["watched"] = "somebody" if gone(s) else "parent"
        elif broken == "death signal alone":
            # prctl(PR_SET_PDEATHSIG): tells of deaths from now on.
            s["watched"] = "nothing" if gone(s) else "parent"
        elif broken == "parent's pid asked":
            s["watched"] = "once"
            return DONE if gone(s) else "watch"
        else:
            s["watched"] = s["pidfd"]
        return "watch"

    def watch(s: State, me: str) -> str | None:
        return DONE if s["watched"] == "parent" and gone(s) else None

    parent: Program = {"start": open_self, "fork": fork, "run": lambda s, me: DONE}
    child: Program = {"start": born, "arm": arm, "watch": watch}
    variables: State = {"pidfd": "", "child": False, "watched": "", "x": 0}
    # The grandparent's other children change nothing; here they only make the interleavings more.
    bystander: Program = {"start": _count(1), "n1": _count(2), "n2": _count(3), "n3": _count(0)}
    return Model("lifeline", variables, {"P": parent, "C": child, "B": bystander})


def _count(number: int) -> Action:
    def action(s: State, me: str) -> str:
        s["x"] = number
        return f"n{number}" if number else DONE

    return action


def board(broken: str = "") -> Model:
    """Two claim the one slot, whose former process is dead; a third reads it (hdy_board_claim, hdy_board_read).

    A ticket is (claimer, open). Identity and name must be of one claim.
    """

    def look(s: State, me: str) -> str:  # hdy_board_claimable
        s[f"seen.{me}"] = s["ticket"]
        claimer, is_open = s["ticket"]
        free = claimer == "old" or (is_open and claimer != me and pc(s, claimer) == DEAD)
        return "cas" if free else DONE

    def cas(s: State, me: str) -> str:
        if broken != "claim by store" and s["ticket"] != s[f"seen.{me}"]:
            return "start"
        s["ticket"] = (me, broken != "closed first")
        return "name" if broken == "identity stays" else "identity"

    def write(field: str, value: str | None, then: str) -> Action:
        def action(s: State, me: str) -> str:
            s[field] = value if value is not None else me
            return then

        return action

    def close(s: State, me: str) -> str:
        s["ticket"] = (me, False)
        return "live"

    def live(s: State, me: str) -> str:  # hdy_board_set_identity
        s["identity"] = me
        return DONE

    def read_ticket(s: State, me: str) -> str:
        s["first"] = s["ticket"]
        return DONE if s["ticket"][1] else "read_identity"

    def read(field: str, then: str) -> Action:
        def action(s: State, me: str) -> str:
            s[f"my.{field}"] = s[field]
            return then

        return action

    def again(s: State, me: str) -> str:
        if s["ticket"] != s["first"] and broken != "no second look":
            return "start"
        s["said"] = (s["my.identity"], s["my.name"])
        return DONE

    def invariant(s: State) -> str:
        if s["said"] and s["said"][0] not in ("", s["said"][1]):
            return "a row of two claims"
        holders = [each for each in ("A", "B") if pc(s, each) in ("identity", "name", "close")]
        return "two claim one slot" if len(holders) > 1 else ""

    claimer: Program = {
        "start": look,
        "cas": cas,
        "identity": write("identity", "", "name"),
        "name": write("name", None, "close"),
        "close": close,
        "live": live,
    }
    reader: Program = {
        "start": read_ticket,
        "read_identity": read("identity", "read_name"),
        "read_name": read("name", "again"),
        "again": again,
    }
    variables: State = {"ticket": ("old", False), "identity": "old", "name": "old", "first": (), "said": ()}
    variables |= {"my.identity": "", "my.name": "", "seen.A": (), "seen.B": ()}
    return Model("board", variables, {"A": claimer, "B": claimer, "R": reader}, invariant=invariant)


MODELS = [(lifeline, LIFELINE_VARIANTS), (board, BOARD_VARIANTS)]
