"""One task, in the parent: a call, or a run of items through one function."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Protocol

from hardy._exec.options import TaskOptions
from hardy._exec.wire import TASK, Kind, name_of, pack
from hardy._proc import told

if TYPE_CHECKING:
    from hardy._exec.slot import Slot

__all__ = ["Sink", "Task", "call", "items"]

_ids = itertools.count(1)


class Sink(Protocol):
    """Who is told what becomes of a task's items; by the collector's thread, with no lock held."""

    def give(self, index: int, value: Any) -> None:
        """The call of that index returned."""

    def give_many(self, index: int, values: list[Any]) -> None:
        """The items from that index on returned."""

    def fail(self, index: int, error: BaseException) -> None:
        """The item of that index failed."""


class Task:
    """A task on its way.

    Attributes:
        id: its number in this process.
        sink: who is told.
        base: index of its first item, for the sink.
        count: how many items it has; 1 for a call.
        left: how many of them have not ended.
        next: which of them is the first without a result.
        message: what is sent.
        nbytes: its size.
        function, content, kind: what it was made of; the first is what errors name it by.
        options: what was asked for it.
        main_is_there: whether its worker has what is defined in this process's `__main__`.
        attempts: how often it was begun, or is now.
        slot: the worker that has it; None while it waits.
    """

    __slots__ = (
        "attempts",
        "base",
        "content",
        "count",
        "function",
        "id",
        "kind",
        "left",
        "main_is_there",
        "message",
        "nbytes",
        "next",
        "options",
        "sink",
        "slot",
    )

    def __init__(
        self,
        sink: Sink,
        base: int,
        count: int,
        kind: int,
        function: Any,
        content: Any,
        options: TaskOptions,
        main_is_there: bool,
    ) -> None:
        self.id = task = next(_ids)
        self.sink = sink
        self.base = base
        self.count = self.left = count
        self.next = 0
        self.kind = kind
        self.function = function
        self.options = options
        self.main_is_there = main_is_there
        self.attempts = 1
        self.slot: Slot | None = None
        carried = told.observer.carried() if told.observer is not None else b""
        name = name_of(function) if main_is_there else b""
        trailer = carried + name + TASK.pack(task, kind | Kind.CARRIED if carried else kind, len(name))
        places: tuple[str, ...] = ("function", "args", "kwargs") if kind == Kind.CALL else ("function", "items")
        sent = content
        if name:
            sent, places = content[1:], places[1:]
        self.message = message = pack(
            sent, trailer, by_value=True, main_is_there=main_is_there, places=places, base=base
        )
        self.nbytes = len(message) if type(message) is bytes else message.nbytes
        self.content = content

    @property
    def name(self) -> str:
        """What errors call it."""
        return self.options.name or getattr(self.function, "__qualname__", None) or repr(self.function)[:60]

    def release(self) -> None:
        """It has ended: let go of what it was made of, and of who was told, though a future refers to it."""
        self.function = self.content = self.message = None

    def part(self, first: int, stop: int) -> Task:
        """A task for some of its items."""
        function, content = self.content
        part = Task(
            self.sink,
            self.base + first,
            stop - first,
            self.kind,
            function,
            (function, content[first:stop]),
            self.options,
            self.main_is_there,
        )
        part.attempts = self.attempts
        return part


def call(sink: Sink, function: Any, args: Any, kwargs: Any, options: TaskOptions, main_is_there: bool) -> Task:
    """A task of one call; `main_is_there` as for `Task`.

    Raises:
        CannotPickle: with the path to the culprit.
    """
    return Task(sink, 0, 1, Kind.CALL, function, (function, args, kwargs), options, main_is_there)


def items(
    sink: Sink,
    base: int,
    function: Any,
    content: list[Any],
    starred: bool,
    options: TaskOptions,
    main_is_there: bool,
) -> Task:
    """A task of items.

    Args:
        sink: who is told.
        base: index of the first item, for the sink.
        function: what each goes through.
        content: the items; tuples of arguments when `starred`.
        starred: whether an item is a tuple of arguments.
        options: what is asked for each item.
        main_is_there: as for `Task`.

    Raises:
        CannotPickle: with the path to the culprit.
    """
    kind = Kind.STARRED_ITEMS if starred else Kind.ITEMS
    if options.is_watched:
        kind |= Kind.TIMED
    return Task(sink, base, len(content), kind, function, (function, content), options, main_is_there)
