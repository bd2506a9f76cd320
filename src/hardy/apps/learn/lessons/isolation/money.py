from hardy import Process

money = 1000


def spend() -> None:
    global money
    money = 666
    print("child: my money is", money)


if __name__ == "__main__":
    process = Process(target=spend)
    process.start()
    process.join()
    print("parent: my money is", money)
