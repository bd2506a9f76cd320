"""`python -m bench`: measure, show, and write docs/en/benchmarks.md."""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

from bench import crowd, fresh, locks, one_way, pools, round_trip, serve, tickets, transfer, watched
from bench.cells import Cell
from bench.machine import describe_machine
from bench.processes import BenchError
from bench.report import write_report
from bench.runner import measure_all
from hardy._core import runtime

_DOCUMENT = Path(__file__).parents[1] / "docs/en/benchmarks.md"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="paired rounds, at least 5 (default: 7)")
    parser.add_argument("--seed", type=int, help="of the random order (default: one of its own, printed)")
    parser.add_argument(
        "--only", metavar="TEXT", help="only cells whose table and name contain it; prints, writes no document"
    )
    arguments = parser.parse_args()
    if arguments.rounds < 5:
        parser.error(f"--rounds must be at least 5, not {arguments.rounds}: fewer say nothing of the noise")
    return arguments


def _all_cells() -> list[Cell]:
    families = (one_way, crowd, round_trip, locks, watched, pools, fresh, tickets, serve, transfer)
    return [cell for family in families for cell in family.cells()]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """The exit status: 0; 1 when a contender failed."""
    arguments = _arguments()
    if runtime.has_failpoints():
        _say("This build of hardy has failpoints, which cost time. Measure the release: make bench")
        return 1
    wanted = (arguments.only or "").lower()
    cells = [cell for cell in _all_cells() if wanted in f"{cell.family}: {cell.name}".lower()]
    if not cells:
        _say(f"No cell contains {arguments.only!r}.")
        return 1
    seed = random.SystemRandom().randrange(1_000_000) if arguments.seed is None else arguments.seed
    machine = describe_machine()
    _say(f"seed {seed}, {arguments.rounds} rounds, load {machine['load average at the start (1, 5, 15 minutes)']}")
    start = time.monotonic()
    try:
        results = measure_all(cells, arguments.rounds, random.Random(seed), _say)
    except BenchError as error:
        _say(f"The bench failed. {error}")
        return 1
    document = write_report(machine, arguments.rounds, seed, list(zip(cells, results, strict=True)))
    print(document)
    _say(f"measured in {time.monotonic() - start:.0f} s")
    if not wanted:
        _DOCUMENT.parent.mkdir(parents=True, exist_ok=True)
        _DOCUMENT.write_text(document)
        _say(f"written: {_DOCUMENT}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
