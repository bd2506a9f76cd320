"""What is measured in a fresh interpreter: starting a process by each method, and the import."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import partial

from bench.cells import Cell
from bench.processes import BenchError

__all__ = ["IMPORT_FAMILY", "START_FAMILY", "cells"]

START_FAMILY = "Start and join of a process"
IMPORT_FAMILY = "Import"
_BASELINE = "multiprocessing"
_LIBRARIES = ("hardy", _BASELINE)
_METHODS = ("fork", "spawn", "forkserver")
_IMPORT = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"


def _run(*arguments: str) -> float:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=90)
    if done.returncode:
        raise BenchError(f"python {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
    return float(done.stdout)


def _measure_start(library: str, method: str, count: int) -> float:
    return _run("-m", "bench.start", library, method, str(count))


def _measure_import(library: str, count: int) -> float:
    return sum(_run("-c", _IMPORT.format(library)) for _ in range(count))


def cells() -> Iterator[Cell]:
    """A cell for each start method, and one for the import."""
    for method in _METHODS:
        contenders = {library: partial(_measure_start, library, method) for library in _LIBRARIES}
        yield Cell(START_FAMILY, method, contenders, _BASELINE)
    imports = {library: partial(_measure_import, library) for library in _LIBRARIES}
    yield Cell(IMPORT_FAMILY, "import", imports, _BASELINE)
