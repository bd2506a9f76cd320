/* Condition: who waits stands in a table, and is notified by name.
 *
 *          enlist                 notify                   resume
 *     FREE ------> WAITING(ticket) ----> NOTIFIED ---------------------> FREE
 *                     | timed out, or dead  | dead, or interrupted
 *                     v                     v
 *                    FREE      passing = from, to   (one store, the commit)
 *                              to: WAITING -> NOTIFIED;  from -> FREE;  passing = 0
 *
 * A waiter leaves its row only when it holds the lock again. Until then its notification is on
 * record, and when it dies the others, at the end of their slices, pass it on. A notifier that dies
 * has notified whom it has marked; the repair finishes a passing under way and wakes all who are
 * marked. Nobody ever waits for a sleeper to confirm, so a dead or stopped one holds up nobody.
 */
#ifndef HDY_SYNC_COND_H
#define HDY_SYNC_COND_H

#include "sync_lock.h"
#include "sync_party.h"

static inline void hdy_cond_wake(hdy_cond_row *row)
{
    hdy_futex_wake(&row->state, 1);
}

/* For the notifier, which holds the lock: the sleeper could do nothing but wait for it, so it is
 * moved to sleep there, and the release of the lock wakes it. */
static inline void hdy_cond_move(hdy_cond_row *row, hdy_lock *lock)
{
    uint64_t owner = hdy_load(&lock->owner);
    while (owner && !(owner & HDY_CONTENDED) && !hdy_cas(&lock->owner, &owner, owner | HDY_CONTENDED))
        ;
    HDY_FAILPOINT("cond.notify.before_move");
    if (owner)
        syscall(SYS_futex, &row->state, FUTEX_REQUEUE, 0, 1ul, hdy_low_half(&lock->owner), 0);
    else
        hdy_cond_wake(row);
}

static inline void hdy_cond_finish_passing(hdy_cond *c)
{
    uint32_t from = (c->passing >> 16) - 1, to = (c->passing & 0xffff) - 1;
    if (from < HDY_COND_ROWS && to < HDY_COND_ROWS) {
        c->row[to].latest = c->row[from].latest;
        hdy_store(&c->row[to].state, HDY_COND_NOTIFIED);
        HDY_FAILPOINT("cond.pass.after_notified");
        hdy_store(&c->row[from].state, HDY_COND_FREE);
        HDY_FAILPOINT("cond.pass.after_free");
    }
    hdy_store(&c->passing, 0);
}

static void hdy_cond_repair(void *object)
{
    hdy_cond *c = object;
    if (c->passing)
        hdy_cond_finish_passing(c);
    for (uint32_t i = 0; i < c->party.rows && i < HDY_COND_ROWS; i++)
        if (c->row[i].state == HDY_COND_NOTIFIED)
            hdy_cond_wake(&c->row[i]);
}

/* The row that has waited longest, if it has a ticket up to `latest`, or -1. */
static inline int hdy_cond_oldest(hdy_cond *c, uint64_t latest)
{
    int oldest = -1;
    for (uint32_t i = 0; i < c->party.rows && i < HDY_COND_ROWS; i++) {
        if (c->row[i].state == HDY_COND_WAITING && c->row[i].ticket <= latest) {
            latest = c->row[i].ticket;
            oldest = (int)i;
        }
    }
    return oldest;
}

static inline void hdy_cond_pass(hdy_cond *c, uint32_t from)
{
    int to = hdy_cond_oldest(c, c->row[from].latest);
    if (to < 0) {
        hdy_store(&c->row[from].state, HDY_COND_FREE);
        return;
    }
    HDY_FAILPOINT("cond.pass.before_commit");
    hdy_store(&c->passing, (from + 1) << 16 | (uint32_t)(to + 1));
    HDY_FAILPOINT("cond.pass.after_commit");
    hdy_cond_finish_passing(c);
    HDY_FAILPOINT("cond.pass.before_wake");
    hdy_cond_wake(&c->row[to]);
}

