import time

from hardy import Process


def work(name: str, seconds: float) -> None:
    time.sleep(seconds)
    print(f"{name} has ended")


if __name__ == "__main__":
    slow = Process(target=work, args=("slow", 2))
    quick = Process(target=work, args=("quick", 1))
    slow.start()
    quick.start()
    slow.join(0.5)  # wait for half a second, at most
    print("after join(0.5): slow lives:", slow.is_alive())
    slow.join()
    print("parent: slow has ended, so I go on")
    quick.join()
    print("parent: join of one that has ended returns at once")
