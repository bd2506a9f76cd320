/* The queue's protocol: put and get, each one store.
 *
 * put, small:  tail guard | record behind the tail | commit (tail moves) | unguard | wake
 * put, many:   records, made outside | tail guard | copied behind the tail | commit | unguard | wake
 * put, large:  heap guard | extents into the hand | unguard | copy | tail guard | extents to the queue, record |
 *              commit | unguard | wake
 * get, small:  head guard | copy out | commit (head moves) | free emptied blocks | unguard | wake
 * get, many:   head guard | records copied out | commit | unguard | wake | objects, made outside
 * get, large:  head guard | commit | extents into the hand | unguard | wake | copy | heap guard | free | unguard
 *
 * What is "behind the tail" no getter reads, and what is before the head no putter: between the two ends lie
 * messages only, which do not change. So the two sides meet in nothing but the other's commit, at which each looks
 * when, by what it saw last, there is nothing for it to do.
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

#include "chain.h"
#include "records.h"
#include "users.h"

/* Blocks that one operation reads to the end, freed after its commit. */
#define HDY_EMPTIED 8
typedef struct {
    uint32_t unit[HDY_EMPTIED];
    int n;
} hdy_emptied;

static inline uint64_t hdy_align8(uint64_t n)
{
    return (n + 7) & ~7ull;
}

/* ---- cache lines ahead ----
 *
 * The lines of a block that is filled again are in the cache of whoever read them, and the lines to be read in that of
 * whoever wrote them. A guard's unlock waits until all stores before it are done; so each line is asked for some
 * messages before it is needed. The getter asks only for what is surely written: else it would take from the putter
 * the line that it is about to write. */
#define HDY_AHEAD_BYTES 256u
#define HDY_AHEAD_MOST 512u /* the largest record for which it pays */
#define HDY_AHEAD_RECORDS 1024u /* many at once */
#define HDY_AHEAD_MESSAGES 16u

static inline void hdy_ahead_to_write(const char *p, uint32_t bytes)
{
#if defined(__x86_64__)
    for (const char *end = p + bytes; p < end; p += HDY_CACHE_LINE)
        __asm__ __volatile__("prefetchw %0" : : "m"(*p));
#else
    for (const char *end = p + bytes; p < end; p += HDY_CACHE_LINE)
        __builtin_prefetch(p, 1);
#endif
}

static inline void hdy_ahead_to_read(const char *p, uint32_t bytes)
{
    for (const char *end = p + bytes; p < end; p += HDY_CACHE_LINE)
        __builtin_prefetch(p, 0);
}

/* ---- first use ---- */

/* Lays out a queue in a fresh, zeroed arena 0; 0 or a negative errno. */
static inline int hdy_ring_init(hdy_queue *q, uint64_t maxsize, uint64_t maxbytes,
                                uint32_t max_deliveries, int joinable)
{
    hdy_ring *r = q->ring;
    int error = hdy_guard_init(&r->head.guard);
    if (!error)
        error = hdy_guard_init(&r->tail.guard);
    if (!error)
        error = hdy_guard_init(&r->heap);
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
    r->head.end[0] = r->tail.end[0] = (hdy_end){.unit = unit, .off = HDY_BLOCK_START};
    return 0;
}

/* ---- put; all in the tail's guard ---- */

static inline int hdy_exceeds(const hdy_ring *r, uint64_t count, uint64_t bytes, uint64_t size)
{
    return (r->maxsize && count >= r->maxsize) || (r->maxbytes && bytes + size > r->maxbytes);
}

/* Whether there is no room for a message of `size` bytes behind tail n, at this instant: there is what the last look
 * at the head saw, and only if that is none, what another look sees. */
static inline int hdy_is_full(hdy_queue *q, const hdy_end *n, uint64_t size)
{
    hdy_ring *r = q->ring;
    hdy_side *s = &r->tail;
    if (HDY_LIKELY(!hdy_exceeds(r, n->seq - s->seen_seq, n->bytes - s->seen_bytes, size)))
        return 0;
    hdy_see(q, HDY_SPACE);
    return hdy_exceeds(r, n->seq - s->seen_seq, n->bytes - s->seen_bytes, size);
}

