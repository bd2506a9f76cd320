"""Who is there, in which room, and what was said: what follows from the log, the same in every worker.

`Rules` says what may happen and gives the record of it; `State.apply` is what a record does. Between the two lies the
log: a worker catches up, asks the rules, and appends, all with the log's lock; so that what is in the log is valid.
"""

from __future__ import annotations

import re
import time
from collections import deque
from typing import Any

__all__ = ["Person", "Refused", "Room", "State", "check_name"]

Record = dict[str, Any]

_NAME = re.compile(r"[^\s/{@#\x00-\x1f\x7f][^\s\x00-\x1f\x7f]{0,23}")
_MOST_TEXT = 2000
_MOST_ROOMS = 50
_MOST_ROOMS_OF_ALL = 10_000


class Refused(Exception):
    """What was asked for cannot be; the text is for whoever asked.

    Attributes:
        code: for programs.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Person:
    """Somebody who is there.

    Attributes:
        token: what proves that it is the same one who comes again; nobody else sees it.
        name: what others see.
        pid: the worker that has the connection.
        connection: which one of that worker's.
        rooms: where they are.
        last_id: the highest number that they gave to a message of theirs.
        inbox: the number of the last private message to them.
    """

    def __init__(self, token: str, name: str) -> None:
        self.token, self.name = token, name
        self.pid, self.connection = 0, 0
        self.rooms: set[str] = set()
        self.last_id = 0
        self.inbox = 0


class Room:
    """A room.

    Attributes:
        number: of the last thing that happened in it.
        members: the tokens of those who are there.
        history: the last things that happened, oldest first.
    """

    def __init__(self, history: int) -> None:
        self.number = 0
        self.members: set[str] = set()
        self.history: deque[Record] = deque(maxlen=history)


class State:
    """What follows from the log.

    Args:
        history: how many things a room remembers, and an inbox.
    """

    def __init__(self, history: int) -> None:
        self._history = history
        self.people: dict[str, Person] = {}
        self.names: dict[str, Person] = {}
        self.rooms: dict[str, Room] = {}
        self.letters: dict[str, deque[Record]] = {}

    def room(self, name: str) -> Room:
        """That room; an empty one when nobody has been there."""
        return self.rooms.setdefault(name, Room(self._history))

    def as_record(self) -> Record:
        """All but the history, which lies in the log before it."""
        people = [
            [each.token, each.name, each.pid, each.connection, sorted(each.rooms), each.last_id, each.inbox]
            for each in self.people.values()
        ]
        return {"k": "state", "people": people, "rooms": {name: room.number for name, room in self.rooms.items()}}

    def apply(self, record: Record, *, only_history: bool = False) -> None:
        """Let it have happened.

        Args:
            record: from the log.
            only_history: what it did to people is told by a state that comes later.
        """
        kind = record["k"]
        if kind in ("say", "join", "leave"):
            room = self.room(record["r"])
            room.number = record["no"]
            room.history.append(record)
        elif kind == "tell":
            self.letters.setdefault(record["to_t"], deque(maxlen=self._history)).append(record)
        if only_history:
            return
        if kind == "state":
            self._replace(record)
        elif kind == "enter":
            self._enter(record)
        elif kind == "quit":
            person = self.people.pop(record["t"])
            del self.names[person.name]
            self.letters.pop(person.token, None)
        else:
            self._apply_of_person(kind, self.people[record["t"]], record)

    def _apply_of_person(self, kind: str, person: Person, record: Record) -> None:
        if kind == "join":
            person.rooms.add(record["r"])
            self.room(record["r"]).members.add(person.token)
        elif kind == "leave":
            person.rooms.discard(record["r"])
            self.room(record["r"]).members.discard(person.token)
        elif record["m"]:
            person.last_id = record["m"]
        if kind == "tell":
            self.people[record["to_t"]].inbox = record["no"]

    def _enter(self, record: Record) -> None:
        person = self.people.get(record["t"])
        if person is None:
            person = self.people[record["t"]] = Person(record["t"], record["n"])
        else:
            del self.names[person.name]
        person.name, person.pid, person.connection = record["n"], record["w"], record["c"]
        self.names[person.name] = person

    def _replace(self, record: Record) -> None:
        self.people.clear()
        self.names.clear()
        for room in self.rooms.values():
            room.members.clear()
        for name, number in record["rooms"].items():
            self.room(name).number = number
        for token, name, pid, connection, rooms, last_id, inbox in record["people"]:
            person = self.people[token] = self.names[name] = Person(token, name)
            person.pid, person.connection, person.last_id, person.inbox = pid, connection, last_id, inbox
            person.rooms = set(rooms)
            for each in rooms:
                self.room(each).members.add(token)

    # What may happen.

    def may_enter(self, token: str, name: Any, pid: int, connection: int) -> Record:
        """The record of somebody who comes, or comes again."""
        check_name("name", name)
        holder = self.names.get(name)
        if holder is not None and holder.token != token:
            raise Refused("name_taken", f"the name {name} is taken; take another one")
        before = self.people.get(token)
        if before is not None and before.name != name and before.rooms:
            raise Refused("has_name", f"you are {before.name} while you are in a room; leave first, or come anew")
        return {"k": "enter", "t": token, "n": name, "w": pid, "c": connection}

    def may_join(self, person: Person, room: Any) -> Record | None:
        """The record of it; None when they are there already."""
        check_name("room", room)
        if room in person.rooms:
            return None
        if len(person.rooms) >= _MOST_ROOMS:
            raise Refused("too_many_rooms", f"you are in {_MOST_ROOMS} rooms; leave one first")
        if room not in self.rooms and len(self.rooms) >= _MOST_ROOMS_OF_ALL:
            raise Refused("too_many_rooms", f"there are {_MOST_ROOMS_OF_ALL} rooms; join one of them")
        return self._in_room("join", person, room)

    def may_leave(self, person: Person, room: Any) -> Record:
        """The record of it."""
        self._check_inside(person, room)
        return self._in_room("leave", person, room)

    def may_say(self, person: Person, room: Any, text: Any, message_id: Any) -> Record | None:
        """The record of it; None when it was said before."""
        self._check_inside(person, room)
        if _check_id(person, message_id):
            return None
        return {**self._in_room("say", person, room), "x": _check_text(text), "m": message_id}

    def may_tell(self, person: Person, to: Any, text: Any, message_id: Any) -> Record | None:
        """The record of a private message; None when it was told before."""
        other = self.names.get(to) if isinstance(to, str) else None
        if _check_id(person, message_id):
            return None
        if other is None:
            raise Refused("nobody", f"there is nobody named {str(to)[:40]}")
        return {
            "k": "tell",
            "t": person.token,
            "n": person.name,
            "to": other.name,
            "to_t": other.token,
            "no": other.inbox + 1,
            "x": _check_text(text),
            "m": message_id,
            "at": round(time.time(), 3),
        }

    def _check_inside(self, person: Person, room: Any) -> None:
        if not isinstance(room, str) or room not in person.rooms:
            raise Refused("not_inside", f"you are not in the room {str(room)[:40]}; join it first")

    def _in_room(self, kind: str, person: Person, room: str) -> Record:
        number = self.room(room).number + 1
        return {"k": kind, "t": person.token, "n": person.name, "r": room, "no": number, "at": round(time.time(), 3)}


def check_name(what: str, name: Any) -> str:
    """That name, if it can be one.

    Raises:
        Refused: it cannot.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise Refused(
            f"bad_{what}", f"a {what} has 1 to 24 characters without spaces, and does not begin with / {{ @ or #"
        )
    return name


def _check_text(text: Any) -> str:
    if not isinstance(text, str) or not text.strip():
        raise Refused("bad_text", "there is nothing in that message")
    if len(text) > _MOST_TEXT:
        raise Refused("too_long", f"a message has {_MOST_TEXT} characters at most, not {len(text)}")
    # Control characters would move the cursor in somebody's terminal.
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", text)


def _check_id(person: Person, message_id: Any) -> bool:
    """Whether a message was there before; 0: its sender does not number them."""
    if isinstance(message_id, bool) or not isinstance(message_id, int) or message_id < 0:
        raise Refused("bad_id", "the id of a message is a whole number, each higher than the one before")
    return 0 < message_id <= person.last_id
