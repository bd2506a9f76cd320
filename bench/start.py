"""`python -m bench.start LIBRARY METHOD COUNT [--touched-mib N]`: the seconds of COUNT starts and joins, in turn.

A program of its own: what is forked is a small process, and what spawn imports again is this module alone.
LIBRARY `os.fork` is the bare call, whatever the method.
"""

from __future__ import annotations

import argparse
import importlib
import os
import time
from collections.abc import Callable


def nothing() -> None:
    """The task of the processes."""


def _fork_and_wait() -> None:
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)


def _starter(library: str, method: str) -> Callable[[], None]:
    if library == "os.fork":
        return _fork_and_wait
    context = importlib.import_module(library).get_context(method)

    def start_and_join() -> None:
        process = context.Process(target=nothing)
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(f"a process ended with {process.exitcode}")

    return start_and_join


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.start")
    parser.add_argument("library")
    parser.add_argument("method")
    parser.add_argument("count", type=int)
    parser.add_argument("--touched-mib", type=int, default=0)
    arguments = parser.parse_args()
    # Written to, so that each page is there and a fork has its entry to copy.
    touched = b"x" * (arguments.touched_mib << 20)
    start_and_join = _starter(arguments.library, arguments.method)
    # The first one starts the server of forkserver too.
    start_and_join()
    start = time.perf_counter()
    for _ in range(arguments.count):
        start_and_join()
    print(time.perf_counter() - start)
    del touched


if __name__ == "__main__":
    main()
