from hardy import Process


class Squarer(Process):
    """在自己的进程里算一个数的平方，并把它返回。"""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def run(self):
        return self.number * self.number


if __name__ == "__main__":
    squarers = [Squarer(number) for number in range(5)]
    for squarer in squarers:
        squarer.start()
    print([squarer.result() for squarer in squarers])
