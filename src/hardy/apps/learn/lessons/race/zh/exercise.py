from hardy import Lock, Process, RawValue


def buy(tickets, sold):
    for _ in range(100):
        left = tickets.value
        if left > 0:
            tickets.value = left - 1
            sold.value += 1


if __name__ == "__main__":
    tickets, sold = RawValue("i", 250), RawValue("i", 0)
    # 四个进程各要 100 张票。一张不能卖两次。改好 buy()，再启动它们。
    print("卖出：", sold.value, "剩下：", tickets.value)
