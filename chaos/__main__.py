"""`python -m chaos`: kill at random for some time, over hardy or a peer; the status is 1 when hardy failed.

make chaos                      five minutes, a seed of its own
make chaos SECONDS=1800 SEED=7  longer, and the same kills as every run with that seed
make chaos SEED=7 ROUND=12      round 12 of that seed alone, as when it failed
make chaos PEER=mp              multiprocessing instead (or faster-fifo, mp-pool, futures, loky, pebble; or all)
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from chaos import isolation, pools, report
from chaos.kits import LABELS, kit_class
from chaos.plan import Plan, draw_plan, generator
from chaos.report import Totals
from chaos.rounds import Result, Round
from chaos.watch import HANG_S
from chaos.world import SEATS

STEPS = 60
# A peer is known to hang: it is not waited for as long.
_PEER_HANG_S = 3.0
_PEER_STEPS = 40


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=300.0, help="how long (default: 300)")
    parser.add_argument("--seed", type=int, help="of all that is drawn (default: one of its own, printed)")
    parser.add_argument("--round", type=int, help="only this round of the seed")
    parser.add_argument("--kit", action="append", help=f"what is killed: {', '.join(LABELS)}; default: hardy")
    parser.add_argument("--peers", action="store_true", help="every peer too, --peer-seconds each")
    parser.add_argument("--peer-seconds", type=float, default=30.0, help="(default: 30)")
    parser.add_argument("--only", action="append", default=[], metavar="SUBJECT", help="only this queue or lock")
    parser.add_argument("--steps", type=int, help=f"things done in one round (default: {STEPS}; peers: {_PEER_STEPS})")
    parser.add_argument("--keep-going", action="store_true", help="go on after a round that failed")
    parser.add_argument("--write", type=Path, metavar="DOCUMENT", help="put the table into this document")
    parsed = parser.parse_args(arguments)
    parsed.kit = parsed.kit or ["hardy"]
    if parsed.kit == ["all"]:
        parsed.kit = [name for name in LABELS if name != "hardy"]
    if parsed.peers:
        parsed.kit += [name for name in LABELS if name not in parsed.kit]
    for name in parsed.kit:
        if name not in pools.KITS:
            try:
                kit_class(name)
            except ValueError as error:
                parser.error(str(error))
    return parsed


def draw_rounds(seed: int, kit: str, only: list[str], steps: int | None = None) -> Iterator[Plan]:
    """The rounds of a seed, without end: each subject once in each turn, in an order of its own."""
    if kit in pools.KITS:
        subjects: tuple[str, ...] = ("pool",)
    else:
        subjects = kit_class(kit).subjects + (tuple(pools.HARDY) if kit == "hardy" else ())
    if only:
        subjects = tuple(each for each in subjects if each in only)
        if not subjects:
            raise SystemExit(f"{kit} has none of: {', '.join(only)}")
    nests = kit not in pools.KITS and kit_class(kit).nests
    number = 0
    while True:
        order = list(subjects)
        generator(seed, number, -1).shuffle(order)
        for subject in order:
            most = steps or (STEPS if nests else _PEER_STEPS)
            yield draw_plan(seed, number, kit, subject, SEATS, most, can_nest=nests)
            number += 1


def run_round(plan: Plan) -> Result:
    """One round of any kit."""
    make = pools.PoolRound if pools.is_one(plan) else Round
    return make(plan, HANG_S if _must_pass(plan.kit) else _PEER_HANG_S).run()


def tell(result: Result) -> str:
    """What went wrong in a round, how to have it again, and every stack."""
    plan = result.plan
    lines = [f"FAILED at step {result.step} of {len(plan.steps)}: {plan}"]
    lines += [f"  {line}" for line in result.wrong]
    lines += ["", result.dump]
    lines.append(f"the same kills again: make chaos SEED={plan.seed} ROUND={plan.number}")
    return "\n".join(lines)


def run_kit(kit: str, seed: int, seconds: float, options: argparse.Namespace) -> Totals:
    """All rounds of one library, as long as there is time."""
    totals = Totals(kit)
    began = said = time.monotonic()
    for plan in draw_rounds(seed, kit, options.only, options.steps):
        if options.round is not None and plan.number != options.round:
            if plan.number > options.round:
                break
            continue
        result = run_round(plan)
        totals.add(result)
        if result.wrong and _must_pass(kit):
            print(tell(result), flush=True)
            if not options.keep_going:
                break
        now = time.monotonic()
        if now - said > 10:
            said = now
            done = f"{now - began:.0f} s, {totals.counts['rounds']} rounds, {totals.counts['kills']} kills"
            print(f"{kit}: {done}, {totals.bad} bad", file=sys.stderr, flush=True)
        if now - began > seconds:
            break
    return totals


def _must_pass(kit: str) -> bool:
    """Whether what it does wrong fails the run; a peer's faults are only counted."""
    return kit == "hardy" or kit not in LABELS


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 0; 1 when something that must be zero is not, of hardy."""
    options = _arguments(arguments)
    seed = random.SystemRandom().randrange(1_000_000) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    isolation.adopt_orphans()
    if not isolation.own_shm():
        print("no privilege for a /dev/shm of our own: names that other programs leave there count too", flush=True)
    columns = []
    for kit in options.kit:
        seconds = options.seconds if kit in ("hardy", *options.kit[:1]) else options.peer_seconds
        columns.append(run_kit(kit, seed, seconds, options))
    described = report.describe(seed, options.seconds)
    text = report.table(columns)
    print(f"\n{described}\n\n{text}", flush=True)
    if options.write:
        report.write(options.write, f"{described}\n\n{text}")
    return int(any(totals.bad for totals in columns if _must_pass(totals.kit)))


if __name__ == "__main__":
    sys.exit(main())
