"""AtomicFile and locked_json: whole or not at all, one at a time."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from helpers.world import Child, world

import hardy
from hardy import AtomicFile, Barrier, FileCorrupt, Process, locked_json
from hardy._files.turn import FileTurn


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stock.json"


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_atomic_file_is_written_when_the_block_ends(path: Path) -> None:
    """Within the block others see the old content, after it the new; nothing else is left beside it."""
    path.write_bytes(b"old")

    with AtomicFile(path) as file:
        file.write(file.read() + b" and new")
        inside = path.read_bytes()

    assert inside == b"old"
    assert path.read_bytes() == b"old and new"
    assert names(path.parent) == ["stock.json"]


def test_atomic_file_is_not_written_when_the_block_raises(path: Path) -> None:
    """An exception in the block leaves the old content, and the turn free."""
    path.write_bytes(b"old")

    with pytest.raises(ZeroDivisionError), AtomicFile(path) as file:
        file.write(bytes(1 // int(file.read() != b"old")))

    assert path.read_bytes() == b"old"
    with AtomicFile(path, timeout=0):
        pass


def test_atomic_file_keeps_mode_and_link(path: Path) -> None:
    """A file that is replaced keeps its permissions, and a symbolic link to it stays one."""
    path.write_bytes(b"old")
    path.chmod(0o640)
    link = path.with_name("link")
    link.symlink_to(path)

    with AtomicFile(link) as file:
        file.write(b"new")

    assert link.is_symlink()
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640


def test_atomic_file_refuses_a_write_outside_of_its_block(path: Path) -> None:
    """Without the turn, what was read may be old: the error says how it is done."""
    with pytest.raises(RuntimeError, match="with AtomicFile"):
        AtomicFile(path).write(b"new")


def test_atomic_file_refuses_a_directory_and_a_negative_timeout(tmp_path: Path) -> None:
    """Bad arguments are told at the call."""
    with pytest.raises(IsADirectoryError):
        AtomicFile(tmp_path)
    with pytest.raises(ValueError, match="negative"):
        AtomicFile(tmp_path / "x", timeout=-1)


def test_atomic_file_blocks_do_not_nest(path: Path) -> None:
    """The same object twice would wait for itself; it is told, and the outer block goes on."""
    with AtomicFile(path) as file:
        with pytest.raises(RuntimeError, match="do not nest"), file:
            pass
        file.write(b"outer")

    assert path.read_bytes() == b"outer"


def test_atomic_file_times_out_when_another_has_the_turn(path: Path) -> None:
    """A process that holds the turn keeps the others out; their wait ends when they said."""
    with world() as w:

        def hold(child: Child) -> None:
            with AtomicFile(path):
                child.told()

        holder = w.fork(hold)
        holder.comes()

        with pytest.raises(TimeoutError, match="Nothing was read or written"), AtomicFile(path, timeout=0.05):
            pass
        holder.tell()

        assert holder.ends() == 0
    with AtomicFile(path, timeout=0):
        pass


def test_atomic_file_is_free_when_a_fork_of_its_dead_holder_lives(path: Path) -> None:
    """A child of fork that knows nothing of the turn does not keep it."""
    with AtomicFile(path) as file, world() as w:

        def stay(child: Child) -> None:
            child.told()

        child = w.fork(stay)
        child.comes()
        file.write(b"done")
        file.__exit__(None, None, None)

        with AtomicFile(path, timeout=0) as other:
            assert other.read() == b"done"
        child.tell()
        assert child.ends() == 0


def test_locked_json_counts_right_when_threads_and_processes_share_it(path: Path) -> None:
    """No change of any of them is lost."""
    path.write_text('{"count": 0}')

    def add() -> None:
        for _ in range(20):
            with locked_json(path, durable=False) as content:
                content["count"] += 1

    processes = [Process(target=add) for _ in range(3)]
    for process in processes:
        process.start()
    threads = [threading.Thread(target=add) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for process in processes:
        process.result(30)

    assert json.loads(path.read_text()) == {"count": 120}


def test_locked_json_passes_nobody_over_when_one_comes_back_at_once(path: Path) -> None:
    """Of processes that each want all, every one gets a part: who leaves stands behind those who wait."""
    path.write_text('{"count": 300}')

    together = Barrier(4)

    def grab() -> int:
        got = 0
        together.wait()
        while True:
            with locked_json(path, durable=False) as content:
                if not content["count"]:
                    return got
                content["count"] -= 1
            got += 1

    processes = [Process(target=grab) for _ in range(4)]
    for process in processes:
        process.start()
    shares = [process.result(30) for process in processes]

    assert sum(shares) == 300
    assert min(shares) > 10, shares


@pytest.mark.parametrize("content", ["not json", "[1, 2", "7", '"text"', "\xff"])
def test_locked_json_refuses_and_keeps_a_file_that_is_none(path: Path, content: str) -> None:
    """What cannot be understood is not overwritten."""
    path.write_bytes(content.encode("latin-1"))

    with pytest.raises(FileCorrupt, match="left as it is") as caught, locked_json(path, {}):
        pass

    assert caught.value.path == str(path)
    assert path.read_bytes() == content.encode("latin-1")


def test_locked_json_begins_with_the_default_when_there_is_no_file(path: Path) -> None:
    """The default is copied, never changed; without one a missing file is an error."""
    default: dict[str, list[int]] = {"seen": []}

    with pytest.raises(FileNotFoundError), locked_json(path):
        pass
    with locked_json(path, default) as content:
        content["seen"].append(1)

    assert default == {"seen": []}
    assert json.loads(path.read_text()) == {"seen": [1]}


@pytest.mark.parametrize(
    ("value", "said"),
    [({1, 2}, r"\['x'\]\[0\] is a set"), (float("nan"), "nan"), ({1: 2}, "has the key 1 of type int"), (b"", "bytes")],
)
def test_locked_json_names_what_json_cannot_say(path: Path, value: Any, said: str) -> None:
    """The path to the culprit is in the error, and nothing is written."""
    path.write_text("{}")

    with pytest.raises(TypeError, match=said), locked_json(path) as content:
        content["x"] = [value]

    assert path.read_text() == "{}"


def test_locked_json_leaves_the_file_when_nothing_changed(path: Path) -> None:
    """A block that only looks does not replace the file."""
    with locked_json(path, {}) as content:
        content["a"] = 1
    before = path.stat().st_ino

    with hardy.locked_json(path) as content:
        assert content == {"a": 1}

    assert path.stat().st_ino == before


def test_file_turn_goes_to_the_one_who_waits_when_its_holder_comes_back_at_once(path: Path) -> None:
    """Who leaves and asks again stands behind the one that sleeps at the door, however fast it is."""
    with world() as w:
        turn = FileTurn(str(path))
        turn.acquire()

        def wait(child: Child) -> None:
            child.say()
            FileTurn(str(path)).acquire()
            path.with_suffix(".order").write_text("the other first")

        waiter = w.fork(wait)
        waiter.asleep()
        turn.release()
        turn.acquire()

        assert path.with_suffix(".order").read_text() == "the other first"
        turn.release()
        assert waiter.ends() == 0
