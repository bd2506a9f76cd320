/* A large message's own chain of extents, in this process's hand: no guard but where it says so.
 *
 * States: see heap.h. Whoever takes a chain over from a record checks it first (hdy_chain_check), for a stray write may
 * have gone over the table; the other walks trust it.
 */
#ifndef HDY_CHAIN_H
#define HDY_CHAIN_H

#include "heap.h"

/* Copies `size` bytes to or from a chain, `skip` bytes after its start. 0 or -ENOMEM. */
static inline int hdy_chain_copy(hdy_queue *q, uint32_t unit, uint64_t skip, char *bytes,
                                 uint64_t size, int into)
{
    while (unit && size) {
        hdy_unit *e = hdy_entry(q, unit);
        char *p = hdy_unit_at(q, unit);
        if (!e || !p)
            return hdy_unit_error(q, unit);
        uint32_t units = hdy_load(&e->n);
        if (units == 0 || units > HDY_ARENA_UNITS - unit % HDY_ARENA_UNITS)
            return -EUCLEAN;
        uint64_t room = (uint64_t)units * HDY_UNIT_BYTES;
        if (skip >= room) {
            skip -= room;
        } else {
            uint64_t n = room - skip < size ? room - skip : size;
            if (into)
                memcpy(p + skip, bytes, n);
            else
                memcpy(bytes, p + skip, n);
            bytes += n;
            size -= n;
            skip = 0;
        }
        unit = e->next;
    }
    return size ? -EUCLEAN : 0;
}

/* Maps a chain and looks whether it is one that holds `size` bytes: 0, -ENOMEM, or -EUCLEAN (a
 * stray write went over the table). */
static inline int hdy_chain_check(hdy_queue *q, uint32_t unit, uint64_t size)
{
    uint64_t left = (size + HDY_UNIT_BYTES - 1) / HDY_UNIT_BYTES;
    while (unit) {
        hdy_unit *e = hdy_entry(q, unit);
        if (!e)
            return hdy_unit_error(q, unit);
        uint32_t n = hdy_load(&e->n);
        if (n == 0 || n > left || unit % HDY_ARENA_UNITS + n > HDY_ARENA_UNITS)
            return -EUCLEAN;
        left -= n;
        unit = e->next;
    }
    return left ? -EUCLEAN : 0;
}

/* Sets the owner of every extent of a checked chain: the queue's become this process's, or the other way; in the
 * guard of the side at which the message goes in or out. */
static inline void hdy_chain_own(hdy_queue *q, uint32_t unit, uint64_t owner)
{
    hdy_ring *r = q->ring;
    while (unit) {
        hdy_unit *e = hdy_entry(q, unit);
        if (!owner != !e->owner)
            hdy_heap_count_hands(r, owner ? 1 : -1);
        hdy_store(&e->owner, owner);
        unit = e->next;
    }
}

/* How long who frees a chain tries for the guard before it abandons the chain (see hdy_guard_lock_slice). */
#define HDY_HAND_SLICES 4

/* Leaves a chain in this process's hand to the next sweep; needs no guard, for nobody else may change it. */
static inline void hdy_chain_abandon(hdy_queue *q, uint32_t unit)
{
    while (unit) {
        hdy_unit *e = hdy_entry(q, unit);
        if (!e)
            return;
        uint32_t next = e->next; /* after the store the extent may be anybody's */
        hdy_store(&e->owner, HDY_ABANDONED);
        unit = next;
    }
}

/* Units of a chain, at least 1. */
static inline uint32_t hdy_chain_units(hdy_queue *q, uint32_t unit)
{
    uint32_t n = 0;
    for (hdy_unit *e; unit && (e = hdy_entry(q, unit)) && e->n && n < HDY_MAX_ARENAS * HDY_ARENA_UNITS; unit = e->next)
        n += e->n;
    return n;
}

/* Frees a chain in this process's hand; in the heap's guard. `resident`: its pages stay. */
static inline void hdy_chain_free(hdy_queue *q, uint32_t unit, int resident)
{
    hdy_ring *r = q->ring;
    while (unit) {
        hdy_unit *e = hdy_entry(q, unit);
        if (!e || e->n == 0 || e->n > HDY_ARENA_UNITS - unit % HDY_ARENA_UNITS)
            return;
        uint32_t next = e->next;
        hdy_heap_count_hands(r, -1);
        hdy_heap_release(q, e, unit, resident);
        unit = next;
    }
}

/* Takes extents for `size` bytes into this process's hand; in the heap's guard. As hdy_heap_alloc. */
static inline uint32_t hdy_chain_alloc(hdy_queue *q, uint64_t size, int *error)
{
    uint64_t units = (size + HDY_UNIT_BYTES - 1) / HDY_UNIT_BYTES;
    uint32_t first = 0, last = 0;
    if (units > (uint64_t)HDY_MAX_ARENAS * HDY_EXTENT_UNITS) {
        *error = -ENOSPC;
        return 0;
    }
    while (units) {
        uint32_t n = units > HDY_EXTENT_UNITS ? HDY_EXTENT_UNITS : (uint32_t)units;
        uint32_t u = hdy_heap_alloc(q, n, hdy_self(), error);
        if (!u) {
            hdy_chain_free(q, first, 0);
            return 0;
        }
        if (last)
            hdy_entry(q, last)->next = u;
        else
            first = u;
        last = u;
        units -= n;
        HDY_FAILPOINT("heap.chain.after_extent");
    }
    return first;
}

/* Frees a chain in this process's hand, its pages too when many free ones are kept already.
 * Takes the heap's guard itself, without the GIL. When that is not to be had (its holder is stopped), the chain
 * is nobody's, and the next sweep frees it: no signal could end a longer wait here. */
static inline void hdy_hand_free(hdy_queue *q, uint32_t unit)
{
    uint32_t units = hdy_chain_units(q, unit);
    int resident = hdy_load_relaxed(&q->ring->retained) + units <= hdy_load_relaxed(&q->ring->keep); /* a guess */
    if (!resident)
        for (uint32_t u = unit; u; u = hdy_entry(q, u)->next)
            hdy_punch(q, u, hdy_entry(q, u)->n);
    HDY_FAILPOINT("heap.hand.before_free");
    int r = -ETIMEDOUT;
    for (int i = 0; i < HDY_HAND_SLICES && r == -ETIMEDOUT; i++)
        r = hdy_heap_slice(q);
    if (r == 0) {
        hdy_chain_free(q, unit, resident);
        if (!resident)
            q->ring->punched += units;
        hdy_heap_leave(q);
    } else {
        hdy_chain_abandon(q, unit);
    }
}

#endif
