/* The commit of a queue's operation, looks at an end without its guard, and waking (see ring.h for the whole). */
#ifndef HDY_COMMIT_H
#define HDY_COMMIT_H

#include "heap.h"
#include <limits.h>

/* The end that holds. In the side's guard. */
static inline hdy_end *hdy_current(hdy_side *s)
{
    return &s->end[hdy_load_relaxed(&s->commits) & 1];
}

/* A copy of it to change, which hdy_commit writes down. In the side's guard. */
static inline hdy_end hdy_begin(hdy_side *s)
{
    return *hdy_current(s);
}

/* The end that does not hold may be under a late reader's eyes (hdy_peek): hence word by word. */
static inline void hdy_commit(hdy_side *s, const hdy_end *n)
{
    hdy_end *to = &s->end[~hdy_load_relaxed(&s->commits) & 1];
    hdy_store_relaxed(&to->seq, n->seq);
    hdy_store_relaxed(&to->bytes, n->bytes);
    hdy_store_relaxed(&to->unit, n->unit);
    hdy_store_relaxed(&to->off, n->off);
    HDY_FAILPOINT("ring.commit.before");
    hdy_store(&s->commits, hdy_load_relaxed(&s->commits) + 1);
    HDY_FAILPOINT("ring.commit.after");
}

/* ---- looks at what another side's guard covers ---- */

/* A side's end, as it held at one instant of the call; returns that instant's `commits`. Without the guard: a
 * process that is stopped inside it delays nobody who only looks. The end that holds is not written; it becomes
 * the spare one, and may be written, only after a commit, which counts up. */
static inline uint64_t hdy_peek(hdy_side *s, hdy_end *out)
{
    uint64_t commits;
    do {
        commits = hdy_load(&s->commits);
        const hdy_end *from = &s->end[commits & 1];
        out->seq = hdy_load_relaxed(&from->seq);
        out->bytes = hdy_load_relaxed(&from->bytes);
        out->unit = hdy_load_relaxed(&from->unit);
        out->off = hdy_load_relaxed(&from->off);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while (HDY_UNLIKELY(hdy_load_relaxed(&s->commits) != commits));
    return commits;
}

/* Looks at the other side anew, for those of this one; in this side's guard. A death in between does no harm:
 * what was written down was true, and an end only grows. `what`: HDY_ITEMS at the head, HDY_SPACE at the tail. */
static inline void hdy_see(hdy_queue *q, int what)
{
    hdy_ring *r = q->ring;
    hdy_side *s = what == HDY_ITEMS ? &r->head : &r->tail;
    hdy_end end;
    q->looked[what] = hdy_peek(what == HDY_ITEMS ? &r->tail : &r->head, &end);
    s->seen_bytes = end.bytes;
    s->seen_seq = end.seq;
}

/* Both ends at one instant of the call. */
typedef struct {
    uint64_t count; /* messages in the queue */
    uint64_t bytes; /* their payload bytes */
} hdy_view;

/* A pair of ends coexisted when one was read between two looks at the other that found the same commit. */
static inline hdy_view hdy_look(hdy_ring *r)
{
    hdy_end head, tail;
    uint64_t at_head = hdy_peek(&r->head, &head), at_tail;
    for (;;) {
        at_tail = hdy_peek(&r->tail, &tail);
        if (hdy_load(&r->head.commits) == at_head)
            break;
        at_head = hdy_peek(&r->head, &head);
        if (hdy_load(&r->tail.commits) == at_tail)
            break;
    }
    return (hdy_view){tail.seq - head.seq, tail.bytes - head.bytes};
}

/* Messages in the queue; in the head's guard, so that the number can only grow meanwhile. */
static inline uint64_t hdy_unread(hdy_ring *r)
{
    hdy_end tail;
    hdy_peek(&r->tail, &tail);
    return tail.seq - hdy_current(&r->head)->seq;
}

/* ---- waking ----
 *
 * A waiter, in its side's guard, reads the word, counts `asks` up, and looks once more; it sleeps, outside, while
 * the word is as it was. A waker commits, leaves its guard, and looks at `asks`; while there are asks without an
 * answer it counts the word up and makes the system call. Both have a full barrier between their store and their
 * look, so that at least one sees the other: the waiter what was committed, or the waker the ask.
 *
 * A wake-up that finds fewer asleep than it would wake, or that woke as many as there were asks without an answer,
 * knows that all who had asked before it are up, and writes that down. So sleepers that were woken, or killed, cost
 * one system call in vain at most, and not one a message.
 */

/* Between this thread's stores and its looks after it has left a guard. */
static inline void hdy_fence_after_unlock(void)
{
#if defined(__x86_64__) || defined(__i386__)
    /* The unlock of a robust mutex, in glibc and in musl, is an atomic exchange, which is a full barrier here. */
    __asm__ __volatile__("" ::: "memory");
#else
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

/* Wakes up to n who wait for `what`; outside of every guard, after hdy_fence_after_unlock. */
static inline void hdy_notify(hdy_queue *q, int what, uint64_t n)
{
    hdy_wait *w = &q->ring->waits[what];
    uint32_t asks = hdy_load(&w->asks), answered = hdy_load_relaxed(&w->answered);
    if (HDY_LIKELY(asks == answered))
        return;
    HDY_FAILPOINT("ring.wake.before");
    hdy_add(&w->word, 1);
    HDY_FAILPOINT("ring.wake.after_word");
    int most = n > INT_MAX ? INT_MAX : (int)n, woken = hdy_futex_wake(&w->word, most);
    if (woken < most || (uint32_t)woken >= asks - answered)
        hdy_store(&w->answered, asks);
    HDY_FAILPOINT("ring.wake.after");
}

/* Sees to it that up to n are woken when that side's guard, in which the caller is, is left. */
static inline void hdy_wake(hdy_queue *q, const hdy_side *s, int what, uint64_t n)
{
    q->wake[s == &q->ring->tail][what] += n;
}

/* Leaves a side's guard, and wakes whom the operation has news for. */
static inline void hdy_leave(hdy_queue *q, hdy_side *s)
{
    uint64_t wake[3], *noted = q->wake[s == &q->ring->tail];
    memcpy(wake, noted, sizeof wake);
    memset(noted, 0, sizeof wake);
    hdy_guard_unlock(&s->guard);
    hdy_fence_after_unlock();
    HDY_FAILPOINT("ring.leave.after_unlock");
    for (int what = 0; what < 3; what++)
        if (wake[what])
            hdy_notify(q, what, wake[what]);
}

/* Asks to be woken; returns the futex word's value to sleep on. In the side's guard; the caller looks once more
 * at the other side before it sleeps. */
static inline uint32_t hdy_ask(hdy_queue *q, int what)
{
    hdy_wait *w = &q->ring->waits[what];
    uint32_t seen = hdy_load(&w->word);
    hdy_add(&w->asks, 1);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    HDY_FAILPOINT("ring.wait.after_ask");
    return seen;
}

#endif
