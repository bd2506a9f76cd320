import os
import subprocess
import sys

# A program is text. This one could as well lie in a file.
PROGRAM = """
import os
count = 0
count += 1
print(f"pid {os.getpid()}: count is {count}")
"""

if __name__ == "__main__":
    print(f"pid {os.getpid()}: I start the same program three times")
    for _ in range(3):
        subprocess.run([sys.executable, "-c", PROGRAM], check=True)
