import os

if __name__ == "__main__":
    for number in range(3):
        if os.fork() == 0:
            os._exit(10 + number)
    # 三个僵尸。不管谁先结束，都回收掉，把退出码排好序打印出来。
    codes = []
    for _ in range(3):
        _, status = os.waitpid(-1, 0)
        codes.append(os.waitstatus_to_exitcode(status))
    print(sorted(codes))
