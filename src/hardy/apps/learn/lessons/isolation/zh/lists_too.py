from hardy import Process


def shop(basket: list[str]) -> list[str]:
    basket.append("茶")
    print("孩子：篮子里有", basket)
    return basket


if __name__ == "__main__":
    basket = ["米"]
    process = Process(target=shop, args=(basket,))
    process.start()
    came_back = process.result()
    print("父亲：篮子里有", basket)
    print("父亲：带回来的是", came_back, "是另一个对象：", came_back is not basket)
