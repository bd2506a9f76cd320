"""The mutants of the queues: two sides and their commits, waking, memory, leases, views."""

from __future__ import annotations

from mutant import WAKES, Mutant, aimed

CRASH = "tests/crash/test_queue_crash.py"
STOP = "tests/crash/test_queue_stop.py"
NATIVE = "tests/native/test_threads.py"
VIEWS = "tests/unit/test_queue_views.py"
QUEUE = ("ring", "sender", "channel")
TASKS = ("ring", "sender", "channel", "tasks")
JOINABLE = ("ring", "sender", "channel", "joinable")

END_STORES = """    hdy_store_relaxed(&to->seq, n->seq);
    hdy_store_relaxed(&to->bytes, n->bytes);
    hdy_store_relaxed(&to->unit, n->unit);
    hdy_store_relaxed(&to->off, n->off);
"""
COMMIT_STORE = """    HDY_FAILPOINT("ring.commit.before");
    hdy_store(&s->commits, hdy_load_relaxed(&s->commits) + 1);
"""
IN_HAND = """    if (large) {
        HDY_FAILPOINT("ring.get.before_take_in_hand");
        hdy_chain_own(q, large, hdy_self());
        HDY_FAILPOINT("ring.get.after_take_in_hand");
    }
"""
SPACE_NEWS = """    hdy_wake(q, &r->head, HDY_SPACE, r->maxbytes ? INT_MAX : (uint64_t)i);
    hdy_commit(&r->head, &n);
"""
SETTLE = """    if (r->joinable) {
        HDY_FAILPOINT("ring.get.before_settle");
        hdy_user_settle(r);
    }
"""
HAND_OVER = """    if (!m->records && m->unit) {
        HDY_FAILPOINT("ring.put.before_hand_over");
        hdy_chain_own(q, m->unit, 0);
        HDY_FAILPOINT("ring.put.after_hand_over");
    }
"""
ITEM_NEWS = "    hdy_wake(q, &r->tail, HDY_ITEMS, (uint64_t)i);\n    hdy_commit(&r->tail, &n);\n"
LEASE_COMMIT = """    hdy_pass(&n, rec, slot->size);
    hdy_wake(q, &r->head, HDY_SPACE, r->maxbytes ? INT_MAX : 1);
    hdy_commit(&r->head, &n);
"""
LEASE_STATE = '    HDY_FAILPOINT("lease.take.before_state");\n    hdy_store(&slot->state, HDY_SLOT_LEASED);\n'

