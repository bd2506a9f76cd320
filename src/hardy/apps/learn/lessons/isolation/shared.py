from hardy import Process, Value


def spend(money) -> None:
    with money.get_lock():  # see the lesson on races
        money.value -= 334


if __name__ == "__main__":
    money = Value("i", 1000)  # an int in memory that both processes see
    process = Process(target=spend, args=(money,))
    process.start()
    process.join()
    print("parent: my money is", money.value)
