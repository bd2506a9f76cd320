"""Containers of plain values come out of a queue exactly as from pickle, and damaged ones as an error."""

from __future__ import annotations

import copyreg
import gc
import math
import mmap
import pickle
import random
import struct
from collections import OrderedDict, namedtuple
from collections.abc import Iterator
from typing import Any

import pytest
from helpers.crew import Crew, Line, new_crew
from helpers.ring_view import UNIT, look
from hypothesis import given, settings
from hypothesis import strategies as st

from hardy import Queue
from hardy.errors import CannotPickle, CannotUnpickle

Pair = namedtuple("Pair", "a b")
LEAF = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([-(2**63), 2**63 - 1, 2**63, -129, -128, 127, 128, 2**31, -(2**31) - 1])
    | st.floats()
    | st.text()
    | st.characters(codec=None)
    | st.binary()
    | st.binary().map(bytearray)
)
# Without nan: its hash is its address, so that two sets with the same nan differ in order.
HASHABLE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4).map(tuple) | st.frozensets(inner, max_size=4),
    max_leaves=6,
)


@pytest.fixture
def crew() -> Iterator[Crew]:
    with new_crew() as crew:
        yield crew


def round_trip(value: Any) -> Any:
    queue: Queue[Any] = Queue()
    queue.put(value)
    return queue.get(timeout=10)


def same(a: Any, b: Any, twins: dict[int, Any]) -> bool:
    """Equal in type, value, order, and in what is one object with what.

    Args:
        twins: by id of what was met in `a`: what stood there in `b`. Empty at first.
    """
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b)
    if not isinstance(a, (list, tuple, dict, set, frozenset, bytearray)):
        return bool(a == b)
    if id(a) in twins:
        return twins[id(a)] is b
    if any(twin is b for twin in twins.values()) and b != () and b != frozenset():
        return False
    twins[id(a)] = b
    if len(a) != len(b):
        return False
    if isinstance(a, dict):
        return all(
            same(x, y, twins) for p, q in zip(a.items(), b.items(), strict=True) for x, y in zip(p, q, strict=True)
        )
    if isinstance(a, bytearray):
        return a == b
    return all(same(x, y, twins) for x, y in zip(a, b, strict=True))


def assert_as_pickle(value: Any) -> None:
    assert same(round_trip(value), pickle.loads(pickle.dumps(value, 5)), {})


@st.composite
def graphs(draw: st.DrawFn) -> Any:
    """Containers that share members, and that may hold themselves."""
    nodes: list[Any] = draw(st.lists(LEAF, min_size=1, max_size=4))
    for kind in draw(st.lists(st.sampled_from([list, tuple, dict, set, frozenset, "again"]), max_size=8)):
        members = [nodes[i] for i in draw(st.lists(st.integers(0, len(nodes) - 1), max_size=4))]
        if kind is dict:
            nodes.append(dict(zip(draw(st.lists(HASHABLE, min_size=4, max_size=4)), members, strict=False)))
        elif kind in (set, frozenset):
            nodes.append(kind(draw(st.lists(HASHABLE, max_size=4))))
        elif kind == "again":
            lists = [node for node in nodes if type(node) is list]
            if lists:
                lists[draw(st.integers(0, len(lists) - 1))].extend(members)
        else:
            nodes.append(kind(members))
    return nodes[-1]


@settings(max_examples=400, deadline=None)
@given(value=graphs())
def test_queue_gives_back_containers_as_pickle_does(value: Any) -> None:
    """Types, values, order, and which members are one object: all as after pickle.loads(pickle.dumps(x))."""
    assert_as_pickle(value)


@settings(max_examples=200, deadline=None)
@given(value=st.dictionaries(HASHABLE, HASHABLE) | st.sets(HASHABLE) | st.frozensets(HASHABLE))
def test_queue_gives_back_keys_and_members_of_any_plain_kind(value: Any) -> None:
    """Keys and members may be tuples and frozensets, and are in the order that pickle gives."""
    assert_as_pickle(value)


def test_queue_gives_back_nan_as_key_and_member() -> None:
    """Two nan in one set are two, and a key of nan keeps its value."""
    members, table = round_trip({float("nan"), float("nan")}), round_trip({float("nan"): 1})

    assert len(members) == 2
    assert all(map(math.isnan, members))
    assert [(math.isnan(key), value) for key, value in table.items()] == [(True, 1)]


@pytest.mark.parametrize("count", [0, 1, 31, 33, 127, 128, 254, 255, 256, 70_000])
def test_queue_gives_back_containers_of_any_length(count: int) -> None:
    """Short and long counts, more shared strings than any table begins with, small and large messages."""
    words = [f"word-{i}" for i in range(count)]

    for value in (
        [words, words[::-1]],
        dict.fromkeys(words, words),
        tuple(words),
        set(words),
        "w" * count,
        [b"b" * count],
    ):
        assert_as_pickle(value)


@pytest.mark.parametrize("text", ["é", "Ā" * 300, "\U0001f40d" * 300, "a\udc80b", "a\udc80\U0001f40d", "\0", "ÿĀ"])
def test_queue_gives_back_strings_of_any_width(text: str) -> None:
    """Strings of one, two and four bytes a character, surrogates too, alone and as key and member."""
    for value in (text, [text, text], {text: text}):
        assert_as_pickle(value)


