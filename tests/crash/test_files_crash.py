"""AtomicFile: a process is killed at each step of a change."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from helpers.world import world

from hardy import locked_json
from hardy._core import runtime

POINTS = [point for point in runtime.failpoints() if point.startswith(("atomicfile.", "fileturn."))]
# The new content is there from the rename on.
AFTER = ("atomicfile.write.after_rename", "atomicfile.write.after_sync_directory", "fileturn.release.")


def take(path: Path) -> None:
    with locked_json(path) as stock:
        stock["count"] -= 1


@pytest.mark.parametrize("point", POINTS)
def test_atomic_file_is_whole_when_its_writer_is_killed_at(point: str, tmp_path: Path) -> None:
    """The old content or the new one, those who wait go on, and the next change leaves nothing beside it."""
    path = tmp_path / "stock.json"
    path.write_text('{"count": 3}')
    with world() as w:
        w.strike(point, lambda: take(path))
        done = point.startswith(AFTER)

        assert json.loads(path.read_text()) == {"count": 2 if done else 3}
        waiters = [w.fork(lambda _: take(path)) for _ in range(2)]
        assert [waiter.ends(10) for waiter in waiters] == [0, 0]

    assert json.loads(path.read_text()) == {"count": 0 if done else 1}
    assert os.listdir(tmp_path) == ["stock.json"]


def test_atomic_file_is_whole_where_files_must_have_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system without O_TMPFILE a killed writer leaves `.NAME.new`, and the next change removes it."""
    real = os.open

    def without_tmpfile(name: str, flags: int, *args: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(95, "Operation not supported")
        return real(name, flags, *args)

    monkeypatch.setattr(os, "open", without_tmpfile)
    path = tmp_path / "stock.json"
    path.write_text('{"count": 3}')
    with world() as w:
        w.strike("atomicfile.write.after_data", lambda: take(path))
        left = sorted(os.listdir(tmp_path))
        take(path)

    assert left == [".stock.json.lock", ".stock.json.new", "stock.json"]
    assert json.loads(path.read_text()) == {"count": 2}
    assert os.listdir(tmp_path) == ["stock.json"]
