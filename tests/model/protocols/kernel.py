"""What the kernel does, for models: robust mutexes and futexes."""

from __future__ import annotations

from collections.abc import Callable

from .explorer import Action, State

FREE, ORPHANED = "", "owner died"


def crash(s: State, me: str) -> None:
    """A process ends: the guards that it holds are marked, and it sleeps no more."""
    for name, value in list(s.items()):
        if name.startswith("guard") and value == me:
            s[name] = ORPHANED


def lock(guard: str, then: str, repair: Callable[[State], None] | str) -> Action:
    """pthread_mutex_lock. `repair` is a label to go to with the guard held, or is done within the step."""

    def action(s: State, me: str) -> str | None:
        if s[guard] == FREE:
            s[guard] = me
            return then
        if s[guard] == ORPHANED:
            s[guard] = me
            if callable(repair):
                repair(s)
                return then
            return repair
        return None

    return action


def unlock(guard: str, then: str) -> Action:
    """pthread_mutex_unlock."""

    def action(s: State, me: str) -> str | None:
        assert s[guard] == me, f"{me} unlocks what {s[guard]!r} holds"
        s[guard] = FREE
        return then

    return action


def futex_wait(word: str, seen: str, asleep: str, awake: str) -> Action:
    """Sleeps while the word is as seen; `seen` is a local variable of the process."""

    def action(s: State, me: str) -> str | None:
        return asleep if s[word] == s[f"{seen}.{me}"] else awake

    return action


def look_again(awake: str, always: bool = False) -> Action:
    """The end of a slice. Without a crash it must not be needed, hence it only comes after one."""

    def action(s: State, me: str) -> str | None:
        return awake if always or s["crashed"] else None

    return action


def sleepers(s: State, processes: tuple[str, ...], asleep: str) -> list[str]:
    return [each for each in processes if s[f"pc.{each}"] == asleep]


def wake_all(s: State, processes: tuple[str, ...], asleep: str, awake: str) -> int:
    """futex(FUTEX_WAKE, INT_MAX): how many were woken."""
    woken = sleepers(s, processes, asleep)
    for each in woken:
        s[f"pc.{each}"] = awake
    return len(woken)


def wake_one(
    processes: tuple[str, ...], asleep: str, awake: str, then: Callable[[State, str, int], str]
) -> list[Action]:
    """futex(FUTEX_WAKE, 1), any sleeper: one action for each choice; `then(state, me, woken)` is the next label."""

    def choose(chosen: str) -> Action:
        def action(s: State, me: str) -> str | None:
            if s[f"pc.{chosen}"] != asleep:
                return None
            s[f"pc.{chosen}"] = awake
            return then(s, me, 1)

        return action

    def nobody(s: State, me: str) -> str | None:
        return None if sleepers(s, processes, asleep) else then(s, me, 0)

    return [choose(each) for each in processes] + [nobody]
