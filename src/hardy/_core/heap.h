/* Units of a queue's file: extents taken and given back, under the heap's guard.
 *
 * States of an extent: free -> in a process's hand (owner = its identity) -> the queue's (owner = 0,
 * reached from a record or a lease slot) -> in the hand of who takes it -> free. After a death:
 *  - in the dead process's hand: freed by the next `hdy_heap_sweep`;
 *  - the queue's and not reached (death between two stores): freed by the next `hdy_ring_mend`.
 *
 * The guard is a third one, for extents come and go from both sides, and from neither. It may be taken inside a
 * side's guard, and is then only tried (hdy_heap_try): the wait for a holder that is stopped is outside of all.
 */
#ifndef HDY_HEAP_H
#define HDY_HEAP_H

#include "layout_ring.h"
#include <sys/mman.h>

#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif

#define HDY_ARENA_LIST_BYTES (HDY_MAX_ARENAS * sizeof(char *))

/* This process's view of a queue. */
typedef struct {
    hdy_ring *ring; /* = arena[0] */
    char **arena;   /* HDY_MAX_ARENAS pointers, mapped on demand, never unmapped before the queue */
    int fd;
    uint64_t wake[2][3]; /* guard: head, tail; by HDY_ITEMS..: sleepers to wake when it is left */
    uint32_t forks;    /* hdy_rt->forks when `user` and `user_flags` were written */
    uint32_t user;     /* index + 1 of this process's entry; 0: none yet */
    uint32_t user_flags;
    int luck[2];       /* see spin.h, by HDY_ITEMS, HDY_SPACE; */
    uint64_t ticket;   /* of the last message that was put or taken here, for a trace */
    uint64_t puts;     /* and hdy_puts_here when a reader last waited */
    uint64_t looked[2]; /* `commits` of the tail (HDY_ITEMS), of the head (HDY_SPACE) at the last look from the other */
} hdy_queue;

/* The address of an arena, mapped if it was not; NULL when it cannot be (errno tells). Any thread,
 * with or without the guard. */
static inline char *hdy_arena(hdy_queue *q, uint32_t a)
{
    struct stat st;
    if (HDY_UNLIKELY(a >= HDY_MAX_ARENAS)) {
        errno = EUCLEAN;
        return NULL;
    }
    char *p = hdy_load(&q->arena[a]);
    if (HDY_LIKELY(p != NULL))
        return p;
    /* `arenas` may have been overwritten: beyond the file's end there would be a SIGBUS. */
    if (fstat(q->fd, &st) < 0 || st.st_size < (off_t)((a + 1) * HDY_ARENA_BYTES)) {
        errno = EUCLEAN;
        return NULL;
    }
    void *m = mmap(NULL, HDY_ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, q->fd,
                   (off_t)(a * HDY_ARENA_BYTES));
    if (m == MAP_FAILED)
        return NULL;
    char *none = NULL;
    if (!hdy_cas(&q->arena[a], &none, (char *)m)) {
        munmap(m, HDY_ARENA_BYTES);
        return none;
    }
    return m;
}

/* Room for the places of all arenas; 0, or -ENOMEM. Not from malloc, which would write its zeros: most of these pages are
 * never touched. */
