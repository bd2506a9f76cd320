"""What children log reaches the parent's handlers: in order, and all of it."""

from __future__ import annotations

import io
import logging
import os
import signal
from collections.abc import Iterator

import pytest

import hardy
from hardy._core import runtime


class Kept(logging.Handler):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def texts(self) -> list[str]:
        return [record.getMessage() for record in self.records]


@pytest.fixture
def kept() -> Iterator[Kept]:
    handler = Kept()
    logger = logging.getLogger("shop")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def log_and_die(count: int, point: str | None) -> None:
    logger = logging.getLogger("shop")
    for number in range(count):
        logger.warning("line %d", number)
    try:
        raise LookupError("gone")
    except LookupError:
        logger.exception("in the child")
    if point is not None:
        runtime.arm(f"{point}=kill")
        logger.warning("killed inside")
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_logging_queue_loses_no_record_when_the_child_is_killed(method: str, kept: Kept) -> None:
    """Every record whose call had returned is handled, in order, with its traceback and the child's name."""
    with hardy.logging_queue():
        process = hardy.get_context(method).Process(target=log_and_die, args=(200, None), name="till")
        process.start()
        process.join()

    assert process.exitcode == -signal.SIGKILL
    assert kept.texts()[:200] == [f"line {number}" for number in range(200)]
    assert "LookupError: gone" in kept.texts()[200]
    assert {record.processName for record in kept.records} == {"till"}


@pytest.mark.skipif(not runtime.has_failpoints(), reason="needs the build with failpoints")
@pytest.mark.parametrize(("point", "there"), [("ring.put.after_record", False), ("ring.commit.after", True)])
def test_logging_queue_goes_on_when_a_child_is_killed_inside_a_call(point: str, there: bool, kept: Kept) -> None:
    """SIGKILL before the record's commit, and after it: what was before is there, and what another child logs."""
    context = hardy.get_context("fork")
    with hardy.logging_queue():
        for where in (point, None):
            process = context.Process(target=log_and_die, args=(3, where))
            process.start()
            process.join()

    texts = [text for text in kept.texts() if text.startswith(("line", "killed"))]
    lines = ["line 0", "line 1", "line 2"]
    assert texts == [*lines, *(["killed inside"] if there else []), *lines]


def test_logging_queue_refuses_a_second_one() -> None:
    """Two would share the children's records by chance."""
    with hardy.logging_queue(), pytest.raises(RuntimeError, match="already"):
        hardy.logging_queue()


def test_log_to_stderr_and_get_logger_are_the_stdlibs(monkeypatch: pytest.MonkeyPatch) -> None:
    """`get_logger` gives the logger of multiprocessing, and `log_to_stderr` a handler on it, in its format."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    logger = hardy.get_logger()
    before, level = list(logger.handlers), logger.level
    try:
        assert hardy.log_to_stderr(logging.INFO) is logger is logging.getLogger("multiprocessing")
        logger.info("said")
    finally:
        for handler in set(logger.handlers) - set(before):
            logger.removeHandler(handler)
        logger.setLevel(level)

    assert stream.getvalue() == "[INFO/MainProcess] said\n"
