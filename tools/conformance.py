"""CPython's own tests of `multiprocessing`, with hardy in its place and with the standard library's, side by side.

The tests are those of the running interpreter (`test._test_multiprocessing`). Each run is a process tree of its own; a
test that takes too long is counted as hung, its tree killed, and the run goes on with the next test. The exit status
is 1 for any test that the standard library passes and hardy does not, unless tests/compat/intended_differences.py
gives the reason. With --write, the counts are put into docs/en/conformance.md.
"""

from __future__ import annotations

import argparse
import collections
import importlib.util
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMPAT = ROOT / "tests/compat"
PAGE = ROOT / "docs/en/conformance.md"
BEGIN, END = "<!-- conformance: the table begins -->", "<!-- conformance: the table ends -->"
WORDS = ("passed", "failed", "hung", "skipped")
SIDES = ("stdlib", "hardy")
METHODS = ("fork", "spawn", "forkserver")
POLL_S = 0.1
# After a SIGABRT, for the stacks to be written.
DUMP_S = 1.0


@dataclass
class Run:
    """The suite, for one start method, with one implementation."""

    side: str
    method: str
    outcomes: dict[str, str] = field(default_factory=dict)
    output: str = ""
    seconds: float = 0.0

    def counts(self) -> str:
        count = collections.Counter(self.outcomes.values())
        return ", ".join(f"{count[word]} {word}" for word in WORDS)

    def row(self, intended: Mapping[str, str], unexpected: int) -> str:
        """Its line in the table."""
        count = collections.Counter(self.outcomes.values())
        bad = [test for test, word in self.outcomes.items() if word in ("failed", "hung")]
        cells = [count[word] for word in WORDS]
        if self.side == "hardy":
            cells += [sum(test in intended for test in bad), unexpected]
        shown = [*map(str, cells), "", ""][:6]
        return f"| {'.'.join(map(str, sys.version_info[:3]))} | {self.method} | {self.side} | {' | '.join(shown)} |"


def read_journal(path: Path) -> tuple[dict[str, str], str | None, bool]:
    """The outcomes so far, the test that is running now, and whether all have run."""
    outcomes: dict[str, str] = {}
    current = None
    for line in path.read_text().splitlines():
        word, test = line.split()
        if word == "end":
            return outcomes, None, True
        if word == "start":
            current = test
        else:
            # A test may fail in its clean-up after it was counted as passed.
            outcomes[test] = word
            current = None if test == current else current
    return outcomes, current, False


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a worker and all that it started; those that hang dump their stacks first."""
    for number in (signal.SIGABRT, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(DUMP_S)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def run_suite(side: str, method: str, pattern: str, limit_s: float) -> Run:
    """Run all matching tests, starting anew behind each one that hangs or takes its process down."""
    run = Run(side, method)
    began = time.monotonic()
    env = {**os.environ, "CONFORMANCE_SIDE": side, "CONFORMANCE_METHOD": method, "PYTHONWARNINGS": "ignore"}
    with tempfile.TemporaryDirectory(prefix="hardy-conformance-") as folder:
        journal = Path(folder) / "journal"
        journal.touch()
        log = Path(folder) / "log"
        ended = False
        while not ended:
            before = len(run.outcomes)
            with log.open("ab") as out:
                process = subprocess.Popen(
                    [sys.executable, str(COMPAT / "cpython_worker.py"), str(journal), pattern],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    env=env,
                    cwd=folder,
                    start_new_session=True,
                )
                word = watch(process, journal, limit_s)
            end_group(process)
            run.outcomes, current, ended = read_journal(journal)
            if not ended:
                if current is None and len(run.outcomes) == before:
                    raise SystemExit(f"the tests cannot be run ({side}, {method}):\n{log.read_text(errors='replace')}")
                with journal.open("a") as file:
                    file.write(f"{word} {current or 'outside-of-a-test'}\n")
        run.output = log.read_text(errors="replace")
    run.seconds = time.monotonic() - began
    return run


def watch(process: subprocess.Popen[bytes], journal: Path, limit_s: float) -> str:
    """Wait for a worker's end, or for a test that takes too long; says what to call that test."""
    size, since = 0, time.monotonic()
    while process.poll() is None:
        now = journal.stat().st_size
        if now != size:
            size, since = now, time.monotonic()
        elif time.monotonic() - since > limit_s:
            return "hung"
        time.sleep(POLL_S)
    return "failed"


