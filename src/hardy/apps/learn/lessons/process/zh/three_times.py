import os
import subprocess
import sys

# 程序是一段文字。这一段放在文件里也一样。
PROGRAM = """
import os
count = 0
count += 1
print(f"pid {os.getpid()}：count 是 {count}")
"""

if __name__ == "__main__":
    print(f"pid {os.getpid()}：我把同一个程序启动三次")
    for _ in range(3):
        subprocess.run([sys.executable, "-c", PROGRAM], check=True)
