"""`hardy ps`: the processes of hardy's programs, and what each waits for."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time

from hardy.observe.snapshot import Process, Snapshot, Watcher
from hardy.observe.text import bytes_text, duration_text, snapshot_dict, state_text, table

__all__ = ["main"]

_CLEAR = "\x1b[H\x1b[2J"
_HEADER = ("PID", "NAME", "STATE", "DAEMON", "CPU", "MEMORY", "RESTARTS", "TASKS")


def main(argv: list[str]) -> int:
    """Show the processes.

    Returns:
        0; 1 when a process that was asked for is none of hardy's.
    """
    options = _parser().parse_args(argv)
    with Watcher() as watcher:
        try:
            while True:
                if options.watch is not None and sys.stdout.isatty():
                    print(_CLEAR, end="")
                status = _show(watcher, options)
                sys.stdout.flush()
                if options.watch is None:
                    return status
                time.sleep(options.watch)
        except KeyboardInterrupt:
            return 0
        except BrokenPipeError:
            # Whoever read has seen enough. Python would complain once more when it closes its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hardy ps",
        description="Show the processes of the programs that use hardy: what each does, and for what it waits. "
        "There is nothing to set up in them. Other users' programs are not seen.",
    )
    parser.add_argument("pids", metavar="PID", type=int, nargs="*", help="only the programs of these processes")
    parser.add_argument("--json", action="store_true", help="as JSON, with all that is known, queues and locks too")
    parser.add_argument(
        "--watch", metavar="SECONDS", type=_seconds, nargs="?", const=1.0, help="again and again (every second)"
    )
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0.05 <= seconds <= 86400:
        raise argparse.ArgumentTypeError("must be from 0.05 to 86400 seconds")
    return seconds


def _show(watcher: Watcher, options: argparse.Namespace) -> int:
    snapshot = watcher.take()
    unknown = [pid for pid in options.pids if snapshot.process(pid) is None]
    pids = set(options.pids) or None
    if options.json:
        # A line each when they follow one another, so that a reader knows where one ends.
        print(json.dumps(snapshot_dict(snapshot, pids), indent=None if options.watch else 2))
    else:
        print(ps_text(snapshot, pids))
    for pid in unknown:
        print(f"hardy ps: {pid} is no process of hardy's, or another user's", file=sys.stderr)
    return 1 if unknown else 0


def ps_text(snapshot: Snapshot, pids: set[int] | None) -> str:
    """The table, and below it what is wrong.

    Args:
        snapshot: what to show.
        pids: the processes whose programs to show; None: all.
    """
    shown = snapshot.programs_of(pids)
    if not shown:
        return "\n".join(["No program of yours uses hardy now.", *snapshot.notes])
    rows = []
    for program in shown:
        depth = {0: -1}
        for each in program.processes:
            depth[each.pid] = depth.get(each.parent, -1) + 1
            rows.append(_row(snapshot, each, depth[each.pid]))
    processes = [each for program in shown for each in program.processes]
    # Of other programs nobody has asked.
    notes = [each for each in snapshot.notes if pids is None or any(re.search(rf"\b{pid}\b", each) for pid in pids)]
    troubles = [f"{each.pid} {each.name}: {each.trouble}" for each in processes if each.trouble]
    text = table(_HEADER, rows, right=(0, 4, 5, 6, 7))
    return "\n".join([text, *([""] if troubles or notes else []), *troubles, *notes])


def _row(snapshot: Snapshot, process: Process, depth: int) -> tuple[str, ...]:
    branch = "  " * (depth - 1) + "└ " if depth else ""
    return (
        str(process.pid),
        branch + process.name,
        state_text(snapshot, process),
        "yes" if process.is_daemon else "",
        duration_text(process.cpu_s),
        bytes_text(process.rss_bytes),
        str(process.restarts or ""),
        "" if process.tasks is None else str(process.tasks),
    )
