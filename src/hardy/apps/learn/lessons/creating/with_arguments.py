from hardy import Process


def order(dish: str, table: int, *, spicy: bool = False, portions: int = 1) -> None:
    print(f"table {table}: {portions} x {dish}{', spicy' if spicy else ''}")


if __name__ == "__main__":
    orders = [
        Process(target=order, args=("noodles", 4)),
        Process(target=order, args=("tofu",), kwargs={"table": 7, "spicy": True, "portions": 2}),
        Process(target=order, args=("tea",), kwargs={"table": 1}),  # one argument: mind the comma
    ]
    for process in orders:
        process.start()
        process.join()
