"""The command `hardy`: each sub-command is imported only when it is asked for."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable
from typing import NamedTuple

from hardy._version import __version__

__all__ = ["main"]


class Command(NamedTuple):
    """One sub-command: `module` has a `main(argv: list[str]) -> int` that parses its own arguments."""

    module: str
    summary: str


COMMANDS = {
    "chat": Command("hardy.apps.chat.command", "rooms that several processes serve; bots that count what is lost"),
    "demo": Command("hardy.apps.demo", "count words over hardy queues while counters are killed; check every total"),
    "doctor": Command("hardy.cli.doctor", "say why a program is stuck, and what to do"),
    "learn": Command("hardy.apps.learn", "lessons on processes, in English and Chinese, whose scripts run"),
    "locks": Command("hardy.apps.locks", "every lock that the trade names, and the ills of locks, explained"),
    "ps": Command("hardy.cli.ps", "show the processes of hardy's programs, and what each waits for"),
    "run": Command("hardy.cli.run", "run a program that imports multiprocessing, unchanged, on hardy"),
    "serve": Command("hardy.cli.serve", "serve a function of your own in several processes; reload without a gap"),
    "top": Command("hardy.cli.top", "a full-screen view of processes, queues, locks and pools"),
    "tickets": Command("hardy.apps.tickets.command", "sell tickets that many want, and never one too many"),
    "trace": Command("hardy.cli.trace", "run a program, and draw what its processes did, when"),
    "transfer": Command("hardy.apps.transfer.command", "upload and download files, whatever is killed meanwhile"),
}


def main(argv: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments after the program's name; None takes them from `sys.argv`.

    Returns:
        The exit status.
    """
    arguments = sys.argv[1:] if argv is None else argv
    parser = _parser()
    # Only what stands before the sub-command is hardy's; the rest goes to it untouched.
    known = parser.parse_args(arguments[:1])
    if known.command is None:
        parser.print_help()
        return 0
    command = COMMANDS[known.command]
    run: Callable[[list[str]], int] = importlib.import_module(command.module).main
    return run(arguments[1:])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hardy",
        description="multiprocessing that you can kill -9.",
        epilog="`hardy COMMAND --help` tells more.",
    )
    parser.add_argument("--version", action="version", version=f"hardy {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        commands.add_parser(name, help=command.summary, add_help=False)
    return parser
