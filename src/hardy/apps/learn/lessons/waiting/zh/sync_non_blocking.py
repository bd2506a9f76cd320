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
    say("水壶坐上，我去看电视")
    while kettle.is_alive():  # 非阻塞：马上有回答，可还得再问
        say("还没开：看一集电视")
        time.sleep(0.6)
    say("再去看：水开了")
    say("完")