def write_page(page: Path, rows: list[str]) -> None:
    """Put rows into the page's table, in the place of those of the same Python, start method and side."""
    before, _, rest = page.read_text().partition(BEGIN)
    old, _, after = rest.partition(END)
    lines = old.strip().splitlines()
    table = {tuple(line.split(" | ")[:3]): line for line in [*lines[2:], *rows]}

    def place(key: tuple[str, ...]) -> tuple[list[int], int, int]:
        version = [int(part) for part in key[0].strip("| ").split(".")]
        return version, METHODS.index(key[1]), SIDES.index(key[2])

    body = [*lines[:2], *(table[key] for key in sorted(table, key=place))]
    page.write_text("\n".join([before + BEGIN, *body, END + after]))


def main() -> int:
    """Run, print the counts of each, and what hardy does not pass."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--method", action="append", choices=METHODS, help="only this start method")
    parser.add_argument("--side", action="append", choices=SIDES, help="only this implementation")
    parser.add_argument("--match", default="", help="a regular expression for CLASS.TEST")
    parser.add_argument("--limit-s", type=float, default=60.0, help="seconds until a test is taken for hung")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--tests", metavar="FOLDER", help="where to find tests that this Python's `test` package lacks")
    parser.add_argument("--write", action="store_true", help="put the counts into docs/en/conformance.md")
    options = parser.parse_args()
    if options.write and (options.match or options.side):
        parser.error("--write is for whole runs: it does not go with --match and --side")
    if options.tests:
        if not Path(options.tests).is_dir():
            parser.error(f"--tests: there is no folder {options.tests!r}")
        os.environ["CONFORMANCE_TESTS"] = os.path.abspath(options.tests)
    if importlib.util.find_spec("test._test_multiprocessing") is None:
        version = ".".join(map(str, sys.version_info[:2]))
        print(f"this Python has no test package; on Debian and Ubuntu: apt-get install libpython{version}-testsuite")
        return 2
    intended = runpy.run_path(str(COMPAT / "intended_differences.py"))["DIFFERENCES"]

    plan = [(side, method) for method in options.method or METHODS for side in options.side or SIDES]
    with ThreadPoolExecutor(options.jobs) as executor:
        runs = list(executor.map(lambda each: run_suite(*each, options.match, options.limit_s), plan))

    unexpected: list[str] = []
    theirs = {run.method: run.outcomes for run in runs if run.side == "stdlib"}
    for run in runs:
        print(f"{run.side:7} {run.method:11} {run.counts()}  ({run.seconds:.0f} s)")
        if run.side != "hardy":
            continue
        for test, word in sorted(run.outcomes.items()):
            other = theirs.get(run.method, {}).get(test, "passed")
            if word in ("failed", "hung") and test in intended:
                print(f"    {word} on purpose: {test}: {intended[test]}")
            elif word in ("failed", "hung") and other in ("failed", "hung"):
                print(f"    {word} as with the standard library: {test}")
            elif word in ("failed", "hung"):
                unexpected.append(f"{run.method}: {word}: {test}")
                print(f"    {word.upper()}: {test}")
        # A test that did not run is not passed.
        unexpected += [
            f"{run.method}: not run: {test}"
            for test, word in theirs.get(run.method, {}).items()
            if word == "passed" and test not in run.outcomes
        ]
        if any(line.startswith(f"{run.method}:") for line in unexpected):
            print(run.output)
    if options.write:
        worse = collections.Counter(line.partition(":")[0] for line in unexpected)
        write_page(PAGE, [run.row(intended, worse[run.method]) for run in runs])
    print("\n".join(["unexpected:", *unexpected]) if unexpected else "no unexpected difference")
    return int(bool(unexpected))


if __name__ == "__main__":
    sys.exit(main())
