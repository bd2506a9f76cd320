from hardy import Process

money = 1000


def spend() -> None:
    global money
    money = 666
    print("孩子：我的钱是", money)


if __name__ == "__main__":
    process = Process(target=spend)
    process.start()
    process.join()
    print("父亲：我的钱是", money)
