/* What the objects with a table of processes share: operations under the guard, and their waking.
 *
 * An operation is one C function that runs wholly under the guard and says whether the caller must
 * wait. It makes its one commit store, then the derived fields, then moves on the turn for those who
 * sleep; they are woken once the guard is free, for they want it next. Who dies under the guard leaves
 * it to the next comer, whose repair derives the fields anew and wakes everybody. A wake-up that was
 * not sent, or that a killed sleeper swallowed, is made good by the slices in which all sleep.
 *
 * Rejected: waking under the guard. It is never lost with its sender, but each woken process runs
 * into the guard and sleeps again: a hand-over took six times as long.
 */
#ifndef HDY_SYNC_PARTY_H
#define HDY_SYNC_PARTY_H

#include "layout_sync.h"

/* In and out of one operation. */
typedef struct {
    uint64_t identity; /* in: whom it concerns; out: who is dead */
    uint64_t ticket;
    uint32_t turn; /* out with -EAGAIN: sleep on party.turn while it is this */
    uint32_t row;  /* in: where to look first; out: the row that was used */
    int32_t number;
    int32_t wake; /* out: how many sleepers shall look again */
    hdy_lock *lock;
} hdy_call;

/* >= 0: done; -EAGAIN: wait for a turn; any other negative errno but -EBUSY: refused. */
typedef int (*hdy_op)(void *object, hdy_call *call);

/* -EBUSY: the guard could not be had (within a slice, when `patient`); nothing was done. */
static inline int hdy_party_run(hdy_party *p, hdy_repair repair, hdy_op op, hdy_call *call, int patient)
{
    int r = patient ? hdy_guard_lock_slice(&p->guard, repair, p) : hdy_guard_try(&p->guard, repair, p);
    if (HDY_UNLIKELY(r))
        return r == -ETIMEDOUT ? -EBUSY : r;
    call->wake = 0;
    r = op(p, call);
    uint32_t turn = p->turn;
    hdy_guard_unlock(&p->guard);
    if (HDY_UNLIKELY(call->wake)) {
        HDY_FAILPOINT("party.wake.before_wake");
        if (hdy_futex_wake(&p->turn, call->wake) == 0)
            hdy_store(&p->empty, turn);
        HDY_FAILPOINT("party.wake.after_wake");
    }
    return r;
}

/* Under the guard: the caller will sleep, unless the turn has moved on by then. */
static inline int hdy_party_wait(hdy_party *p, hdy_call *call)
{
    p->waiting = p->turn;
    call->turn = p->turn;
    return -EAGAIN;
}

/* Under the guard: lets up to `most` sleepers look again, once it is free; 0: nobody sleeps. No system call is
 * made when nobody has said that it will sleep since a wake-up last reached nobody: who was on its way
 * then has found another turn, and said so anew. */
static inline int hdy_party_wake(hdy_party *p, hdy_call *call, int most)
{
    if ((int32_t)(p->waiting - hdy_load(&p->empty)) < 0)
        return 0;
    hdy_store(&p->turn, p->turn + 1);
    call->wake = most;
    return 1;
}

/* For repairs, under the guard: whoever sleeps may have missed anything. */
static inline void hdy_party_wake_all(hdy_party *p)
{
    hdy_store(&p->turn, p->turn + 1);
    hdy_futex_wake(&p->turn, INT32_MAX);
}

/* Under the guard: one more row is in use; its number. Who looks for the dead reads rows without the guard. */
static inline uint32_t hdy_party_add_row(hdy_party *p)
{
    uint32_t row = p->rows;
    hdy_store(&p->rows, row + 1);
    return row;
}

/* A new party: nobody has waited yet. */
static inline int hdy_party_start(hdy_party *p, uint32_t capacity)
{
    p->capacity = capacity;
    p->turn = p->empty = 1;
    return hdy_guard_init(&p->guard);
}

/* Whether this waiter should look for the dead: one of all waiters does, now and then. */
#define HDY_SWEEP_EVERY_NS (8 * HDY_NS_PER_MS)
static inline int hdy_party_should_sweep(hdy_party *p)
{
    int64_t now = hdy_now_ns();
    if (now - hdy_load_relaxed(&p->swept_ns) < HDY_SWEEP_EVERY_NS)
        return 0;
    __atomic_store_n(&p->swept_ns, now, __ATOMIC_RELAXED);
    return 1;
}

#endif
