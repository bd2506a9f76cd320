import time

from hardy import Process


def cook(what, seconds):
    time.sleep(seconds)
    print(what, "好了")


if __name__ == "__main__":
    soup = Process(target=cook, args=("一锅", 1))
    rice = Process(target=cook, args=("一锅", 2))
    fish = Process(target=cook, args=("鱼", 0.5))
    # 汤和米饭同时煮。两样都好了，鱼才下锅。然后开饭。
    print("开饭")
