/* The commit of a queue's operation, and the wake-ups that follow it (see ring.h for the whole). */
#ifndef HDY_COMMIT_H
#define HDY_COMMIT_H

#include "heap.h"
#include <limits.h>

static inline hdy_state *hdy_current(hdy_ring *r)
{
    return &r->state[hdy_load_relaxed(&r->active) & 1];
}

static inline uint64_t hdy_count(const hdy_state *s)
{
    return s->tail_seq - s->head_seq;
}

/* The state at one instant of the call, read without the guard: a process that is stopped inside it delays
 * nobody who only looks. The active state is not written; it may become the spare one, and be written,
 * only by a commit, and each commit changes a number in it that only grows. */
static inline hdy_state hdy_look(hdy_ring *r)
{
    hdy_state first, second;
    uint32_t active;
    do {
        active = hdy_load(&r->active);
        first = r->state[active & 1];
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        second = r->state[active & 1];
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while (hdy_load(&r->active) != active || memcmp(&first, &second, offsetof(hdy_state, stamp)) != 0);
    return first;
}

/* A copy of the state to change; visible to nobody before hdy_commit. */
static inline hdy_state *hdy_begin(hdy_ring *r)
{
    uint32_t a = hdy_load_relaxed(&r->active) & 1;
    r->state[!a] = r->state[a];
    return &r->state[!a];
}

static inline void hdy_commit(hdy_ring *r)
{
    HDY_FAILPOINT("ring.commit.before");
    hdy_store(&r->active, !(hdy_load_relaxed(&r->active) & 1));
    HDY_FAILPOINT("ring.commit.after");
}

/* ---- waking ----
 *
 * A waiter asks in the guard, and sleeps on a sequence number. A waker changes the number in the guard
 * and makes the system call after it has left it: the woken would only wait for the guard. It is made
 * only while there are asks without an answer. A wake-up that finds fewer asleep than it would wake
 * knows that all who had asked by then are up; this process's next operation writes that down, so that
 * sleepers that were woken, or killed, cost one system call in vain and not one a message.
 */
enum { HDY_ITEMS = 0, HDY_SPACE = 1, HDY_DONE = 2 };

static inline hdy_asks *hdy_asks_of(hdy_ring *r, int what)
{
    return what == HDY_ITEMS ? &r->items : what == HDY_SPACE ? &r->space : &r->done;
}

static inline uint32_t *hdy_word_of(hdy_ring *r, int what)
{
    return what == HDY_ITEMS ? &r->items_seq : what == HDY_SPACE ? &r->space_seq : &r->done_seq;
}

/* Sees to it that up to n sleepers are woken when the guard is left. In the guard, before the commit. */
static inline void hdy_wake(hdy_queue *q, int what, uint64_t n)
{
    hdy_asks *k = hdy_asks_of(q->ring, what);
    if (HDY_LIKELY(k->asks == k->answered))
        return;
    if (q->quiet[what] == k->asks) {
        k->answered = k->asks;
        return;
    }
    uint32_t *word = hdy_word_of(q->ring, what);
    hdy_store(word, *word + 1);
    q->wake[what] += n;
    HDY_FAILPOINT("ring.wake.planned");
}

/* Leaves the guard, and wakes whom the operation has news for. */
static inline void hdy_leave(hdy_queue *q)
{
    hdy_ring *r = q->ring;
    if (HDY_LIKELY(!(q->wake[HDY_ITEMS] | q->wake[HDY_SPACE] | q->wake[HDY_DONE]))) {
        hdy_guard_unlock(&r->guard);
        return;
    }
    uint64_t wake[3];
    uint32_t asks[3];
    for (int what = 0; what < 3; what++) {
        wake[what] = q->wake[what];
        asks[what] = hdy_asks_of(r, what)->asks;
        q->wake[what] = 0;
    }
    hdy_guard_unlock(&r->guard);
    HDY_FAILPOINT("ring.wake.before");
    for (int what = 0; what < 3; what++) {
        int most = wake[what] > INT_MAX ? INT_MAX : (int)wake[what];
        if (most && hdy_futex_wake(hdy_word_of(r, what), most) < most)
            hdy_store(&q->quiet[what], asks[what]);
    }
    HDY_FAILPOINT("ring.wake.after");
}

/* Asks to be woken; returns the futex word's value to sleep on. In the guard. */
static inline uint32_t hdy_ask(hdy_queue *q, int what)
{
    hdy_asks *k = hdy_asks_of(q->ring, what);
    /* 0 is never a number of asks: it means "none" in `quiet`. */
    if (++k->asks == 0)
        k->asks = 1;
    HDY_FAILPOINT("ring.wait.after_ask");
    return *hdy_word_of(q->ring, what);
}

#endif
