"""Run each folder of tests in a pytest process of its own, some at a time, and sum up.

pytest stays single-threaded (the tests fork), so the folders are what runs in parallel. Each process
stands under timeout(1): pytest-timeout's signal handler is Python and never runs inside a deadlock in
native code. SIGABRT comes first, so that faulthandler dumps every stack; then SIGKILL.
"""

from __future__ import annotations

import argparse
import collections
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

# Longest first. A folder that is missing is left out; one that is not named here is an error, so
# that no test is forgotten.
SHARDS = (
    ("tests/crash",),
    ("tests/chaos",),
    ("tests/compat",),
    ("tests/aimed",),
    ("tests/model",),
    ("tests/unit",),
    ("tests/apps",),
    ("tests/arch", "tests/native", "tests/packaging", "tests/examples"),
)
NO_TESTS = ("helpers", "__pycache__")
NOTHING_COLLECTED = 5
TIMED_OUT = (124, 128 + 6, 128 + 9, -6, -9)


@dataclass
class Shard:
    """One pytest process, running or done."""

    folders: list[str]
    process: subprocess.Popen[bytes]
    output: IO[bytes]
    started: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    summary: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    status: int = 0

    @property
    def name(self) -> str:
        return " ".join(self.folders)

    def finish(self) -> None:
        """Print the whole output of an ended shard, and keep its summary."""
        self.seconds = time.monotonic() - self.started
        self.output.seek(0)
        text = self.output.read().decode(errors="replace")
        self.output.close()
        print(f"\n######## {self.name}\n{text}", end="", flush=True)
        # The last line of pytest: "==== 1 failed, 30 passed in 4.20s ====".
        found = re.findall(r"^=* ?((?:\d+ \w+(?:, )?)+) in [\d.]+s.*$", text, re.MULTILINE)
        self.summary = found[-1] if found else ""
        self.counts = {
            word.rstrip("s") if word == "errors" else word: int(n)
            for n, word in re.findall(r"(\d+) (\w+)", self.summary)
        }
        self.status = self.process.returncode
        if self.status == NOTHING_COLLECTED:
            self.status, self.summary = 0, "no tests"
        elif not self.summary:
            why = "took too long: see the stacks above" if self.status in TIMED_OUT else "ended without a summary"
            self.summary = f"{why} (exit status {self.status})"
            self.status = self.status or 1
            self.counts = {"error": 1}


def start(folders: list[str], options: argparse.Namespace) -> Shard:
    """Start pytest on these folders."""
    python = [sys.executable]
    if options.coverage:
        python += ["-m", "coverage", "run"]
    command = ["timeout", "--signal=ABRT", "--kill-after=20", str(options.limit_s)]
    command += [*python, "-m", "pytest", "--color=no", "--durations=5", *folders, *options.pytest]
    output = tempfile.TemporaryFile()  # noqa: SIM115 (Shard.finish closes it)
    # No terminal on standard input: timeout(1) puts pytest into the background.
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    return Shard(folders, process, output)


def plan(only: list[str]) -> list[list[str]]:
    """The folders of each shard."""
    if only:
        return [[folder] for folder in only]
    here = {f"tests/{path.name}" for path in Path("tests").iterdir() if path.is_dir() and path.name not in NO_TESTS}
    known = {folder for shard in SHARDS for folder in shard}
    if here - known:
        raise SystemExit(f"{__file__}: put into SHARDS: {', '.join(sorted(here - known))}")
    return [folders for shard in SHARDS if (folders := [folder for folder in shard if folder in here])]


def run(waiting: list[list[str]], options: argparse.Namespace) -> list[Shard]:
    """Run the shards, at most `options.jobs` at a time; each one's output is printed when it ends."""
    running: list[Shard] = []
    done: list[Shard] = []
    try:
        while waiting or running:
            while waiting and len(running) < options.jobs:
                running.append(start(waiting.pop(0), options))
            ended_pid = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT).si_pid
            shard = next(shard for shard in running if shard.process.pid == ended_pid)
            shard.process.wait()
            running.remove(shard)
            shard.finish()
            done.append(shard)
    finally:
        # Ctrl-C does not reach what timeout(1) put into the background.
        for shard in running:
            shard.process.terminate()
            shard.process.wait()
            shard.finish()
    return done


def main() -> int:
    """Run all, print one summary; the exit status is 1 if any shard failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="pytest processes at a time")
    parser.add_argument("--limit-s", type=int, default=600, help="seconds until a shard is taken for hung")
    parser.add_argument("--only", action="append", default=[], metavar="FOLDER", help="only this folder")
    parser.add_argument("--coverage", action="store_true", help="measure coverage")
    parser.add_argument("pytest", nargs="*", help="after --: more arguments for pytest")
    options = parser.parse_args()

    # SIGABRT is for the stacks, not for core files.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    began = time.monotonic()
    shards = run(plan(options.only), options)
    total: collections.Counter[str] = collections.Counter()
    print("\n######## summary of all shards")
    for shard in shards:
        total.update(shard.counts)
        print(f"{'FAILED' if shard.status else 'ok':8}{shard.seconds:6.0f} s  {shard.name}: {shard.summary}")
    line = ", ".join(f"{count} {word}" for word, count in total.items()) or "no tests"
    print(f" {line} in {time.monotonic() - began:.2f}s ".center(100, "="))
    return int(any(shard.status for shard in shards) or not total)


if __name__ == "__main__":
    sys.exit(main())
