"""`python -m bench.start LIBRARY METHOD COUNT`: the seconds of COUNT starts and joins, one after the other.

A program of its own: what is forked is a small process, and what spawn imports again is this module alone.
"""

from __future__ import annotations

import importlib
import sys
import time


def nothing() -> None:
    """The task of the processes."""


def main() -> None:
    library, method, count = sys.argv[1:]
    context = importlib.import_module(library).get_context(method)

    def start_and_join() -> None:
        process = context.Process(target=nothing)
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(f"a process ended with {process.exitcode}")

    # The first one starts the server of forkserver too.
    start_and_join()
    start = time.perf_counter()
    for _ in range(int(count)):
        start_and_join()
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main()