static inline int hdy_make_arena_list(hdy_queue *q)
{
    void *list = mmap(NULL, HDY_ARENA_LIST_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    q->arena = list == MAP_FAILED ? NULL : list;
    return q->arena ? 0 : -ENOMEM;
}

/* Of all arenas but the first, which is the segment's, and of the list; when nobody uses the view any more. */
static inline void hdy_unmap_arenas(hdy_queue *q)
{
    if (!q->arena)
        return;
    for (uint32_t a = 1; q->ring && a < HDY_MAX_ARENAS && a < q->ring->arenas; a++)
        if (q->arena[a])
            munmap(q->arena[a], HDY_ARENA_BYTES);
    munmap(q->arena, HDY_ARENA_LIST_BYTES);
}

/* Whether there is such a unit to allocate. Places come from shared memory, which a stray write may
 * have gone over: they are checked wherever they lead. */
static inline int hdy_unit_exists(hdy_queue *q, uint32_t unit)
{
    return unit / HDY_ARENA_UNITS < hdy_load_relaxed(&q->ring->arenas) && unit % HDY_ARENA_UNITS;
}

/* The address of a unit; NULL when there is none or its arena cannot be mapped (see hdy_unit_error). */
static inline char *hdy_unit_at(hdy_queue *q, uint32_t unit)
{
    if (HDY_UNLIKELY(!hdy_unit_exists(q, unit)))
        return NULL;
    char *a = hdy_arena(q, unit / HDY_ARENA_UNITS);
    return a ? a + (uint64_t)(unit % HDY_ARENA_UNITS) * HDY_UNIT_BYTES : NULL;
}

static inline hdy_unit *hdy_table(char *arena)
{
    return (hdy_unit *)(arena + HDY_TABLE_OFFSET);
}

/* Why hdy_unit_at or hdy_entry gave NULL. */
static inline int hdy_unit_error(hdy_queue *q, uint32_t unit)
{
    return hdy_unit_exists(q, unit) && errno != EUCLEAN ? -ENOMEM : -EUCLEAN;
}

/* The table entry of a unit; NULL when there is none or its arena cannot be mapped. */
static inline hdy_unit *hdy_entry(hdy_queue *q, uint32_t unit)
{
    if (HDY_UNLIKELY(!hdy_unit_exists(q, unit)))
        return NULL;
    char *a = hdy_arena(q, unit / HDY_ARENA_UNITS);
    return a ? &hdy_table(a)[unit % HDY_ARENA_UNITS] : NULL;
}

/* How far entry i of a table reaches, at least 1. One that claims more than the arena has was
 * overwritten: it takes the rest, so that no walk leaves the table or goes round. */
static inline uint32_t hdy_span(const hdy_unit *t, uint32_t i)
{
    uint32_t n = t[i].n;
    if (n == 0)
        return 1;
    return n > HDY_ARENA_UNITS - i ? HDY_ARENA_UNITS - i : n;
}

static inline void hdy_punch(hdy_queue *q, uint32_t unit, uint32_t n)
{
    fallocate(q->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)unit * HDY_UNIT_BYTES,
              (off_t)n * HDY_UNIT_BYTES);
}

/* Marks [unit, unit + n) of one arena free. `resident`: its pages stay. */
static inline void hdy_heap_release(hdy_queue *q, hdy_unit *e, uint32_t unit, int resident)
{
    hdy_ring *r = q->ring;
    uint32_t n = e->n;
    for (uint32_t i = 0; i < n; i++)
        e[i].owner = resident ? HDY_RESIDENT : 0;
    if (resident)
        hdy_store_relaxed(&r->retained, r->retained + n);
    HDY_FAILPOINT("heap.free.before_commit");
    hdy_store(&e->n, 0);
    HDY_FAILPOINT("heap.free.after_commit");
    if (unit / HDY_ARENA_UNITS < r->hint)
        r->hint = unit / HDY_ARENA_UNITS;
}

/* Frees an extent, in the heap's guard: its pages stay for the next messages, up to a bound. */
static inline void hdy_heap_free(hdy_queue *q, uint32_t unit)
{
    hdy_unit *e = hdy_entry(q, unit);
    if (!e || e->n == 0 || e->n > HDY_ARENA_UNITS - unit % HDY_ARENA_UNITS)
        return; /* overwritten */
    int resident = q->ring->retained + e->n <= q->ring->keep;
    if (!resident) {
        hdy_punch(q, unit, e->n);
        q->ring->punched += e->n;
    }
    hdy_heap_release(q, e, unit, resident);
}

