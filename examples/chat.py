"""Two talk while all processes that serve the chat are killed, as stderr tells; both see all, once, in one order.

Prints:
    ('ada', ['hello', 'are you still there?', 'yes'])
    ('bob', ['hello', 'are you still there?', 'yes'])
"""

import asyncio
import os
import signal
from typing import Any

from hardy import TCPServer
from hardy.apps.chat import Client, make_server


async def talk(server: TCPServer) -> None:
    events: dict[str, asyncio.Queue[dict[str, Any]]] = {"ada": asyncio.Queue(), "bob": asyncio.Queue()}
    people = {name: Client(*server.address, name, queue.put_nowait) for name, queue in events.items()}
    seen: dict[str, list[str]] = {name: [] for name in people}
    for client in people.values():
        await client.enter()
        client.join("lobby")
    for who, text in (("ada", "hello"), ("bob", "are you still there?"), ("ada", "yes")):
        people[who].say("lobby", text)
        for name, queue in events.items():
            while (event := await queue.get())["event"] != "message":
                pass
            seen[name].append(event["text"])
        if text == "hello":
            for pid in server.workers:
                os.kill(pid, signal.SIGKILL)
    await asyncio.gather(*(client.close() for client in people.values()))
    print(*seen.items(), sep="\n")


if __name__ == "__main__":
    with make_server(workers=2) as running:
        asyncio.run(talk(running))
