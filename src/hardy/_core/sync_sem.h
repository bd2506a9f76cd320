/* Semaphore: permits taken with `with` are on record, and come back when their holder dies.
 *
 *     value = total - sum of row[].held        (held by `with`, one row a process)
 *
 *     bare acquire / release:  total -= 1 / += 1      one store, the commit; a death changes nothing
 *     `with` enter / leave:    row.held += 1 / -= 1   one store, the commit; a death gives it back
 *     sweep of a dead holder:  row.held = 0           one store, the commit; then the row is freed
 *
 * After a death at any step the sums are those before or after the commit; `value` is derived anew
 * by the repair. When all rows are those of living holders, a further process's permit is taken
 * bare: the semaphore stays right, but that permit does not come back by itself.
 */
#ifndef HDY_SYNC_SEM_H
#define HDY_SYNC_SEM_H

#include "sync_party.h"

/* Derives `value`. Never above the bound: one that takes with `with`, releases bare and then dies
 * would give its permit twice. */
static inline void hdy_sem_settle(hdy_sem *s)
{
    int64_t value = s->total;
    for (uint32_t i = 0; i < s->party.rows && i < HDY_SEM_ROWS; i++)
        value -= s->row[i].held;
    if (value > s->bound) {
        hdy_store(&s->total, (int32_t)(s->total - (value - s->bound)));
        value = s->bound;
    }
    s->value = (int32_t)value;
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

/* A bare acquire. */
static int hdy_sem_acquire(void *object, hdy_call *call)
{
    hdy_sem *s = object;
    if (s->value <= 0)
        return hdy_party_wait(&s->party, call);
    HDY_FAILPOINT("sem.acquire.before_commit");
    hdy_store(&s->total, s->total - 1);
    HDY_FAILPOINT("sem.acquire.after_commit");
    s->value--;
    HDY_FAILPOINT("sem.acquire.before_unlock");
    return 0;
}

/* For `with`. */
static int hdy_sem_hold(void *object, hdy_call *call)
{
    hdy_sem *s = object;
    if (s->value <= 0)
        return hdy_party_wait(&s->party, call);
    hdy_sem_row *row = hdy_sem_row_of(s, call, 1);
    if (!row)
        return hdy_sem_acquire(object, call);
    HDY_FAILPOINT("sem.hold.before_commit");
    hdy_store(&row->held, row->held + 1);
    HDY_FAILPOINT("sem.hold.after_commit");
    s->value--;
    HDY_FAILPOINT("sem.hold.before_unlock");
    return 0;
}

static inline int hdy_sem_freed(hdy_sem *s, hdy_call *call)
{
    s->value++;
    HDY_FAILPOINT("sem.release.before_turn");
    hdy_party_wake(&s->party, call, 1);
    HDY_FAILPOINT("sem.release.before_unlock");
    return 0;
}

/* A bare release; -ERANGE above the bound. */
static int hdy_sem_release(void *object, hdy_call *call)
{
    hdy_sem *s = object;
    if (s->value >= s->bound)
        return -ERANGE;
    HDY_FAILPOINT("sem.release.before_commit");
    hdy_store(&s->total, s->total + 1);
    HDY_FAILPOINT("sem.release.after_commit");
    return hdy_sem_freed(s, call);
}

/* The end of `with`; -ERANGE above the bound. */
static int hdy_sem_give_back(void *object, hdy_call *call)
{
    hdy_sem *s = object;
    hdy_sem_row *row = hdy_sem_row_of(s, call, 0);
    if (!row || row->held == 0)
        return hdy_sem_release(object, call);
    if (s->value >= s->bound) {
        /* Released bare already. In this order a death in between changes nothing: the row's comes back. */
        hdy_store(&s->total, s->total - 1);
        HDY_FAILPOINT("sem.give_back.over_bound");
        hdy_store(&row->held, row->held - 1);
        return -ERANGE;
    }
    HDY_FAILPOINT("sem.give_back.before_commit");
    hdy_store(&row->held, row->held - 1);
    HDY_FAILPOINT("sem.give_back.after_commit");
    return hdy_sem_freed(s, call);
}

static int hdy_sem_read(void *object, hdy_call *call)
{
    call->number = ((hdy_sem *)object)->value;
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
    s->total = s->value = value;
    s->bound = bound;
    return hdy_party_start(&s->party, HDY_SEM_ROWS);
}

#endif
