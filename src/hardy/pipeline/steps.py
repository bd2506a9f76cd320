"""What a pipeline is made of, as the user described it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["RERUNS", "Rerun", "Step", "check_source", "check_step", "name_of"]

Rerun = Literal["skip", "seek", "again"]
RERUNS = ("skip", "seek", "again")


@dataclass(frozen=True)
class Step:
    """A source, a stage or a sink.

    Attributes:
        kind: which of them.
        name: for people; unique in its pipeline.
        function: what each of its processes calls.
        processes: how many there are.
        max_items: the bound of its input queue in items; 0: none. A source has no queue.
        max_bytes: the same in bytes.
        max_deliveries: how often an item is given out to it before it is a dead item; 0: without end.
        rerun: what a source does when it is started again.
        first_row: the number of its first process in the pipeline.
    """

    kind: Literal["source", "stage", "sink"]
    name: str
    function: Callable[..., Any]
    processes: int
    first_row: int
    max_items: int = 0
    max_bytes: int = 0
    max_deliveries: int = 0
    rerun: Rerun = "skip"

    def child_ids(self) -> list[str]:
        """The names of its processes."""
        return [f"{self.name}-{number + 1}" for number in range(self.processes)]


class _Items:
    """A source made of a plain collection."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = items

    def __call__(self) -> Iterable[Any]:
        return self._items


def check_source(read: Any, processes: int, rerun: object) -> Callable[..., Any]:
    """The function of a source.

    Raises:
        TypeError, ValueError: it can be none, or not in that many processes.
    """
    if rerun not in RERUNS:
        raise ValueError(f"rerun must be one of {', '.join(RERUNS)}, not {rerun!r:.60}")
    if callable(read):
        return read  # type: ignore[no-any-return]
    if isinstance(read, Iterator):
        raise TypeError(
            f"source({type(read).__name__}): an iterator cannot be begun again when the source's process dies, nor go "
            "to another process; pass the function that makes it, without calling it"
        )
    if not isinstance(read, Iterable):
        raise TypeError(f"a source is a function that gives items, or a collection, not {type(read).__name__}")
    if processes > 1 or rerun != "skip":
        raise ValueError("a source that is a collection runs in one process, with rerun='skip'; pass a function")
    return _Items(read)


def check_step(what: str, function: Any, processes: object, max_deliveries: object) -> None:
    """Refuse what can be no step.

    Raises:
        TypeError, ValueError: an argument is wrong.
    """
    if not callable(function):
        raise TypeError(f"a {what} takes a function, not {type(function).__name__}")
    for name, value, least in (("processes", processes, 1), ("max_deliveries", max_deliveries, 0)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name} of a {what} must be an int, not {type(value).__name__}")
        if value < least:
            raise ValueError(f"{name} of a {what} must be at least {least}, not {value}")


def name_of(function: Any, name: str | None, taken: set[str]) -> str:
    """The given name, or one after the function that no other step has.

    Raises:
        TypeError: the name is no string.
        ValueError: another step has that name.
    """
    if name is not None:
        if not isinstance(name, str) or not name:
            raise TypeError(f"the name of a step must be a string that is not empty, not {name!r:.60}")
        if name in taken:
            raise ValueError(f"there is a step {name!r} already")
        return name
    plain = getattr(getattr(function, "func", function), "__name__", type(function).__name__).strip("_<>") or "step"
    made, number = plain, 1
    while made in taken:
        number += 1
        made = f"{plain}{number}"
    return made
