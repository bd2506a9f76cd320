"""What the ledger says of a round of locks: whether anybody was inside who must not have been."""

from __future__ import annotations

import bisect
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from chaos import ledger
from chaos.ledger import ACQUIRE, RELEASE, WAIT, Ledger, Record
from chaos.lock_seats import PARTIES

_FLAGS = {
    ledger.NOT_ALONE: ("not excluded", "another one was inside, alive"),
    ledger.TORN: ("corrupt", "what the lock guards was half-written, and nobody had died"),
    ledger.UNMARKED: ("unmarked", "the last holder had died inside, and `recovered` was false"),
    ledger.BROKEN: ("corrupt", "wait() without a timeout returned false"),
}
_MOST_LINES = 12


@dataclass
class Verdict:
    """What became of a round of locks.

    Attributes:
        counts: "acquired", "recovered", and the bad ones.
        wrong: a line for each of the first bad things.
    """

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def say(self, kind: str, text: str) -> None:
        """One more bad thing."""
        self.counts[kind] += 1
        if self.counts[kind] <= _MOST_LINES:
            self.wrong.append(f"{kind}: {text}")


def judge(book: Ledger, seats: range, subject: str, *, drained: bool) -> Verdict:
    """The verdict on a round of locks.

    Args:
        book: the ledger.
        seats: who locked.
        subject: what.
        drained: whether all ended by themselves, so that what is left of the lock can be judged too.
    """
    verdict = Verdict()
    passes: list[tuple[int, Record]] = []
    waits: list[tuple[int, Record]] = []
    for seat in seats:
        for record in book.read(seat):
            if record.op not in (ACQUIRE, RELEASE, WAIT):
                continue
            if record.end and record.op != RELEASE:
                verdict.counts["acquired"] += 1
                verdict.counts["recovered"] += bool(record.code & ledger.RECOVERED)
            for flag, (kind, text) in _FLAGS.items():
                if record.code & flag:
                    verdict.say(kind, f"seat {seat} (life {record.incarnation}): {text}")
            if subject == "Barrier" and record.op == WAIT:
                waits.append((seat, record))
                if record.end and not record.code & ledger.REFUSED:
                    passes.append((seat, record))
    _judge_barrier(verdict, passes, waits)
    if drained:
        if book.words[ledger.LEFT_LOCKED]:
            verdict.say("lost", "nobody holds the lock any more, and it cannot be had")
        if short := book.words[ledger.PERMITS_SHORT]:
            verdict.say("lost", f"{short} permit(s) of dead holders did not come back")
    return verdict


def _judge_barrier(verdict: Verdict, passes: list[tuple[int, Record]], waits: list[tuple[int, Record]]) -> None:
    """Who passed must have met as many as the barrier has parties."""
    by_seat: dict[int, list[Record]] = defaultdict(list)
    for seat, wait in waits:
        by_seat[seat].append(wait)
    starts = {seat: [wait.start for wait in each] for seat, each in by_seat.items()}
    for seat, passed in passes:
        met = 0
        for other, each in by_seat.items():
            at = bisect.bisect_right(starts[other], passed.end) - 1
            met += at >= 0 and (each[at].end == 0 or each[at].end >= passed.start)
        if met < PARTIES:
            verdict.say("not excluded", f"seat {seat} passed the barrier with {met} of {PARTIES} parties")
