from hardy import Process


def greet() -> None:
    print("hello from the child")


if __name__ == "__main__":
    process = Process(target=greet)  # the function itself: no brackets after it
    process.start()
    process.join()
