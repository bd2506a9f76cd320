/* The queue's protocol: put and get, each one store.
 *
 * put, small:  guard | record behind the tail | commit (tail moves) | unguard | wake
 * put, large:  guard | extents into the hand | unguard | copy | guard | extents to the queue, record |
 *              commit | unguard | wake
 * get, small:  guard | copy out | commit (head moves) | free emptied blocks | unguard | wake
 * get, large:  guard | commit | extents into the hand | unguard | wake | copy | guard | free | unguard
 *
 * A death before the commit: the queue is as before (a record behind the tail is nobody's).
 * A death after it: the operation is done. A wake-up may be lost with its waker, which dies between the
 * guard and the system call, or with its sleeper, which dies before it looks. Therefore every waiter
 * looks again by itself after some 100 ms, and at once when a death in the program is counted.
 * Rejected: to wake inside the guard, before the commit, so that no waker's death can lose it. The woken
 * then meets the guard held, sleeps on it, and is woken a second time: a round trip took 4 times as long.
 */
#ifndef HDY_RING_H
#define HDY_RING_H

#include "message.h"
#include "users.h"

/* Blocks emptied by one operation, freed after its commit. */
#define HDY_EMPTIED 8
typedef struct {
    uint32_t unit[HDY_EMPTIED];
    int n;
} hdy_emptied;

static inline uint64_t hdy_align8(uint64_t n)
{
    return (n + 7) & ~7ull;
}

/* ---- first use ---- */

/* Lays out a queue in a fresh, zeroed arena 0; 0 or a negative errno. */
static inline int hdy_ring_init(hdy_queue *q, uint64_t maxsize, uint64_t maxbytes,
                                uint32_t max_deliveries, int joinable)
{
    hdy_ring *r = q->ring;
    int error = hdy_guard_init(&r->guard);
    if (error)
        return error;
    r->maxsize = maxsize;
    r->maxbytes = maxbytes;
    r->max_deliveries = max_deliveries;
    r->joinable = (uint32_t)joinable;
    r->arenas = 1;
    r->keep = HDY_KEEP_UNITS;
    uint32_t unit = hdy_heap_alloc(q, 1, 0, &error);
    if (!unit)
        return error;
    hdy_state *s = &r->state[0];
    s->head_unit = s->tail_unit = unit;
    s->head_off = s->tail_off = HDY_BLOCK_START;
    return 0;
}

/* ---- put; all in the guard ---- */

static inline int hdy_is_full(const hdy_ring *r, const hdy_state *s, uint64_t size)
{
    return (r->maxsize && hdy_count(s) >= r->maxsize) || (r->maxbytes && s->bytes + size > r->maxbytes);
}

/* Where the next record of `size` payload bytes goes; NULL with *error set. */
static inline hdy_record *hdy_push_place(hdy_queue *q, hdy_state *n, uint32_t size, int *error)
{
    uint64_t need = sizeof(hdy_record) + hdy_align8(size);
    char *block = hdy_unit_at(q, n->tail_unit);
    if (HDY_UNLIKELY(!block)) {
        *error = hdy_unit_error(q, n->tail_unit);
        return NULL;
    }
    if (HDY_UNLIKELY(n->tail_off < HDY_BLOCK_START || n->tail_off > HDY_UNIT_BYTES - sizeof(hdy_record))) {
        *error = -EUCLEAN;
        return NULL;
    }
    /* A JUMP must always fit behind the last record. */
    if (n->tail_off + need + sizeof(hdy_record) > HDY_UNIT_BYTES) {
        uint32_t unit = hdy_heap_alloc(q, 1, 0, error);
        if (!unit)
            return NULL;
        ((hdy_block *)block)->next = unit;
        hdy_record *jump = (hdy_record *)(block + n->tail_off);
        jump->size = 0;
        jump->meta = HDY_JUMP << HDY_KIND_SHIFT;
        HDY_FAILPOINT("ring.put.after_jump");
        n->tail_unit = unit;
        n->tail_off = HDY_BLOCK_START;
        block = hdy_unit_at(q, unit);
        if (!block) {
            *error = -ENOMEM;
            return NULL;
        }
    }
    return (hdy_record *)(block + n->tail_off);
}

