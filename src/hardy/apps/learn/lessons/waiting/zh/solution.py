from hardy import Barrier, Process


def boil(both_on):
    both_on.wait()  # 两个水壶同时坐上时才返回
    print("水开了")


if __name__ == "__main__":
    both_on = Barrier(2)
    kettles = [Process(target=boil, args=(both_on,)) for _ in range(2)]
    for kettle in kettles:
        kettle.start()
    for kettle in kettles:
        kettle.join()
    print("茶好了")
