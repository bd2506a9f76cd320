"""`hardy doctor PID`: why a program is stuck."""

from __future__ import annotations

import argparse
import json
import sys

from hardy.observe.doctor import examine, report_text

__all__ = ["main"]


def main(argv: list[str]) -> int:
    """Examine the program of a process.

    Returns:
        0 when nothing is wrong, 1 when something is, 2 when there is no such process.
    """
    parser = argparse.ArgumentParser(
        prog="hardy doctor",
        description="Say why a program is stuck: who waits for whom, circles, who holds what, zombies, orphans, queues "
        "that nobody reads; for each the mend. The status is 0 when nothing is wrong, 1 when something is.",
    )
    parser.add_argument("pid", metavar="PID", type=int, help="any process of the program")
    parser.add_argument("--json", action="store_true", help="as JSON")
    options = parser.parse_args(argv)
    report = examine(options.pid)
    if report is None:
        print(
            f"hardy doctor: {options.pid} is no process of hardy's, or another user's; `hardy ps` lists them",
            file=sys.stderr,
        )
        return 2
    print(json.dumps(report.as_dict(), indent=2) if options.json else report_text(report))
    return 1 if report.findings else 0
