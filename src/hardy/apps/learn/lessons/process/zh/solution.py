import subprocess
import sys

PROGRAM = "import os; print(os.getpid())"

if __name__ == "__main__":
    pids = []
    for _ in range(5):
        done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
        pids.append(int(done.stdout))
    print(len(pids), "次运行，同一个程序")
    print(len(set(pids)), "个进程")
