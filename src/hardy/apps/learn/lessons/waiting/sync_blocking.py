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
    say("kettle on; I stand before it")
    kettle.join()  # blocking: nothing else is done until it boils
    say("it boils")
    for _ in range(3):
        say("an episode on TV")
        time.sleep(0.5)
    say("done")