/* Row: the caller's; -ENOSPC when all rows are taken. */
static int hdy_cond_enlist(void *object, hdy_call *call)
{
    hdy_cond *c = object;
    uint32_t i = 0;
    while (i < c->party.rows && c->row[i].state != HDY_COND_FREE)
        i++;
    if (i == HDY_COND_ROWS)
        return -ENOSPC;
    if (i == c->party.rows)
        hdy_party_add_row(&c->party);
    HDY_FAILPOINT("cond.wait.before_row");
    hdy_store(&c->row[i].identity, hdy_self());
    hdy_store(&c->row[i].ticket, ++c->tickets);
    HDY_FAILPOINT("cond.wait.before_commit");
    hdy_store(&c->row[i].state, HDY_COND_WAITING);
    HDY_FAILPOINT("cond.wait.after_commit");
    call->row = i;
    return 0;
}

/* Number: whether the caller, who leaves with the lock held, had been notified. */
static int hdy_cond_leave(void *object, hdy_call *call)
{
    hdy_cond_row *row = &((hdy_cond *)object)->row[call->row];
    call->number = row->state == HDY_COND_NOTIFIED;
    HDY_FAILPOINT("cond.leave.before_commit");
    hdy_store(&row->state, HDY_COND_FREE);
    HDY_FAILPOINT("cond.leave.after_commit");
    return 0;
}

/* Of one who will not go on: interrupted, or (identity) dead. */
static int hdy_cond_drop(void *object, hdy_call *call)
{
    hdy_cond *c = object;
    hdy_cond_row *row = &c->row[call->row];
    if (row->identity != call->identity || row->state == HDY_COND_FREE)
        return 0;
    if (row->state == HDY_COND_NOTIFIED) {
        hdy_cond_pass(c, call->row);
        return 0;
    }
    HDY_FAILPOINT("cond.drop.before_commit");
    hdy_store(&row->state, HDY_COND_FREE);
    HDY_FAILPOINT("cond.drop.after_commit");
    return 0;
}

/* Number: in, how many to notify; out, how many were. Lock: the condition's, which the caller holds. */
static int hdy_cond_notify(void *object, hdy_call *call)
{
    hdy_cond *c = object;
    int32_t most = call->number;
    call->number = 0;
    while (call->number < most) {
        int i = hdy_cond_oldest(c, c->tickets);
        if (i < 0)
            break;
        HDY_FAILPOINT("cond.notify.before_commit");
        c->row[i].latest = c->tickets;
        hdy_store(&c->row[i].state, HDY_COND_NOTIFIED);
        HDY_FAILPOINT("cond.notify.after_commit");
        hdy_cond_move(&c->row[i], call->lock);
        HDY_FAILPOINT("cond.notify.after_move");
        call->number++;
    }
    return 0;
}

static int hdy_cond_count(void *object, hdy_call *call)
{
    hdy_cond *c = object;
    call->number = 0;
    for (uint32_t i = 0; i < c->party.rows && i < HDY_COND_ROWS; i++)
        call->number += c->row[i].state == HDY_COND_WAITING;
    return 0;
}

/* Without the guard: a dead row at or after `from` in that state (any but FREE, when 0), or -1. */
static inline int hdy_cond_find_dead(hdy_cond *c, uint32_t from, uint32_t state, uint64_t *identity)
{
    uint32_t rows = hdy_load(&c->party.rows);
    for (uint32_t i = from; i < rows && i < HDY_COND_ROWS; i++) {
        uint32_t now = hdy_load(&c->row[i].state);
        *identity = hdy_load(&c->row[i].identity);
        if (now != HDY_COND_FREE && (state == 0 || now == state) && !hdy_alive(*identity))
            return (int)i;
    }
    return -1;
}

static inline int hdy_cond_start(hdy_cond *c)
{
    return hdy_party_start(&c->party, HDY_COND_ROWS);
}

#endif
