"""`hardy top`: a full-screen view of what hardy's programs do."""

from __future__ import annotations

import argparse
import sys

__all__ = ["main"]


def main(argv: list[str]) -> int:
    """Show the view until it is left.

    Returns:
        0; 2 when the library that draws it is not installed, or there is no such process.
    """
    parser = argparse.ArgumentParser(
        prog="hardy top",
        description="Show the processes, queues, locks and pools of the programs that use hardy, full-screen. The keys "
        "stand below the tables.",
    )
    parser.add_argument("pids", metavar="PID", type=int, nargs="*", help="only the programs of these processes")
    parser.add_argument("--interval", metavar="SECONDS", type=float, default=1.0, help="between two looks (1)")
    options = parser.parse_args(argv)
    if not 0.1 <= options.interval <= 3600:
        parser.error("--interval must be from 0.1 to 3600 seconds")
    try:
        from hardy.observe.screen import TopApp
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "textual":
            raise
        print("hardy top needs textual: pip install 'hardy[top]'; `hardy ps --watch` needs nothing", file=sys.stderr)
        return 2
    if options.pids and (unknown := _unknown(options.pids)):
        print(f"hardy top: no process of hardy's, or another user's: {unknown}; `hardy ps` lists them", file=sys.stderr)
        return 2
    TopApp(options.interval, set(options.pids) or None).run()
    return 0


def _unknown(pids: list[int]) -> str:
    from hardy.observe import Watcher

    with Watcher() as watcher:
        snapshot = watcher.take()
    return ", ".join(str(pid) for pid in pids if snapshot.process(pid) is None)
