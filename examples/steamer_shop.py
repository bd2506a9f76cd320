"""Cooks, a steamer with four places, and guests: who is too fast waits, and no bun is lost when a guest drops dead.

Prints:
    3 cooks made 12 buns
    2 guests ate 12
    1 guest dropped dead, and 1 bun went to another
    the steamer is empty: True
"""

import os
import signal
from collections.abc import Iterator

from hardy import Pipeline, current_delivery


def cook(number: int, cooks: int) -> Iterator[str]:
    for bun in range(number, 12, cooks):  # each cook makes every third bun
        yield f"bun {bun}"


def eat(bun: str) -> None:
    if bun == "bun 7" and current_delivery().deliveries == 1:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    shop = Pipeline().source(cook, processes=3, name="cooks")
    shop.sink(eat, processes=2, max_items=4, name="guests")  # with four buns in the steamer, the cooks wait
    cooks, guests = shop.run().steps
    print(f"{cooks.processes} cooks made {cooks.done} buns")
    print(f"{guests.processes} guests ate {guests.done}")
    print(f"{guests.deaths} guest dropped dead, and {guests.redelivered} bun went to another")
    print("the steamer is empty:", guests.waiting == 0)
