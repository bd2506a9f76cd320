/* Who waits for what: a row of the board for each thread that sleeps in hardy.
 *
 *     free --CAS identity: 0 -> me|OPEN--> being written --store me--> waits --store 0--> free
 *
 * Nothing is written before there is nothing left but to sleep, and then to a cache line that no other thread writes:
 * so neither an operation that need not wait, nor one that spins, pays for it. There is no guard and nobody is waited
 * for. A row of a dead process is claimed again when no other is free. When thousands of threads wait at once, the
 * further ones wait unseen.
 *
 * A reader looks at `turn`, then at `identity`, copies the row, and looks at both again: the same, and no OPEN: the
 * copy held at one instant.
 * What is not written once (holder, stack) has a commit of its own.
 *
 * Rejected: a row for each thread for life (threads end without telling, and thousands that never wait would have one);
 * the lock's cell (a waiter has no place there, and more than one may wait).
 */
#ifndef HDY_WAIT_H
#define HDY_WAIT_H

#include "board.h"
#include <pthread.h>

/* A wait of this thread; lives on the stack of the operation that waits. */
typedef struct {
    hdy_wait_row *row; /* NULL: nobody can see it */
    uint64_t turn;
    uint32_t traced;   /* whether a trace has the begin of this sleep */
} hdy_waiting;

/* Names a living thread among those of its process. */
static inline uint64_t hdy_thread_here(void)
{
#if defined(__has_builtin)
#if __has_builtin(__builtin_thread_pointer)
    return (uint64_t)(uintptr_t)__builtin_thread_pointer(); /* a register: no call, at each acquire and release */
#else
    return (uint64_t)(uintptr_t)pthread_self();
#endif
#else
    return (uint64_t)(uintptr_t)pthread_self();
#endif
}

/* Names a living thread among those of all processes. The above alone does not: the main threads of a parent and of
 * its forked child have the same. The lowest bits are free for a flag. */
#define HDY_THREAD_FLAGS 3ull
static inline uint64_t hdy_thread_key(void)
{
    return (hdy_thread_here() + hdy_self() * 0x9e3779b97f4a7c15ull) & ~HDY_THREAD_FLAGS;
}

/* As the kernel numbers threads; asked for once, and again after a fork. */
static inline uint32_t hdy_tid(void)
{
    static __thread uint32_t tid, forks;
    if (!tid || forks != hdy_rt->forks) {
        tid = (uint32_t)syscall(SYS_gettid);
        forks = hdy_rt->forks;
    }
    return tid;
}

/* Of how many rows the kernel is asked, at the most, whether their process is dead, when none is free. */
#define HDY_WAIT_ASKS 16u

/* Which row this thread had last, and what it wrote there: it takes it again, and goes on with the same wait. */
static __thread uint32_t hdy_wait_hint;
static __thread uint64_t hdy_wait_turn;
static __thread int64_t hdy_wait_since, hdy_wait_until;

static inline hdy_wait_row *hdy_wait_claim(hdy_board *b, uint64_t me)
{
    uint32_t first = hdy_wait_hint ? hdy_wait_hint - 1 : hdy_tid();
    for (uint32_t turn = 0; turn < HDY_WAITS + HDY_WAIT_ASKS; turn++) {
        uint32_t i = (first + turn) % HDY_WAITS;
        hdy_wait_row *r = &b->wait[i];
        uint64_t seen = hdy_load_relaxed(&r->identity);
        if (seen != 0) {
            if (turn < HDY_WAITS || (seen & HDY_IDENTITY_MASK) == me || hdy_alive(seen & HDY_IDENTITY_MASK))
                continue;
        }
        if (hdy_cas(&r->identity, &seen, me | HDY_WAIT_OPEN)) {
            hdy_wait_hint = i + 1;
            return r;
        }
    }
    return NULL;
}

/* An event at a shared object, and once what the object is called. */
static __attribute__((unused)) void hdy_trace_at(uint32_t kind, uint64_t segment, uint64_t place, const hdy_label *label,
                                                 uint64_t seq, uint32_t count)
{
    if (label)
        hdy_trace_text(segment + place, HDY_TEXT_OBJECT, label->text, label->bytes < HDY_LABEL_TEXT ? label->bytes : HDY_LABEL_TEXT);
    hdy_trace_event(kind, segment + place, seq, count);
}

/* How long after the end of one sleep the next is still of the same wait. */
#define HDY_WAIT_GAP_NS (20 * HDY_NS_PER_MS)

