"""The chat's log: what is in it when a writer is killed at a step, or a reader is overtaken."""

from __future__ import annotations

import os
import signal

import pytest
from helpers.world import world

from hardy import ProcessDied
from hardy.apps.chat.log import Log, Overtaken
from hardy.process import Process


def texts(log: Log, position: int = 0) -> list[str]:
    return [record["x"] for _, record in log.read(position, log.head)]


def append(log: Log, text: str) -> None:
    with log:
        log.append({"x": text})


def die_while_writing(log: Log, step: str) -> None:
    """Take the lock, and be killed: before the record, in the midst of it, or before the lock is given back."""
    log.__enter__()
    if step == "half":
        at = log.head % log.size
        log._ring[at : at + 30] = b"\xff" * 30
    if step == "whole":
        log.append({"x": "whole"})
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize(("step", "left"), [("nothing", []), ("half", []), ("whole", ["whole"])])
def test_writer_that_is_killed_leaves_a_whole_record_or_none(step: str, left: list[str], method: str) -> None:
    """And the lock to the next one."""
    from hardy import get_context

    log = Log(1 << 16)
    append(log, "before")
    process: Process = get_context(method).Process(target=die_while_writing, args=(log, step))
    process.start()
    with pytest.raises(ProcessDied):
        process.result(20)

    append(log, "after")

    assert texts(log) == ["before", *left, "after"]


def test_writers_in_many_processes_lose_nothing() -> None:
    """Each record is there once, in the order of its writer, though the ring goes round many times."""
    log = Log(1 << 14)
    seen: list[str] = []

    def write(child: object) -> None:
        for number in range(300):
            append(log, f"{os.getpid()} {number} " + "é" * (number % 90))

    with world() as forked:
        writers = [forked.fork(write) for _ in range(3)]
        position = 0
        while any(not writer.ended() for writer in writers) or position < log.head:
            try:
                for after, record in log.read(position, log.head):
                    position = after
                    seen.append(record["x"])
            except Overtaken:
                position = log.tail
        assert [writer.ends() for writer in writers] == [0, 0, 0]

    for writer in writers:
        numbers = [int(text.split()[1]) for text in seen if text.startswith(f"{writer.pid} ")]
        assert numbers == sorted(set(numbers))
        assert all(text.endswith("é" * (int(text.split()[1]) % 90)) for text in seen)
    assert log.head > 4 * log.size


def test_reader_that_was_overtaken_is_told() -> None:
    """It does not get what was written over what it wanted."""
    log = Log(1 << 12)
    append(log, "first")
    position = 0
    for number in range(200):
        append(log, f"{number} " + "x" * 60)

    with pytest.raises(Overtaken):
        list(log.read(position, log.head))
    assert texts(log, log.tail)[-1].startswith("199 ")


def test_record_that_cannot_fit_is_refused() -> None:
    """Before anything is written."""
    log = Log(1 << 12)

    with pytest.raises(ValueError, match="does not fit"), log:
        log.append({"x": "x" * 2000})
    assert texts(log) == []
