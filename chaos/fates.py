"""Each item's fate, from what the ledger says: delivered once, in a dead consumer's hand, redelivered with a mark.

An operation that was done has a start and an end. One that has only a start was cut short: its process died, or was
ended, inside it. From that alone follows what may be missing:

    put that returned      the item must come out
    put cut short          the item may come out
    get cut short          may have had one item in hand (get_many: as many as it asked for)

A missing item is given to a dead consumer whose last call overlaps the time in which the item can have been taken: it
was there, and its producer's next item had not come out yet. Items and consumers are matched; what finds no consumer is
lost.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from chaos import items, ledger
from chaos.ledger import ACK, DONE, GET, ITEM, NACK, PUT, TAKE, Ledger, Record

NEVER = 1 << 63
_MOST_LINES = 12


@dataclass
class Fates:
    """What became of the items of one round.

    Attributes:
        counts: "in", "out", "held by the dead", "redelivered", and the bad ones: "lost", "doubled", "corrupt",
            "out of order".
        named: for each item in a dead consumer's hand, whose.
        wrong: a line for each bad thing, the first few of a kind.
        slowest_s: the longest that an item waited while a consumer that lived through it waited too.
    """

    counts: Counter[str] = field(default_factory=Counter)
    named: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    slowest_s: float = 0.0

    def say(self, kind: str, text: str) -> None:
        """One more bad thing."""
        self.counts[kind] += 1
        if self.counts[kind] <= _MOST_LINES:
            self.wrong.append(f"{kind}: {text}")


@dataclass
class _Puts:
    """Of one round."""

    start: dict[int, int] = field(default_factory=dict)
    end: dict[int, int] = field(default_factory=dict)  # 0: cut short
    refused: set[int] = field(default_factory=set)


def _read_puts(book: Ledger, seats: Iterable[int]) -> _Puts:
    puts = _Puts()
    for seat in seats:
        for record in book.read(seat):
            if record.op != PUT:
                continue
            for item in range(record.value, record.value + record.extra):
                puts.start[item] = record.start
                puts.end[item] = record.end
                if record.code & ledger.REFUSED:
                    puts.refused.add(item)
    return puts


@dataclass(frozen=True)
class _Hand:
    """A consumer that died inside a get."""

    seat: int
    incarnation: int
    start: int
    died: int
    most: int

    def __str__(self) -> str:
        return f"consumer {self.seat} (life {self.incarnation})"


def _deaths(book: Ledger) -> dict[tuple[int, int], int]:
    """When the world noticed the end of each process."""
    noticed = {}
    for record in book.read(book.seats - 1):
        if record.op == ledger.NOTICED:
            noticed[record.value >> 32, record.value & 0xFFFFFFFF] = record.start
    return noticed


def judge(
    book: Ledger,
    producers: range,
    consumers: range,
    *,
    drained: bool,
    killed: Mapping[tuple[int, int], int] | None = None,
    main_killed: int = NEVER,
) -> Fates:
    """The fates of a round of a queue.

    Args:
        book: the ledger.
        producers: their seats.
        consumers: theirs; the main process's is the last.
        killed: seat and life of each process that was sent a signal, and when.
        main_killed: when the main process was, and with it all others soon.
        drained: whether the queue was emptied in the end. If the main process was killed, what was in the queue went
            with it, and only what came out can be judged.
    """
    fates = Fates()
    puts = _read_puts(book, producers)
    deaths = _deaths(book)
    taken: list[tuple[int, Record, int]] = []  # item, record, seat
    hands: list[_Hand] = []
    leases = _Leases(fates, {**(killed or {}), **deaths}, main_killed)
    for seat in consumers:
        cut: Record | None = None
        for record in book.read(seat):
            if record.op == TAKE and record.end == 0:
                continue  # its lease goes to another: no excuse for an item that is missing
            if record.op == GET and record.end == 0:
                died = deaths.get((seat, record.incarnation), NEVER)
                hands.append(_Hand(seat, record.incarnation, record.start, died, max(record.extra, 1)))
                cut = record
            elif record.op in (GET, TAKE) and record.code & ledger.REFUSED:
                continue
            elif record.op == ITEM and cut is not None and cut.incarnation == record.incarnation:
                continue  # noted, but it died before it had said so of all: they stay in its hand
            elif record.op == ITEM or (record.op == GET and record.extra <= 1):
                if record.value != items.LAST:
                    taken.append((record.value, record, seat))
            elif record.op in (TAKE, ACK, NACK) and record.value != items.LAST:
                leases.add(record, seat)
    leases.judge(puts, drained=drained)
    _judge_taken(fates, puts, taken)
    out = {item for item, _, _ in taken} | leases.items
    fates.counts["in"] = sum(1 for end in puts.end.values() if end) - len(puts.refused)
    fates.counts["refused"] = len(puts.refused)
    fates.counts["out"] = len(out)
    _judge_order(fates, taken + leases.first_takes())
    if drained:
        missing = [item for item, end in puts.end.items() if end and item not in out and item not in puts.refused]
        _name_holders(fates, missing, puts, taken + leases.first_takes(), hands)
    fates.slowest_s = _slowest(puts, taken + leases.first_takes())
    return fates


def judge_tasks(book: Ledger, consumers: range) -> str:
    """What is wrong with the tasks that `JoinableQueue.join` called lost; "" for nothing.

    A consumer that died between a get and its `task_done` lost one for certain; one that died inside either may have.
    """
    certain = doubtful = 0
    for seat in consumers:
        last: dict[int, Record] = {}
        for record in book.read(seat):
            if record.op in (GET, DONE):
                last[record.incarnation] = record
        for record in last.values():
            doubtful += record.end == 0
            certain += record.op == GET and record.end != 0 and not record.code & ledger.REFUSED
    lost = book.words[ledger.TASKS_LOST]
    if certain <= lost <= certain + doubtful:
        return ""
    return f"join() called {lost} tasks lost; the dead had {certain}, and perhaps {doubtful} more"


def _judge_taken(fates: Fates, puts: _Puts, taken: list[tuple[int, Record, int]]) -> None:
    seen: dict[int, int] = {}
    for item, record, seat in taken:
        if record.code & ledger.CORRUPT:
            fates.say("corrupt", f"consumer {seat} got an object that nobody had put so")
        elif item not in puts.start or item in puts.refused:
            fates.say("corrupt", f"consumer {seat} got {items.name_of(item)}, which nobody had put")
        elif item in seen:
            fates.say("doubled", f"{items.name_of(item)} came to consumers {seen[item]} and {seat}")
        seen[item] = seat


def _judge_order(fates: Fates, taken: list[tuple[int, Record, int]]) -> None:
    """Of one producer's items, no get of an earlier one may begin after that of a later one has ended."""
    by_seat: dict[int, dict[int, Record]] = defaultdict(dict)
    for item, record, _ in taken:
        by_seat[items.seat_of(item)].setdefault(item, record)
    for records in by_seat.values():
        earliest, earliest_item = NEVER, 0
        for item in sorted(records, reverse=True):
            record = records[item]
            if record.start > earliest:
                fates.say("out of order", f"{items.name_of(item)} came after {items.name_of(earliest_item)}")
            if record.end < earliest:
                earliest, earliest_item = record.end, item
    # Within one get_many or one consumer the order of the records is exact.
    latest: dict[tuple[int, int], int] = {}
    for item, _, seat in taken:
        key = seat, items.seat_of(item)
        if item < latest.get(key, 0):
            fates.say("out of order", f"consumer {seat} got {items.name_of(item)} after {items.name_of(latest[key])}")
        latest[key] = max(item, latest.get(key, 0))


