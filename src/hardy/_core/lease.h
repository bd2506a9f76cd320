/* Leases: a message that was taken stays in the queue's memory until it is acknowledged.
 *
 * States of a slot, each arrow one store:
 *
 *   FREE --take (commit of the head)--> LEASED --ack--> FREE
 *                                        |  ^
 *                              nack, or  v  | take
 *                    death of the holder READY        READY --> DEAD: max_deliveries reached
 *
 * A slot filled by a take that died before its commit has seq >= the head's and counts as FREE.
 * Death after an ack's store: the payload's extents are the queue's and not reached: hdy_ring_mend
 * frees them. Counters (leased, ready, dead) are what the repair of the head's guard counts anew.
 * All of it is done in the head's guard.
 */
#ifndef HDY_LEASE_H
#define HDY_LEASE_H

#include "ring.h"

/* A lease in a process's hand. */
typedef struct {
    uint32_t unit, index; /* the slot's place */
    uint64_t seq;
    uint32_t kind, pid, deliveries;
    uint64_t size;
    uint32_t payload_unit; /* 0: the payload is small and was copied out */
} hdy_lease;

/* How long the lease of a holder whose death nobody counted may wait for a taker that is never idle. */
#define HDY_LEASE_SWEEP_NS (20 * HDY_NS_PER_MS)

static inline hdy_held *hdy_slot_at(hdy_queue *q, uint32_t unit, uint32_t index)
{
    char *p = hdy_unit_at(q, unit);
    return p ? (hdy_held *)p + 1 + index : NULL;
}

/* s: the committed head. */
static inline int hdy_slot_lives(const hdy_end *s, const hdy_held *slot)
{
    return slot->state != HDY_SLOT_FREE && slot->seq < s->seq;
}

/* Calls for every slot in order; `unit`, `index`, `slot` name it. */
#define HDY_EACH_SLOT(q, unit, index, slot)                                                        \
    for (uint32_t unit = (q)->ring->lease_first, _next = 0, _turns = 0;                            \
         unit && hdy_entry(q, unit) && _turns++ < HDY_MAX_ARENAS;                                  \
         _next = hdy_entry(q, unit)->next, unit = _next)                                           \
        for (uint32_t index = 0; index < HDY_SLOTS_IN_UNIT; index++)                               \
            for (hdy_held *slot = hdy_slot_at(q, unit, index); slot; slot = NULL)

/* A free slot; a further table is made when there is none. NULL with *error. */
static inline hdy_held *hdy_slot_find(hdy_queue *q, hdy_lease *l, int *error)
{
    hdy_ring *r = q->ring;
    const hdy_end *s = hdy_current(&r->head);
    HDY_EACH_SLOT(q, unit, index, slot)
    {
        if (!hdy_slot_lives(s, slot)) {
            l->unit = unit;
            l->index = index;
            return slot;
        }
    }
    uint32_t unit = hdy_heap_take_unit(q, error);
    if (!unit)
        return NULL;
    char *p = hdy_unit_at(q, unit);
    if (!p) {
        hdy_store(&r->dirty, 1);
        *error = -ENOMEM;
        return NULL;
    }
    memset(p, 0, HDY_UNIT_BYTES);
    hdy_entry(q, unit)->next = r->lease_first;
    HDY_FAILPOINT("lease.table.before_commit");
    hdy_store(&r->lease_first, unit);
    HDY_FAILPOINT("lease.table.after_commit");
    l->unit = unit;
    l->index = 0;
    return hdy_slot_at(q, unit, 0);
}

/* READY, or DEAD after too many deliveries. */
static inline void hdy_slot_return(hdy_queue *q, hdy_held *slot)
{
    hdy_ring *r = q->ring;
    int dead = r->max_deliveries && slot->deliveries >= r->max_deliveries;
    HDY_FAILPOINT("lease.return.before_commit");
    if (dead) {
        if (r->leased == r->dead + 1)
            hdy_wake(q, &r->head, HDY_DONE, INT_MAX);
        hdy_store(&slot->state, HDY_SLOT_DEAD);
        r->dead++;
    } else {
        hdy_wake(q, &r->head, HDY_ITEMS, 1);
        hdy_store(&slot->state, HDY_SLOT_READY);
        r->ready++;
    }
    HDY_FAILPOINT("lease.return.after_commit");
}