QUEUE_MUTANTS = (
    Mutant(
        "queue: the end is written after the count of commits",
        "commit.h",
        END_STORES + COMMIT_STORE,
        COMMIT_STORE + END_STORES,
        QUEUE,
        (aimed("Put"),),
    ),
    Mutant(
        "queue: the end that holds is written over",
        "commit.h",
        "    hdy_end *to = &s->end[~hdy_load_relaxed(&s->commits) & 1];",
        "    hdy_end *to = &s->end[hdy_load_relaxed(&s->commits) & 1];\n"
        "    s->end[~hdy_load_relaxed(&s->commits) & 1] = *n;",
        QUEUE,
        (aimed("Put"),),
    ),
    Mutant(
        "queue: an end is read with one look at the count of commits",
        "commit.h",
        "    } while (HDY_UNLIKELY(hdy_load_relaxed(&s->commits) != commits));",
        "    } while (0);",
        QUEUE,
        (NATIVE,),
    ),
    Mutant(
        "queue: the two ends are read at two instants",
        "commit.h",
        "        if (hdy_load(&r->head.commits) == at_head)\n            break;\n",
        "        break;\n",
        QUEUE,
        (NATIVE,),
    ),
    Mutant(
        "queue: a put wakes nobody",
        "ring.h",
        ITEM_NEWS,
        "    hdy_commit(&r->tail, &n);\n",
        QUEUE,
        (WAKES, "-k", "PutWaited"),
    ),
    Mutant(
        "queue: a get wakes nobody",
        "ring.h",
        SPACE_NEWS,
        "    hdy_commit(&r->head, &n);\n",
        QUEUE,
        (WAKES, "-k", "GetWaited"),
    ),
    Mutant(
        "queue: a wake-up in vain is not noted",
        "commit.h",
        "        hdy_store(&w->answered, asks);",
        "        (void)asks;",
        QUEUE,
        (WAKES, "-k", "PutForTheDead"),
    ),
    Mutant(
        "queue: a wake-up does not count its word up",
        "commit.h",
        '    hdy_add(&w->word, 1);\n    HDY_FAILPOINT("ring.wake.after_word");',
        '    HDY_FAILPOINT("ring.wake.after_word");',
        QUEUE,
        (WAKES, "-k", "told"),
    ),
    Mutant(
        "queue: a reader does not look again when it has asked",
        "channel.pyx",
        "                    seen = hdy_ask(&self.q, HDY_ITEMS)\n"
        "                    rc = hdy_ring_get(&self.q, got, count, room, done)\n",
        "                    seen = hdy_ask(&self.q, HDY_ITEMS)\n",
        ("channel",),
        (WAKES, "-k", "looks_again and GetNews"),
    ),
    Mutant(
        "queue: a writer does not look again when it has asked",
        "sender.pyx",
        "                seen = hdy_ask(&self.q, HDY_SPACE)\n"
        "                rc = hdy_ring_put(&self.q, m, count, done)\n",
        "                seen = hdy_ask(&self.q, HDY_SPACE)\n",
        ("sender",),
        (WAKES, "-k", "looks_again and PutNews"),
    ),
    Mutant(
        "queue: an ask is not counted",
        "commit.h",
        "    hdy_add(&w->asks, 1);\n",
        "",
        QUEUE,
        (WAKES, "-k", "PutWaited or GetWaited"),
    ),
    Mutant(
        "queue: the repair of the head wakes nobody",
        "repair.h",
        "        hdy_wake(q, &q->ring->head, what, INT_MAX);",
        "        ;",
        QUEUE,
        (WAKES, "-k", "repair and GetWaited"),
    ),
    Mutant(
        "queue: the repair of the tail wakes nobody",
        "repair.h",
        "    hdy_wake(q, &q->ring->tail, HDY_ITEMS, INT_MAX);",
        "    ;",
        QUEUE,
        (WAKES, "-k", "repair and PutWaited"),
    ),
    Mutant(
        "queue: who waited for a guard keeps it",
        "ring.pyx",
        "                    hdy_leave(&self.q, side)\n            PyErr_CheckSignals()\n            if rc == 0:\n"
        "                rc = hdy_try(&self.q, side)\n",
        "                    pass\n            PyErr_CheckSignals()\n",
        ("ring",),
        (STOP, "-k", "as_it_gets_its_turn"),
    ),
    Mutant(
        "queue: a large message is handed over after the commit",
        "ring.h",
        HAND_OVER + ITEM_NEWS,
        ITEM_NEWS + HAND_OVER,
        QUEUE,
        (CRASH, "-k", "hand_over"),
    ),
    Mutant(
        "queue: a large message is taken in hand before the commit",
        "ring.h",
        SPACE_NEWS + SETTLE + IN_HAND,
        IN_HAND + SPACE_NEWS + SETTLE,
        QUEUE,
        (CRASH, "-k", "get_before_growth"),
    ),
    Mutant(
        "queue: blocks that were read are given back before the commit",
        "ring.h",
        SPACE_NEWS,
        "    hdy_give_back(q, &emptied);\n    emptied.n = 0;\n" + SPACE_NEWS,
        QUEUE,
        (CRASH, "-k", "get_over_block"),
    ),
    Mutant(
        "heap: the repair does not note what may be lost",
        "heap.h",
        "    hdy_store(&((hdy_queue *)object)->ring->dirty, 1);",
        "    (void)object;",
        QUEUE,
        (CRASH, "-k", "heap.alloc or heap.free"),
    ),
    Mutant(
        "heap: what is in a hand does not say in whose",
        "heap.h",
        "    e->owner = owner;\n",
        "",
        QUEUE,
        (CRASH, "-k", "put_large or put_chain"),
    ),
    Mutant(
        "heap: what the dead had in hand is not freed",
        "heap.h",
        "            hdy_heap_free(q, a * HDY_ARENA_UNITS + i);\n",
        "",
        QUEUE,
        (CRASH, "-k", "get_large or put_large"),
    ),
    Mutant(
        "mend: what a lease reaches is not marked",
        "repair.h",
        "if (hdy_mark_queue(q, m) == 0 && hdy_mark_leases(q, m) == 0) {",
        "if (hdy_mark_queue(q, m) == 0) {",
        TASKS,
        (CRASH, "-k", "repairer_of_take or repairer_of_ack"),
    ),
    Mutant(
        "mend: the hands are not counted anew",
        "repair.h",
        "    r->hands = hands;\n",
        "    (void)hands;\n",
        QUEUE,
        (CRASH, "-k", "heap.sweep"),
    ),
    Mutant(
        "lease: the commit comes before the slot's state",
        "lease.h",
        LEASE_STATE + LEASE_COMMIT,
        LEASE_COMMIT + LEASE_STATE,
        TASKS,
        (CRASH, "-k", "lease.take"),
    ),
    Mutant(
        "lease: a slot that was never committed counts",
        "lease.h",
        "    return slot->state != HDY_SLOT_FREE && slot->seq < s->seq;",
        "    (void)s;\n    return slot->state != HDY_SLOT_FREE;",
        TASKS,
        (CRASH, "-k", "commit.before and take"),
    ),
    Mutant(
        "lease: the living lose theirs",
        "lease.h",
        "        if (hdy_alive(slot->owner)) {\n            alive = slot->owner;\n            continue;\n        }\n",
        "",
        TASKS,
        (STOP, "-k", "lease_stays"),
    ),
    Mutant(
        "lease: an item that comes back wakes nobody",
        "lease.h",
        "        hdy_wake(q, &r->head, HDY_ITEMS, 1);\n        hdy_store(&slot->state, HDY_SLOT_READY);",
        "        hdy_store(&slot->state, HDY_SLOT_READY);",
        TASKS,
        (WAKES, "-k", "NackWaited"),
    ),
    Mutant(
        "lease: the last acknowledgement wakes nobody",
        "lease.h",
        "    if (r->leased == r->dead + 1 && !hdy_unread(r))\n        hdy_wake(q, &r->head, HDY_DONE, INT_MAX);\n",
        "",
        TASKS,
        (WAKES, "-k", "AckWaited"),
    ),
    Mutant(
        "lease: the memory of an item is given up before its slot",
        "lease.h",
        '    HDY_FAILPOINT("lease.ack.before_commit");\n    hdy_store(&slot->state, HDY_SLOT_FREE);\n',
        "    if (unit)\n        hdy_chain_own(q, unit, hdy_self());\n"
        '    HDY_FAILPOINT("lease.ack.before_commit");\n    hdy_store(&slot->state, HDY_SLOT_FREE);\n',
        TASKS,
        (CRASH, "-k", "ack_before_growth"),
    ),
    Mutant(
        "joinable: the last task_done wakes nobody",
        "unfinished.h",
        "    if (unfinished == 1)\n        hdy_wake(q, &r->head, HDY_DONE, INT_MAX);\n",
        "",
        JOINABLE,
        (WAKES, "-k", "TaskDoneWaited"),
    ),
    Mutant(
        "joinable: the repair does not book what was committed",
        "repair.h",
        "    hdy_user_settle(q->ring); /* the next commit would overwrite what it books */\n",
        "",
        JOINABLE,
        (CRASH, "-k", "settle"),
    ),
    Mutant(
        "view: a child looks at its parent's memory",
        "view.h",
        "            mremap(v->spare, v->bytes, v->bytes, MREMAP_MAYMOVE | MREMAP_FIXED, v->at);",
        "            ;",
        ("view", "channel"),
        (VIEWS, "-k", "childs_own"),
    ),
    Mutant(
        "view: a child frees what is its parent's",
        "view.h",
        '        v->unit = 0;\n        HDY_FAILPOINT("view.fork.exchanged");',
        '        HDY_FAILPOINT("view.fork.exchanged");',
        ("view", "channel"),
        (VIEWS, "-k", "childs_own"),
    ),
    Mutant(
        "view: its memory is freed when the object is there",
        "channel.pyx",
        "            view.fill(got.unit)\n",
        "            view.fill(got.unit)\n            with nogil:\n                hdy_hand_free(&self.q, got.unit)\n",
        ("channel",),
        (VIEWS, "-k", "last_reference"),
    ),
)
