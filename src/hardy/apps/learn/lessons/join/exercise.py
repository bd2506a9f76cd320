import time

from hardy import Process


def cook(what, seconds):
    time.sleep(seconds)
    print(what, "is ready")


if __name__ == "__main__":
    soup = Process(target=cook, args=("a pot", 1))
    rice = Process(target=cook, args=("a pot", 2))
    fish = Process(target=cook, args=("the fish", 0.5))
    # Soup and rice cook at the same time. The fish goes in only when both are ready. Then we eat.
    print("dinner")
