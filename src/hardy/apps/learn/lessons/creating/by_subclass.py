from hardy import Process


class Greeter(Process):
    def run(self) -> None:  # what the child does; start() calls it there
        print(f"hello from {self.name}")


if __name__ == "__main__":
    greeter = Greeter()
    greeter.start()
    greeter.join()
