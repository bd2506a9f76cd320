from hardy import Process


class Person(Process):
    def __init__(self, name: str, age: int) -> None:
        super().__init__(name=name)  # without it there is no process, only an object
        self.age = age

    def run(self) -> None:
        self.age += 1
        print(f"child: {self.name} is now {self.age}")


if __name__ == "__main__":
    person = Person("Li Lei", 17)
    person.start()
    person.join()
    print(f"parent: {person.name} is still {person.age}")
