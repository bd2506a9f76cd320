"""One connection: what its client asks for, and what it is shown, each thing once and in order."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any

from hardy.apps.chat.house import House, event_of
from hardy.apps.chat.state import Person, Record, Refused, check_name

__all__ = ["Session"]

Event = dict[str, Any]
# What somebody who joins without having been there is shown.
_SHOWN_AT_JOIN = 20
_TOKEN_BYTES = 16
# Higher than the number of anything that happens.
_NOTHING_YET = 1 << 62
_MOST_TOKEN = 64


class Session:
    """One connection.

    Args:
        house: the chat in this worker.
        send: takes a text, one or more events with the end of the connection's choice; must not wait.
        end: ends the connection.
        render: an event as text; None: as JSON.
    """

    def __init__(
        self,
        house: House,
        send: Callable[[list[str]], object],
        end: Callable[[], object],
        render: Callable[[Event], str] | None = None,
    ) -> None:
        self._house = house
        self._send, self._end, self._render = send, end, render
        self.connection = house.new_connection()
        self._token = ""
        # Of each room, and of the inbox (""): the number of the last thing that was shown.
        self._shown: dict[str, int] = {}
        self._waiting: list[str] = []

    @property
    def _person(self) -> Person:
        person = self._house.state.people.get(self._token)
        if person is None:
            raise Refused("no_name", 'say who you are first: /name NAME, or {"do": "enter", "name": ...}')
        return person

    def do_json(self, text: str) -> None:
        """Do what a client asks for in JSON."""
        try:
            command = json.loads(text)
        except (ValueError, RecursionError):
            self.do_not('that is not JSON; a command is a line as {"do": "say", "room": "lobby", "text": "hi"}')
            return
        self.do(command)

    def do_not(self, why: str) -> None:
        """Tell the client that what it sent makes no sense."""
        self.tell({"event": "error", "code": "bad_command", "text": why})
        self.flush()

    def do(self, command: Any) -> bool:
        """Do what a client asks for; it is told what came of it. Whether it could be done.

        Args:
            command: `{"do": ..., ...}`.
        """
        done = True
        try:
            if not isinstance(command, dict):
                raise Refused(
                    "bad_command", 'a command is an object, as in {"do": "say", "room": "lobby", "text": "hi"}'
                )
            act = self._acts.get(str(command.get("do")))
            if act is None:
                raise Refused("bad_command", f"do is one of {', '.join(self._acts)}")
            act(self, command)
        except Refused as error:
            event = {"event": "error", "code": error.code, "text": str(error)}
            if isinstance(command, dict) and "id" in command:
                event["id"] = command["id"]
            self.tell(event)
            done = False
        self.flush()
        return done

    def tell(self, event: Event) -> None:
        """Show an event to this client alone."""
        self._put(event, None)

    def show(self, room: str, number: int, event: tuple[Event, str]) -> None:
        """Show what happened in a room, unless it was shown before."""
        if number > self._shown.get(room, number):
            self._shown[room] = number
            self._put(*event)

    def show_private(self, record: Record) -> None:
        """Show a private message that this client has sent or gets."""
        if record["to_t"] == self._token:
            if record["no"] <= self._shown.get("", 0):
                return
            self._shown[""] = record["no"]
        self._put(event_of(record, is_own=record["t"] == self._token), None)

    def resume(self) -> None:
        """Show what was missed, as far as the history goes."""
        for room in list(self._shown):
            if room:
                self._show_history(room)

    def flush(self) -> None:
        """Send what waits."""
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            self._send(waiting)

    def end(self, why: str) -> None:
        """End the connection, and say why."""
        self.tell({"event": "end", "text": why})
        self.flush()
        self._end()

    def closed(self) -> None:
        """The connection has ended; its person may come again for a while."""
        if self._house.sessions.get(self._token) is self:
            del self._house.sessions[self._token]

    def _put(self, event: Event, text: str | None) -> None:
        if self._render is not None:
            text = self._render(event)
        self._waiting.append(text or json.dumps(event, ensure_ascii=False))

    def _enter(self, command: Event) -> None:
        token = command.get("token") or self._token or secrets.token_hex(_TOKEN_BYTES)
        if not isinstance(token, str) or len(token) > _MOST_TOKEN:
            raise Refused("bad_token", f"a token is a text of up to {_MOST_TOKEN} characters")
        if self._token and token != self._token:
            raise Refused("has_name", "this connection has somebody already; open another one")
        house = self._house
        came_again = token in house.state.people
        pid = house.worker.pid
        old = house.sessions.get(token)
        house.commit(lambda state: state.may_enter(token, command.get("name"), pid, self.connection))
        if old is not None and old is not self:
            old.closed()
        self._token = token
        house.sessions[token] = self
        person = self._person
        since = _number(command, "since")
        self._shown.setdefault("", person.inbox if since is None else since)
        self.tell(
            {
                "event": "entered",
                "name": person.name,
                "token": token,
                "rooms": sorted(person.rooms) if came_again else [],
                "number": person.inbox,
                "last_id": person.last_id,
            }
        )
        for letter in list(house.state.letters.get(token, ())):
            if letter["no"] > self._shown[""]:
                self.show_private(letter)

    def _join(self, command: Event) -> None:
        room = check_name("room", command.get("room"))
        since = _number(command, "since")
        before = self._house.state.rooms.get(room)
        number = before.number if before else 0
        new = room not in self._shown
        # Our own coming is shown below, in its place among the rest.
        self._shown.setdefault(room, _NOTHING_YET)
        try:
            self._house.commit(lambda state: state.may_join(self._person, room))
        except Refused:
            if new:
                del self._shown[room]
            raise
        there = self._house.state.rooms[room]
        if since is not None:
            self._shown[room] = min(since, there.number)
        elif new:
            self._shown[room] = max(0, number - _SHOWN_AT_JOIN)
        self.tell({"event": "room", "room": room, "number": there.number, "members": self._names(room)})
        self._show_history(room, is_new=since is None)

    def _show_history(self, room: str, *, is_new: bool = False) -> None:
        history = self._house.state.rooms[room].history
        last = self._shown[room]
        missed = history[0]["no"] - last - 1 if history else self._house.state.rooms[room].number - last
        if missed > 0 and not is_new:
            self.tell({"event": "gap", "room": room, "missed": missed})
        for record in list(history):
            if record["no"] > self._shown[room]:
                self._shown[room] = record["no"]
                self._put(event_of(record, is_own=record["t"] == self._token), None)

    def _leave(self, command: Event) -> None:
        self._house.commit(lambda state: state.may_leave(self._person, command.get("room")))
        self._shown.pop(str(command.get("room")), None)

    def _say(self, command: Event) -> None:
        number = command.get("id", 0)
        done = self._house.commit(
            lambda state: state.may_say(self._person, command.get("room"), command.get("text"), number)
        )
        if not done:
            self.tell({"event": "duplicate", "id": number})

    def _tell_one(self, command: Event) -> None:
        number = command.get("id", 0)
        done = self._house.commit(
            lambda state: state.may_tell(self._person, command.get("to"), command.get("text"), number)
        )
        if not done:
            self.tell({"event": "duplicate", "id": number})

    def _who(self, command: Event) -> None:
        room = command.get("room")
        if room is None:
            names = sorted(self._house.state.names)
            self.tell({"event": "who", "room": None, "members": names})
            return
        if not isinstance(room, str) or room not in self._house.state.rooms:
            raise Refused("no_room", f"there is no room {str(room)[:40]}")
        self.tell({"event": "who", "room": room, "members": self._names(room)})

    def _rooms(self, command: Event) -> None:
        rooms = {name: len(room.members) for name, room in sorted(self._house.state.rooms.items()) if room.members}
        self.tell({"event": "rooms", "rooms": rooms})

    def _quit(self, command: Event) -> None:
        person = self._person
        self._house.quit(person.token, (person.pid, person.connection))
        self.end("good bye")

    def _ping(self, command: Event) -> None:
        self.tell({"event": "pong"})

    def _names(self, room: str) -> list[str]:
        state = self._house.state
        return sorted(state.people[token].name for token in state.rooms[room].members)

    _acts: dict[str, Callable[[Session, Event], None]] = {  # noqa: RUF012
        "enter": _enter,
        "join": _join,
        "say": _say,
        "tell": _tell_one,
        "leave": _leave,
        "who": _who,
        "rooms": _rooms,
        "ping": _ping,
        "quit": _quit,
    }


def _number(command: Event, key: str) -> int | None:
    value = command.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Refused("bad_number", f"{key} is the number of the last thing that you saw, or not there")
    return value
