"""Processes do not share variables: what the child sets, the parent does not see. A result or a queue tells it.

Prints:
    the child has 666
    the parent still has 1000
    told by the child: 666
"""

from hardy import Process

money = 1000


def spend() -> int:
    global money
    money = 666
    print("the child has", money, flush=True)
    return money


if __name__ == "__main__":
    child = Process(target=spend)
    child.start()
    child.join()
    print("the parent still has", money)
    print("told by the child:", child.result())