def _name_holders(
    fates: Fates, missing: list[int], puts: _Puts, taken: list[tuple[int, Record, int]], hands: list[_Hand]
) -> None:
    """Match the missing items with dead consumers (augmenting paths; both are few)."""
    ends: dict[int, dict[int, int]] = defaultdict(dict)
    for item, record, _ in taken:
        ends[items.seat_of(item)][item] = record.end
    windows = {}
    for seat, of_seat in ends.items():
        earliest = NEVER
        waiting = sorted((item for item in missing if items.seat_of(item) == seat), reverse=True)
        later = sorted(of_seat, reverse=True)
        at = 0
        for item in waiting:
            while at < len(later) and later[at] > item:
                earliest = min(earliest, of_seat[later[at]])
                at += 1
            windows[item] = puts.start[item], earliest
    rooms: dict[_Hand, list[int]] = {hand: [] for hand in hands}

    def place(item: int, tried: set[_Hand]) -> bool:
        there, gone = windows.get(item, (puts.start[item], NEVER))
        for hand, held in rooms.items():
            if hand in tried or hand.died < there or hand.start > gone:
                continue
            tried.add(hand)
            if len(held) < hand.most:
                held.append(item)
                return True
            for other in list(held):
                if place(other, tried):
                    held.remove(other)
                    held.append(item)
                    return True
        return False

    for item in missing:
        if not place(item, set()):
            fates.say("lost", f"{items.name_of(item)}: put had returned, and no dead consumer can have had it in hand")
    for hand, held in rooms.items():
        fates.named += [f"{items.name_of(item)}: {hand}" for item in held]
        fates.counts["held by the dead"] += len(held)


