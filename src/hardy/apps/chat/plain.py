"""The chat for people with `nc`: commands that begin with a slash, and everything else is said."""

from __future__ import annotations

import time
from typing import Any

__all__ = ["HELP", "Plain"]

Event = dict[str, Any]

HELP = """\
* /name NAME      who you are; you come into the lobby
* /join ROOM      go into a room, or talk in it again; /leave ROOM goes out
* /msg NAME TEXT  to one alone
* /who [ROOM]     who is there; /rooms: which rooms there are
* /quit           and everything else is said in your room"""
_FIRST_ROOM = "lobby"


class Plain:
    """One such client: which room it talks in, and how events look for it."""

    def __init__(self) -> None:
        self._room = ""
        self._name = ""

    def parse(self, line: str) -> list[Event] | str:
        """The commands in a line; or what to answer."""
        if not line.strip():
            return []
        if not line.startswith("/"):
            if not self._name:
                return "* say who you are first: /name NAME (and /help tells the rest)"
            if not self._room:
                return "* you are in no room: /join ROOM"
            return [{"do": "say", "room": self._room, "text": line}]
        word, _, rest = line[1:].partition(" ")
        rest = rest.strip()
        if word == "name":
            first = [] if self._name else [{"do": "join", "room": _FIRST_ROOM}]
            return [{"do": "enter", "name": rest}, *first]
        if word in ("join", "leave"):
            return [{"do": word, "room": rest or self._room}]
        if word == "msg":
            to, _, text = rest.partition(" ")
            return [{"do": "tell", "to": to, "text": text}]
        if word == "who":
            return [{"do": "who", "room": rest or self._room or None}]
        if word in ("rooms", "quit"):
            return [{"do": word}]
        return HELP if word == "help" else f"* there is no /{word[:20]}\n{HELP}"

    def render(self, event: Event) -> str:
        """An event as a line."""
        kind = event["event"]
        when = time.strftime("%H:%M", time.localtime(event.get("at", time.time())))
        if kind == "entered":
            self._name = event["name"]
            return f"* you are {event['name']}; /help tells what you can do"
        if kind == "room":
            self._room = event["room"]
            return f"* you are in {event['room']}, with {', '.join(event['members'])}"
        if kind == "leave" and event["from"] == self._name and event["room"] == self._room:
            self._room = ""
        where = f"[{event.get('room')} {when}]"
        texts = {
            "message": lambda: f"{where} {event['from']}: {event['text']}",
            "private": lambda: f"[{when}] {event['from']} to {event['to']} alone: {event['text']}",
            "join": lambda: f"{where} * {event['from']} is here",
            "leave": lambda: f"{where} * {event['from']} left",
            "who": lambda: f"* {event['room'] or 'all rooms'}: {', '.join(event['members']) or 'nobody'}",
            "rooms": lambda: (
                "* " + (", ".join(f"{n} ({c})" for n, c in event["rooms"].items()) or "no room has anybody")
            ),
            "gap": lambda: f"* {event['missed']} older messages of {event['room']} are no longer kept",
        }
        return texts[kind]() if kind in texts else f"* {event.get('text', kind)}"
