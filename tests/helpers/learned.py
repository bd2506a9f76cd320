"""Runs of the scripts of `hardy learn`, in both languages, faster than a learner sees them: sleeps are shortened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from hardy.apps.learn import contents, pages
from hardy.apps.learn.checking import ANY_NUMBER
from hardy.apps.learn.console import missing
from hardy.apps.learn.running import run_scripts

__all__ = ["FASTER", "Printed", "Run", "all_runs", "run_all"]

FASTER = 8.0
TIMEOUT_S = 50.0
AT_ONCE = 14
# They wait for seconds, but not in time.sleep.
PATIENT = ("not_with_hardy", "two_locks", "found_by_hardy", "with_oneself", "seen_from_outside")

# Read by every Python that the scripts start, before anything else.
_SITE = f"""
import time

_sleep = time.sleep


def sleep(seconds):
    _sleep(seconds / {FASTER})


time.sleep = sleep
"""


class Run(NamedTuple):
    """Scripts of a lesson that run beside each other."""

    scripts: tuple[Path, ...]
    way: str


class Printed(NamedTuple):
    """What became of one script."""

    output: str
    status: int | None
    left: tuple[str, ...]


def all_runs() -> list[Run]:
    """Every run of every lesson that this system has the commands for, one language after the other."""
    found = [
        Run(tuple(files), part.way)
        for lesson in contents.LESSONS
        for files, part in pages.scripts(lesson)
        if not any(file.suffix == ".console" and missing(file.read_text()) for file in files)
    ]
    return sorted(found, key=lambda each: each.scripts[0].parent.name == "zh")


def run_all(folder: Path) -> dict[Path, Printed]:
    """Run every script, some at a time; `folder` is for what shortens their sleeps.

    Those that count how often something comes within a time have the time that they say, and little beside them.
    """
    (folder / "sitecustomize.py").write_text(_SITE)
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    printed: dict[Path, Printed] = {}

    def run(some: list[Run], env: dict[str, str]) -> None:
        scripts = [script for each in some for script in each.scripts]
        ran = run_scripts(scripts, timeout_s=TIMEOUT_S, env=env)
        for script, output, status in zip(scripts, ran.outputs, ran.statuses, strict=True):
            printed[script] = Printed(output, status, ran.left)

    runs = all_runs()
    counting = [each for each in runs if each.way == ANY_NUMBER or each.scripts[0].stem in PATIENT]
    others = [each for each in runs if each not in counting]
    run(counting, {})
    for first in range(0, len(others), AT_ONCE):
        run(others[first : first + AT_ONCE], {"PYTHONPATH": path})
    return printed
