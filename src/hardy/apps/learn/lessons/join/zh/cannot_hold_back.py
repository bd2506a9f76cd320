import time

from hardy import Process


def work(name: str, seconds: float) -> None:
    time.sleep(seconds)
    print(f"{name}结束了")


if __name__ == "__main__":
    slow = Process(target=work, args=("慢的", 2))
    quick = Process(target=work, args=("快的", 1))
    slow.start()
    quick.start()
    slow.join(0.5)  # 最多等半秒
    print("join(0.5) 之后，慢的还活着：", slow.is_alive())
    slow.join()
    print("父亲：慢的结束了，我接着走")
    quick.join()
    print("父亲：join 一个已经结束的，马上返回")
