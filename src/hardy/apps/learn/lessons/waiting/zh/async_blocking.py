import time

from hardy import Pool

began = time.time()


def say(text: str) -> None:
    print(f"{time.time() - began:.1f} s  {text}")


def boil() -> str:
    time.sleep(2)
    return "热水"


def whistle(water: str) -> None:
    say(f"水壶响了：{water}")


if __name__ == "__main__":
    with Pool(1) as kitchen:
        cup = kitchen.apply_async(boil, callback=whistle)  # 异步：它会告诉我
        say("响壶坐上，我还是守着它")
        cup.wait()  # ……可在它响之前我什么也不做
        for _ in range(3):
            say("看一集电视")
            time.sleep(0.5)
        say("完")
