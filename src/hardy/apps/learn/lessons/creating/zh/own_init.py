from hardy import Process


class Person(Process):
    def __init__(self, name: str, age: int) -> None:
        super().__init__(name=name)  # 没有这一句就没有进程，只有一个对象
        self.age = age

    def run(self) -> None:
        self.age += 1
        print(f"孩子：{self.name}现在 {self.age} 岁")


if __name__ == "__main__":
    person = Person("李雷", 17)
    person.start()
    person.join()
    print(f"父亲：{person.name}还是 {person.age} 岁")
