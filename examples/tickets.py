"""Ten users, one ticket in a JSON file, and a lock: exactly one ticket is sold.

Prints:
    tickets sold: 1
    tickets left: 0
"""

import json
import tempfile
from pathlib import Path

from hardy import Lock, Process


def buy(lock: Lock, stock: Path) -> bool:
    with lock:
        tickets = json.loads(stock.read_text())
        if tickets["left"] == 0:
            return False
        tickets["left"] -= 1
        stock.write_text(json.dumps(tickets))
        return True


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        stock = Path(folder) / "tickets.json"
        stock.write_text(json.dumps({"left": 1}))
        lock = Lock()
        users = [Process(target=buy, args=(lock, stock)) for _ in range(10)]
        for user in users:
            user.start()
        print("tickets sold:", sum(user.result() for user in users))
        print("tickets left:", json.loads(stock.read_text())["left"])
