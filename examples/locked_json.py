"""Ten processes add to one number in a JSON file; one is killed in the middle of its turn.

Prints:
    added: 9
    what the killed one did: nothing
"""

import os
import signal
import tempfile
from pathlib import Path

from hardy import Process, locked_json


def add(path: str, number: int) -> None:
    with locked_json(path, default={"count": 0}) as state:
        state["count"] += 1
        if number == 4:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "state.json")
        adders = [Process(target=add, args=(path, number)) for number in range(10)]
        for adder in adders:
            adder.start()
        for adder in adders:
            adder.join()
        with locked_json(path) as state:
            print("added:", state["count"])
            print("what the killed one did:", "nothing" if state["count"] == 9 else "something")
