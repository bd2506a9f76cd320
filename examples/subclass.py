"""A class of one's own: `__init__` keeps what the child needs, `run` is the work and gives the result.

Prints:
    ada is 36, and ran in a process of her own: True
    ada, 36
"""

import os

from hardy import Process


class Person(Process):
    def __init__(self, name: str, age: int) -> None:
        super().__init__()
        self.name = name
        self.age = age

    def run(self) -> str:
        print(f"{self.name} is {self.age}, and ran in a process of her own:", os.getpid() == self.pid, flush=True)
        return f"{self.name}, {self.age}"


if __name__ == "__main__":
    ada = Person("ada", 36)
    ada.start()
    print(ada.result())
