"""What one worker knows of the chat, and the connections that it has."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hardy.apps.chat.log import Log, Overtaken
from hardy.apps.chat.state import Person, Record, State

if TYPE_CHECKING:
    from hardy.apps.chat.session import Session
    from hardy.net import Worker

__all__ = ["House", "event_of"]

# A worker that is killed after it appended, and before it told the others, is made up for by looking.
_LOOK_S = 0.1
_SWEEP_S = 0.5


def event_of(record: Record, *, is_own: bool = False) -> dict[str, Any]:
    """What clients are told of a record; the id only to whoever gave it."""
    event = {"event": record["k"], "from": record["n"], "number": record["no"], "at": record["at"]}
    event["event"] = {"say": "message", "tell": "private"}.get(record["k"], record["k"])
    for key, name in (("r", "room"), ("to", "to"), ("x", "text")):
        if key in record:
            event[name] = record[key]
    if is_own and record.get("m"):
        event["id"] = record["m"]
    return event


class House:
    """The chat in one worker.

    Args:
        log: that of all workers.
        history: how many things a room remembers.
        grace_s: how long somebody whose connection ended may come again before the others are told.
        worker: this one.
    """

    def __init__(self, log: Log, history: int, grace_s: float, worker: Worker) -> None:
        self._log, self._history, self.grace_s, self.worker = log, history, grace_s, worker
        self.state = State(history)
        self._position = 0
        self._unsent = False
        self.sessions: dict[str, Session] = {}
        self._last_connection = 0
        self._missing: dict[tuple[str, int, int], float] = {}
        self._read_from_start()
        self._subscription = worker.subscribe(lambda _: self.catch_up())
        self._subscription.__enter__()
        self._looker = asyncio.get_running_loop().create_task(self._look())

    def new_connection(self) -> int:
        """A number for a connection of this worker."""
        self._last_connection += 1
        return self._last_connection

    def commit(self, make: Callable[[State], Record | None]) -> bool:
        """Let something happen, in the one order; whether anything did.

        Args:
            make: gives the record, or None; asked when all that happened before is known, and nothing can come between.

        Raises:
            Refused: it may not happen.
        """
        with self._log:
            self._read_on()
            record = make(self.state)
            if record is not None:
                self._log.append(record)
                if self._log.wants_state:
                    self._read_on()
                    self._log.append(self.state.as_record(), is_state=True)
        self.catch_up()
        if record is not None:
            self.worker.broadcast(None)
        return record is not None

    def catch_up(self) -> None:
        """Take in what happened since, and hand it to the connections."""
        self._read_on()
        if self._unsent:
            self._unsent = False
            for session in self.sessions.values():
                session.flush()

    def _read_on(self) -> None:
        head = self._log.head
        if head == self._position:
            return
        self._unsent = True
        try:
            for position, record in self._log.read(self._position, head):
                self._position = position
                self._take(record)
            self._position = head
        except Overtaken:
            self._read_from_start()
            for session in self.sessions.values():
                session.resume()

    def _read_from_start(self) -> None:
        """The whole state, as of now: history from the oldest record on, people from the last whole state on."""
        while True:
            self.state = State(self._history)
            head, base, tail = self._log.head, self._log.base, self._log.tail
            try:
                for position, record in self._log.read(tail, head):
                    self.state.apply(record, only_history=position <= base)
            except Overtaken:
                continue
            self._position = head
            return

    def _take(self, record: Record) -> None:
        self.state.apply(record)
        kind = record["k"]
        if kind in ("say", "join", "leave"):
            own = self._encode(event_of(record, is_own=True))
            others = own if not record.get("m") else self._encode(event_of(record))
            members = self.state.rooms[record["r"]].members
            for token, session in self.sessions.items():
                if token in members or (kind == "leave" and token == record["t"]):
                    session.show(record["r"], record["no"], own if token == record["t"] else others)
        elif kind == "tell":
            for token in {record["t"], record["to_t"]} & self.sessions.keys():
                self.sessions[token].show_private(record)
        elif kind == "enter":
            session_there = self.sessions.get(record["t"])
            if session_there and (record["w"], record["c"]) != (self.worker.pid, session_there.connection):
                session_there.end("you came in by another connection")

    @staticmethod
    def _encode(event: dict[str, Any]) -> tuple[dict[str, Any], str]:
        return event, json.dumps(event, ensure_ascii=False)

    def quit(self, token: str, connection: tuple[int, int]) -> None:
        """Let somebody go, unless they have come by another connection: out of the rooms, and the name is free."""

        def gone(state: State) -> Person | None:
            person = state.people.get(token)
            return person if person and (person.pid, person.connection) == connection else None

        def leave_one(state: State) -> Record | None:
            person = gone(state)
            return state.may_leave(person, min(person.rooms)) if person and person.rooms else None

        while self.commit(leave_one):
            pass
        self.commit(lambda state: {"k": "quit", "t": token} if gone(state) else None)

    async def _look(self) -> None:
        """Now and then: what nobody told us of, and who has been gone for too long."""
        swept = 0.0
        while True:
            await asyncio.sleep(_LOOK_S)
            self.catch_up()
            now = time.monotonic()
            if now - swept >= _SWEEP_S:
                swept = now
                self._sweep(now)

    def _sweep(self, now: float) -> None:
        alive = set(self.worker.pids)
        missing: dict[tuple[str, int, int], float] = {}
        for person in list(self.state.people.values()):
            if person.pid == self.worker.pid:
                session = self.sessions.get(person.token)
                is_there = session is not None and session.connection == person.connection
            else:
                is_there = person.pid in alive
            if not is_there:
                key = (person.token, person.pid, person.connection)
                missing[key] = self._missing.get(key, now)
        self._missing = missing
        for (token, pid, connection), since in missing.items():
            if now - since >= self.grace_s:
                # Each worker may be about to; the log has it once.
                self.quit(token, (pid, connection))
