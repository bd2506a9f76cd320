from hardy import Process, Value


def spend(money) -> None:
    with money.get_lock():  # 见数据竞争那一课
        money.value -= 334


if __name__ == "__main__":
    money = Value("i", 1000)  # 一个整数，放在两个进程都看得见的内存里
    process = Process(target=spend, args=(money,))
    process.start()
    process.join()
    print("父亲：我的钱是", money.value)
