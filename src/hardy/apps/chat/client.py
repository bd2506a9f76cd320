"""A client: it comes again when its connection ends, asks for what it missed, and sends again what nobody has seen."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable
from typing import Any

__all__ = ["ChatError", "Client"]

Event = dict[str, Any]
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
_MOST_LINE = 1 << 20
_RESERVED = 16


class ChatError(Exception):
    """The server refused something.

    Attributes:
        code: for programs: `name_taken`, `not_inside`, ...
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Client:
    """One member of the chat, for asyncio.

    Each thing that happens comes once, in the order of its room, whatever became of the connection or of the server's
    workers meanwhile.

    Args:
        host: of the server.
        port: of the server.
        name: who this is.
        on_event: called with each event, in order.
        token: what proves that it is the same one; None makes one.
    """

    def __init__(
        self,
        host: str,
        port: int,
        name: str,
        on_event: Callable[[Event], object] | None = None,
        *,
        token: str | None = None,
    ) -> None:
        self._address = (host, port)
        self.name = name
        self.token = token or secrets.token_hex(_RESERVED)
        self._on_event = on_event or (lambda event: None)
        self._last: dict[str, int] = {}
        self._inbox: int | None = None
        self._next_id = 1
        self._unseen: dict[int, Event] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self._entered: asyncio.Future[None] | None = None
        self.reconnects = 0

    @property
    def unseen(self) -> int:
        """How many messages of this client have not been seen in the chat yet."""
        return len(self._unseen)

    async def enter(self) -> None:
        """Come in; from then on it comes again by itself.

        Raises:
            ChatError: the name is taken, or cannot be.
            OSError: the server cannot be reached.
        """
        self._entered = asyncio.get_running_loop().create_future()
        reader = await self._connect()
        self._task = asyncio.create_task(self._run(reader))
        await asyncio.wait({self._entered, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if not self._entered.done():
            await self._task
            raise ConnectionError("the server ended the connection")
        await self._entered

    def join(self, room: str) -> None:
        """Go into a room."""
        self._last.setdefault(room, -1)
        self._send({"do": "join", "room": room})

    def leave(self, room: str) -> None:
        """Go out of a room."""
        self._last.pop(room, None)
        self._send({"do": "leave", "room": room})

    def say(self, room: str, text: str) -> int:
        """Say something; the number that the event of it will bear as `id`."""
        return self._send_message({"do": "say", "room": room, "text": text})

    def tell(self, to: str, text: str) -> int:
        """Tell one alone; the number that the event of it will bear as `id`."""
        return self._send_message({"do": "tell", "to": to, "text": text})

    def ask(self, do: str, **fields: Any) -> None:
        """Ask for something else: `who`, `rooms`."""
        self._send({"do": do, **fields})

    async def close(self) -> None:
        """Go, and let the others know."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._writer is not None:
            self._send({"do": "quit"})
            self._writer.close()
            self._writer = None

    def _send_message(self, command: Event) -> int:
        number = self._next_id
        self._next_id += 1
        self._unseen[number] = command = {**command, "id": number}
        self._send(command)
        return number

    def _send(self, command: Event) -> None:
        # While there is no connection nothing is sent: the messages, and the rooms, are sent at the next one.
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(json.dumps(command, ensure_ascii=False).encode() + b"\n")

    async def _connect(self) -> asyncio.StreamReader:
        reader, writer = await asyncio.open_connection(*self._address, limit=_MOST_LINE)
        hello = {"do": "enter", "name": self.name, "token": self.token, "since": self._inbox}
        writer.write(json.dumps(hello).encode() + b"\n")
        self._connecting = writer
        return reader

    async def _run(self, reader: asyncio.StreamReader | None) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            if reader is None:
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
                try:
                    reader = await self._connect()
                except OSError:
                    continue
                self.reconnects += 1
            try:
                while line := await reader.readline():
                    pause_s = _FIRST_PAUSE_S
                    if not self._take(json.loads(line)):
                        return
            except (OSError, ValueError):
                pass  # cut off, perhaps in a line: what it held comes again
            self._writer = None
            self._connecting.close()
            reader = None

    def _take(self, event: Event) -> bool:
        """Whether to go on."""
        kind = event["event"]
        if kind == "entered":
            self._writer = self._connecting
            self._next_id = max(self._next_id, event["last_id"] + 1)
            if self._inbox is None:
                self._inbox = event["number"]
            for room, last in self._last.items():
                self._send({"do": "join", "room": room, **({"since": last} if last >= 0 else {})})
            for command in self._unseen.values():
                self._send(command)
            if self._entered is not None and not self._entered.done():
                self._entered.set_result(None)
        elif kind == "room":
            last = self._last.get(event["room"], -1)
            if not 0 <= last <= event["number"]:
                # New here, or the server began anew.
                self._last[event["room"]] = event["number"] if last > event["number"] else 0
        elif kind in ("message", "join", "leave"):
            if event["number"] <= self._last.get(event["room"], -1):
                return True
            if event["room"] in self._last:
                self._last[event["room"]] = event["number"]
        elif kind == "private" and event["to"] == self.name:
            self._inbox = max(self._inbox or 0, event["number"])
        elif kind == "error" and self._entered is not None and not self._entered.done():
            self._entered.set_exception(ChatError(event["code"], event["text"]))
            return False
        elif kind == "error" and event["code"] in ("name_taken",):
            self._on_event(event)
            return False
        if "id" in event:
            self._unseen.pop(event["id"], None)
        self._on_event(event)
        return True
