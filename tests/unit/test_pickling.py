"""What cannot travel is refused at the call, by name."""

from __future__ import annotations

import copyreg
import multiprocessing.reduction
import pickle
import sys
import threading
from queue import Empty
from typing import Any

import pytest

from hardy import CannotPickle, CannotUnpickle, Queue, errors, executor


@pytest.fixture(autouse=True)
def _no_cloudpickle(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the extra is not installed; `test_by_value.py` has what it adds."""
    monkeypatch.setitem(sys.modules, "cloudpickle", None)


class Holder:
    def __init__(self, **parts: Any) -> None:
        self.__dict__.update(parts)


class Slotted:
    __slots__ = ("inner", "other")

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __reduce_ex__(self, protocol: Any) -> Any:
        return object.__reduce_ex__(self, 2)


class Method:
    def __init__(self) -> None:
        self.lock = threading.Lock()

    def run(self) -> None:
        """A bound method of this takes the lock along."""


def local_function() -> Any:
    def inner() -> None:
        """Nobody can import this."""

    return inner


LOCK = threading.Lock()
CULPRITS = [
    (LOCK, "object", "_thread.lock"),
    ([1, [2, LOCK]], "object[1][1]", "_thread.lock"),
    ({"a": {"b": LOCK}}, "object['a']['b']", "_thread.lock"),
    ((1, Holder(session=Holder(lock=LOCK))), "object[1].session.lock", "_thread.lock"),
    (Slotted([LOCK]), "object.inner[0]", "_thread.lock"),
    (Method().run, "object.__self__.lock", "_thread.lock"),
    (lambda: 1, "object", "function"),
    ([local_function()], "object[0]", "function"),
    ({1: (i for i in range(3))}, "object[1]", "generator"),
    (Holder(file=open), None, None),
]


@pytest.mark.parametrize(("obj", "path", "kind"), CULPRITS, ids=lambda value: str(value)[:30])
def test_put_names_the_culprit(obj: Any, path: str | None, kind: str | None) -> None:
    """The error has the path to the part that cannot be pickled, and its type; nothing is put."""
    queue: Queue[Any] = Queue()
    if path is None:
        queue.put(obj)
        return

    with pytest.raises(CannotPickle) as caught:
        queue.put(obj)

    assert caught.value.path == path
    assert f"{path} is a {kind}" in str(caught.value)
    assert queue.empty()


def test_put_error_is_what_pickle_raises() -> None:
    """Code that catches PicklingError, TypeError or AttributeError still does; the cause is pickle's own."""
    queue: Queue[Any] = Queue()

    for kind in (pickle.PicklingError, TypeError, AttributeError):
        with pytest.raises(kind) as caught:
            queue.put(LOCK)
        assert isinstance(caught.value.__cause__, TypeError)


def test_put_names_the_culprit_in_a_ring_of_references() -> None:
    """Objects that refer to each other do not make the search go round for ever."""
    a, b = Holder(), Holder()
    a.b, b.a, b.lock = b, a, LOCK  # type: ignore[attr-defined]

    with pytest.raises(CannotPickle) as caught:
        Queue().put(a)

    assert caught.value.path.startswith("object.b")


def test_cannot_pickle_error_travels_itself() -> None:
    """It can be sent, with its fields."""
    queue: Queue[Any] = Queue()
    with pytest.raises(CannotPickle) as caught:
        queue.put([LOCK])

    queue.put(caught.value)
    got = queue.get()

    assert (str(got), got.path) == (str(caught.value), "object[0]")


ERRORS = [
    kind
    for name in sorted({*errors.__all__, *executor.__all__})
    if isinstance(kind := getattr(errors, name, None) or getattr(executor, name), type)
    and issubclass(kind, errors.HardyError)
]


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_travels(kind: type[errors.HardyError]) -> None:
    """With its text and its fields, whatever it derives from."""
    error = errors._rebuild(kind, "what happened", {"pid": 3})

    again = pickle.loads(pickle.dumps(error))

    assert (type(again), again.args, again.pid) == (kind, ("what happened",), 3)


def test_error_of_a_reduce_method_is_told() -> None:
    """An exception of the object's own code is the cause."""

    class Angry:
        def __reduce__(self) -> Any:
            raise LookupError("not today")

    with pytest.raises(CannotPickle, match="not today") as caught:
        Queue().put(Angry())

    assert isinstance(caught.value.__cause__, LookupError)


class Registered:
    def __init__(self, value: int) -> None:
        self.value = value


def _registered(value: int) -> Registered:
    return Registered(value + 1)


def test_reducers_registered_with_multiprocessing_are_used() -> None:
    """Also one that is registered after the first put."""
    queue: Queue[Any] = Queue()
    queue.put(Registered(1))
    assert queue.get().value == 1
    multiprocessing.reduction.register(Registered, lambda obj: (_registered, (obj.value,)))

    try:
        queue.put([Registered(1)])
        assert queue.get()[0].value == 2
    finally:
        del multiprocessing.reduction.ForkingPickler._extra_reducers[Registered]  # type: ignore[attr-defined]


def test_reducers_registered_with_copyreg_are_used() -> None:
    """The table of all picklers counts too."""
    queue: Queue[Any] = Queue()
    copyreg.pickle(Registered, lambda obj: (_registered, (obj.value,)))  # type: ignore[arg-type]

    try:
        queue.put(Registered(1))
        assert queue.get().value == 2
    finally:
        del copyreg.dispatch_table[Registered]


class PutsItself:
    queue: Any = None

    def __reduce__(self) -> Any:
        self.queue.put("from inside")
        return str, ("outside",)


def test_put_within_a_put_is_a_put(monkeypatch: pytest.MonkeyPatch) -> None:
    """An object whose pickling uses the same queue neither deadlocks nor mixes messages up."""
    queue: Queue[Any] = Queue()
    monkeypatch.setattr(PutsItself, "queue", queue)

    queue.put(PutsItself())

    assert [queue.get(), queue.get()] == ["from inside", "outside"]


def _get_within(number: int) -> Any:
    return number, PutsItself.queue.get(timeout=1)


class GetsWithin:
    def __reduce__(self) -> Any:
        return _get_within, (1,)


def test_get_within_a_get_is_a_get(monkeypatch: pytest.MonkeyPatch) -> None:
    """An object whose rebuilding uses the same queue gets the next message."""
    queue: Queue[Any] = Queue()
    monkeypatch.setattr(PutsItself, "queue", queue)
    queue.put(GetsWithin())
    queue.put(2)

    assert queue.get() == (1, 2)


class NotAModule:
    def __reduce__(self) -> Any:
        return _raises, ()


def _raises() -> None:
    raise ModuleNotFoundError("No module named 'elsewhere'", name="elsewhere")


@pytest.mark.parametrize("extra", [b"", bytes(100_000)])
def test_get_error_keeps_its_cause(extra: bytes) -> None:
    """What cannot be rebuilt is an UnpicklingError with the cause, for small and large messages."""
    queue: Queue[Any] = Queue()
    queue.put([NotAModule(), extra])

    with pytest.raises(pickle.UnpicklingError, match="elsewhere") as caught:
        queue.get()

    assert isinstance(caught.value, CannotUnpickle)
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)
    assert pickle.loads(pickle.dumps(caught.value)).pid == caught.value.pid
    with pytest.raises(Empty):
        queue.get(False)
