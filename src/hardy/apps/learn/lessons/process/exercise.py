PROGRAM = "import os; print(os.getpid())"

if __name__ == "__main__":
    pids = []
    # Run PROGRAM five times, and put the number that each run prints into pids.
    print(len(pids), "runs of one program")
    print(len(set(pids)), "processes")
