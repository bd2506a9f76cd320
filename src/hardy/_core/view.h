/* Views: a large message's memory, seen in one piece by the process that took it, and given back when it is done.
 *
 *   reserve            room in the address space, before the message is taken: what fails here loses nothing
 *   get                its extents are in this process's hand (see ring.h)
 *   hdy_view_fill      they are mapped over the room, one after the other; what cannot be mapped is copied there
 *   hdy_view_close     the room is unmapped, the extents are freed
 *
 * A death at any step finds nothing taken or the extents in a dead hand, which the next sweep frees (heap.h).
 *
 * The room is a mapping of its own, not a part of an arena's: the child of a fork has to exchange it. There the
 * extents are the parent's, who may give them back at any time. So each fork copies what is viewed: the child's views
 * are memory of its own from the start, as all of its memory is, and nobody frees an extent twice. Rejected: to leave
 * the child with the parent's memory (`Process(args=(array,))` drops the array in the parent as soon as the child
 * runs, and the next message would go over it); to make the parent keep it until its children have ended (a death in
 * between would have to be known to all who use the queue).
 *
 * `hdy_views` is this process's list. Guard: hdy_views_lock, also held across each fork.
 */
#ifndef HDY_VIEW_H
#define HDY_VIEW_H

#include "chain.h"

typedef struct hdy_view_of {
    struct hdy_view_of *next, **link; /* link: who points to this one; NULL: not in the list */
    char *at;                         /* NULL: nothing reserved */
    uint64_t bytes;                   /* reserved: whole pages */
    uint32_t unit;                    /* the chain in this process's hand; 0: `at` is memory of its own */
    char *spare;                      /* across a fork: the child's copy, or MAP_FAILED */
} hdy_view_of;

static hdy_view_of *hdy_views;
static pthread_mutex_t hdy_views_lock = PTHREAD_MUTEX_INITIALIZER;

static inline char *hdy_anonymous(uint64_t bytes)
{
    return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

/* Room for `size` bytes: 0 or -ENOMEM. */
static inline int hdy_view_reserve(hdy_view_of *v, uint64_t size)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), bytes = (size + page - 1) / page * page;
    char *at = hdy_anonymous(bytes);
    if (at == MAP_FAILED)
        return -ENOMEM;
    v->at = at;
    v->bytes = bytes;
    HDY_FAILPOINT("view.reserve.done");
    return 0;
}

/* Shows a checked chain that is in this process's hand. 0; -EUCLEAN: it was overwritten meanwhile. */
static inline int hdy_view_fill(hdy_view_of *v, hdy_queue *q, uint32_t unit)
{
    uint64_t done = 0;
    int error = 0;
    HDY_FAILPOINT("view.fill.before");
    for (uint32_t u = unit; u && done < v->bytes && !error;) {
        hdy_unit *e = hdy_entry(q, u);
        uint64_t n = e ? (uint64_t)hdy_load(&e->n) * HDY_UNIT_BYTES : 0;
        if (n == 0 || n > HDY_ARENA_BYTES)
            error = -EUCLEAN;
        else if (n > v->bytes - done)
            n = v->bytes - done;
        /* Too many mappings: then this piece is a copy, in the room that is there already. */
        if (!error && mmap(v->at + done, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, q->fd,
                           (off_t)u * HDY_UNIT_BYTES) == MAP_FAILED)
            error = hdy_chain_copy(q, u, 0, v->at + done, n, 0);
        HDY_FAILPOINT("view.fill.after_piece");
        done += n;
        u = error ? 0 : e->next;
    }
    pthread_mutex_lock(&hdy_views_lock);
    v->unit = unit;
    v->next = hdy_views;
    v->link = &hdy_views;
    if (v->next)
        v->next->link = &v->next;
    hdy_views = v;
    pthread_mutex_unlock(&hdy_views_lock);
    HDY_FAILPOINT("view.fill.done");
    return error ? error : done < v->bytes ? -EUCLEAN : 0;
}

/* Nobody looks at it any more. */
static inline void hdy_view_close(hdy_view_of *v, hdy_queue *q)
{
    pthread_mutex_lock(&hdy_views_lock);
    if (v->link) {
        *v->link = v->next;
        if (v->next)
            v->next->link = v->link;
        v->link = NULL;
    }
    pthread_mutex_unlock(&hdy_views_lock);
    HDY_FAILPOINT("view.close.before");
    if (v->at)
        munmap(v->at, v->bytes);
    v->at = NULL;
    HDY_FAILPOINT("view.close.unmapped");
    if (v->unit)
        hdy_hand_free(q, v->unit);
    v->unit = 0;
}

/* ---- across a fork, also one that Python does not see ---- */

static inline void hdy_views_before_fork(void)
{
    pthread_mutex_lock(&hdy_views_lock);
    for (hdy_view_of *v = hdy_views; v; v = v->next) {
        v->spare = hdy_anonymous(v->bytes);
        if (v->spare != MAP_FAILED)
            memcpy(v->spare, v->at, v->bytes);
        HDY_FAILPOINT("view.fork.copied");
    }
}

static inline void hdy_views_in_parent(void)
{
    for (hdy_view_of *v = hdy_views; v; v = v->next)
        if (v->spare != MAP_FAILED)
            munmap(v->spare, v->bytes);
    pthread_mutex_unlock(&hdy_views_lock);
}

static inline void hdy_views_in_child(void)
{
    for (hdy_view_of *v = hdy_views; v; v = v->next) {
        if (v->spare != MAP_FAILED)
            mremap(v->spare, v->bytes, v->bytes, MREMAP_MAYMOVE | MREMAP_FIXED, v->at);
        else /* no memory for the copy: who looks at it ends with SIGSEGV, and sees nobody else's message */
            mmap(v->at, v->bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
        v->unit = 0;
        HDY_FAILPOINT("view.fork.exchanged");
    }
    pthread_mutex_unlock(&hdy_views_lock);
}

static inline int hdy_views_start(void)
{
    return pthread_atfork(hdy_views_before_fork, hdy_views_in_parent, hdy_views_in_child);
}

#endif
