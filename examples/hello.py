"""A process, and what it returned.

Prints:
    hello from 'greeter'
    it returned 42
"""

from hardy import Process, current_process


def greet(number: int) -> int:
    print(f"hello from {current_process().name!r}", flush=True)
    return number * 2


if __name__ == "__main__":
    greeter = Process(target=greet, args=(21,), name="greeter")
    greeter.start()
    print("it returned", greeter.result())
