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
    say("kettle on; I go and watch TV")
    while kettle.is_alive():  # non-blocking: answers at once, and I must ask again
        say("it does not boil yet: an episode on TV")
        time.sleep(0.6)
    say("I look again: it boils")
    say("done")
