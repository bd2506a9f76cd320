"""Plain C on hardy's ring (plain_c.c): no library to choose instead, but what a queue costs without Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import hardy
from bench.processes import BenchError

__all__ = ["NAME", "find_compiler", "measure"]

NAME = "plain C"
_SOURCE = Path(__file__).with_name("plain_c.c")
_LIMIT_S = 60


def find_compiler() -> str | None:
    """The C compiler, or None: then there is no such contender."""
    return shutil.which(os.environ.get("CC", "cc"))


@cache
def _program() -> tuple[Path, tempfile.TemporaryDirectory[str]]:
    """The built program, and its folder, which goes when this process ends."""
    folder = tempfile.TemporaryDirectory(prefix="hardy-bench-")
    program = Path(folder.name) / "plain_c"
    headers = Path(hardy.__file__).parent / "_core"
    flags = ["-std=gnu11", "-O2", "-D_GNU_SOURCE", "-pthread", f"-I{headers}"]
    done = subprocess.run(
        [str(find_compiler()), *flags, str(_SOURCE), "-o", str(program)], capture_output=True, text=True
    )
    if done.returncode:
        raise BenchError(f"plain_c.c was not built:\n{done.stderr[-2000:]}")
    return program, folder


def measure(cell: tuple[str, ...], count: int) -> float:
    """The seconds that `count` messages or round trips take; `cell`: the other arguments of the program."""
    program, _folder = _program()
    done = subprocess.run([str(program), *cell, str(count)], capture_output=True, text=True, timeout=_LIMIT_S)
    if done.returncode:
        raise BenchError(f"{NAME}: {done.stderr.strip()}")
    return float(done.stdout)