def test_shared_list_stays_one_list() -> None:
    """What was one list in the message is one list after it."""
    inner: list[Any] = []

    got = round_trip([inner, {"again": inner}, (inner,)])
    got[0].append(1)

    assert got == [[1], {"again": [1]}, ([1],)]


def test_shared_string_takes_memory_once() -> None:
    """A string that stands in a list a thousand times comes back as one object."""
    word = "x" * 1000

    got = round_trip([word] * 1000)

    assert len({id(item) for item in got}) == 1


def test_container_may_hold_itself() -> None:
    """A list in itself, a dict in its list, and a tuple in its own list: as from pickle."""
    ring: list[Any] = [1]
    ring.append(ring)
    table: dict[str, Any] = {}
    table["self"] = [table]
    knot: tuple[list[Any]] = ([],)
    knot[0].append(knot)

    got_ring, got_table, got_knot = round_trip(ring), round_trip(table), round_trip(knot)

    assert got_ring[1] is got_ring
    assert got_table["self"][0] is got_table
    assert got_knot[0][0] is got_knot


@pytest.mark.parametrize("depth", [62, 63, 64, 65, 66, 200])
def test_queue_gives_back_nested_containers(depth: int) -> None:
    """Nesting deeper than the native way goes is no matter."""
    value: Any = "bottom"
    for _ in range(depth):
        value = [value]

    assert round_trip(value) == value


def test_endless_nesting_is_an_error_and_nothing_is_put() -> None:
    """What pickle refuses is refused at put, as before."""
    queue: Queue[Any] = Queue()
    value: Any = []
    for _ in range(100_000):
        value = [value]

    with pytest.raises(CannotPickle):
        queue.put(value)
    assert queue.empty()
    while value:
        value = value.pop()


@pytest.mark.parametrize("value", [OrderedDict(b=1, a=2), Pair(1, 2), 3 + 4j, range(3), Ellipsis, 2**70])
def test_other_types_inside_come_back_with_their_type(value: Any) -> None:
    """A container with anything that is not plain goes the general way whole."""
    got = round_trip({"plain": [1, 2], "other": (value,)})

    assert got == {"plain": [1, 2], "other": (value,)}
    assert type(got["other"][0]) is type(value)


def test_registered_reducer_is_obeyed_inside_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program's own way to pickle a type holds inside dicts and lists too."""
    monkeypatch.setitem(copyreg.dispatch_table, complex, lambda number: (str, ("reduced",)))

    assert round_trip({"number": [1j]}) == {"number": ["reduced"]}


def test_queue_leaves_the_garbage_collector_as_it_was() -> None:
    """On stays on, off stays off."""
    gc.disable()
    try:
        round_trip([{}, [], {1, 2}])
        off = gc.isenabled()
    finally:
        gc.enable()
    round_trip([{}, [], {1, 2}])

    assert not off
    assert gc.isenabled()


def _damaged(rng: random.Random, data: bytes) -> bytes:
    """The bytes with some of them changed; often to what has a meaning."""
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5])):
        at = rng.randrange(len(changed))
        changed[at] = rng.choice([rng.randrange(256), rng.randrange(18), 0x80 | rng.randrange(18), 255, 7, 0])
    if rng.random() < 0.3:
        cut = rng.randrange(len(changed))
        changed[cut:] = rng.randbytes(len(changed) - cut)
    return bytes(changed)


def _message(rng: random.Random, mark: str) -> list[Any]:
    inner = ["inner", 2.5, (1, 2)]
    return rng.choice(
        [
            [mark, inner, inner, {"k": 1, "longer-key": "v", (1, "t"): {3, 4}}, frozenset({5, "f"}), bytearray(b"x")],
            [mark, {"é": "Āā", "wide": "\U0001f40d!", 7: None, True: False}, [[[[]]]], (inner, (inner,)), 2**40, -1],
            [mark, (mark, ((mark,), inner)), {mark: (mark,)}, {frozenset({(1,)}): (inner,)}, b"bytes"],
        ]
    )


def fuzz(line: Line, seed: int, rounds: int) -> None:
    """Damages messages in the queue's memory and takes them; says how many came out as what."""
    rng = random.Random(seed)
    queue: Queue[Any] = Queue()
    errors = whole = 0
    for number in range(rounds):
        mark = f"mark-{seed}-{number:06}"
        queue.put(_message(rng, mark))
        with mmap.mmap(queue.segment.fd, 2 * UNIT, offset=UNIT) as memory:
            # Before the mark stand two tags with their counts.
            begin = memory.find(mark.encode()) - 4
            end = begin + look(queue).bytes
            memory[begin:end] = _damaged(rng, memory[begin:end])
        try:
            got = queue.get(timeout=5)
        except CannotUnpickle:
            errors += 1
        else:
            whole += 1
            _use_up(got)
    line.say(errors, whole)


def _use_up(got: Any) -> None:
    """Reads every part of it: a wild reference would not survive that."""
    pickle.dumps(got)
    repr(got)
    gc.get_referents(got)


@pytest.mark.parametrize("seed", range(3))
def test_damaged_plain_message_is_an_error_and_no_crash(crew: Crew, seed: int) -> None:
    """Bytes changed in the memory of a queue make `get` raise, or give other values; never a crash."""
    actor = crew.start(fuzz, seed, 4_000)

    assert actor.ended(50) == 0, crew.report()
    errors, whole = actor.hear()[-1]
    assert errors > 100
    assert whole > 100
