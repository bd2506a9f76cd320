/* Barrier: arrivals stand in a table; one store of `state` ends a generation.
 *
 *     state = generation << 2 | LAST_LOST << 1 | BROKEN
 *
 *     (g, whole) --the last party arrives, or its action is done--> (g + 1, whole)   all pass
 *         |  |
 *         |  +--reset()-----------------------------------------> (g + 1, LAST_LOST) those who wait are told
 *         |
 *         +-- abort(), a time-out, a failed action, a dead party --> (g, BROKEN)     all are told
 *                                                   (g, BROKEN) --reset()--> (g + 1, LAST_LOST)
 *
 * Each row then learns how its generation ended (`outcome`), under the same hold of the guard. Who
 * dies in between leaves rows of an ended generation that say ARRIVED; the repair derives their
 * outcome from `state`, which no later generation can have overwritten: that takes the guard too.
 * A party that passed and is stopped or slow keeps its own row and holds up nobody.
 */
#ifndef HDY_SYNC_BARRIER_H
#define HDY_SYNC_BARRIER_H

#include "sync_party.h"

#define HDY_BARRIER_BROKEN 1u
#define HDY_BARRIER_LAST_LOST 2u
#define HDY_BARRIER_GENERATION_SHIFT 2

static inline uint32_t hdy_barrier_generation(const hdy_barrier *b)
{
    return b->state >> HDY_BARRIER_GENERATION_SHIFT;
}

/* Derives outcomes, `arrived` and `acting` from `state` and the rows. Idempotent. */
static inline void hdy_barrier_settle(hdy_barrier *b)
{
    uint32_t generation = hdy_barrier_generation(b);
    b->arrived = 0;
    for (uint32_t i = 0; i < b->party.rows && i < b->party.capacity; i++) {
        hdy_barrier_row *row = &b->row[i];
        if (row->outcome != HDY_BARRIER_ARRIVED)
            continue;
        if (row->generation != generation)
            hdy_store(&row->outcome, b->state & HDY_BARRIER_LAST_LOST ? HDY_BARRIER_LOST : HDY_BARRIER_PASSED);
        else if (b->state & HDY_BARRIER_BROKEN)
            hdy_store(&row->outcome, HDY_BARRIER_LOST);
        else
            b->arrived++;
    }
    if (b->arrived < b->parties)
        b->acting = 0;
}

static void hdy_barrier_repair(void *object)
{
    hdy_barrier_settle(object);
    hdy_party_wake_all(&((hdy_barrier *)object)->party);
}

static inline void hdy_barrier_commit(hdy_barrier *b, hdy_call *call, uint32_t state)
{
    HDY_FAILPOINT("barrier.end.before_commit");
    hdy_store(&b->state, state);
    HDY_FAILPOINT("barrier.end.after_commit");
    hdy_barrier_settle(b);
    HDY_FAILPOINT("barrier.end.before_turn");
    hdy_party_wake(&b->party, call, INT32_MAX);
    HDY_FAILPOINT("barrier.end.before_unlock");
}

static inline void hdy_barrier_pass(hdy_barrier *b, hdy_call *call)
{
    hdy_barrier_commit(b, call, (hdy_barrier_generation(b) + 1) << HDY_BARRIER_GENERATION_SHIFT);
}

static inline void hdy_barrier_break(hdy_barrier *b, hdy_call *call, uint64_t culprit)
{
    if (b->state & HDY_BARRIER_BROKEN)
        return;
    b->culprit = culprit;
    hdy_barrier_commit(b, call, b->state | HDY_BARRIER_BROKEN);
}

static inline int hdy_barrier_tell_broken(hdy_barrier *b, hdy_call *call)
{
    call->identity = b->culprit;
    return -EPIPE;
}

enum { HDY_BARRIER_SLEEP = 0, HDY_BARRIER_DONE = 1, HDY_BARRIER_ACT = 2 };

/* In: ticket, 1 when the caller has looked for the dead; number, 1 when there is an action.
 * Out: row; number, the index of arrival. HDY_BARRIER_*, or -EPIPE broken, -EAGAIN wait for the next
 * generation, -EINPROGRESS look for the dead first, for you are the last. */
