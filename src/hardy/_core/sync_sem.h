/* Semaphore: permits taken with `with` are on record, and come back when their holder dies.
 *
 *     value = total - sum of row[].held        (held by `with`, one row a process)
 *
 *     count:    63        32   31   30        0
 *              +------------+-----+------------+
 *              |   total    |  S  |   value    |     S: somebody may sleep
 *              +------------+-----+------------+
 *
 *     bare acquire / release:  total and value -1 / +1   one swap of count, the commit; without the guard
 *     `with` enter:            value -1, row.held += 1   the second is the commit; in the guard
 *     `with` leave:            row.held -= 1, value +1   the first is the commit; in the guard
 *     sweep of a dead holder:  row.held = 0              one store, the commit; then the row is freed; in the guard
 *
 * In the guard `value` is never more than what it should be: who has a permit by it has it by the sum. After a death
 * there the repair derives it anew, from what the commits left; before the repair some permits may look taken, and who
 * finds none comes to the guard, and so to the repair.
 *
 * S is raised in the guard, by a swap from "no value"; so a release either finds it, and then goes through the guard to
 * move the turn, or came first, and then the swap fails. It is lowered in the guard when nobody sleeps any more.
 *
 * When all rows are those of living holders, a further process's permit is taken bare: the semaphore stays right, but
 * that permit does not come back by itself.
 *
 * Rejected: bare operations in the guard (two robust mutexes, twice the time of the standard library's semaphore).
 */
#ifndef HDY_SYNC_SEM_H
#define HDY_SYNC_SEM_H

#include "sync_party.h"

#define HDY_SEM_TOTAL 32
/* A permit taken bare, and one that a row has. */
#define HDY_SEM_BARE (1ull << HDY_SEM_TOTAL | 1)
#define HDY_SEM_WITH 1ull

/* Derives `value`. Never above the bound: one that takes with `with`, releases bare and then dies
 * would give its permit twice. */
static inline void hdy_sem_settle(hdy_sem *s)
{
    int64_t held = 0, value;
    uint64_t seen = hdy_load(&s->count), total;
    for (uint32_t i = 0; i < s->party.rows && i < HDY_SEM_ROWS; i++)
        held += s->row[i].held;
    do {
        total = seen >> HDY_SEM_TOTAL;
        value = (int64_t)total - held;
        if (value > s->bound) {
            total -= (uint64_t)(value - s->bound);
            value = s->bound;
        }
    } while (!hdy_cas(&s->count, &seen, total << HDY_SEM_TOTAL | (seen & HDY_SEM_SLEEPS) | (uint64_t)value));
}

static void hdy_sem_repair(void *object)
{
    hdy_sem *s = object;
    hdy_sem_settle(s);
    hdy_party_wake_all(&s->party);
}

/* The caller's row, or NULL when every row is that of a holder. */
static inline hdy_sem_row *hdy_sem_row_of(hdy_sem *s, hdy_call *call, int make)
{
    uint64_t me = hdy_self();
    if (HDY_LIKELY(call->row < HDY_SEM_ROWS && s->row[call->row].identity == me))
        return &s->row[call->row];
    uint32_t spare = HDY_SEM_ROWS;
    for (uint32_t i = 0; i < s->party.rows && i < HDY_SEM_ROWS; i++) {
        if (s->row[i].identity == me) {
            call->row = i;
            return &s->row[i];
        }
        if (s->row[i].held == 0 && spare == HDY_SEM_ROWS)
            spare = i;
    }
    if (!make)
        return NULL;
    if (spare == HDY_SEM_ROWS) {
        if (s->party.rows == HDY_SEM_ROWS)
            return NULL;
        spare = hdy_party_add_row(&s->party);
    }
    HDY_FAILPOINT("sem.hold.before_row");
    hdy_store(&s->row[spare].identity, me);
    HDY_FAILPOINT("sem.hold.after_row");
    call->row = spare;
    return &s->row[spare];
}

/* 1: a permit is taken, as a `permit` of HDY_SEM_*; 0: there is none. */
static inline int hdy_sem_try(hdy_sem *s, uint64_t permit)
{
    uint64_t seen = hdy_load(&s->count);
    do {
        if (hdy_sem_value(seen) == 0)
            return 0;
        HDY_FAILPOINT("sem.acquire.before_commit");
    } while (!hdy_cas(&s->count, &seen, seen - permit));
    HDY_FAILPOINT("sem.acquire.after_commit");
    return 1;
}

/* In the guard. 1: a permit is taken; 0: there is none, and who releases now will know that somebody sleeps. */
static inline int hdy_sem_try_or_mark(hdy_sem *s, uint64_t permit)
{
    uint64_t none;
    do {
        if (hdy_sem_try(s, permit))
            return 1;
        none = hdy_load(&s->count) & ~(HDY_SEM_SLEEPS - 1); /* with no value */
    } while (!hdy_cas(&s->count, &none, none | HDY_SEM_SLEEPS));
    return 0;
}

