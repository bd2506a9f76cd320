from hardy import Process


def order(dish: str, table: int, *, spicy: bool = False, portions: int = 1) -> None:
    print(f"{table} 号桌：{dish} {portions} 份{'，要辣' if spicy else ''}")


if __name__ == "__main__":
    orders = [
        Process(target=order, args=("面条", 4)),
        Process(target=order, args=("豆腐",), kwargs={"table": 7, "spicy": True, "portions": 2}),
        Process(target=order, args=("tea",), kwargs={"table": 1}),  # 只有一个参数：别漏了逗号
    ]
    for process in orders:
        process.start()
        process.join()
