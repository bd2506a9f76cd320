"""The mutants: each breaks one store, one order or one wake-up of the core, and names tests that must notice.

`old` must occur exactly once in the file. What each breaks is what its name says; `tests` are arguments for pytest.
"""

from __future__ import annotations

from mutant import WAKES, Mutant, aimed
from mutants_queue import QUEUE_MUTANTS

LOCKS = "tests/crash/test_sync_lock_crash.py"
PARTIES = "tests/crash/test_sync_party_crash.py"
MEETS = "tests/crash/test_sync_meet_crash.py"
HARD = "tests/crash/test_sync_hard_cases.py"
PROCESSES = "tests/crash/test_process_crash.py"


MUTANTS = (
    Mutant(
        "lock: a release wakes nobody",
        "sync_lock.h",
        "    if (old & HDY_CONTENDED) {\n"
        "        hdy_futex_wake(hdy_low_half(&l->owner), 1);\n"
        '        HDY_FAILPOINT("lock.release.after_wake");',
        '    if (old & HDY_CONTENDED) {\n        HDY_FAILPOINT("lock.release.after_wake");',
        ("sync",),
        (WAKES, "-k", "ReleaseWaited"),
    ),
    Mutant(
        "lock: a sleeper does not say that it sleeps",
        "sync_lock.h",
        "        if (!hdy_cas(&l->owner, seen, *seen | HDY_CONTENDED))\n"
        "            return 0;\n"
        "        *seen |= HDY_CONTENDED;",
        "        ;",
        ("sync",),
        (WAKES, "-k", "ReleaseWaited"),
    ),
    Mutant(
        "lock: a take-over does not name the dead",
        "sync_lock.h",
        "    hdy_store(&l->recovered, hdy_owner_identity(dead));",
        "    ;",
        ("sync",),
        (aimed("Acquire"),),
    ),
    Mutant(
        "lock: a release leaves `recovered` as it was",
        "sync_lock.h",
        "    if (HDY_UNLIKELY(hdy_load_relaxed(&l->recovered)))\n"
        "        __atomic_store_n(&l->recovered, 0, __ATOMIC_RELAXED);",
        "    ;",
        ("sync",),
        (aimed("Acquire"), LOCKS),
    ),
    Mutant(
        "lock: an undone take-over leaves the lock free",
        "sync_lock.h",
        "    int done = hdy_cas(&l->owner, &expected, hdy_owner_word(dead) | HDY_CONTENDED);",
        "    int done = hdy_cas(&l->owner, &expected, 0);",
        ("sync",),
        (HARD, LOCKS, "tests/unit/test_sync_lock.py"),
    ),
    Mutant(
        "rlock: the depth is not stored",
        "sync_lock.h",
        "    l->depth = depth;",
        "    (void)depth;",
        ("sync",),
        (aimed("RRelease"), "tests/unit/test_sync_lock.py"),
    ),
    Mutant(
        "event: a set wakes nobody",
        "sync_lock.h",
        "        hdy_futex_wake(&e->word, INT32_MAX);",
        "        ;",
        ("sync",),
        (WAKES, "-k", "SetEvent"),
    ),
    Mutant(
        "event: the times are not counted",
        "sync_lock.h",
        "((seen >> HDY_EVENT_TIMES_SHIFT) + 1) << HDY_EVENT_TIMES_SHIFT | HDY_EVENT_SET",
        "(seen & ~3u) | HDY_EVENT_SET",
        ("sync",),
        (HARD, "tests/unit/test_sync_lock.py", LOCKS),
    ),
    Mutant(
        "event: a waiter does not say that it waits",
        "sync_lock.h",
        "    } while (!hdy_cas(&e->word, seen, *seen | HDY_EVENT_WAITERS));\n    *seen |= HDY_EVENT_WAITERS;",
        "    } while (0);",
        ("sync",),
        (WAKES, "-k", "SetEvent"),
    ),
    Mutant(
        "party: nobody is woken once the guard is free",
        "sync_party.h",
        "        if (hdy_futex_wake(&p->turn, call->wake) == 0)\n            hdy_store(&p->empty, turn);",
        "        (void)turn;",
        ("sync_party", "sync_meet"),
        (WAKES, "-k", "Sem or Party or Write or Read"),
    ),
    Mutant(
        "party: who waits does not say so",
        "sync_party.h",
        "    p->waiting = p->turn;",
        "    ;",
        ("sync_party", "sync_meet"),
        (WAKES, "-k", "Sem or Party or Write or Read"),
    ),
    Mutant(
        "party: a wake-up in vain is not noted",
        "sync_party.h",
        "            hdy_store(&p->empty, turn);",
        "            (void)turn;",
        ("sync_party", "sync_meet"),
        (WAKES, "-k", "in_vain"),
    ),
    Mutant(
        "semaphore: the repair derives no value",
        "sync_sem.h",
        "    hdy_sem *s = object;\n    hdy_sem_settle(s);\n    hdy_party_wake_all",
        "    hdy_sem *s = object;\n    hdy_party_wake_all",
        ("sync_party",),
        (aimed("SemEnter"),),
    ),
    Mutant(
        "semaphore: a release counts the value up and not the total",
        "sync_sem.h",
        "    } while (!hdy_cas(&s->count, &seen, seen + HDY_SEM_BARE));",
        "    } while (!hdy_cas(&s->count, &seen, seen + HDY_SEM_WITH));",
        ("sync_party",),
        (aimed("SemRelease"), PARTIES),
    ),
    Mutant(
        "semaphore: what the dead held does not come back",
        "sync_sem.h",
        '    hdy_store(&row->held, 0);\n    HDY_FAILPOINT("sem.sweep.after_commit");',
        '    HDY_FAILPOINT("sem.sweep.after_commit");',
        ("sync_party",),
        (aimed("SemLeave"),),
    ),
    Mutant(
        "semaphore: a freed permit moves no turn",
        "sync_sem.h",
        "    if (!hdy_party_wake(&s->party, call, 1) && ",
        "    (void)call;\n    if (",
        ("sync_party",),
        (WAKES, "-k", "SemReleaseWaited"),
    ),
    Mutant(
        "semaphore: who waits does not say so where a release looks",
        "sync_sem.h",
        "&none, none | HDY_SEM_SLEEPS));",
        "&none, none));",
        ("sync_party",),
        (WAKES, "-k", "SemReleaseWaited"),
    ),
    Mutant(
        "rwlock: the writer's word is cleared before the dead one is named",
        "sync_rw.h",
        "        hdy_store(&w->recovered, call->identity);\n"
        "        w->thread = 0;\n"
        '        HDY_FAILPOINT("rwlock.bury.before_commit");\n'
        "        hdy_store(&w->writer, 0);",
        "        hdy_store(&w->writer, 0);\n"
        "        w->thread = 0;\n"
        '        HDY_FAILPOINT("rwlock.bury.before_commit");\n'
        "        hdy_store(&w->recovered, call->identity);",
        ("sync_party",),
        (aimed("BuryWriter"),),
    ),
    Mutant(
        "rwlock: the repair counts onto what was there",
        "sync_rw.h",
        "    w->reading = w->queued = 0;",
        "    ;",
        ("sync_party",),
        (aimed("ReadEnd"), PARTIES),
    ),
    Mutant(
        "rwlock: a writer's end wakes nobody",
        "sync_rw.h",
        '    HDY_FAILPOINT("rwlock.write_end.after_commit");\n    hdy_party_wake(&w->party, call, INT32_MAX);',
        '    HDY_FAILPOINT("rwlock.write_end.after_commit");\n    (void)call;',
        ("sync_party",),
        (WAKES, "-k", "WriteEndWaited"),
    ),
    Mutant(
        "rwlock: the last reader's end wakes nobody",
        "sync_rw.h",
        "    if (w->reading == 0)\n"
        "        hdy_party_wake(&w->party, call, INT32_MAX);\n"
        '    HDY_FAILPOINT("rwlock.read_end.before_unlock");',
        '    HDY_FAILPOINT("rwlock.read_end.before_unlock");',
        ("sync_party",),
        (WAKES, "-k", "ReadEndWaited"),
    ),
    Mutant(
        "barrier: the repair derives no outcomes",
        "sync_barrier.h",
        "    hdy_barrier_settle(object);\n    hdy_party_wake_all",
        "    hdy_party_wake_all",
        ("sync_meet",),
        (aimed("LastParty"), MEETS),
    ),
    Mutant(
        "barrier: the outcomes are derived before the state is stored",
        "sync_barrier.h",
        '    hdy_store(&b->state, state);\n    HDY_FAILPOINT("barrier.end.after_commit");\n    hdy_barrier_settle(b);',
        '    hdy_barrier_settle(b);\n    HDY_FAILPOINT("barrier.end.after_commit");\n    hdy_store(&b->state, state);',
        ("sync_meet",),
        (aimed("LastParty"), MEETS),
    ),
    Mutant(
        "condition: the dead one's notification is not passed on",
        "sync_cond.h",
        "    if (row->state == HDY_COND_NOTIFIED) {\n        hdy_cond_pass(c, call->row);\n        return 0;\n    }",
        "    ;",
        ("sync_meet",),
        (MEETS, HARD),
    ),
    Mutant(
        "condition: the repair does not finish what is being passed on",
        "sync_cond.h",
        "    if (c->passing)\n        hdy_cond_finish_passing(c);\n",
        "",
        ("sync_meet",),
        (MEETS,),
    ),
    Mutant(
        "condition: who is notified is neither moved nor woken",
        "sync_cond.h",
        "        hdy_cond_move(&c->row[i], call->lock);",
        "        ;",
        ("sync_meet",),
        (WAKES, "-k", "Notify"),
    ),
    Mutant(
        "guard: a dead owner's object is not repaired",
        "guard.h",
        "        repair(object);",
        "        (void)repair, (void)object;",
        ("sync_party", "sync_meet"),
        (aimed("SemAcquire"), MEETS),
    ),
    Mutant(
        "guard: not marked consistent after the repair",
        "guard.h",
        "        pthread_mutex_consistent(&g->mutex);\n",
        "",
        ("sync_party", "sync_meet"),
        (aimed("SemAcquire"), PARTIES),
    ),
    Mutant(
        "board: a death is counted and its status not stored",
        "board.h",
        "        hdy_store(&b->slot[slot].status, status);",
        "        ;",
        ("board", "lifeline"),
        ("tests/unit/test_lifeline.py",),
    ),
    Mutant(
        "board: a claim keeps the identity of the slot's former process",
        "board.h",
        "        hdy_store(&s->identity, 0);\n",
        "",
        ("board", "lifeline"),
        ("tests/unit/test_lifeline.py",),
    ),
    Mutant(
        "lifeline: the parent's death does nothing",
        "lifeline.h",
        "                kill(getpid(), SIGKILL);",
        "                ;",
        ("lifeline",),
        ("tests/unit/test_process_death.py",),
    ),
    Mutant(
        "lifeline: the stopped children of a dead process are not ended",
        "lifeline.h",
        "    hdy_board_end_children(b, e->identity);",
        "    ;",
        ("lifeline",),
        ("tests/unit/test_process_death.py", PROCESSES),
    ),
    Mutant(
        "lifeline: who joins a child does not give it back to the thread",
        "lifeline.h",
        "        hdy_line_watch(e->pidfd, token);\n    if (e)\n",
        "        ;\n    if (e)\n",
        ("lifeline",),
        ("tests/unit/test_lifeline.py",),
    ),
    *QUEUE_MUTANTS,
)
