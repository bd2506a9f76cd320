from hardy import Process


def shop(basket: list[str]) -> list[str]:
    basket.append("tea")
    print("child: the basket holds", basket)
    return basket


if __name__ == "__main__":
    basket = ["rice"]
    process = Process(target=shop, args=(basket,))
    process.start()
    came_back = process.result()
    print("parent: the basket holds", basket)
    print("parent: what came back is", came_back, "and another object:", came_back is not basket)