def _slowest(puts: _Puts, taken: list[tuple[int, Record, int]]) -> float:
    """The longest time from a put that returned to the end of a get that had been waiting for it."""
    longest = 0
    for item, record, _ in taken:
        put = puts.end.get(item, 0)
        if put and record.start < put:
            longest = max(longest, record.end - put)
    return longest / 1e9


class _Leases:
    """The takes, acks and nacks of a TaskQueue."""

    def __init__(self, fates: Fates, deaths: dict[tuple[int, int], int], main_killed: int) -> None:
        self._fates = fates
        self._deaths = deaths
        self._main_killed = main_killed
        self._by_item: dict[int, list[tuple[Record, int]]] = defaultdict(list)

    def add(self, record: Record, seat: int) -> None:
        """One operation."""
        self._by_item[record.value].append((record, seat))

    @property
    def items(self) -> set[int]:
        """Those that came out."""
        return set(self._by_item)

    def first_takes(self) -> list[tuple[int, Record, int]]:
        """First deliveries, whose order is that of the puts."""
        first = [
            (item, record, seat)
            for item, records in self._by_item.items()
            for record, seat in records
            if record.op == TAKE and record.extra == 1
        ]
        return sorted(first, key=lambda each: each[1].end)

    def judge(self, puts: _Puts, *, drained: bool) -> None:
        """Look for what must not be."""
        for item, records in self._by_item.items():
            name = items.name_of(item)
            if any(record.code & ledger.CORRUPT for record, _ in records):
                self._fates.say("corrupt", "a lease of an object that nobody had put so")
                continue
            if item not in puts.start or item in puts.refused:
                self._fates.say("corrupt", f"a lease of {name}, which nobody had put")
                continue
            takes = sorted((pair for pair in records if pair[0].op == TAKE), key=lambda pair: pair[0].end)
            acks = [record for record, _ in records if record.op == ACK and record.end]
            if drained and not any(record.op == ACK for record, _ in records):
                self._fates.say("lost", f"{name} was given out, never acknowledged, and never given out again")
            if len(acks) > 1:
                self._fates.say("doubled", f"{name} was acknowledged {len(acks)} times")
            if acks and any(take.start > acks[0].end for take, _ in takes):
                self._fates.say("doubled", f"{name} was given out after its acknowledgement had returned")
            marks = [take.extra for take, _ in takes]
            if len(set(marks)) < len(marks) or marks != sorted(marks):
                self._fates.say("doubled", f"{name} was given out as deliveries {marks}: one of them is not marked")
            self._fates.counts["redelivered"] += sum(mark > 1 for mark in marks)
            self._judge_holders(name, takes, records)

    def _judge_holders(self, name: str, takes: list[tuple[Record, int]], records: list[tuple[Record, int]]) -> None:
        """A holder that lives keeps its lease until it gives it back."""
        for (first, seat), (second, other) in itertools.pairwise(takes):
            given_back = any(
                record.op in (NACK, ACK)
                and holder == seat
                and record.incarnation == first.incarnation
                and first.end <= record.start < second.end
                for record, holder in records
            )
            # The world notices a death some time after the queue may have, and after its own not at all.
            has_died = (seat, first.incarnation) in self._deaths or self._has_newer_life(seat, first.incarnation)
            if not given_back and not has_died and second.end < self._main_killed:
                self._fates.say("doubled", f"{name} went to consumer {other} while consumer {seat} lived and held it")

    def _has_newer_life(self, seat: int, incarnation: int) -> bool:
        return (seat, incarnation + 1) in self._deaths
