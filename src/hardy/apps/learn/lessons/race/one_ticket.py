from hardy import Barrier, Process, RawValue


def buy(name: str, tickets, both_looked) -> None:
    left = tickets.value  # look
    both_looked.wait()  # the unlucky moment, made to happen for certain
    if left > 0:
        tickets.value = left - 1  # and buy
        print(f"{name} has a ticket")


if __name__ == "__main__":
    tickets, both_looked = RawValue("i", 1), Barrier(2)
    buyers = [Process(target=buy, args=(name, tickets, both_looked)) for name in ("Anna", "Bo")]
    for buyer in buyers:
        buyer.start()
    for buyer in buyers:
        buyer.join()
    print("there was 1 ticket; left:", tickets.value)