/* Gives the leases of dead holders to others; returns how many. */
static inline uint32_t hdy_lease_sweep(hdy_queue *q)
{
    hdy_ring *r = q->ring;
    const hdy_end *s = hdy_current(&r->head);
    uint64_t alive = hdy_self();
    uint32_t returned = 0;
    if (r->leased <= r->ready + r->dead)
        return 0;
    HDY_EACH_SLOT(q, unit, index, slot)
    {
        if (slot->state != HDY_SLOT_LEASED || !hdy_slot_lives(s, slot) || slot->owner == alive)
            continue;
        if (hdy_alive(slot->owner)) {
            alive = slot->owner;
            continue;
        }
        HDY_FAILPOINT("lease.sweep.before_return");
        hdy_slot_return(q, slot);
        returned++;
    }
    return returned;
}

static inline void hdy_lease_fill(hdy_lease *l, const hdy_held *slot, char *small)
{
    l->seq = slot->seq;
    l->kind = slot->meta >> HDY_KIND_SHIFT;
    l->pid = slot->meta & HDY_PID_MASK;
    l->deliveries = slot->deliveries;
    l->size = slot->size;
    l->payload_unit = slot->unit;
    if (!slot->unit && slot->size <= sizeof slot->payload)
        memcpy(small, slot->payload, slot->size);
}

/* Takes a slot that waits in state `from` (READY or DEAD), the oldest message first. 0 or -EAGAIN. */
static inline int hdy_lease_retake(hdy_queue *q, hdy_lease *l, uint32_t from, char *small)
{
    hdy_ring *r = q->ring;
    const hdy_end *s = hdy_current(&r->head);
    hdy_held *best = NULL;
    HDY_EACH_SLOT(q, unit, index, slot)
    {
        if (slot->state == from && hdy_slot_lives(s, slot) && (!best || slot->seq < best->seq)) {
            best = slot;
            l->unit = unit;
            l->index = index;
        }
    }
    if (!best)
        return -EAGAIN;
    best->owner = hdy_self();
    best->deliveries++;
    HDY_FAILPOINT("lease.retake.before_commit");
    hdy_store(&best->state, HDY_SLOT_LEASED);
    HDY_FAILPOINT("lease.retake.after_commit");
    if (from == HDY_SLOT_READY)
        r->ready -= r->ready > 0;
    else
        r->dead -= r->dead > 0;
    hdy_lease_fill(l, best, small);
    return 0;
}

/* Takes the next message under a lease. `deaths`: how many the program counts now; a new one may be a
 * holder's. 0, -EAGAIN (nothing there), -EBUSY (wait for the heap, and come again), -ENOMEM, ... */
