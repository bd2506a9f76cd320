import os

if __name__ == "__main__":
    for number in range(3):
        if os.fork() == 0:
            os._exit(10 + number)
    # Three zombies. Reap them all, whichever ends first, and print their exit codes, sorted.
    codes = []
    for _ in range(3):
        _, status = os.waitpid(-1, 0)
        codes.append(os.waitstatus_to_exitcode(status))
    print(sorted(codes))
