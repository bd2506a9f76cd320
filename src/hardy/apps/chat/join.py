"""`hardy chat join`: the chat in a terminal."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from hardy.apps.chat.client import ChatError, Client
from hardy.apps.chat.plain import HELP, Plain

__all__ = ["join"]

_LAST_S = 5.0


async def join(host: str, port: int, name: str, room: str) -> int:
    """Talk until the end of the input, or /quit; the exit status."""
    looks = Plain()
    ended, inside = asyncio.Event(), asyncio.Event()

    def show(event: dict[str, Any]) -> None:
        print(looks.render(event), flush=True)
        if event["event"] in ("room", "error"):
            inside.set()
        if event["event"] == "error" and event["code"] == "name_taken":
            ended.set()

    client = Client(host, port, name, show)
    try:
        await client.enter()
    except (ChatError, OSError) as error:
        print(f"hardy chat join: {_explain(error, host, port)}", file=sys.stderr)
        return 1
    client.join(room)
    # What is typed, or comes from a pipe, is said in the room.
    await inside.wait()
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    pending = bytearray()

    def read() -> None:
        data = os.read(sys.stdin.fileno(), 65_536)
        pending.extend(data)
        *whole, rest = pending.decode(errors="replace").split("\n") if data else [*pending.decode().split("\n"), ""]
        for each in [*whole] if data else [*filter(None, whole), "/quit"]:
            lines.put_nowait(each)
        pending[:] = rest.encode()
        if not data:
            loop.remove_reader(sys.stdin.fileno())

    loop.add_reader(sys.stdin.fileno(), read)
    ending = asyncio.ensure_future(ended.wait())
    try:
        while not ended.is_set():
            coming = asyncio.ensure_future(lines.get())
            await asyncio.wait({coming, ending}, return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                coming.cancel()
                return 1
            for command in _parse(looks, coming.result()):
                if command["do"] == "quit":
                    return await _said_all(client)
                _do(client, command)
    finally:
        ending.cancel()
        loop.remove_reader(sys.stdin.fileno())
        await client.close()
    return 1


def _parse(looks: Plain, line: str) -> list[dict[str, Any]]:
    commands = looks.parse(line)
    if isinstance(commands, str):
        print(commands, flush=True)
        return []
    if any(command["do"] == "enter" for command in commands):
        print(f"* your name stays; start again for another one\n{HELP}", flush=True)
        return []
    return commands


def _do(client: Client, command: dict[str, Any]) -> None:
    do = command["do"]
    if do == "say":
        client.say(command["room"], command["text"])
    elif do == "tell":
        client.tell(command["to"], command["text"])
    elif do == "join":
        client.join(command["room"])
    elif do == "leave":
        client.leave(command["room"])
    else:
        client.ask(**command)


async def _said_all(client: Client) -> int:
    """Wait until what was said has been seen."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _LAST_S
    while client.unseen and loop.time() < deadline:
        await asyncio.sleep(0.02)
    if client.unseen:
        print(f"hardy chat join: {client.unseen} messages may not have been sent", file=sys.stderr)
    return 1 if client.unseen else 0


def _explain(error: Exception, host: str, port: int) -> str:
    if isinstance(error, ChatError):
        return str(error)
    return f"nobody answers at {host} port {port}: {error}. Start a server: hardy chat serve --port {port}"
