import time

from hardy import Process


def work() -> None:
    print("孩子：我开始了")
    time.sleep(1)
    print("孩子：我结束了")


if __name__ == "__main__":
    process = Process(target=work)
    process.start()
    process.join()
    print("父亲：孩子结束了，退出码", process.exitcode)
