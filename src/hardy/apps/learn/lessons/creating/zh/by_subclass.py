from hardy import Process


class Greeter(Process):
    def run(self) -> None:  # 子进程做的事；start() 在那边调用它
        print(f"{self.name} 向你问好")


if __name__ == "__main__":
    greeter = Greeter()
    greeter.start()
    greeter.join()
