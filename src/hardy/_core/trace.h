/* The recorder of a trace: what each process of a program did, and when, in memory that all of them share.
 *
 * A trace is one memfd: a head, the deaths, then chunks of events. A process takes a chunk by one fetch-and-add, is
 * the only one that ever writes to it, and takes another when it is full; a forked child begins with a chunk of its
 * own. Events are written behind `used`, and then `used` moves: one store is the commit.
 *
 * A death at any instruction: between the fetch-and-add and the owner's name, a chunk that is nobody's; before a
 * commit, that event is not there; after it, it is. Nothing is ever taken back, and nobody is waited for.
 *
 * Within one process events are written with the GIL held, hence by one thread at a time. Deaths are not: they are
 * told by the lifeline's own thread, and have a table of their own, where `at_ns` is the commit.
 */
#ifndef HDY_TRACE_H
#define HDY_TRACE_H

#include "layout.h"
#include <pthread.h>
#include <sched.h>

enum {
    HDY_EVENT_TEXT = 1,   /* object: what is called so, seq: HDY_TEXT_*, count: bytes, which follow in whole events */
    HDY_EVENT_START = 2,  /* object: the parent's identity */
    HDY_EVENT_END = 3,
    HDY_EVENT_CHILD = 4,  /* object: the child's identity; told by the parent */
    HDY_EVENT_PUT = 5,    /* object: a queue, seq: the ticket of the last message, count: how many */
    HDY_EVENT_GET = 6,
    HDY_EVENT_WAIT = 7,   /* object, count: HDY_WAITS_* */
    HDY_EVENT_GOES_ON = 8, /* the wait of this thread is over */
    HDY_EVENT_HOLD = 9,   /* object: a lock, count: HDY_WAITS_READ, _WRITE, _SEMAPHORE where it matters, else 0 */
    HDY_EVENT_LET_GO = 10,
    HDY_EVENT_BEGIN = 11, /* object: hash of a span's name */
    HDY_EVENT_FINISH = 12,
    HDY_EVENT_TASK = 13,  /* object: hash of a function's name, seq: the task's number */
    HDY_EVENT_TASK_END = 14,
};
enum { HDY_TEXT_OBJECT = 0, HDY_TEXT_PROCESS = 1, HDY_TEXT_NAME = 2 };

typedef struct {
    int64_t at_ns;   /*  0 monotonic */
    uint64_t object; /*  8 */
    uint64_t seq;    /* 16 */
    uint32_t what;   /* 24 HDY_EVENT_* | count << 8 */
    uint32_t thread; /* 28 */
} hdy_moment;
_Static_assert(sizeof(hdy_moment) == 32, "an event has 32 bytes");

#define HDY_CHUNK_BYTES 65536u
#define HDY_CHUNK_EVENTS 2047u
typedef struct {
    uint64_t identity; /*  0 the owner's; 0: nobody's yet */
    uint64_t used;     /*  8 events that are committed; its owner alone writes it */
    uint64_t reserved[2];
    hdy_moment event[HDY_CHUNK_EVENTS];
} hdy_chunk;
_Static_assert(sizeof(hdy_chunk) == HDY_CHUNK_BYTES, "chunks tile the segment");

#define HDY_TRACE_DEATHS 4090u /* further ones are counted */
typedef struct {
    int64_t at_ns; /*  0 the commit; 0: being written, or its writer died */
    uint64_t identity; /*  8 */
    int64_t status;    /* 16 as waitpid gives it, or HDY_STATUS_UNKNOWN */
    uint64_t reserved;
} hdy_trace_death;

typedef struct {
    hdy_head head;        /*   0 */
    uint64_t chunks;      /*  64 how many there are; written once */
    int64_t began_ns;     /*  72 monotonic; written once */
    int64_t began_wall_ns; /*  80 since 1970, at the same instant; written once */
    uint64_t over;        /*  88 1: the trace has ended; its owner writes it */
    uint64_t next HDY_ALIGNED; /* 128 by fetch-and-add: the chunk to be taken next */
    uint64_t dropped;     /* 136 counts events for which no chunk was left */
    uint64_t deaths;      /* 144 by fetch-and-add: the place of the next death */
    hdy_trace_death death[HDY_TRACE_DEATHS] HDY_ALIGNED; /* 192 */
} hdy_trace;
#define HDY_TRACE_HEAD_BYTES (2 * HDY_CHUNK_BYTES)
_Static_assert(sizeof(hdy_trace) <= HDY_TRACE_HEAD_BYTES, "the chunks begin behind the head");

