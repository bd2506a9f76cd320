from hardy import Barrier, Process, RawValue


def buy(name: str, tickets, both_looked) -> None:
    left = tickets.value  # 看
    both_looked.wait()  # 倒霉的那一刻，让它一定发生
    if left > 0:
        tickets.value = left - 1  # 再买
        print(f"{name}有票了")


if __name__ == "__main__":
    tickets, both_looked = RawValue("i", 1), Barrier(2)
    buyers = [Process(target=buy, args=(name, tickets, both_looked)) for name in ("小安", "小波")]
    for buyer in buyers:
        buyer.start()
    for buyer in buyers:
        buyer.join()
    print("原有 1 张票；剩下：", tickets.value)
