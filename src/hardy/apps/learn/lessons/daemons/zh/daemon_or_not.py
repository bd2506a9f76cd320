import time

from hardy import Event, Process


def tick(ready) -> None:
    while True:
        print("守护进程：嘀嗒")
        ready.set()
        time.sleep(0.4)


def work() -> None:
    time.sleep(2)
    print("普通孩子：做完了，虽然父亲早已没事可做")


if __name__ == "__main__":
    ready = Event()
    daemon = Process(target=tick, args=(ready,), daemon=True)
    ordinary = Process(target=work)
    daemon.start()
    ordinary.start()
    ready.wait()
    print("父亲：我的最后一行")
