from hardy import Process


class Squarer(Process):
    """在自己的进程里算一个数的平方，并把它返回。"""


if __name__ == "__main__":
    squarers = [Squarer(number) for number in range(5)]
    for squarer in squarers:
        squarer.start()
    print([squarer.result() for squarer in squarers])