/* HARDY_BLIND: neither traces nor rows of who waits. `make bench` compares the release with such a build, to show what
 * a program pays for being looked at when nobody does. */
static inline int hdy_tracing(void)
{
#ifdef HARDY_BLIND
    return 0;
#endif
    return HDY_UNLIKELY(hdy_rt->trace != NULL);
}

/* Room for n events in this process's chunk; NULL when there is none. */
static __attribute__((noinline, unused)) hdy_moment *hdy_trace_room(uint32_t n)
{
    hdy_trace *t = (hdy_trace *)hdy_rt->trace;
    hdy_chunk *c = (hdy_chunk *)hdy_rt->chunk;
    if (!t || hdy_load_relaxed(&t->over))
        return NULL;
    if (!c || c->used + n > HDY_CHUNK_EVENTS) {
        uint64_t i = t->chunks;
        if (hdy_load_relaxed(&t->next) < t->chunks)
            i = __atomic_fetch_add(&t->next, 1, __ATOMIC_RELAXED);
        if (i >= t->chunks) {
            __atomic_fetch_add(&t->dropped, 1, __ATOMIC_RELAXED);
            return NULL;
        }
        HDY_FAILPOINT("trace.chunk.after_take");
        c = (hdy_chunk *)((char *)t + HDY_TRACE_HEAD_BYTES) + i;
        hdy_store(&c->identity, hdy_self());
        hdy_rt->chunk = c;
    }
    return &c->event[c->used];
}

static inline void hdy_trace_fill(hdy_moment *e, uint32_t kind, uint64_t object, uint64_t seq, uint32_t count)
{
    e->at_ns = hdy_now_ns();
    e->object = object;
    e->seq = seq;
    e->what = kind | count << 8;
    e->thread = (uint32_t)((uintptr_t)pthread_self() >> 6);
}

static inline void hdy_trace_commit(uint32_t n)
{
    hdy_chunk *c = (hdy_chunk *)hdy_rt->chunk;
    HDY_FAILPOINT("trace.event.before_commit");
    hdy_store(&c->used, c->used + n);
}

static __attribute__((unused)) void hdy_trace_event(uint32_t kind, uint64_t object, uint64_t seq, uint32_t count)
{
    hdy_moment *e = hdy_trace_room(1);
    if (!e)
        return;
    hdy_trace_fill(e, kind, object, seq, count);
    hdy_trace_commit(1);
}

/* Says what something is called; once, as far as the process remembers. */
static __attribute__((unused)) void hdy_trace_text(uint64_t object, uint32_t what, const char *text, uint32_t bytes)
{
    uint64_t *known = &hdy_rt->traced[(object ^ object >> 32) % HDY_TRACED];
    if (*known == object)
        return;
    bytes = bytes < 1024 ? bytes : 1024;
    uint32_t more = (bytes + (uint32_t)sizeof(hdy_moment) - 1) / (uint32_t)sizeof(hdy_moment);
    hdy_moment *e = hdy_trace_room(1 + more);
    if (!e)
        return;
    hdy_trace_fill(e, HDY_EVENT_TEXT, object, what, bytes);
    memcpy(e + 1, text, bytes);
    hdy_trace_commit(1 + more);
    *known = object;
}

/* A death, as its reaper found it; any thread, with or without the GIL. */
static __attribute__((unused)) void hdy_trace_tell_death(uint64_t identity, int32_t status)
{
    /* Whoever ends the trace takes the pointer away, and then waits until nobody is in here. */
    __atomic_fetch_add(&hdy_rt->telling, 1, __ATOMIC_SEQ_CST);
    hdy_trace *t = (hdy_trace *)__atomic_load_n(&hdy_rt->trace, __ATOMIC_SEQ_CST);
    if (t) {
        uint64_t i = __atomic_fetch_add(&t->deaths, 1, __ATOMIC_RELAXED);
        if (i < HDY_TRACE_DEATHS) {
            t->death[i].identity = identity;
            t->death[i].status = status;
            hdy_store(&t->death[i].at_ns, hdy_now_ns());
        }
    }
    __atomic_fetch_sub(&hdy_rt->telling, 1, __ATOMIC_SEQ_CST);
}

#endif
