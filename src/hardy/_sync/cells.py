"""How an object that lives in a shared cell is pickled and made again elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hardy._core import memory
from hardy._sync.handles import PackedSegment, pack_segment, unpack_segment

if TYPE_CHECKING:
    from hardy._core.memory import Cell

__all__ = ["SharedHandle", "check_name"]


class SharedHandle:
    """Pickling for the handles of sync objects; mixed into their Python classes.

    Differs from the stdlib: a handle may be pickled at any time, also to go through a queue, not only
    while a process is being started.
    """

    if TYPE_CHECKING:
        cell: Cell
        name: str | None

        def _adopt(self, cell: Cell, name: str | None) -> None: ...

    @property
    def _semlock(self) -> Any:
        """What the stdlib's own code asks for counts and ownership."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        cell = self.cell
        cell.mark_shared()
        place = (pack_segment(cell.segment), cell.offset, cell.nbytes)
        return (_rebuild, (type(self), place, self.name, self.__dict__))


def _rebuild(
    kind: type[SharedHandle],
    place: tuple[PackedSegment, int, int],
    name: str | None,
    attributes: dict[str, Any],
) -> SharedHandle:
    packed, offset, nbytes = place
    handle = kind.__new__(kind)
    handle._adopt(memory.cell_at(unpack_segment(packed), offset, nbytes), name)
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
