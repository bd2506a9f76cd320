import time

from hardy import Pool

began = time.time()


def say(text: str) -> None:
    print(f"{time.time() - began:.1f} s  {text}")


def boil() -> str:
    time.sleep(2)
    return "hot water"


def whistle(water: str) -> None:
    say(f"the kettle whistles: {water}")


if __name__ == "__main__":
    with Pool(1) as kitchen:
        cup = kitchen.apply_async(boil, callback=whistle)  # asynchronous: it will tell me
        say("whistling kettle on; I stand before it all the same")
        cup.wait()  # ... but I do nothing until it does
        for _ in range(3):
            say("an episode on TV")
            time.sleep(0.5)
        say("done")
