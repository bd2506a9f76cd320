"""A trace's memory, made into lives: what each process did from when to when, and which message went where.

The memory is read as it is at that instant; whoever still writes does no harm (see trace.h).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

from hardy._core import runtime, tracer
from hardy._core.memory import Segment
from hardy.errors import ending_text

__all__ = ["Flow", "Interval", "Life", "Timeline", "read"]

_HEAD = struct.Struct("=64x QqqQ 32x QQQ")
_DEATH = struct.Struct("=qQqQ")
_DEATHS_AT = 192
_MOST_DEATHS = tracer.MOST_DEATHS
_CHUNK = struct.Struct("=QQ16x")
_EVENT = struct.Struct("=qQQII")
_TEXT, _START, _END, _CHILD, _PUT, _GET, _WAIT, _GOES_ON, _HOLD, _LET_GO, _BEGIN, _FINISH, _TASK, _TASK_END = range(
    1, 15
)
_TEXT_OBJECT = 0
_TEXT_PROCESS = 1
# By HDY_WAITS_*.
_WAITS = (
    "",
    "lock",
    "lock",
    "read lock",
    "write lock",
    "semaphore",
    "event",
    "condition",
    "barrier",
    "objects in",
    "room in",
    "the tasks of",
    "the end of",
    "lock",
)
_OF_A_PROCESS = 12
# What holds are called, by the same numbers; a lock's by its name alone.
_HOLDS = {3: "{} (read)", 4: "{} (write)", 5: "{} (permit)"}
# Slices of one wait follow each other as closely as this.
_GAP_NS = 2_000_000


@dataclass
class Interval:
    """Something that a thread of a process did from `begin_ns` to `end_ns`.

    Attributes:
        kind: "wait", "hold", "span", "task", "put" or "get".
        name: of the span or task, or of what is waited for, held, put to.
        begin_ns: since the trace began.
        end_ns: the same as `begin_ns` for put and get.
        thread: a number for the thread.
        cut: whether it had not ended when the process, or the trace, did.
        thing: the queue, lock or process, by name; "" when it has none.
        wait: for a wait, what kind of thing is waited for.
        count: for put and get, of how many messages.
        failed: how many calls of a task raised; for a span, 1 when an exception left it.
    """

    kind: str
    name: str
    begin_ns: int
    end_ns: int
    thread: int
    cut: bool = False
    thing: str = ""
    wait: str = ""
    count: int = 1
    failed: int = 0


@dataclass
class Life:
    """One process.

    Attributes:
        identity: of the process, for ever.
        pid: its number.
        name: what it is called.
        parent: the identity of its parent; 0: not known.
        begin_ns: since the trace began.
        end_ns: when it ended, or the trace.
        ending: "" while it runs, "exit 0", "SIGKILL" and so on; "ended" when nobody saw how.
        killed: whether a signal ended it.
        intervals: what it did, by time.
    """

    identity: int
    pid: int
    name: str
    parent: int = 0
    begin_ns: int = -1
    end_ns: int = -1
    ending: str = ""
    killed: bool = False
    intervals: list[Interval] = field(default_factory=list)


@dataclass
class Flow:
    """A message: from whom, when, to whom, when, through which queue."""

    source: int
    put_ns: int
    target: int
    get_ns: int
    queue: str


@dataclass
class Timeline:
    """All that a trace holds.

    Attributes:
        lives: the processes, by their begin.
        flows: the messages that were put and taken while the trace went on.
        length_ns: from the begin of the trace to its last event.
        began_wall_ns: when it began, since 1970.
        dropped: how many events had no room.
        unknown_ends: of how many processes there was no room for how they ended.
    """

    lives: list[Life]
    flows: list[Flow]
    length_ns: int
    began_wall_ns: int
    dropped: int
    unknown_ends: int = 0

    @property
    def missing(self) -> str:
        """What had no room, for a sentence; "" when all had."""
        parts = [f"{self.dropped} events"] if self.dropped else []
        parts += [f"how {self.unknown_ends} processes ended"] if self.unknown_ends else []
        return f"{' and '.join(parts)} had no room and are missing" if parts else ""


class _Reader:
    def __init__(self, data: memoryview, ended: Mapping[int, int]) -> None:
        self.data = data
        self.ended = ended
        self.chunks, self.began, self.wall, _, self.next, self.dropped, self.deaths = _HEAD.unpack_from(data)
        self.lives: dict[int, Life] = {}
        self.texts: dict[int, str] = {}
        self.names: dict[int, str] = {}
        self.puts: dict[tuple[int, int], tuple[int, int]] = {}
        self.gets: list[tuple[int, int, int, int]] = []
        self.last = 0

    def life(self, identity: int) -> Life:
        if identity not in self.lives:
            self.lives[identity] = Life(identity, runtime.pid_of(identity), self.names.get(identity, ""))
        return self.lives[identity]

    def events(self) -> Iterator[tuple[int, tuple[int, int, int, int, int]]]:
        """Each event with its process; names are told first, and are not among them."""
        found = []
        for i in range(min(self.next, self.chunks)):
            at = tracer.HEAD_BYTES + i * tracer.CHUNK_BYTES
            identity, used = _CHUNK.unpack_from(self.data, at)
            used = min(used, tracer.CHUNK_BYTES // _EVENT.size - 1)
            begin, n = at + _CHUNK.size, 0
            while identity and n < used:
                event = _EVENT.unpack_from(self.data, begin + n * _EVENT.size)
                n += 1
                if event[3] & 0xFF != _TEXT:
                    found.append((identity, event))
                    continue
                size = event[3] >> 8
                text = bytes(self.data[begin + n * _EVENT.size :][:size]).decode("utf-8", "replace")
                n += -(-size // _EVENT.size)
                (self.names if event[2] == _TEXT_PROCESS else self.texts)[event[1]] = text
        # Chunks of one process, and processes, by time; what has one time stays in its order.
        found.sort(key=lambda each: each[1][0])
        if found:
            # A new interpreter takes its time before the first of them.
            first = found[0][1][0]
            self.wall += first - self.began
            self.began = first
        return iter(found)

    def read(self) -> Timeline:
        threads: dict[tuple[int, int], _Thread] = {}
        for identity, (at, seen, seq, what, thread) in self.events():
            life = self.life(identity)
            now = max(at - self.began, 0)
            self.last = max(self.last, now)
            if life.begin_ns < 0:
                life.begin_ns = now
            life.end_ns = now
            kind, count = what & 0xFF, what >> 8
            if kind == _START:
                life.parent = seen
            elif kind == _CHILD:
                child = self.life(seen)
                child.parent = identity
                child.begin_ns = now if child.begin_ns < 0 else child.begin_ns
                child.end_ns = max(child.end_ns, now)
            elif kind != _END:
                own = threads.setdefault((identity, thread), _Thread(self, life, thread))
                own.take(kind, count, seen, seq, now)
        self._end(threads)
        lives = sorted(self.lives.values(), key=lambda life: (life.begin_ns, life.pid))
        for life in lives:
            life.intervals.sort(key=lambda each: (each.begin_ns, -each.end_ns))
        unknown = max(self.deaths - _MOST_DEATHS, 0)
        return Timeline(lives, list(self._flows()), max(self.last, 1), self.wall, self.dropped, unknown)

    def _end(self, threads: dict[tuple[int, int], _Thread]) -> None:
        for i in range(min(self.deaths, _MOST_DEATHS)):
            at, identity, status, _ = _DEATH.unpack_from(self.data, _DEATHS_AT + i * _DEATH.size)
            life = self.lives.get(identity)
            if not at or life is None:
                continue
            life.end_ns = max(life.end_ns, at - self.began)
            self.last = max(self.last, life.end_ns)
            if status < 0 or status > 0xFFFF:
                life.ending = "ended"
                continue
            self._end_with(life, os.waitstatus_to_exitcode(status))
        for life in self.lives.values():
            if not life.ending and life.pid in self.ended:
                self._end_with(life, self.ended[life.pid])
            if not life.ending:
                if runtime.is_alive(life.identity):
                    life.end_ns = self.last
                else:
                    life.ending = "ended"
        for own in threads.values():
            own.cut()

    def _end_with(self, life: Life, code: int) -> None:
        life.killed = code < 0
        life.ending = ending_text(code)

    def _flows(self) -> Iterator[Flow]:
        for queue, ticket, target, at in self.gets:
            put = self.puts.get((queue, ticket))
            if put is not None:
                # The getter may see the message before its putter has told of it.
                yield Flow(put[0], min(put[1], at), target, at, self.texts.get(queue, "") or "queue")


class _Thread:
    """What one thread has begun and not ended."""

    def __init__(self, reader: _Reader, life: Life, thread: int) -> None:
        self.reader = reader
        self.life = life
        self.number = thread
        self.waits: Interval | None = None
        self.last_wait: Interval | None = None
        self.spans: list[Interval] = []
        # By object: a thread may hold several permits, or read twice.
        self.holds: dict[int, list[Interval]] = {}

    def take(self, kind: int, count: int, seen: int, seq: int, now: int) -> None:
        reader = self.reader
        if kind in (_PUT, _GET):
            self._message(kind, count, seen, seq, now)
        elif kind == _WAIT:
            self.waits = self._wait(count & 0xFF, seen, now)
        elif kind == _GOES_ON:
            if self.waits is not None:
                self.waits.end_ns, self.last_wait, self.waits = now, self.waits, None
        elif kind == _HOLD:
            thing = reader.texts.get(seen, "")
            held = self._add("hold", _HOLDS.get(count, "{}").format(thing or "lock"), now)
            held.thing = thing
            self.holds.setdefault(seen, []).append(held)
        elif kind == _LET_GO:
            if held_now := self.holds.get(seen):
                held_now.pop().end_ns = now
        elif kind in (_BEGIN, _TASK):
            name = reader.texts.get(seen, "?") + (f" #{seq}" if kind == _TASK else "")
            self.spans.append(self._add("span" if kind == _BEGIN else "task", name, now))
        elif kind in (_FINISH, _TASK_END) and self.spans:
            over = self.spans.pop()
            over.end_ns, over.failed = now, seq

    def _add(self, kind: str, name: str, now: int) -> Interval:
        interval = Interval(kind, name, now, -1, self.number)
        self.life.intervals.append(interval)
        return interval

    def _wait(self, what: int, seen: int, now: int) -> Interval:
        thing = self.reader.names.get(seen, "a process") if what == _OF_A_PROCESS else self.reader.texts.get(seen, "")
        kind = _WAITS[what] if what < len(_WAITS) else ""
        name = f"waits for {kind} {thing}".rstrip()
        last = self.last_wait
        if last is not None and last.name == name and now - last.end_ns < _GAP_NS:
            return last
        interval = self._add("wait", name, now)
        interval.thing, interval.wait = thing, kind
        return interval

    def _message(self, kind: int, count: int, seen: int, seq: int, now: int) -> None:
        reader = self.reader
        name = reader.texts.get(seen, "") or "queue"
        what = f"{name} ({count})" if count > 1 else name
        interval = self._add("put" if kind == _PUT else "get", what, now)
        interval.end_ns, interval.thing, interval.count = now, name, count
        for ticket in range(seq - count, seq):
            if kind == _PUT:
                reader.puts[seen, ticket] = (self.life.identity, now)
            else:
                reader.gets.append((seen, ticket, self.life.identity, now))

    def cut(self) -> None:
        """End what was going on when the process, or the trace, ended."""
        for interval in (self.waits, *self.spans, *chain.from_iterable(self.holds.values())):
            if interval is not None:
                interval.end_ns = max(self.life.end_ns, interval.begin_ns)
                interval.cut = True


def read(segment: Segment, ended: Mapping[int, int] | None = None) -> Timeline:
    """What a trace holds now.

    Args:
        segment: its memory.
        ended: exit codes, by pid, of processes that were no hardy children, and that the caller has waited for.
    """
    size = os.fstat(segment.fd).st_size
    head = os.pread(segment.fd, tracer.HEAD_BYTES, 0)
    chunks, _, _, _, taken, _, _ = _HEAD.unpack_from(head)
    used = min(tracer.HEAD_BYTES + min(chunks, taken) * tracer.CHUNK_BYTES, size)
    data = bytearray(head)
    while len(data) < used:
        data += os.pread(segment.fd, min(used - len(data), 1 << 24), len(data))
    return _Reader(memoryview(bytes(data)), ended or {}).read()