static inline uint32_t hdy_heap_fit(hdy_unit *t, uint32_t want)
{
    for (uint32_t i = 1; i + want <= HDY_ARENA_UNITS;) {
        if (t[i].n) {
            i += hdy_span(t, i);
            continue;
        }
        uint32_t run = 1;
        while (run < want && t[i + run].n == 0)
            run++;
        if (run == want)
            return i;
        i += run;
    }
    return 0;
}

static inline void hdy_heap_count_hands(hdy_ring *r, int32_t change)
{
    __atomic_fetch_add(&r->hands, change, __ATOMIC_RELAXED);
}

/* Frees what dead processes had in hand; returns how many extents. In the heap's guard. */
static inline uint32_t hdy_heap_sweep(hdy_queue *q)
{
    hdy_ring *r = q->ring;
    uint32_t freed = 0;
    uint64_t known_alive = hdy_self();
    for (uint32_t a = 0; hdy_load_relaxed(&r->hands) > 0 && a < r->arenas; a++) {
        char *arena = hdy_arena(q, a);
        if (!arena)
            return freed;
        hdy_unit *t = hdy_table(arena);
        for (uint32_t i = 1, n; i < HDY_ARENA_UNITS; i += n) {
            n = hdy_span(t, i);
            /* An owner may change meanwhile, in a side's guard; a dead one's does not. */
            uint64_t owner = hdy_load(&t[i].owner);
            if (t[i].n == 0 || owner == 0 || owner == known_alive)
                continue;
            if (owner != HDY_ABANDONED && hdy_alive(owner)) {
                known_alive = owner;
                continue;
            }
            HDY_FAILPOINT("heap.sweep.before_free");
            hdy_heap_free(q, a * HDY_ARENA_UNITS + i);
            HDY_FAILPOINT("heap.sweep.after_free");
            hdy_heap_count_hands(r, -1);
            freed++;
        }
    }
    return freed;
}

/* Takes `want` (1 to HDY_EXTENT_UNITS) units in a row; in the heap's guard.
 * Returns the first unit, or 0 with *error set (-ENOMEM, -ENOSPC, -EFBIG) and nothing changed. */
static inline uint32_t hdy_heap_alloc(hdy_queue *q, uint32_t want, uint64_t owner, int *error)
{
    hdy_ring *r = q->ring;
    char *arena;
    uint32_t i = 0, a;
    int swept = 0;
again:
    for (a = r->hint; a < r->arenas; a++) {
        if (!(arena = hdy_arena(q, a)))
            goto fail;
        if ((i = hdy_heap_fit(hdy_table(arena), want)))
            break;
        if (want == 1 && a == r->hint)
            r->hint = a + 1;
    }
    if (!i) {
        if (!swept && hdy_load_relaxed(&r->hands) > 0) {
            swept = 1;
            if (hdy_heap_sweep(q))
                goto again;
        }
        a = r->arenas;
        if (a >= HDY_MAX_ARENAS) {
            *error = -ENOSPC;
            return 0;
        }
        HDY_FAILPOINT("heap.grow.before_truncate");
        struct stat st;
        /* Never shorter: who died between here and the commit has grown the file already. */
        if (fstat(q->fd, &st) < 0 || (st.st_size < (off_t)((a + 1) * HDY_ARENA_BYTES) &&
                                      ftruncate(q->fd, (off_t)((a + 1) * HDY_ARENA_BYTES)) < 0))
            goto fail;
        HDY_FAILPOINT("heap.grow.after_truncate");
        if (!(arena = hdy_arena(q, a)))
            goto fail;
        hdy_store(&r->arenas, a + 1);
        HDY_FAILPOINT("heap.grow.after_commit");
        i = 1;
    }
    hdy_unit *e = &hdy_table(arena)[i];
    e->next = 0;
    HDY_FAILPOINT("heap.alloc.before_commit");
    hdy_store(&e->n, want);
    HDY_FAILPOINT("heap.alloc.after_commit");
    /* Only now: a free unit that lost HDY_RESIDENT would keep its pages, and nobody would know. Until
     * here the extent counts as the queue's and unreached, which hdy_ring_mend frees. */
    uint32_t fresh = want;
    for (uint32_t k = 0; k < want; k++)
        if (e[k].owner == HDY_RESIDENT) {
            e[k].owner = 0;
            hdy_store_relaxed(&r->retained, r->retained - (r->retained > 0));
            fresh--;
        }
    if (fresh && r->punched >= fresh) {
        r->punched -= fresh;
        hdy_store_relaxed(&r->keep, r->keep + fresh < HDY_KEEP_MOST ? r->keep + fresh : HDY_KEEP_MOST);
    }
    e->owner = owner;
    if (owner)
        hdy_heap_count_hands(r, 1);
    return a * HDY_ARENA_UNITS + i;
fail:
    *error = errno ? -errno : -ENOMEM;
    return 0;
}

