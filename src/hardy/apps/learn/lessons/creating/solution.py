from hardy import Process


class Squarer(Process):
    """Computes the square of a number in a process of its own, and returns it."""

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
