from hardy import Lock, Process, RawValue


def buy(tickets, sold):
    for _ in range(100):
        left = tickets.value
        if left > 0:
            tickets.value = left - 1
            sold.value += 1


if __name__ == "__main__":
    tickets, sold = RawValue("i", 250), RawValue("i", 0)
    # Four processes want 100 tickets each. Never sell one twice. Mend buy(), and start them.
    print("sold:", sold.value, "left:", tickets.value)