/* Where the next record of `size` payload bytes goes; NULL with *error set. */
static inline hdy_record *hdy_push_place(hdy_queue *q, hdy_end *n, uint32_t size, int *error)
{
    uint64_t need = sizeof(hdy_record) + hdy_align8(size);
    char *block = hdy_unit_at(q, n->unit);
    if (HDY_UNLIKELY(!block)) {
        *error = hdy_unit_error(q, n->unit);
        return NULL;
    }
    if (HDY_UNLIKELY(n->off < HDY_BLOCK_START || n->off & 7 || n->off > HDY_UNIT_BYTES - sizeof(hdy_record))) {
        *error = -EUCLEAN;
        return NULL;
    }
    /* A JUMP must always fit behind the last record. */
    if (n->off + need + sizeof(hdy_record) > HDY_UNIT_BYTES) {
        uint32_t unit = hdy_heap_take_unit(q, error);
        if (!unit)
            return NULL;
        ((hdy_block *)block)->next = unit;
        hdy_record *jump = (hdy_record *)(block + n->off);
        jump->size = 0;
        jump->meta = HDY_JUMP << HDY_KIND_SHIFT;
        HDY_FAILPOINT("ring.put.after_jump");
        n->unit = unit;
        n->off = HDY_BLOCK_START;
        block = hdy_unit_at(q, unit);
        if (!block) {
            hdy_store(&q->ring->dirty, 1);
            *error = -ENOMEM;
            return NULL;
        }
    }
    return (hdy_record *)(block + n->off);
}

