import subprocess
import sys

PROGRAM = """
import signal
from hardy import Process
if __name__ == "__main__":
    Process(target=signal.pause, daemon={daemon}).start()
    print("program: my last line", flush=True)
"""


def ends_by_itself(daemon: bool) -> bool:
    try:
        subprocess.run([sys.executable, "-c", PROGRAM.format(daemon=daemon)], timeout=5)
    except subprocess.TimeoutExpired:  # subprocess.run has killed it
        return False
    return True


if __name__ == "__main__":
    for daemon in (True, False):
        print(f"with a child that never ends, daemon={daemon}: the program ends: {ends_by_itself(daemon)}")