/* A bare acquire, for which there was no permit. */
static int hdy_sem_acquire(void *object, hdy_call *call)
{
    hdy_sem *s = object;
    if (!hdy_sem_try_or_mark(s, HDY_SEM_BARE))
        return hdy_party_wait(&s->party, call);
    return 0;
}

/* For `with`. */
static int hdy_sem_hold(void *object, hdy_call *call)
{
    hdy_sem *s = object;
    if (!hdy_sem_try_or_mark(s, HDY_SEM_WITH))
        return hdy_party_wait(&s->party, call);
    hdy_sem_row *row = hdy_sem_row_of(s, call, 1);
    if (!row) {
        hdy_add(&s->count, -(1ull << HDY_SEM_TOTAL));
        return 0;
    }
    HDY_FAILPOINT("sem.hold.before_commit");
    hdy_store(&row->held, row->held + 1);
    HDY_FAILPOINT("sem.hold.after_commit");
    return 0;
}

/* A permit has been given: in the guard, one sleeper is to look again. */
static inline int hdy_sem_freed(hdy_sem *s, hdy_call *call)
{
    HDY_FAILPOINT("sem.release.before_turn");
    if (!hdy_party_wake(&s->party, call, 1) && hdy_load_relaxed(&s->count) & HDY_SEM_SLEEPS)
        __atomic_and_fetch(&s->count, ~HDY_SEM_SLEEPS, __ATOMIC_SEQ_CST);
    HDY_FAILPOINT("sem.release.before_unlock");
    return 0;
}

/* A bare release: 1: given; 0: `in_guard` is not said, and somebody sleeps; -ERANGE above the bound. */
static inline int hdy_sem_give(hdy_sem *s, int in_guard)
{
    uint64_t seen = hdy_load(&s->count);
    do {
        if (hdy_sem_value(seen) >= s->bound)
            return -ERANGE;
        if (!in_guard && seen & HDY_SEM_SLEEPS)
            return 0;
        HDY_FAILPOINT("sem.release.before_commit");
    } while (!hdy_cas(&s->count, &seen, seen + HDY_SEM_BARE));
    HDY_FAILPOINT("sem.release.after_commit");
    return 1;
}

/* A bare release while somebody sleeps; -ERANGE above the bound. */
static int hdy_sem_release(void *object, hdy_call *call)
{
    hdy_sem *s = object;
    int r = hdy_sem_give(s, 1);
    return r < 0 ? r : hdy_sem_freed(s, call);
}

/* The end of `with`; -ERANGE above the bound. */
static int hdy_sem_give_back(void *object, hdy_call *call)
{
    hdy_sem *s = object;
    hdy_sem_row *row = hdy_sem_row_of(s, call, 0);
    if (!row || row->held == 0)
        return hdy_sem_release(object, call);
    HDY_FAILPOINT("sem.give_back.before_commit");
    hdy_store(&row->held, row->held - 1);
    HDY_FAILPOINT("sem.give_back.after_commit");
    uint64_t seen = hdy_load(&s->count);
    int over;
    do {
        over = hdy_sem_value(seen) >= s->bound; /* released bare already: that one is taken back */
        if (over)
            HDY_FAILPOINT("sem.give_back.over_bound");
    } while (!hdy_cas(&s->count, &seen, over ? seen - (1ull << HDY_SEM_TOTAL) : seen + HDY_SEM_WITH));
    return over ? -ERANGE : hdy_sem_freed(s, call);
}

static int hdy_sem_read(void *object, hdy_call *call)
{
    call->number = hdy_sem_value(hdy_load(&((hdy_sem *)object)->count));
    return 0;
}

/* Without the guard: a row at or after `from` whose process is dead, or -1. */
static inline int hdy_sem_find_dead(hdy_sem *s, uint32_t from, uint64_t *identity)
{
    uint32_t rows = hdy_load(&s->party.rows);
    for (uint32_t i = from; i < rows && i < HDY_SEM_ROWS; i++) {
        *identity = hdy_load(&s->row[i].identity);
        if (*identity && hdy_load(&s->row[i].held) && !hdy_alive(*identity))
            return (int)i;
    }
    return -1;
}

/* Number: permits that came back. */
static int hdy_sem_drop(void *object, hdy_call *call)
{
    hdy_sem *s = object;
    hdy_sem_row *row = &s->row[call->row];
    call->number = 0;
    if (row->identity != call->identity)
        return 0;
    call->number = (int32_t)row->held;
    HDY_FAILPOINT("sem.sweep.before_commit");
    hdy_store(&row->held, 0);
    HDY_FAILPOINT("sem.sweep.after_commit");
    hdy_store(&row->identity, 0);
    hdy_sem_settle(s);
    HDY_FAILPOINT("sem.sweep.before_turn");
    if (call->number)
        hdy_party_wake(&s->party, call, call->number);
    HDY_FAILPOINT("sem.sweep.before_unlock");
    return 0;
}

static inline int hdy_sem_start(hdy_sem *s, int32_t value, int32_t bound)
{
    s->count = (uint64_t)value << HDY_SEM_TOTAL | (uint64_t)value;
    s->bound = bound;
    return hdy_party_start(&s->party, HDY_SEM_ROWS);
}

#endif