/* Writes one message behind the uncommitted tail n. 0, -EAGAIN (full), -EBUSY (the heap), -ENOMEM, ... */
static inline int hdy_push(hdy_queue *q, hdy_end *n, const hdy_message *m)
{
    int error = 0;
    if (HDY_UNLIKELY(hdy_is_full(q, n, m->size)))
        return -EAGAIN;
    uint32_t size = m->unit ? (uint32_t)sizeof(hdy_large) : (uint32_t)m->size;
    hdy_record *rec = hdy_push_place(q, n, size, &error);
    if (HDY_UNLIKELY(!rec))
        return error;
    char *to = (char *)(rec + 1);
    rec->size = size;
    rec->meta = hdy_pid_of(hdy_self()) | m->kind << HDY_KIND_SHIFT;
    if (HDY_LIKELY(m->nparts == 1 && m->size == 8)) {
        memcpy(to, m->parts->iov_base, 8); /* one instruction */
    } else if (m->unit) {
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
    if (size <= HDY_AHEAD_MOST && n->off + 2 * HDY_AHEAD_MOST < HDY_UNIT_BYTES)
        hdy_ahead_to_write((char *)rec + HDY_AHEAD_BYTES, (uint32_t)sizeof(hdy_record) + size);
    n->off += (uint32_t)(sizeof(hdy_record) + hdy_align8(size));
    n->seq++;
    n->bytes += m->size;
    return 0;
}

/* The same for the first of `count` records; *done tells how many. Those that go into one block are copied as one. */
static inline int hdy_push_records(hdy_queue *q, hdy_end *n, const char *from, int count, int *done)
{
    int error = 0;
    while (*done < count) {
        const hdy_record *rec = (const hdy_record *)from;
        if (HDY_UNLIKELY(hdy_is_full(q, n, rec->size)))
            return -EAGAIN;
        char *to = (char *)hdy_push_place(q, n, rec->size, &error);
        if (HDY_UNLIKELY(!to))
            return error;
        uint32_t room = HDY_UNIT_BYTES - (uint32_t)sizeof(hdy_record) - n->off, bytes = 0;
        do {
            bytes += hdy_record_bytes(rec->size);
            n->seq++;
            n->bytes += rec->size;
            ++*done;
            rec = (const hdy_record *)(from + bytes);
        } while (*done < count && bytes + hdy_record_bytes(rec->size) <= room && !hdy_is_full(q, n, rec->size));
        for (uint32_t at = 0; at < bytes; at += HDY_AHEAD_BYTES) {
            if (at + HDY_AHEAD_RECORDS + HDY_AHEAD_BYTES <= room)
                hdy_ahead_to_write(to + at + HDY_AHEAD_RECORDS, HDY_AHEAD_BYTES);
            memcpy(to + at, from + at, bytes - at < HDY_AHEAD_BYTES ? bytes - at : HDY_AHEAD_BYTES);
        }
        n->off += bytes;
        from += bytes;
        HDY_FAILPOINT("ring.put.after_records");
    }
    return 0;
}

/* Puts a message, or the first of its `count` records that have room, in one commit; *done tells how many.
 * 0, -EAGAIN (no room for the first), -EBUSY (wait for the heap, and come again), -ENOMEM, ... */
static inline int hdy_ring_put(hdy_queue *q, const hdy_message *m, int count, int *done)
{
    hdy_ring *r = q->ring;
    hdy_end n = hdy_begin(&r->tail);
    int error = 0, i = 0;
    if (m->records)
        error = hdy_push_records(q, &n, m->records, count, &i);
    else if ((error = hdy_push(q, &n, m)) == 0)
        i = 1;
    *done = i;
    if (i == 0)
        return error;
    q->ticket = n.seq;
    if (!m->records && m->unit) {
        HDY_FAILPOINT("ring.put.before_hand_over");
        hdy_chain_own(q, m->unit, 0);
        HDY_FAILPOINT("ring.put.after_hand_over");
    }
    hdy_wake(q, &r->tail, HDY_ITEMS, (uint64_t)i);
    hdy_commit(&r->tail, &n);
    return 0;
}

/* Leaves the tail's guard. Who is about to end the stream (under the head's guard) writes that down, and then looks
 * at the tail; who put looks after its commit whether that is written: one of them sees the other. */
static inline void hdy_leave_tail(hdy_queue *q)
{
    hdy_leave(q, &q->ring->tail);
    if (HDY_UNLIKELY(hdy_load_relaxed(&q->ring->ended)))
        hdy_store(&q->ring->ended, 0);
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

/* ---- get; all in the head's guard ---- */

/* Whether there is a message at the uncommitted head n, at this instant: as hdy_is_full looks for room. */
static inline int hdy_has_next(hdy_queue *q, const hdy_end *n)
{
    hdy_side *s = &q->ring->head;
    if (HDY_UNLIKELY(n->seq == s->seen_seq))
        hdy_see(q, HDY_ITEMS);
    return n->seq != s->seen_seq;
}

/* The record at the uncommitted head n; NULL with *error. Emptied blocks are noted. */
static inline hdy_record *hdy_front(hdy_queue *q, hdy_end *n, hdy_emptied *out, int *error)
{
    for (;;) {
        char *block = hdy_unit_at(q, n->unit);
        if (HDY_UNLIKELY(!block)) {
            *error = hdy_unit_error(q, n->unit);
            return NULL;
        }
        hdy_record *rec = (hdy_record *)(block + n->off);
        if (HDY_UNLIKELY(n->off < HDY_BLOCK_START || n->off & 7 || n->off > HDY_UNIT_BYTES - sizeof *rec ||
                         rec->size > HDY_UNIT_BYTES - sizeof *rec - n->off ||
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
        out->unit[out->n++] = n->unit;
        n->unit = ((hdy_block *)block)->next;
        n->off = HDY_BLOCK_START;
    }
}

/* Moves the uncommitted head past its record. */
static inline void hdy_pass(hdy_end *n, const hdy_record *rec, uint64_t bytes)
{
    n->seq++;
    n->bytes += bytes;
    n->off += (uint32_t)(sizeof(hdy_record) + hdy_align8(rec->size));
}

/* Frees what waits for it in `emptied`. When the heap's guard is not to be had (its holder is stopped), the blocks
 * stay there until a later operation empties one, or a reader waits idle. In the head's guard. */
static inline void hdy_free_emptied(hdy_queue *q)
{
    hdy_ring *r = q->ring;
    if (hdy_heap_try(q))
        return;
    for (hdy_unit *e; r->emptied && (e = hdy_entry(q, r->emptied));) {
        uint32_t unit = r->emptied;
        r->emptied = e->next;
        HDY_FAILPOINT("ring.get.before_free_block");
        hdy_heap_free(q, unit);
    }
    hdy_heap_leave(q);
}

/* After the commit that left them behind. In the head's guard. */
static inline void hdy_give_back(hdy_queue *q, const hdy_emptied *out)
{
    if (HDY_LIKELY(out->n == 0))
        return;
    for (int i = 0; i < out->n; i++) {
        hdy_unit *e = hdy_entry(q, out->unit[i]);
        if (!e)
            return;
        e->next = q->ring->emptied;
        HDY_FAILPOINT("ring.get.before_note_block");
        hdy_store(&q->ring->emptied, out->unit[i]);
    }
    hdy_free_emptied(q);
}

static inline int hdy_record_large(const hdy_record *rec, hdy_large *l)
{
    if (!(rec->meta & HDY_LARGE))
        return 0;
    memcpy(l, rec + 1, sizeof *l);
    return 1;
}

/* Takes small messages as records, those of one block in one copy; how many. A record may change under a reader's eyes
 * when some process writes where it must not: its size is read once, and again by who reads the copy. */
static inline int hdy_take_records(hdy_queue *q, hdy_end *n, hdy_emptied *emptied, hdy_got *got, int count,
                                   uint64_t room, int *error)
{
    int taken = 0;
    got->used = 0;
    while (taken < count && hdy_has_next(q, n)) {
        const hdy_record *first = hdy_front(q, n, emptied, error), *rec = first;
        if (!first)
            break;
        uint64_t there = q->ring->head.seen_seq - n->seq, payload = 0;
        uint32_t bytes = 0, in_block = HDY_UNIT_BYTES - (uint32_t)sizeof(hdy_record) - n->off;
        int most = (uint64_t)(count - taken) < there ? count - taken : (int)there, run = 0;
        while (run < most) {
            uint32_t size = hdy_load_relaxed(&rec->size), meta = hdy_load_relaxed(&rec->meta);
            uint32_t end = bytes + hdy_record_bytes(size);
            if (meta & HDY_LARGE || meta >> HDY_KIND_SHIFT == HDY_JUMP || size > HDY_INLINE_MAX || end > in_block ||
                got->used + end > room)
                break;
            if (size <= HDY_AHEAD_MOST && there - (uint64_t)run > HDY_AHEAD_MESSAGES)
                hdy_ahead_to_read((const char *)rec + HDY_AHEAD_BYTES, hdy_record_bytes(size));
            bytes = end;
            payload += size;
            run++;
            rec = (const hdy_record *)((const char *)first + bytes);
        }
        if (run == 0) {
            if (!(first->meta & HDY_LARGE) && got->used + hdy_record_bytes(first->size) <= room)
                *error = -EUCLEAN;
            break;
        }
        memcpy(got->small + got->used, first, bytes);
        got->used += bytes;
        n->off += bytes;
        n->seq += (uint64_t)run;
        n->bytes += payload;
        taken += run;
        HDY_FAILPOINT("ring.get.after_copies");
    }
    return taken;
}

/* Takes one message; or, as records, up to `count` small ones, or one large one. `got->small` has room for `room`
 * bytes: the payload of one, or records. *done tells how many.
 * 0; -EAGAIN: empty; -EMSGSIZE: the first is large, got->size tells how large: make room and come
 * again with got->room and room_kind set (nothing was taken); -EUCLEAN: the memory is corrupt. */
static inline int hdy_ring_get(hdy_queue *q, hdy_got *got, int count, uint64_t room, int *done)
{
    hdy_ring *r = q->ring;
    hdy_end n = hdy_begin(&r->head);
    hdy_emptied emptied;
    int error = 0, i = 0;
    uint32_t large = 0;
    hdy_record *rec = NULL;
    hdy_large l;
    emptied.n = 0;
    *done = 0;
    if (hdy_has_next(q, &n))
        rec = hdy_front(q, &n, &emptied, &error);
    if (!rec)
        return error ? error : -EAGAIN;
    got->kind = rec->meta >> HDY_KIND_SHIFT;
    got->pid = rec->meta & HDY_PID_MASK;
    if (hdy_record_large(rec, &l)) {
        got->size = l.size;
        if ((error = hdy_chain_check(q, l.unit, l.size)))
            return error;
        if (got->room != l.size || got->room_kind != got->kind)
            return -EMSGSIZE;
        got->unit = large = l.unit;
        hdy_pass(&n, rec, l.size);
        i = 1;
    } else if (got->as_records) {
        got->unit = 0;
        i = hdy_take_records(q, &n, &emptied, got, count, room, &error);
    } else if (rec->size <= room) {
        if (rec->size <= HDY_AHEAD_MOST && r->head.seen_seq - n.seq > HDY_AHEAD_MESSAGES)
            hdy_ahead_to_read((char *)rec + HDY_AHEAD_BYTES, (uint32_t)sizeof(hdy_record) + rec->size);
        got->unit = 0;
        got->size = rec->size;
        if (rec->size == 8)
            memcpy(got->small, rec + 1, 8); /* one instruction */
        else
            memcpy(got->small, rec + 1, rec->size);
        hdy_pass(&n, rec, rec->size);
        i = 1;
        HDY_FAILPOINT("ring.get.after_copy");
    }
    if (i == 0)
        return error ? error : -EAGAIN;
    *done = i;
    got->more = n.seq != r->head.seen_seq;
    q->ticket = n.seq;
    if (r->joinable)
        hdy_user_act(q, hdy_progress_begin(r), i);
    hdy_wake(q, &r->head, HDY_SPACE, r->maxbytes ? INT_MAX : (uint64_t)i);
    hdy_commit(&r->head, &n);
    if (r->joinable) {
        HDY_FAILPOINT("ring.get.before_settle");
        hdy_user_settle(r);
    }
    if (large) {
        HDY_FAILPOINT("ring.get.before_take_in_hand");
        hdy_chain_own(q, large, hdy_self());
        HDY_FAILPOINT("ring.get.after_take_in_hand");
    }
    hdy_give_back(q, &emptied);
    return 0;
}

#endif
