"""`hardy tickets demo`: the data race of many users after one ticket, and its cure."""

from __future__ import annotations

import argparse
import json
import random
import secrets
import tempfile
from collections import Counter
from pathlib import Path

from rich.console import Console

from hardy.apps.tickets.rush import EVENT, Rush, run_rush, safe_user, unsafe_user
from hardy.apps.tickets.sale import Sale
from hardy.apps.tickets.stores import open_store
from hardy.apps.tickets.timeline import draw

__all__ = ["add_arguments", "run"]

_THINK_S = 0.05
# With more users than this nobody thinks, unless asked to: it would take minutes, one after the other.
_MANY_USERS = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `hardy tickets demo`."""
    parser.add_argument("--users", type=int, default=10, metavar="N", help="how many want a ticket (default: 10)")
    parser.add_argument("--tickets", type=int, default=1, metavar="N", help="how many there are (default: 1)")
    parser.add_argument("--unsafe", action="store_true", help="show the data race first: without a lock")
    parser.add_argument("--kills", type=int, default=0, metavar="N", help="kill so many users (SIGKILL; default: 0)")
    parser.add_argument("--think", type=float, metavar="S", help="seconds between reading and writing")
    parser.add_argument("--seed", type=int, help="who is killed when (default: one of its own, printed)")
    parser.add_argument("--store", help="a .json or .db path or postgresql:// address (default: a temporary .json)")


def run(options: argparse.Namespace) -> int:
    """Run it; the exit status: 0 when the safe sale was right."""
    for what in ("users", "tickets", "kills"):
        if getattr(options, what) < (1 if what == "users" else 0):
            print(f"hardy tickets demo: --{what} must not be {getattr(options, what)}")
            return 2
    console = Console(highlight=False, width=None if Console().is_terminal else 110)
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    think_s = options.think if options.think is not None else (0.0 if options.users > _MANY_USERS else _THINK_S)
    runs: dict[str, Rush] = {}
    with tempfile.TemporaryDirectory(prefix="hardy-tickets-") as folder:
        if options.unsafe:
            runs["without a lock"] = _run_unsafe(Path(folder) / "stock.json", options, think_s)
        where = options.store or str(Path(folder) / "tickets.json")
        safe, problems = _run_safe(where, options, think_s, seed)
        runs["one at a time"] = safe
    for line in draw(runs, console.width):
        console.print(line, soft_wrap=True)
    console.print()
    for title, rush in runs.items():
        sold = len(rush.receipts)
        over = max(0, sold - options.tickets)
        verdict = f"[bold red]oversold by {over}[/]" if over else "[green]not oversold[/]"
        console.print(
            f"{title}: {options.users} users, {options.tickets} tickets, {sold} were told they have one: {verdict} "
            f"({rush.seconds:.2f} s, {len(rush.killed)} killed)"
        )
    if options.kills:
        console.print(f"kills by seed {seed}")
    for problem in problems:
        console.print(f"[bold red]wrong:[/] {problem}")
    return 1 if problems else 0


def _run_unsafe(path: Path, options: argparse.Namespace, think_s: float) -> Rush:
    path.write_text(json.dumps({"count": options.tickets}))
    return run_rush(unsafe_user, str(path), options.users, think_s=think_s)


def _run_safe(where: str, options: argparse.Namespace, think_s: float, seed: int) -> tuple[Rush, list[str]]:
    with Sale(open_store(where)) as sale:
        sale.add_event(EVENT, options.tickets)
        before = {order.id for order in sale.orders(EVENT)}
    rush = run_rush(safe_user, where, options.users, think_s=think_s, kills=options.kills, chance=random.Random(seed))
    with Sale(open_store(where)) as sale:
        return rush, [*sale.audit(EVENT), *_compare(sale, before, rush, options)]


def _compare(sale: Sale, before: set[str], rush: Rush, options: argparse.Namespace) -> list[str]:
    """The store against the users' receipts."""
    orders = [order for order in sale.orders(EVENT) if order.id not in before]
    ids = {order.id: order.buyer for order in orders}
    wrong = [
        f"{buyer} has receipt {receipt}, and the store has no such order of theirs"
        for buyer, receipt in rush.receipts.items()
        if ids.get(receipt) != buyer
    ]
    silent = [order for order in orders if order.buyer not in rush.receipts and order.buyer not in rush.killed]
    wrong += [f"{order.buyer} has order {order.id}, and was not told" for order in silent]
    wrong += [f"{buyer} has {count} orders" for buyer, count in Counter(ids.values()).items() if count > 1]
    # Whoever was killed may have had the last one without knowing; all others were told.
    wanted = min(options.tickets - len(before), options.users - len(rush.killed))
    if len(orders) < wanted:
        wrong.append(f"{len(orders)} tickets were sold, and there were {wanted} users for them who were not killed")
    return wrong