/* Writes one message behind the tail of the uncommitted state n. 0, -EAGAIN (full), -ENOMEM, ... */
static inline int hdy_push(hdy_queue *q, hdy_state *n, const hdy_message *m)
{
    int error = 0;
    if (HDY_UNLIKELY(hdy_is_full(q->ring, n, m->size)))
        return -EAGAIN;
    uint32_t size = m->unit ? (uint32_t)sizeof(hdy_large) : (uint32_t)m->size;
    hdy_record *rec = hdy_push_place(q, n, size, &error);
    if (HDY_UNLIKELY(!rec))
        return error;
    char *to = (char *)(rec + 1);
    rec->size = size;
    rec->meta = hdy_pid_of(hdy_self()) | m->kind << HDY_KIND_SHIFT;
    if (m->unit) {
        rec->meta |= HDY_LARGE;
        ((hdy_large *)to)->size = m->size;
        ((hdy_large *)to)->unit = m->unit;
    } else {
        for (int i = 0; i < m->nparts; i++) {
            memcpy(to, m->parts[i].iov_base, m->parts[i].iov_len);
            to += m->parts[i].iov_len;
        }
    }
    HDY_FAILPOINT("ring.put.after_record");
    n->tail_off += (uint32_t)(sizeof(hdy_record) + hdy_align8(size));
    n->tail_seq++;
    n->bytes += m->size;
    n->unfinished++;
    return 0;
}

/* Puts the first of `count` messages that have room, in one commit; *done tells how many.
 * 0, -EAGAIN (no room for the first), -ENOMEM, ... In the guard. */
static inline int hdy_ring_put(hdy_queue *q, const hdy_message *m, int count, int *done)
{
    hdy_ring *r = q->ring;
    hdy_state *n = hdy_begin(r);
    int error = 0, i = 0;
    while (i < count && (error = hdy_push(q, n, &m[i])) == 0)
        i++;
    *done = i;
    if (i == 0)
        return error;
    if (HDY_UNLIKELY(r->ended))
        r->ended = 0;
    for (int k = 0; k < i; k++)
        if (m[k].unit) {
            HDY_FAILPOINT("ring.put.before_hand_over");
            hdy_chain_own(q, m[k].unit, 0);
            HDY_FAILPOINT("ring.put.after_hand_over");
        }
    hdy_wake(q, HDY_ITEMS, (uint64_t)i);
    hdy_commit(r);
    return 0;
}

/* Fills extents that are in this process's hand; no guard. */
static inline int hdy_message_fill(hdy_queue *q, const hdy_message *m)
{
    uint64_t skip = 0;
    for (int i = 0; i < m->nparts; i++) {
        int error = hdy_chain_copy(q, m->unit, skip, m->parts[i].iov_base, m->parts[i].iov_len, 1);
        if (error)
            return error;
        skip += m->parts[i].iov_len;
        HDY_FAILPOINT("ring.put.after_part");
    }
    return 0;
}

/* ---- get; all in the guard ---- */

/* The record at the head of the uncommitted state; NULL with *error. Emptied blocks are noted. */
static inline hdy_record *hdy_front(hdy_queue *q, hdy_state *n, hdy_emptied *out, int *error)
{
    for (;;) {
        char *block = hdy_unit_at(q, n->head_unit);
        if (HDY_UNLIKELY(!block)) {
            *error = hdy_unit_error(q, n->head_unit);
            return NULL;
        }
        hdy_record *rec = (hdy_record *)(block + n->head_off);
        if (HDY_UNLIKELY(n->head_off < HDY_BLOCK_START || n->head_off > HDY_UNIT_BYTES - sizeof *rec ||
                         rec->size > HDY_UNIT_BYTES - sizeof *rec - n->head_off ||
                         rec->size > HDY_INLINE_MAX ||
                         (rec->meta & HDY_LARGE && rec->size != sizeof(hdy_large)))) {
            *error = -EUCLEAN;
            return NULL;
        }
        if (HDY_LIKELY(rec->meta >> HDY_KIND_SHIFT != HDY_JUMP))
            return rec;
        if (out->n == HDY_EMPTIED) {
            *error = -EUCLEAN; /* one operation never passes so many blocks: they go round */
            return NULL;
        }
        out->unit[out->n++] = n->head_unit;
        n->head_unit = ((hdy_block *)block)->next;
        n->head_off = HDY_BLOCK_START;
    }
}