/* After a death in the heap's guard: what it left is found by hdy_ring_mend. */
static void hdy_heap_repair(void *object)
{
    hdy_store(&((hdy_queue *)object)->ring->dirty, 1);
}

/* The heap's guard: 0, or -EBUSY. Also inside a side's guard. */
static inline int hdy_heap_try(hdy_queue *q)
{
    return hdy_guard_try(&q->ring->heap, hdy_heap_repair, q);
}

/* As hdy_guard_lock_slice: outside of the sides' guards, without the GIL. */
static inline int hdy_heap_slice(hdy_queue *q)
{
    return hdy_guard_lock_slice(&q->ring->heap, hdy_heap_repair, q);
}

static inline void hdy_heap_leave(hdy_queue *q)
{
    hdy_guard_unlock(&q->ring->heap);
}

/* One unit for the queue, inside a side's guard; 0 with *error, also -EBUSY: nothing was changed, wait for the
 * heap's guard outside and come again. */
static inline uint32_t hdy_heap_take_unit(hdy_queue *q, int *error)
{
    if ((*error = hdy_heap_try(q)))
        return 0;
    uint32_t unit = hdy_heap_alloc(q, 1, 0, error);
    hdy_heap_leave(q);
    return unit;
}

/* Gives back the pages of free units above the bound; at most `most` units. In the heap's guard, by
 * a process that found the queue idle. */
static inline void hdy_heap_trim(hdy_queue *q, uint32_t most)
{
    hdy_ring *r = q->ring;
    hdy_store_relaxed(&r->keep, HDY_KEEP_UNITS);
    r->punched = 0;
    for (uint32_t a = r->arenas; a-- > 0 && r->retained > HDY_KEEP_UNITS && most;) {
        char *arena = hdy_arena(q, a);
        if (!arena)
            return;
        hdy_unit *t = hdy_table(arena);
        for (uint32_t i = 1; i < HDY_ARENA_UNITS && most && r->retained > HDY_KEEP_UNITS;) {
            if (t[i].n) {
                i += hdy_span(t, i);
                continue;
            }
            uint32_t run = 0;
            while (i + run < HDY_ARENA_UNITS && run < most && t[i + run].n == 0 &&
                   t[i + run].owner == HDY_RESIDENT && r->retained - run > HDY_KEEP_UNITS)
                run++;
            if (run) {
                /* The pages go first: a death in between costs the next trim a useless call, no memory. */
                HDY_FAILPOINT("heap.trim.before_punch");
                hdy_punch(q, a * HDY_ARENA_UNITS + i, run);
                HDY_FAILPOINT("heap.trim.after_punch");
                for (uint32_t k = i; k < i + run; k++)
                    t[k].owner = 0;
                hdy_store_relaxed(&r->retained, r->retained - run);
                most -= run;
                i += run;
            } else {
                i++;
            }
        }
    }
}

#endif
