/* What the objects with a table of processes share: operations under the guard, and their waking.
 *
 * An operation is one C function that runs wholly under the guard and says whether the caller must
 * wait. It makes its one commit store, then the derived fields, then wakes, all before it unlocks:
 * who dies on the way leaves the guard to the next comer, whose repair derives the fields anew and
 * wakes everybody to look again. A wake-up is therefore never lost with its sender; one that a killed
 * sleeper swallowed is made good by the slices in which all others sleep.
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
} hdy_call;

/* >= 0: done; -EAGAIN: wait for a turn; any other negative errno but -EBUSY: refused. */
typedef int (*hdy_op)(void *object, hdy_call *call);

/* -EBUSY: the guard could not be had (within a slice, when `patient`); nothing was done. */
static inline int hdy_party_run(hdy_party *p, hdy_repair repair, hdy_op op, hdy_call *call, int patient)
{
    int r = patient ? hdy_guard_lock_slice(&p->guard, repair, p) : hdy_guard_try(&p->guard, repair, p);
    if (HDY_UNLIKELY(r))
        return r == -ETIMEDOUT ? -EBUSY : r;
    r = op(p, call);
    hdy_guard_unlock(&p->guard);
    return r;
}

/* Under the guard: the caller will sleep. It says so anew each time, so that `waiters` may be
 * lowered whenever a wake-up reached nobody: who was on the way to sleep finds another turn. */
static inline int hdy_party_wait(hdy_party *p, hdy_call *call)
{
    p->waiters = 1;
    call->turn = p->turn;
    return -EAGAIN;
}

/* Under the guard: lets up to `most` sleepers look again. */
static inline void hdy_party_wake(hdy_party *p, int most)
{
    if (!p->waiters)
        return;
    hdy_store(&p->turn, p->turn + 1);
    if (hdy_futex_wake(&p->turn, most) == 0 || most == INT32_MAX)
        p->waiters = 0;
}

/* For repairs: whoever sleeps may have missed anything. */
static inline void hdy_party_wake_all(hdy_party *p)
{
    p->waiters = 1;
    hdy_party_wake(p, INT32_MAX);
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
