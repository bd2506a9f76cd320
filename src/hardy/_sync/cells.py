"""How an object that lives in a shared cell is pickled and made again elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from hardy._core import memory
from hardy._core.memory import Cell
from hardy._sync.handles import PackedSegment, pack_segment, unpack_segment

__all__ = ["Place", "SharedHandle", "check_name", "place_of", "reach"]


class Place(NamedTuple):
    """Where a cell lies; pickles."""

    segment: PackedSegment
    offset: int
    nbytes: int


def place_of(cell: Cell) -> Place:
    """The place of a cell, for another process; from now on the cell is never used again for another object."""
    cell.mark_shared()
    return Place(pack_segment(cell.segment), cell.offset, cell.nbytes)


def reach(place: Place) -> Cell:
    """The cell at a place.

    Raises:
        AttachError: no living process of this user has its memory any more.
        ForeignHandle: it is of another pid namespace or of another version of hardy.
    """
    return memory.cell_at(unpack_segment(place.segment), place.offset, place.nbytes)


class SharedHandle:
    """Pickling for the handles of sync objects; mixed into their Python classes.

    Differs from the stdlib: a handle may be pickled at any time, also to go through a queue, not only
    while a process is being started.
    """

    if TYPE_CHECKING:

        @property
        def cell(self) -> Cell: ...

        name: str | None

        def _adopt(self, cell: Cell, name: str | None) -> None: ...

    @property
    def _semlock(self) -> Any:
        """What the stdlib's own code asks for counts and ownership."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), place_of(self.cell), self.name, self.__dict__))


def _rebuild(kind: type[SharedHandle], place: Place, name: str | None, attributes: dict[str, Any]) -> SharedHandle:
    handle = kind.__new__(kind)
    handle._adopt(reach(place), name)
    handle.__dict__.update(attributes)
    return handle


def check_name(name: str | None) -> str | None:
    """The name, if it is one.

    Raises:
        TypeError: it is neither a string nor None.
    """
    if name is not None and not isinstance(name, str):
        raise TypeError(f"name must be a str or None, not {type(name).__name__}")
    return name
