/* What follows a death in a guard.
 *
 * The next who takes that guard (EOWNERDEAD) mends what is covered by it alone, and what operations rely on: nothing
 * of the ends, for what is committed holds; the counts of leases and of unfinished items. It also notes that the
 * queue is `dirty`: there may be memory that no end, slot or hand reaches. That can only be told with all guards
 * held, so it is done apart (hdy_ring_mend), by whoever comes by and finds the three free. Until then such memory is
 * out of use, which harms nobody. A mender that dies leaves the queue dirty, for it dies in all three guards.
 */
#ifndef HDY_REPAIR_H
#define HDY_REPAIR_H

#include "lease.h"
#include "unfinished.h"

static inline void hdy_count_leases(hdy_queue *q)
{
    hdy_ring *r = q->ring;
    const hdy_end *s = hdy_current(&r->head);
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

/* After a death in the head's guard; in it. */
static void hdy_head_repair(void *object)
{
    hdy_queue *q = object;
    hdy_store(&q->ring->dirty, 1);
    hdy_user_settle(q->ring); /* the next commit would overwrite what it books */
    HDY_FAILPOINT("ring.repair.head");
    hdy_count_leases(q);
    /* The dead one may have been about to wake someone. */
    for (int what = 0; what < 3; what++)
        hdy_wake(q, &q->ring->head, what, INT_MAX);
}

/* After a death in the tail's guard; in it. */
static void hdy_tail_repair(void *object)
{
    hdy_queue *q = object;
    hdy_store(&q->ring->dirty, 1);
    HDY_FAILPOINT("ring.repair.tail");
    hdy_wake(q, &q->ring->tail, HDY_ITEMS, INT_MAX);
}

/* A side's guard, for code that holds the GIL or not: 0, -EBUSY (try), -ETIMEDOUT (slice), ... */
static inline hdy_repair hdy_repair_of(hdy_queue *q, hdy_side *s)
{
    return s == &q->ring->head ? hdy_head_repair : hdy_tail_repair;
}

static inline int hdy_try(hdy_queue *q, hdy_side *s)
{
    return hdy_guard_try(&s->guard, hdy_repair_of(q, s), q);
}

static inline int hdy_slice(hdy_queue *q, hdy_side *s)
{
    return hdy_guard_lock_slice(&s->guard, hdy_repair_of(q, s), q);
}

/* One operation on one message, when nothing is in its way: else -EAGAIN, -EBUSY, -EMSGSIZE, ..., and nothing done. */
static inline int hdy_put_now(hdy_queue *q, const hdy_message *m)
{
    int done, rc = hdy_try(q, &q->ring->tail);
    if (HDY_UNLIKELY(rc))
        return rc;
    rc = hdy_ring_put(q, m, 1, &done);
    hdy_leave_tail(q);
    return rc;
}

static inline int hdy_get_now(hdy_queue *q, hdy_got *got)
{
    int done, rc = hdy_try(q, &q->ring->head);
    if (HDY_UNLIKELY(rc))
        return rc;
    rc = hdy_ring_get(q, got, 1, HDY_INLINE_MAX, &done);
    hdy_leave(q, &q->ring->head);
    return rc;
}

/* ---- the memory that nothing reaches ---- */

/* One bit a unit, in memory of this process; of `arenas` arenas. */
typedef struct {
    uint8_t *bits;
    uint32_t arenas;
} hdy_marks;
#define HDY_MARK_BYTES (HDY_ARENA_UNITS / 8) /* of one arena */

/* Marks a chain of extents. 0, or -1 when it cannot be followed. */
static inline int hdy_mark_chain(hdy_queue *q, const hdy_marks *m, uint32_t unit)
{
    for (uint64_t turns = 0; unit; turns++) {
        hdy_unit *e = hdy_entry(q, unit);
        if (!e || unit / HDY_ARENA_UNITS >= m->arenas || turns > HDY_MAX_ARENAS)
            return -1;
        m->bits[unit / 8] |= (uint8_t)(1u << unit % 8);
        unit = e->next;
    }
    return 0;
}

static inline int hdy_mark_queue(hdy_queue *q, const hdy_marks *m)
{
    const hdy_end *head = hdy_current(&q->ring->head), *tail = hdy_current(&q->ring->tail);
    uint32_t unit = head->unit, off = head->off, blocks = 0;
    if (hdy_mark_chain(q, m, unit))
        return -1;
    for (uint64_t left = tail->seq - head->seq; left || unit != tail->unit;) {
        char *block = hdy_unit_at(q, unit);
        if (!block || off < HDY_BLOCK_START || off & 7 || off > HDY_UNIT_BYTES - sizeof(hdy_record))
            return -1;
        hdy_record *rec = (hdy_record *)(block + off);
        hdy_large l;
        if (rec->meta >> HDY_KIND_SHIFT == HDY_JUMP) {
            unit = ((hdy_block *)block)->next;
            off = HDY_BLOCK_START;
            if (++blocks > HDY_MAX_ARENAS * HDY_ARENA_UNITS)
                return -1;
            if (hdy_mark_chain(q, m, unit))
                return -1;
            continue;
        }
        if (left == 0 || rec->size > HDY_INLINE_MAX)
            return -1;
        if (hdy_record_large(rec, &l) && hdy_mark_chain(q, m, l.unit))
            return -1;
        off += (uint32_t)(sizeof(hdy_record) + hdy_align8(rec->size));
        left--;
    }
    return 0;
}

static inline int hdy_mark_leases(hdy_queue *q, const hdy_marks *m)
{
    const hdy_end *s = hdy_current(&q->ring->head);
    if (hdy_mark_chain(q, m, q->ring->lease_first))
        return -1;
    HDY_EACH_SLOT(q, unit, index, slot)
    {
        if (hdy_slot_lives(s, slot) && hdy_mark_chain(q, m, slot->unit))
            return -1;
    }
    return 0;
}

/* Frees what is not marked and in no hand, and counts the heap's counters anew. In all three guards. */
static inline void hdy_free_unmarked(hdy_queue *q, const hdy_marks *m)
{
    hdy_ring *r = q->ring;
    uint32_t retained = 0;
    int32_t hands = 0;
    r->emptied = 0; /* nothing else reaches these blocks */
    for (uint32_t a = 0; a < m->arenas; a++) {
        hdy_unit *t = hdy_table(hdy_arena(q, a));
        for (uint32_t i = 1; i < HDY_ARENA_UNITS;) {
            uint32_t unit = a * HDY_ARENA_UNITS + i, span = hdy_span(t, i);
            if (t[i].n == 0) {
                retained += t[i].owner == HDY_RESIDENT;
                i++;
                continue;
            }
            if (m->bits[unit / 8] & 1u << unit % 8) {
                t[i].owner = 0;
            } else if (t[i].n == span && t[i].owner <= HDY_RESIDENT) {
                hdy_punch(q, unit, span);
                hdy_heap_release(q, &t[i], unit, 0);
            } else {
                hands++;
            }
            HDY_FAILPOINT("ring.mend.after_unit");
            i += span;
        }
    }
    hdy_store_relaxed(&r->retained, retained);
    r->hands = hands;
    r->hint = 0;
}

/* Finds the memory that a death in a guard left, and frees it; none when it cannot see everything. Waits for nobody.
 * m: cleared marks for all arenas that there are. 0; -EBUSY: some guard is not to be had now; -ENOMEM: an arena
 * cannot be mapped, or there are more of them than marks. */
static inline int hdy_ring_mend(hdy_queue *q, const hdy_marks *m)
{
    hdy_ring *r = q->ring;
    int error = hdy_guard_settle(&r->head.guard, pthread_mutex_trylock(&r->head.guard.mutex), hdy_head_repair, q);
    if (error)
        return error;
    error = hdy_guard_settle(&r->tail.guard, pthread_mutex_trylock(&r->tail.guard.mutex), hdy_tail_repair, q);
    if (error)
        goto leave_head;
    error = hdy_guard_settle(&r->heap, pthread_mutex_trylock(&r->heap.mutex), hdy_heap_repair, q);
    if (error)
        goto leave_tail;
    error = r->arenas == m->arenas ? 0 : -ENOMEM;
    for (uint32_t a = 0; !error && a < m->arenas; a++)
        error = hdy_arena(q, a) ? 0 : -ENOMEM;
    if (!error) {
        /* What cannot be followed was overwritten: then nothing is freed, now or later. */
        if (hdy_mark_queue(q, m) == 0 && hdy_mark_leases(q, m) == 0) {
            HDY_FAILPOINT("ring.mend.after_mark");
            hdy_free_unmarked(q, m);
        }
        hdy_store(&r->dirty, 0);
        HDY_FAILPOINT("ring.mend.done");
    }
    hdy_guard_unlock(&r->heap);
leave_tail:
    hdy_guard_unlock(&r->tail.guard);
leave_head:
    hdy_leave(q, &r->head);
    return error;
}

#endif
