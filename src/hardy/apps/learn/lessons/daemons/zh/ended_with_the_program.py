import subprocess
import sys

PROGRAM = """
import signal
from hardy import Process
if __name__ == "__main__":
    Process(target=signal.pause, daemon={daemon}).start()
    print("程序：我的最后一行", flush=True)
"""


def ends_by_itself(daemon: bool) -> bool:
    try:
        subprocess.run([sys.executable, "-c", PROGRAM.format(daemon=daemon)], timeout=5)
    except subprocess.TimeoutExpired:  # subprocess.run 已经把它杀了
        return False
    return True


if __name__ == "__main__":
    for daemon in (True, False):
        print(f"有个永不结束的孩子，daemon={daemon}：程序会结束：{ends_by_itself(daemon)}")