/* Moves the head of the uncommitted state past its record. */
static inline void hdy_pass(hdy_state *n, const hdy_record *rec, uint64_t bytes)
{
    n->head_seq++;
    n->bytes -= bytes;
    n->head_off += (uint32_t)(sizeof(hdy_record) + hdy_align8(rec->size));
    /* Empty: begin again at the block's start, where the cache is warm. */
    if (n->head_seq == n->tail_seq && n->head_unit == n->tail_unit)
        n->head_off = n->tail_off = HDY_BLOCK_START;
}

static inline void hdy_free_emptied(hdy_queue *q, const hdy_emptied *out)
{
    for (int i = 0; i < out->n; i++) {
        HDY_FAILPOINT("ring.get.before_free_block");
        hdy_heap_free(q, out->unit[i]);
    }
}

static inline int hdy_record_large(const hdy_record *rec, hdy_large *l)
{
    if (!(rec->meta & HDY_LARGE))
        return 0;
    memcpy(l, rec + 1, sizeof *l);
    return 1;
}

/* Takes up to `count` messages: all small ones, or one large one. got[i].small of the second and
 * later follows the first's; `room` bytes are there in all. *done tells how many.
 * 0; -EAGAIN: empty; -EMSGSIZE: the first is large, got->size tells how large: make room and come
 * again with got->room set (nothing was taken); -EUCLEAN: the memory is corrupt. In the guard. */
static inline int hdy_ring_get(hdy_queue *q, hdy_got *got, int count, uint64_t room, int *done)
{
    hdy_ring *r = q->ring;
    hdy_state *n = hdy_begin(r);
    hdy_emptied emptied = {.n = 0};
    char *to = got->small;
    int error = 0, i = 0;
    uint32_t large = 0;
    *done = 0;
    while (i < count && hdy_count(n)) {
        hdy_large l;
        hdy_record *rec = hdy_front(q, n, &emptied, &error);
        if (!rec)
            break;
        hdy_got *g = &got[i];
        g->kind = rec->meta >> HDY_KIND_SHIFT;
        g->pid = rec->meta & HDY_PID_MASK;
        if (hdy_record_large(rec, &l)) {
            if (i)
                break;
            g->size = l.size;
            if ((error = hdy_chain_check(q, l.unit, l.size)))
                return error;
            if (g->room != l.size)
                return -EMSGSIZE;
            g->unit = large = l.unit;
            hdy_pass(n, rec, l.size);
            i++;
            break;
        }
        if (rec->size > room)
            break;
        memcpy(to, rec + 1, rec->size);
        g->unit = 0;
        g->small = to;
        g->size = rec->size;
        to += hdy_align8(rec->size);
        room -= hdy_align8(rec->size) > room ? room : hdy_align8(rec->size);
        hdy_pass(n, rec, rec->size);
        i++;
        HDY_FAILPOINT("ring.get.after_copy");
    }
    if (i == 0)
        return error ? error : -EAGAIN;
    *done = i;
    if (r->joinable)
        hdy_user_act(q, n, i);
    hdy_wake(q, HDY_SPACE, r->maxbytes ? INT_MAX : (uint64_t)i);
    hdy_commit(r);
    if (r->joinable) {
        HDY_FAILPOINT("ring.get.before_settle");
        hdy_user_settle(r);
    }
    if (large) {
        HDY_FAILPOINT("ring.get.before_take_in_hand");
        hdy_chain_own(q, large, hdy_self());
        HDY_FAILPOINT("ring.get.after_take_in_hand");
    }
    hdy_free_emptied(q, &emptied);
    return 0;
}

#endif
