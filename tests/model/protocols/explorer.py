"""Goes through every state of a small concurrent program, with a crash of any process at any step.

A model is a dictionary of variables and, for each process, a program: a dictionary from label to actions. An
action is one access to shared memory, or one system call; it gets a copy of the state, changes it, and returns
the next label, or None when it cannot be made now. Several actions at a label: any of them may be made. Labels
`DONE` and `DEAD` have none. Memory is sequentially consistent here: where the C code relies on a full barrier, a
broken variant swaps the two accesses, which is what a missing barrier allows.

Checked are: the invariant in every state; and that from every state the goal can still be reached without a
further crash. So a hang is found, and also a livelock, when each process gets its turn now and then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

State = dict[str, Any]
Action = Callable[[State, str], "str | None"]
Program = Mapping[str, "Action | Iterable[Action]"]

DONE, DEAD = "DONE", "DEAD"


class Violated(AssertionError):
    """The model has a state that the promise forbids; the text is the way there."""


@dataclass
class Model:
    """One protocol, small enough to be gone through.

    Attributes:
        name: what it is of.
        variables: shared variables, and local ones, as `name.process`; hashable values.
        programs: by process.
        crash: what the kernel does when that process dies (a robust mutex, a pidfd).
        crashes: how many processes may die.
        mortal: who may die; None: all.
        invariant: raises AssertionError, or returns what is wrong ("": nothing), in every state.
        goal: what must stay within reach; None: that every process is DONE or DEAD.
        at_end: as `invariant`, in the states in which every process is DONE or DEAD.
    """

    name: str
    variables: State
    programs: dict[str, Program]
    crash: Callable[[State, str], None] = lambda s, me: None
    crashes: int = 2
    mortal: tuple[str, ...] | None = None
    invariant: Callable[[State], str] = lambda s: ""
    goal: Callable[[State], bool] | None = None
    at_end: Callable[[State], str] = lambda s: ""


@dataclass
class Explored:
    """How much there was.

    Attributes:
        states, steps: how many, in all.
        ends: states in which nobody runs any more.
    """

    states: int = 0
    steps: int = 0
    ends: int = 0
    backwards: dict[int, list[int]] = field(default_factory=dict, repr=False)


def pc(s: State, process: str) -> str:
    """The label at which a process stands."""
    return str(s[f"pc.{process}"])


def alive(s: State, process: str) -> bool:
    """Whether it has not crashed."""
    return bool(s[f"pc.{process}"] != DEAD)


def over(s: State, processes: Iterable[str]) -> bool:
    """Whether none of them runs any more."""
    return all(s[f"pc.{each}"] in (DONE, DEAD) for each in processes)


def explore(model: Model, most: int = 2_000_000) -> Explored:
    """Every reachable state.

    Raises:
        Violated: with the steps that lead to the first bad state found.
    """
    processes = list(model.programs)
    first = {**model.variables, "crashed": 0, **{f"pc.{each}": "start" for each in processes}}
    names = list(first)
    actions = {
        (each, label): [action] if callable(action) else list(action)
        for each, program in model.programs.items()
        for label, action in program.items()
    }
    keys: list[tuple[Any, ...]] = [tuple(first.values())]
    number = {keys[0]: 0}
    came: list[tuple[int, str]] = [(-1, "")]
    backwards: list[list[int]] = [[]]
    good: deque[int] = deque()
    found = Explored()
    waiting = deque([0])

    def way_to(index: int) -> str:
        steps = []
        state = dict(zip(names, keys[index], strict=True))
        while index > 0:
            index, step = came[index]
            steps.append(step)
        return " > ".join(reversed(steps)) + f"\n  {state}"

    def enter(state: State, source: int, step: str, counts: bool) -> None:
        key = tuple(state.values())
        index = number.get(key)
        if index is None:
            index = number[key] = len(keys)
            if index > most:
                raise Violated(f"{model.name}: more than {most} states")
            keys.append(key)
            came.append((source, step))
            backwards.append([])
            waiting.append(index)
        if counts:
            backwards[index].append(source)
            found.steps += 1

    while waiting:
        index = waiting.popleft()
        state = dict(zip(names, keys[index], strict=True))
        wrong = model.invariant(state)
        if wrong:
            raise Violated(f"{model.name}: {wrong}:\n  {way_to(index)}")
        at_rest = over(state, processes)
        if at_rest:
            found.ends += 1
            wrong = model.at_end(state)
            if wrong:
                raise Violated(f"{model.name}: at the end, {wrong}:\n  {way_to(index)}")
        if model.goal(state) if model.goal else at_rest:
            good.append(index)
        for each in processes:
            label = state[f"pc.{each}"]
            for action in actions.get((each, label), ()):
                after = dict(state)
                then = action(after, each)
                if then is not None:
                    after[f"pc.{each}"] = then
                    enter(after, index, f"{each}.{label}", counts=True)
            if label in (DONE, DEAD) or state["crashed"] == model.crashes:
                continue
            if model.mortal is None or each in model.mortal:
                after = dict(state)
                after[f"pc.{each}"] = DEAD
                after["crashed"] += 1
                model.crash(after, each)
                enter(after, index, f"{each} dies at {label}", counts=False)
    found.states = len(keys)
    reaches = bytearray(len(keys))
    for index in good:
        reaches[index] = 1
    while good:
        for source in backwards[good.popleft()]:
            if not reaches[source]:
                reaches[source] = 1
                good.append(source)
    if (lost := reaches.find(0)) >= 0:
        raise Violated(f"{model.name}: hangs:\n  {way_to(lost)}")
    return found
