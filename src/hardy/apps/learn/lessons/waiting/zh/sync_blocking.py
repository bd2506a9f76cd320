import time

from hardy import Process

began = time.time()


def say(text: str) -> None:
    print(f"{time.time() - began:.1f} s  {text}")


def boil() -> None:
    time.sleep(2)


if __name__ == "__main__":
    kettle = Process(target=boil)
    kettle.start()
    say("水壶坐上，我守着它")
    kettle.join()  # 阻塞：水开之前什么也不做
    say("水开了")
    for _ in range(3):
        say("看一集电视")
        time.sleep(0.5)
    say("完")
