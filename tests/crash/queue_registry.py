"""Which scenarios reach which failpoint of the queues."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from crash import join_world as j
from crash import queue_scenarios as q
from crash import task_world as t
from crash.queue_scenarios import FIRST_DEATHS, IN_TAIL, repairer
from helpers.crew import Crew


class Provable(Protocol):
    """What a scenario leaves behind."""

    def assert_whole(self) -> None: ...


Scenario = Callable[[Crew, str], Provable]

PREFIXES = ("ring.", "heap.", "lease.", "guard.", "view.")

# Which scenarios reach a failpoint, each with the hits at which it kills. The first pattern that matches counts.
REGISTRY: list[tuple[str, list[tuple[Scenario, tuple[int, ...]]]]] = [
    (
        r"ring\.get\.before_settle",
        [(j.get_joinable, (1,)), (j.get_batch_joinable, (1,)), (j.task_done, (1,))],
    ),
    (r"ring\.task_done\..*", [(j.task_done, (1,))]),
    (r"ring\.write_off\..*", [(j.write_off, (1,))]),
    (r"lease\.table\..*", [(t.take_of(t.SMALL), (1,))]),
    (
        r"lease\.take\..*",
        [(t.take_of(size), (1,)) for size in (t.SMALL, t.OUT_OF_SLOT, t.LARGE)] + [(t.woken_taker, (1,))],
    ),
    (
        r"lease\.ack\..*",
        [(t.ack_of(size), (1,)) for size in (t.SMALL, t.OUT_OF_SLOT, t.LARGE)]
        + [(t.ack_of_last, (1,)), (t.ack_before_growth, (1,))],
    ),
    (r"lease\.nack\..*", [(t.nack, (1,)), (t.nack_to_waiting, (1,)), (t.nack_to_dead_letters, (1,))]),
    (
        r"lease\.return\..*",
        [
            (t.nack, (1,)),
            (t.nack_to_waiting, (1,)),
            (t.nack_to_dead_letters, (1,)),
            (t.sweep, (1, 2)),
            (t.sweep_to_dead_letters, (1,)),
        ],
    ),
    (r"lease\.sweep\..*", [(t.sweep, (1, 2)), (t.sweep_to_dead_letters, (1,))]),
    (r"lease\.bury\..*", [(t.bury, (1,))]),
    (r"lease\.retake\..*", [(t.retake, (1,)), (t.dead_letters, (1, 2))]),
    (r"ring\.put\.after_record", [(q.put_small, (1, 2)), (q.put_large, (1,))]),
    (r"ring\.put\.after_records", [(q.put_batch, (1, 3))]),
    (r"ring\.put\.after_jump", [(q.put_batch, (1, 2)), (q.put_over_block, (1,))]),
    (r"ring\.put\.after_part", [(q.put_large, (1,)), (q.put_chain, (1,))]),
    (r"ring\.put\.(before|after)_hand_over", [(q.put_large, (1,)), (q.put_chain, (1,))]),
    (r"ring\.get\.after_copy", [(q.get_small, (1,)), (q.woken_getter, (1,))]),
    (r"ring\.get\.after_copies", [(q.get_batch, (1, 2))]),
    (r"ring\.get\.before_(note|free)_block", [(q.get_over_block, (1,)), (q.get_batch, (1, 2))]),
    (
        r"ring\.get\.(before|after)_take_in_hand",
        [(q.get_large, (1,)), (q.get_chain, (1,)), (q.get_before_growth, (1,))],
    ),
    (
        r"ring\.(wake|leave)\..*",
        [
            (q.put_small, (1,)),
            (q.put_batch, (1,)),
            (q.put_large, (1,)),
            (q.get_small, (1,)),
            (q.get_chain, (1,)),
            (j.task_done, (1,)),
            (t.take_of(t.SMALL), (1,)),
            (t.ack_of_last, (1,)),
        ],
    ),
    (
        r"ring\.commit\..*",
        [
            (q.put_small, (1, 2)),
            (q.put_small_into_bounded, (1,)),
            (q.put_batch, (1,)),
            (q.put_over_block, (1, 2)),
            (q.put_large, (1,)),
            (q.put_chain, (1,)),
            (q.get_small, (1,)),
            (q.get_batch, (1,)),
            (q.get_over_block, (1, 3)),
            (q.get_large, (1,)),
            (q.get_before_growth, (1,)),
            (q.get_chain, (1,)),
            (q.woken_getter, (1,)),
            (j.get_joinable, (1,)),
            (j.task_done, (1, 2)),
            (j.write_off, (1,)),
            (t.take_of(t.SMALL), (1,)),
            (t.take_of(t.LARGE), (1,)),
            (t.woken_taker, (1,)),
        ],
    ),
    (
        r"ring\.wait\.after_ask",
        [
            (q.get_when_empty, (1, 2)),
            (q.put_when_full, (1, 2)),
            (q.put_large_when_full, (1,)),
            (j.join_waits, (1,)),
            (t.take_waits, (1, 2)),
        ],
    ),
    (r"ring\.wait\.woken", [(q.woken_getter, (1,)), (q.woken_putter, (1,)), (t.woken_taker, (1,))]),
    (r"ring\.user\..*", [(q.put_small, (1,)), (q.close, (1,))]),
    (
        r"heap\.alloc\..*",
        [(q.put_batch, (1, 2)), (q.put_over_block, (1,)), (q.put_large, (1,)), (q.put_chain, (1, 2, 3))],
    ),
    (r"heap\.chain\.after_extent", [(q.put_large, (1,)), (q.put_chain, (1, 2, 3))]),
    (r"heap\.grow\..*", [(q.put_chain, (1, 2))]),
    (
        r"heap\.hand\.before_free",
        [(q.get_large, (1,)), (q.get_view, (1,)), (q.get_chain, (1,)), (t.ack_of(t.LARGE), (1,))],
    ),
    (
        r"heap\.free\..*",
        [(q.get_over_block, (1,)), (q.get_batch, (1, 2)), (q.get_large, (1,)), (q.get_chain, (1, 2))],
    ),
    (r"view\.fill\.after_piece", [(q.get_view, (1,)), (q.get_view_of_chain, (1, 2, 3))]),
    (r"view\.(reserve|fill|close)\..*", [(q.get_view, (1,)), (q.get_view_of_chain, (1,))]),
    (r"view\.fork\..*", [(q.fork_with_view, (1, 2))]),
    (r"heap\.trim\..*", [(q.idle_trims, (1,))]),
    (r"heap\.sweep\..*", [(q.idle_sweeps, (1, 2)), (q.alloc_sweeps, (1,))]),
    (
        r"ring\.repair\.head",
        [(repairer(first), (1,)) for first in FIRST_DEATHS if first.startswith("get")]
        + [(t.repairer_of_take, (1,)), (t.repairer_of_ack, (1,)), (q.mender_of_all, (1,))],
    ),
    (
        r"ring\.repair\.tail",
        [(repairer(first), (1,)) for first in FIRST_DEATHS if first in IN_TAIL] + [(q.mender_of_all, (1,))],
    ),
    (
        r"guard\.dead\..*",
        [(repairer(first), (1,)) for first in FIRST_DEATHS]
        + [(t.repairer_of_take, (1,)), (t.repairer_of_ack, (1,)), (q.mender_of_all, (1, 2, 3))],
    ),
    (
        r"ring\.mend\.(after_mark|done)",
        [(repairer(first), (1,)) for first in FIRST_DEATHS]
        + [(t.repairer_of_take, (1,)), (t.repairer_of_ack, (1,)), (q.mender_of_all, (1,))],
    ),
    (
        r"ring\.mend\.after_unit",
        [(repairer(first), (1, 2)) for first in FIRST_DEATHS if first != "put_grow"]
        + [(t.repairer_of_take, (1, 2)), (t.repairer_of_ack, (1, 2, 3))],
    ),
]