/* To be called before a sleep. `b`: this process's board. `on`: whether this is a further sleep of a wait that this
 * thread has shown before and for the same thing: then it is told to have waited since then. */
static inline void hdy_wait_begin(hdy_waiting *w, hdy_board *b, uint32_t what, uint64_t segment, uint64_t place,
                                  const hdy_label *label, int on)
{
    uint64_t me = hdy_self();
    w->row = NULL;
    w->traced = (uint32_t)hdy_tracing();
#ifdef HARDY_BLIND
    return;
#endif
    if (w->traced)
        hdy_trace_at(HDY_EVENT_WAIT, segment, place, label, 0, what);
    if (!b || !me || b->head.pidns != hdy_rt->pidns)
        return;
    hdy_wait_row *r = hdy_wait_claim(b, me);
    if (!r)
        return;
    HDY_FAILPOINT("wait.begin.after_claim");
    int64_t now = hdy_now_ns();
    on = on && now - hdy_wait_until < HDY_WAIT_GAP_NS;
    if (!(on && r->turn == hdy_wait_turn && r->segment == segment && r->place == place && r->what == what)) {
        hdy_store(&r->turn, r->turn + 1);
        __atomic_thread_fence(__ATOMIC_RELEASE); /* who copies what follows sees that it is another wait's */
        if (!on)
            hdy_wait_since = now;
        r->stack_bytes = 0;
        r->thread = hdy_thread_key();
        r->tid = hdy_tid();
        r->what = what;
        r->segment = segment;
        r->place = place;
        r->since_ns = hdy_wait_since;
        r->seen_ns = 0;
        r->holder = r->holder_thread = r->how = 0;
        if (label)
            r->label = *label;
        else
            memset(&r->label, 0, sizeof r->label);
    }
    hdy_wait_turn = r->turn;
    hdy_store(&r->identity, me);
    HDY_FAILPOINT("wait.begin.after_commit");
    w->row = r;
    w->turn = r->turn;
}

static inline void hdy_wait_end(hdy_waiting *w)
{
    if (HDY_UNLIKELY(w->traced))
        hdy_trace_event(HDY_EVENT_GOES_ON, 0, 0, 0);
    w->traced = 0;
    if (!w->row)
        return;
    hdy_wait_until = hdy_now_ns();
    hdy_store(&w->row->identity, 0);
    HDY_FAILPOINT("wait.end.after_commit");
    w->row = NULL;
}

/* Who holds the lock, as the waiter saw it at `seen_ns`: a time before it looked, never after. Told a later one, a waiter
 * that was stopped in between would show a holder that has let go, and waits itself, as one that held it all along. */
static inline void hdy_wait_sees(hdy_waiting *w, uint64_t holder, uint64_t thread, uint32_t how, int64_t seen_ns)
{
    hdy_wait_row *r = w->row;
    if (!r)
        return;
    hdy_store(&r->seen_ns, 0);
    r->holder = holder;
    r->holder_thread = thread;
    r->how = how;
    hdy_store(&r->seen_ns, seen_ns);
}

static inline void hdy_wait_leave_stack(hdy_waiting *w, const char *text, uint32_t bytes)
{
    hdy_wait_row *r = w->row;
    if (!r)
        return;
    bytes = hdy_cut(text, bytes, HDY_WAIT_STACK);
    hdy_store(&r->stack_bytes, 0);
    memcpy(r->stack, text, bytes);
    hdy_store(&r->stack_bytes, bytes);
}

/* 1 and a copy, as it was at one instant; 0: nobody waits in that row. */
static inline int hdy_wait_read(const hdy_board *b, uint32_t i, hdy_wait_row *out)
{
    const hdy_wait_row *r = &b->wait[i];
    for (int turn = 0; turn < 8; turn++) {
        /* In this order: read after the identity, `turn` may be that of the next wait, which is being written. */
        uint64_t number = hdy_load(&r->turn);
        uint64_t identity = hdy_load(&r->identity);
        if (identity == 0 || identity & HDY_WAIT_OPEN)
            return 0;
        int64_t seen = hdy_load(&r->seen_ns);
        uint32_t bytes = hdy_load(&r->stack_bytes);
        memcpy(out, r, sizeof *out);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (hdy_load(&r->identity) != identity || hdy_load(&r->turn) != number || hdy_load(&r->seen_ns) != seen)
            continue;
        if (!seen)
            out->holder = out->holder_thread = out->how = 0;
        out->stack_bytes = hdy_load(&r->stack_bytes) == bytes && bytes <= HDY_WAIT_STACK ? bytes : 0;
        return 1;
    }
    return 0;
}

#endif
