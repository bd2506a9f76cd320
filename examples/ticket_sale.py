"""Four buyers after three tickets; one asks twice, one holds a ticket and lets it go.

Prints:
    ada asks twice, and buys once: True
    too late: 1
    sold: 3
    wrong in the books: []
"""

import tempfile
from pathlib import Path

from hardy import Process
from hardy.apps.tickets import Sale, SoldOut, open_store


def buy(where: str, buyer: str) -> bool:
    with Sale(open_store(where)) as sale:
        try:
            sale.buy("concert", buyer, key=f"{buyer}'s click")
            return True
        except SoldOut:
            return False


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        where = str(Path(folder) / "tickets.db")
        with Sale(open_store(where)) as sale:
            sale.add_event("concert", 3)
            sale.cancel(sale.hold("concert", "zoe", key="zoe's click", hold_s=60).id)
            first = sale.buy("concert", "ada", key="ada's click")
            print("ada asks twice, and buys once:", sale.buy("concert", "ada", key="ada's click") == first)
        for each in (others := [Process(target=buy, args=(where, buyer)) for buyer in ("bob", "cyd", "dan")]):
            each.start()
        print("too late:", [each.result() for each in others].count(False))
        with Sale(open_store(where)) as sale:
            print("sold:", sale.event("concert").sold)
            print("wrong in the books:", sale.audit("concert"))
