"""What is measured in a fresh interpreter: starting a process by each method, and the import."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bench.cells import Aim, Cell
from bench.processes import run_python

__all__ = ["IMPORT_FAMILY", "START_FAMILY", "cells"]

START_FAMILY = "Start and join of a process"
IMPORT_FAMILY = "Import"
_BASELINE = "multiprocessing"
_LIBRARIES = ("hardy", _BASELINE)
_METHODS = ("fork", "spawn", "forkserver")
_TOUCHED_MIB = 512
_IMPORT = "import time; t = time.perf_counter(); import {0}; {1}print(time.perf_counter() - t)"
# What a program does first with what it has imported: each library puts off a part of its imports until then.
_FIRST_USE = "{0}.Process(target=print); {0}.Queue(); {0}.Lock(); "


def _measure_start(library: str, method: str, touched_mib: int, count: int) -> float:
    return float(run_python("-m", "bench.start", library, method, str(count), "--touched-mib", str(touched_mib)))


def _measure_import(library: str, use: str, count: int) -> float:
    return sum(float(run_python("-c", _IMPORT.format(library, use.format(library)))) for _ in range(count))


def _starts(touched_mib: int) -> Iterator[Cell]:
    suffix = f", {touched_mib} MiB touched" if touched_mib else ""
    for method in _METHODS:
        contenders = {library: partial(_measure_start, library, method, touched_mib) for library in _LIBRARIES}
        yield Cell(START_FAMILY, f"{method}{suffix}", contenders, _BASELINE, {"hardy": Aim(1)})
    warm = {
        "hardy": partial(_measure_start, "hardy", "forkserver", touched_mib),
        "os.fork": partial(_measure_start, "os.fork", "", touched_mib),
    }
    yield Cell(START_FAMILY, f"warm{suffix}", warm, "os.fork", {"hardy": Aim(1 / 3)})


def cells() -> Iterator[Cell]:
    """Starts by each method, in a small process and in one that uses much memory; and the import."""
    for touched_mib in (0, _TOUCHED_MIB):
        yield from _starts(touched_mib)
    for name, use in (("import", ""), ("import, first process, queue and lock made", _FIRST_USE)):
        imports = {library: partial(_measure_import, library, use) for library in _LIBRARIES}
        yield Cell(IMPORT_FAMILY, name, imports, _BASELINE, {"hardy": Aim(1)})
