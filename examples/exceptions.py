"""What a child raises comes back with the child's traceback; what kills it is named.
The child also prints its traceback on stderr, as with the standard library.

Prints:
    ValueError: invalid literal for int() with base 10: 'forty'
    raised at: return int(word)
    ProcessDied: 'victim' (pid 4127, SIGKILL) was killed before it gave a result.
      Its children were ended and what it held was released; start another
    signal 9, exit code -9
"""

import os
import signal

from hardy import Process, ProcessDied


def parse(word: str) -> int:
    return int(word)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    parser = Process(target=parse, args=("forty",))
    parser.start()
    try:
        parser.result()
    except ValueError as error:
        print(f"ValueError: {error}")
        print("raised at:", next(line.strip() for line in str(error.__cause__).splitlines() if "int(" in line))
    victim = Process(target=die, name="victim")
    victim.start()
    try:
        victim.result()
    except ProcessDied as error:
        print(f"ProcessDied: {error}\nsignal {error.signal}, exit code {victim.exitcode}")
