"""Run the tests of `cpython_suite` that have no outcome yet, and write each one's outcome as it comes.

    cpython_worker.py JOURNAL PATTERN

A line of the journal is `WORD CLASS.TEST`, WORD being start, passed, failed, skipped, or hung (which only the caller of
this can say); the last line is `end`.
"""

from __future__ import annotations

import faulthandler
import os
import re
import sys
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import test as cpython_tests

# Tests that this Python lacks. Children import this file too, before they look for one of them.
if os.environ.get("CONFORMANCE_TESTS"):
    cpython_tests.__path__.append(os.environ["CONFORMANCE_TESTS"])


class Journal(unittest.TestResult):
    """Writes what happens to each test, so that who reads it knows where a run hangs."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._bad = False

    def write(self, word: str, test: str = "") -> None:
        with self._path.open("a") as file:
            file.write(f"{word} {test}\n")

    def startTest(self, test: Any) -> None:
        super().startTest(test)
        self._bad = False
        self.write("start", name_of(test))

    def addSuccess(self, test: Any) -> None:
        self.write("passed", name_of(test))

    def addSkip(self, test: Any, reason: str) -> None:
        self.write("skipped", name_of(test))

    def addError(self, test: Any, err: Any) -> None:
        self._fail(test, err)

    def addFailure(self, test: Any, err: Any) -> None:
        self._fail(test, err)

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        if err is not None:
            self._fail(test, err)

    def _fail(self, test: Any, err: Any) -> None:
        print(f"---- {name_of(test)}\n{self._exc_info_to_string(err, test)}", flush=True)  # type: ignore[attr-defined]
        if not self._bad:
            self._bad = True
            self.write("failed", name_of(test))


def name_of(test: Any) -> str:
    """CLASS.TEST, or what unittest calls the set-up of a class."""
    return ".".join(test.id().replace(" ", "_").split(".")[-2:])


def wanted(suite: unittest.TestSuite, pattern: str, done: set[str]) -> Iterator[unittest.TestCase]:
    """The tests that match and have no outcome yet. Those on threads alone are left out: they never use processes."""
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from wanted(test, pattern, done)
        elif (
            name_of(test) not in done
            and re.search(pattern, name_of(test))
            and not type(test).__name__.startswith("WithThreads")
        ):
            yield test


def main() -> None:
    path, pattern = Path(sys.argv[1]), sys.argv[2]
    faulthandler.enable()  # SIGABRT dumps every stack
    import cpython_suite

    lines = [line.split() for line in path.read_text().splitlines()]
    done = {test for word, test in lines if word != "start"}
    suite = unittest.defaultTestLoader.loadTestsFromModule(cpython_suite)
    journal = Journal(path)
    unittest.TestSuite(wanted(suite, pattern, done)).run(journal)
    journal.write("end", "-")


if __name__ == "__main__":
    main()
