"""What a queue must offer to be measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

# Objects in one call of the "many" forms.
MANY = 100


class Channel:
    """One way from a producer's process to a consumer's.

    It is made before both are forked. What it hands out is called in the measured loop as it is, with no
    wrapper of ours where the peer's own method will do: a wrapper costs a quarter of a fast queue's put.

    Args:
        bound: the most objects in flight, for peers that can be bounded; 0: no bound.
        object_bytes: size of one object, for peers that must reserve memory.
    """

    name: ClassVar[str]
    has_many: ClassVar[bool] = False
    # Whether several processes may send, and several receive, from one and the same queue.
    serves_many: ClassVar[bool] = True

    def __init__(self, bound: int, object_bytes: int) -> None:
        raise NotImplementedError

    def sender(self) -> Callable[[Any], object]:
        """The function that puts one object; called once, in the producer's process."""
        raise NotImplementedError

    def receiver(self) -> Callable[[], Any]:
        """The function that gets one object; called once, in the consumer's process."""
        raise NotImplementedError

    def many_sender(self) -> Callable[[list[Any]], object]:
        """The function that puts a list of MANY objects at once."""
        raise NotImplementedError

    def many_receiver(self) -> Callable[[], list[Any]]:
        """The function that gets up to MANY objects at once."""
        raise NotImplementedError

    def finish(self) -> None:
        """Called by each side after its last object, so that none is lost when its process ends."""
