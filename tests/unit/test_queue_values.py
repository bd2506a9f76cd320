"""What goes through a queue comes out equal, and of the same type."""

from __future__ import annotations

import enum
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from queue import Empty
from typing import Any, NamedTuple

import pytest
from helpers.crew import Crew, Line, new_crew
from helpers.waiting import wait_until
from hypothesis import given, settings
from hypothesis import strategies as st

from hardy._ipc.queues import Queue

numpy = pytest.importorskip("numpy")

INLINE_MOST = 24_576
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.characters(codec=None),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


class Count(int):
    pass


class Word(str):
    __slots__ = ("mark",)


class Blob(bytes):
    pass


class Ratio(float):
    pass


class Colour(enum.IntEnum):
    RED = 1


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Record:
    name: str
    parts: list[Any]


@pytest.fixture
def crew() -> Iterator[Crew]:
    with new_crew() as crew:
        yield crew


@pytest.fixture(scope="module")
def shared() -> Queue[Any]:
    """One queue for many values."""
    return Queue()


def same(a: Any, b: Any) -> bool:
    """Equal, of equal types all the way down; nan is itself, and -0.0 is not 0.0."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b) or (math.isnan(a) and math.isnan(b))
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same(list(a.items()), list(b.items()))
    return bool(a == b)


def round_trip(queue: Any, value: Any) -> Any:
    queue.put(value)
    return queue.get(timeout=10)


@settings(max_examples=300)
@given(value=PLAIN)
def test_queue_gives_back_any_plain_value(value: Any) -> None:
    """Nested plain values, big ints, surrogates and nan keep their value and type."""
    queue: Queue[Any] = Queue()

    assert same(round_trip(queue, value), value)


@settings(max_examples=50)
@given(values=st.lists(PLAIN, min_size=1, max_size=200))
def test_queue_gives_back_many_plain_values(values: list[Any]) -> None:
    """`put_many` and `get_many` change nothing about the values or their order."""
    queue: Queue[Any] = Queue()
    got: list[Any] = []

    queue.put_many(values)
    while len(got) < len(values):
        got += queue.get_many(timeout=10)

    assert same(got, values)


@pytest.mark.parametrize(
    "value",
    [
        2**63 - 1,
        -(2**63),
        2**63,
        -(2**63) - 1,
        10**400,
        "\ud800 lone",
        "ﬀ \0 😀",
        math.nan,
        -0.0,
        math.inf,
        Count(7),
        Word("word"),
        Blob(b"blob"),
        Ratio(1.5),
        Colour.RED,
        True,
        Point(1, 2),
        Record("a", [1, {"b": (2,)}]),
        Decimal("1.10"),
        1 + 2j,
        range(5),
        frozenset({1, 2}),
        bytearray(b"array"),
        bytearray(100_000),
        ValueError("said", 3),
        int,
        len,
    ],
    ids=lambda value: f"{type(value).__name__}-{str(value)[:12]!a}",
)
def test_queue_keeps_the_type_of_a_value(shared: Queue[Any], value: Any) -> None:
    """A subclass of int is not taken for an int, nor a bool, nor an enum."""
    got = round_trip(shared, value)

    assert type(got) is type(value)
    assert repr(got) == repr(value)


@pytest.mark.parametrize(
    "array",
    [
        numpy.arange(10),
        numpy.array(3.5),
        numpy.empty((0, 3)),
        numpy.arange(100_000).reshape(100, 1000)[::3, ::7],
        numpy.asfortranarray(numpy.arange(60_000.0).reshape(200, 300)),
        numpy.zeros(5_000, dtype=[("a", "i4"), ("b", "f8", (2,))]),
        numpy.array(["one", "three"]),
        numpy.array([1, "two", None], dtype=object),
        numpy.arange(100_000)[::-1],
    ],
    ids=lambda array: f"{array.dtype.kind}{array.shape}",
)
def test_queue_gives_back_an_array(shared: Queue[Any], array: Any) -> None:
    """Arrays of any layout come back equal, with their dtype, and writable."""
    got = round_trip(shared, array)

    assert (got.dtype, got.shape) == (array.dtype, array.shape)
    assert numpy.array_equal(got, array)
    got[...] = got


def test_queue_gives_back_a_readonly_array(shared: Queue[Any]) -> None:
    """An array that must not be written in the sender is a value like any other."""
    array = numpy.arange(50_000)
    array.flags.writeable = False

    assert numpy.array_equal(round_trip(shared, array), array)


@pytest.mark.parametrize("count", [1, 63, 64, 65, 200])
def test_queue_gives_back_many_arrays_in_one_object(shared: Queue[Any], count: int) -> None:
    """The number of large buffers in one message has no bound."""
    arrays = [numpy.full(3_000, i) for i in range(count)]

    got = round_trip(shared, {"arrays": arrays, "count": count})

    assert got["count"] == count
    assert all(numpy.array_equal(a, b) for a, b in zip(got["arrays"], arrays, strict=True))


def test_array_is_the_receivers_own(shared: Queue[Any]) -> None:
    """What the receiver writes into an array touches neither the sender's nor the next message."""
    array = numpy.zeros(100_000)

    got = round_trip(shared, array)
    got[:] = 1
    again = round_trip(shared, array)

    assert not array.any()
    assert not again.any()


SIZES = [0, 1, 7, 8, 447, 448, 449, 4096, INLINE_MOST - 1, INLINE_MOST, INLINE_MOST + 1]
SIZES += [65_535, 65_536, 65_537, 1 << 20, (255 * 65_536) - 1, 255 * 65_536, (255 * 65_536) + 1, 64 << 20]


@pytest.mark.parametrize("size", SIZES)
def test_queue_gives_back_bytes_of_any_size(size: int) -> None:
    """0 bytes to 64 MiB, at the edges between one way of storing and the next."""
    queue: Queue[bytes] = Queue()
    data = (bytes(range(251)) * (size // 251 + 1))[:size]

    assert round_trip(queue, data) == data
    assert (queue.qsize(), queue.nbytes()) == (0, 0)


def test_queue_gives_back_text_of_any_size() -> None:
    """Long text that is not ASCII goes through as UTF-8."""
    queue: Queue[str] = Queue()

    for text in ("é" * 5_000, "é" * 50_000, "x" * 100_000, "\ud800" * 50_000):
        assert round_trip(queue, text) == text


@pytest.mark.timeout(120)
def test_queue_carries_a_gibibyte_between_processes(crew: Crew) -> None:
    """One message of 1 GiB arrives whole, and its memory goes back to the system."""
    queue: Queue[bytes] = Queue()
    size = 1 << 30

    def put(line: Line, queue: Any) -> None:
        data = bytearray(size)
        data[0], data[size // 2], data[-1] = 1, 2, 3
        queue.put(bytes(data))
        line.say("put")

    putter = crew.start(put, queue)
    data = queue.get(timeout=60)

    assert (len(data), data[0], data[size // 2], data[-1], data.count(0)) == (size, 1, 2, 3, size - 3)
    assert putter.ends_well()
    del data

    def is_back() -> bool:
        try:
            queue.get(timeout=0.2)
        except Empty:
            pass  # idle, which is when memory is given back
        return queue.segment.allocated_bytes() < 4 << 20

    assert wait_until(is_back)