static int hdy_barrier_arrive(void *object, hdy_call *call)
{
    hdy_barrier *b = object;
    if (b->state & HDY_BARRIER_BROKEN)
        return hdy_barrier_tell_broken(b, call);
    if (b->arrived >= b->parties)
        return hdy_party_wait(&b->party, call);
    if (b->arrived + 1 == b->parties && b->parties > 1 && !call->ticket)
        return -EINPROGRESS;
    uint32_t i = 0;
    while (i < b->party.rows && b->row[i].outcome != HDY_BARRIER_FREE)
        i++;
    if (i == b->party.capacity)
        return hdy_party_wait(&b->party, call);
    if (i == b->party.rows)
        hdy_party_add_row(&b->party);
    HDY_FAILPOINT("barrier.arrive.before_row");
    hdy_barrier_row *row = &b->row[i];
    hdy_store(&row->identity, hdy_self());
    row->generation = hdy_barrier_generation(b);
    HDY_FAILPOINT("barrier.arrive.before_commit");
    hdy_store(&row->outcome, HDY_BARRIER_ARRIVED);
    HDY_FAILPOINT("barrier.arrive.after_commit");
    int act = call->number;
    call->row = i;
    call->number = (int32_t)b->arrived++;
    if (b->arrived < b->parties) {
        hdy_party_wait(&b->party, call);
        return HDY_BARRIER_SLEEP;
    }
    if (act) {
        b->acting = i + 1;
        HDY_FAILPOINT("barrier.arrive.after_acting");
        return HDY_BARRIER_ACT;
    }
    hdy_barrier_pass(b, call);
    hdy_store(&row->outcome, HDY_BARRIER_FREE);
    return HDY_BARRIER_DONE;
}

static inline void hdy_barrier_free(hdy_barrier *b, hdy_call *call, hdy_barrier_row *row)
{
    hdy_store(&row->outcome, HDY_BARRIER_FREE);
    HDY_FAILPOINT("barrier.leave.after_free");
    /* Somebody may wait for a row. */
    if (b->party.rows == b->party.capacity)
        hdy_party_wake(&b->party, call, INT32_MAX);
}

/* 0: passed; -EPIPE: broken or reset; -EAGAIN: sleep on. */
static int hdy_barrier_leave(void *object, hdy_call *call)
{
    hdy_barrier *b = object;
    hdy_barrier_row *row = &b->row[call->row];
    if (row->outcome == HDY_BARRIER_ARRIVED)
        return hdy_party_wait(&b->party, call);
    int passed = row->outcome == HDY_BARRIER_PASSED;
    HDY_FAILPOINT("barrier.leave.before_free");
    hdy_barrier_free(b, call, row);
    return passed ? 0 : hdy_barrier_tell_broken(b, call);
}

/* Timed out, interrupted, or the action failed: 0 when it had passed all the same. */
static int hdy_barrier_give_up(void *object, hdy_call *call)
{
    hdy_barrier *b = object;
    if (b->row[call->row].outcome == HDY_BARRIER_ARRIVED)
        hdy_barrier_break(b, call, 0);
    return hdy_barrier_leave(object, call);
}

/* The action is done: 0, or -EPIPE when the barrier was broken or reset meanwhile. */
static int hdy_barrier_acted(void *object, hdy_call *call)
{
    hdy_barrier *b = object;
    if (b->acting == call->row + 1)
        hdy_barrier_pass(b, call);
    return hdy_barrier_leave(object, call);
}

static int hdy_barrier_abort(void *object, hdy_call *call)
{
    hdy_barrier_break(object, call, 0);
    return 0;
}

static int hdy_barrier_reset(void *object, hdy_call *call)
{
    hdy_barrier *b = object;
    b->culprit = 0;
    if (b->arrived || b->state & HDY_BARRIER_BROKEN)
        hdy_barrier_commit(b, call, (hdy_barrier_generation(b) + 1) << HDY_BARRIER_GENERATION_SHIFT | HDY_BARRIER_LAST_LOST);
    return 0;
}

static int hdy_barrier_read(void *object, hdy_call *call)
{
    hdy_barrier *b = object;
    call->number = (int32_t)b->arrived;
    call->turn = b->state & HDY_BARRIER_BROKEN;
    return 0;
}

/* Without the guard: a row at or after `from` whose process is dead, or -1. */
static inline int hdy_barrier_find_dead(hdy_barrier *b, uint32_t from, uint64_t *identity)
{
    uint32_t rows = hdy_load(&b->party.rows);
    for (uint32_t i = from; i < rows && i < b->party.capacity; i++) {
        *identity = hdy_load(&b->row[i].identity);
        if (hdy_load(&b->row[i].outcome) != HDY_BARRIER_FREE && !hdy_alive(*identity))
            return (int)i;
    }
    return -1;
}

static int hdy_barrier_bury(void *object, hdy_call *call)
{
    hdy_barrier *b = object;
    hdy_barrier_row *row = &b->row[call->row];
    if (row->identity != call->identity || row->outcome == HDY_BARRIER_FREE)
        return 0;
    HDY_FAILPOINT("barrier.bury.before_break");
    if (row->outcome == HDY_BARRIER_ARRIVED)
        hdy_barrier_break(b, call, call->identity);
    HDY_FAILPOINT("barrier.bury.after_break");
    hdy_barrier_free(b, call, row);
    return 0;
}

static inline int hdy_barrier_start(hdy_barrier *b, uint32_t parties)
{
    b->parties = parties;
    return hdy_party_start(&b->party, parties + HDY_BARRIER_SPARE_ROWS);
}

#endif
