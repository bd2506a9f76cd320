/* What mends a queue after a death in its guard: mark what the committed state reaches, sweep the rest. */
#ifndef HDY_REPAIR_H
#define HDY_REPAIR_H

#include "lease.h"
#include "unfinished.h"

/* Sets or takes the mark of a chain. 0, or -1 when it cannot be followed. */
static inline int hdy_mark_chain(hdy_queue *q, uint32_t unit)
{
    for (uint64_t turns = 0; unit; turns++) {
        hdy_unit *e = hdy_entry(q, unit);
        if (!e || turns > HDY_MAX_ARENAS)
            return -1;
        e->n |= HDY_MARK;
        unit = e->next;
    }
    return 0;
}

static inline int hdy_mark_queue(hdy_queue *q)
{
    const hdy_state *s = hdy_current(q->ring);
    uint32_t unit = s->head_unit, off = s->head_off, blocks = 0;
    if (hdy_mark_chain(q, unit))
        return -1;
    for (uint64_t left = hdy_count(s); left || unit != s->tail_unit;) {
        char *block = hdy_unit_at(q, unit);
        if (!block || off < HDY_BLOCK_START || off > HDY_UNIT_BYTES - sizeof(hdy_record))
            return -1;
        hdy_record *rec = (hdy_record *)(block + off);
        hdy_large l;
        if (rec->meta >> HDY_KIND_SHIFT == HDY_JUMP) {
            unit = ((hdy_block *)block)->next;
            off = HDY_BLOCK_START;
            if (++blocks > HDY_MAX_ARENAS * HDY_ARENA_UNITS)
                return -1;
            if (hdy_mark_chain(q, unit))
                return -1;
            continue;
        }
        if (left == 0 || rec->size > HDY_INLINE_MAX)
            return -1;
        if (hdy_record_large(rec, &l) && hdy_mark_chain(q, l.unit))
            return -1;
        off += (uint32_t)(sizeof(hdy_record) + hdy_align8(rec->size));
        left--;
    }
    return 0;
}

static inline int hdy_mark_leases(hdy_queue *q)
{
    const hdy_state *s = hdy_current(q->ring);
    if (hdy_mark_chain(q, q->ring->lease_first))
        return -1;
    HDY_EACH_SLOT(q, unit, index, slot)
    {
        if (hdy_slot_lives(s, slot) && hdy_mark_chain(q, slot->unit))
            return -1;
    }
    return 0;
}

static inline void hdy_count_leases(hdy_queue *q)
{
    hdy_ring *r = q->ring;
    const hdy_state *s = hdy_current(r);
    uint32_t leased = 0, ready = 0, dead = 0;
    HDY_EACH_SLOT(q, unit, index, slot)
    {
        if (!hdy_slot_lives(s, slot)) {
            slot->state = HDY_SLOT_FREE;
            continue;
        }
        leased++;
        ready += slot->state == HDY_SLOT_READY;
        dead += slot->state == HDY_SLOT_DEAD;
    }
    r->leased = leased;
    r->ready = ready;
    r->dead = dead;
    r->swept_ns = 0;
}

/* After a death in the guard: the state holds as committed; free what the dead one had allocated or
 * was about to free, and count the counters anew. Frees nothing when it cannot see everything. */
static void hdy_ring_repair(void *object)
{
    hdy_queue *q = object;
    hdy_ring *r = q->ring;
    uint32_t retained = 0, hands = 0;
    hdy_user_settle(r); /* first: the next commit would overwrite what it books */
    uint32_t arenas = r->arenas < HDY_MAX_ARENAS ? r->arenas : HDY_MAX_ARENAS, mapped = 0;
    while (mapped < arenas && hdy_arena(q, mapped))
        mapped++;
    int whole = mapped == r->arenas && hdy_mark_queue(q) == 0 && hdy_mark_leases(q) == 0;
    HDY_FAILPOINT("ring.repair.after_mark");
    for (uint32_t a = 0; a < mapped; a++) {
        hdy_unit *t = hdy_table(hdy_arena(q, a));
        for (uint32_t i = 1; i < HDY_ARENA_UNITS;) {
            uint32_t n = t[i].n & ~HDY_MARK, span = hdy_span(t, i);
            if (n == 0) {
                retained += t[i].owner == HDY_RESIDENT;
                i++;
                continue;
            }
            if (t[i].n & HDY_MARK) {
                t[i].n = n;
                t[i].owner = 0; /* reached by the queue: its death came between two stores */
            } else if (whole && n == span && t[i].owner <= HDY_RESIDENT) {
                t[i].n = n;
                hdy_punch(q, a * HDY_ARENA_UNITS + i, n);
                hdy_heap_release(q, &t[i], a * HDY_ARENA_UNITS + i, 0);
            } else {
                hands++;
            }
            HDY_FAILPOINT("ring.repair.after_unit");
            i += span;
        }
    }
    r->retained = retained;
    r->hands = hands;
    r->hint = 0;
    hdy_count_leases(q);
    /* The dead one may have been about to wake someone. */
    for (int what = 0; what < 3; what++)
        hdy_wake(q, what, INT_MAX);
    HDY_FAILPOINT("ring.repair.done");
}

#endif