static inline int hdy_lease_take(hdy_queue *q, hdy_lease *l, char *small, uint32_t deaths)
{
    hdy_ring *r = q->ring;
    int64_t now = hdy_now_ns();
    if (deaths != r->swept_deaths || now - (int64_t)r->swept_ns > HDY_LEASE_SWEEP_NS) {
        r->swept_deaths = deaths;
        r->swept_ns = (uint64_t)now;
        hdy_lease_sweep(q);
    }
    if (r->ready && hdy_lease_retake(q, l, HDY_SLOT_READY, small) == 0)
        return 0;
    hdy_emptied emptied = {.n = 0};
    int error = 0;
    if (!hdy_has_next(q, hdy_current(&r->head)))
        return -EAGAIN;
    hdy_held *slot = hdy_slot_find(q, l, &error);
    if (!slot)
        return error;
    hdy_end n = hdy_begin(&r->head);
    hdy_record *rec = hdy_front(q, &n, &emptied, &error);
    if (!rec)
        return error;
    hdy_large large;
    slot->seq = n.seq; /* not yet below the head's: the slot counts as free until the commit */
    slot->owner = hdy_self();
    slot->meta = rec->meta;
    slot->deliveries = 1;
    slot->size = rec->size;
    slot->unit = 0;
    if (hdy_record_large(rec, &large)) {
        if ((error = hdy_chain_check(q, large.unit, large.size)))
            return error;
        slot->size = large.size;
        slot->unit = large.unit;
    } else if (rec->size <= sizeof slot->payload) {
        memcpy(slot->payload, rec + 1, rec->size);
    } else {
        slot->unit = hdy_heap_take_unit(q, &error);
        if (!slot->unit)
            return error;
        char *p = hdy_unit_at(q, slot->unit);
        if (!p) {
            hdy_store(&r->dirty, 1);
            return -ENOMEM;
        }
        memcpy(p, rec + 1, rec->size);
    }
    q->ticket = n.seq + 1;
    HDY_FAILPOINT("lease.take.before_state");
    hdy_store(&slot->state, HDY_SLOT_LEASED);
    hdy_pass(&n, rec, slot->size);
    hdy_wake(q, &r->head, HDY_SPACE, r->maxbytes ? INT_MAX : 1);
    hdy_commit(&r->head, &n);
    r->leased++;
    HDY_FAILPOINT("lease.take.after_commit");
    hdy_give_back(q, &emptied);
    hdy_lease_fill(l, slot, small);
    return 0;
}

/* The slot of a lease that this process still holds; NULL: it does not. */
static inline hdy_held *hdy_lease_slot(hdy_queue *q, const hdy_lease *l)
{
    hdy_held *slot = hdy_slot_at(q, l->unit, l->index);
    if (!slot || slot->state != HDY_SLOT_LEASED || slot->seq != l->seq || slot->owner != hdy_self())
        return NULL;
    return slot;
}

/* The message is done with. 0, or -ESTALE: the lease is not this process's (any more). A large
 * payload is then in this process's hand, to be freed outside the guard: *hand. */
static inline int hdy_lease_ack(hdy_queue *q, const hdy_lease *l, uint32_t *hand)
{
    hdy_ring *r = q->ring;
    hdy_held *slot = hdy_lease_slot(q, l);
    *hand = 0;
    if (!slot)
        return -ESTALE;
    uint32_t unit = slot->unit;
    if (r->leased == r->dead + 1 && !hdy_unread(r))
        hdy_wake(q, &r->head, HDY_DONE, INT_MAX);
    HDY_FAILPOINT("lease.ack.before_commit");
    hdy_store(&slot->state, HDY_SLOT_FREE);
    HDY_FAILPOINT("lease.ack.after_commit");
    r->leased -= r->leased > 0;
    if (unit && hdy_chain_check(q, unit, l->size) == 0) {
        hdy_chain_own(q, unit, hdy_self());
        *hand = unit;
    }
    HDY_FAILPOINT("lease.ack.done");
    return 0;
}

/* The message goes to another taker. As hdy_lease_ack. `undo`: this delivery is not counted. */
static inline int hdy_lease_nack(hdy_queue *q, const hdy_lease *l, int undo)
{
    hdy_held *slot = hdy_lease_slot(q, l);
    if (!slot)
        return -ESTALE;
    if (undo && slot->deliveries)
        slot->deliveries--;
    HDY_FAILPOINT("lease.nack.before_return");
    hdy_slot_return(q, slot);
    return 0;
}

/* Puts a lease away among the dead letters, whatever its count. As hdy_lease_nack. */
static inline int hdy_lease_bury(hdy_queue *q, const hdy_lease *l, int undo)
{
    hdy_ring *r = q->ring;
    hdy_held *slot = hdy_lease_slot(q, l);
    if (!slot)
        return -ESTALE;
    if (r->leased == r->dead + 1)
        hdy_wake(q, &r->head, HDY_DONE, INT_MAX);
    if (undo && slot->deliveries)
        slot->deliveries--;
    HDY_FAILPOINT("lease.bury.before_commit");
    hdy_store(&slot->state, HDY_SLOT_DEAD);
    HDY_FAILPOINT("lease.bury.after_commit");
    r->dead++;
    return 0;
}

#endif
