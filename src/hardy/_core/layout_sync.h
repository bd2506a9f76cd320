/* The shared cells of the sync objects: one struct each, with writer and guard of every field.
 *
 * A cell is cut from a slab (see memory.pyx), starts on a cache line and is all zero at first, so
 * that zero is the first state of everything. Behind the struct, a cell ends with its label (layout_board.h). `kind` is written once by the creator and checked by
 * whoever attaches. Protocols and what a reader finds after a death: docs/en/design/0002-sync.md.
 */
#ifndef HDY_LAYOUT_SYNC_H
#define HDY_LAYOUT_SYNC_H

#include "base.h"
#include "guard.h"
#include <stddef.h>

enum {
    HDY_SYNC_LOCK = 0x4b434f4c,      /* "LOCK" */
    HDY_SYNC_RLOCK = 0x434f4c52,     /* "RLOC" */
    HDY_SYNC_EVENT = 0x4e455645,     /* "EVEN" */
    HDY_SYNC_SEMAPHORE = 0x414d4553, /* "SEMA" */
    HDY_SYNC_CONDITION = 0x444e4f43, /* "COND" */
    HDY_SYNC_BARRIER = 0x52524142,   /* "BARR" */
    HDY_SYNC_RWLOCK = 0x4b4c5752,    /* "RWLK" */
};

/* ---- Lock and RLock: no guard; the owner word is the lock ---- */

#define HDY_TAKEN_WITH 1u /* by `with`: who took it releases it */
#define HDY_RELEASED_BY_HOLDER 2u
#define HDY_RELEASED_BY_OTHER 4u
#define HDY_HOLDERS_OWN 8u /* nobody but its holder may release it */

typedef struct {
    uint32_t kind;      /*  0 creator */
    uint32_t depth;     /*  4 RLock only: the owner; how often it holds the lock */
    uint64_t owner;     /*  8 anyone, by compare-and-swap or exchange; see sync_lock.h */
    uint64_t thread;    /* 16 the owner: key of the thread that acquired | HDY_TAKEN_*, 0 before it is known */
    uint64_t recovered; /* 24 the owner: identity of the dead one it took the lock from, else 0 */
    uint32_t habits;    /* 32 anyone, atomic: HDY_RELEASED_*, who has ever released it; HDY_HOLDERS_OWN: creator */
} HDY_ALIGNED hdy_lock;
_Static_assert(sizeof(hdy_lock) == HDY_CACHE_LINE, "a lock fills one cache line");

/* ---- Event: no guard; one word ---- */

typedef struct {
    uint32_t kind; /*  0 creator */
    uint32_t word; /*  4 anyone, by compare-and-swap: times set << 2 | somebody waits << 1 | is set */
} HDY_ALIGNED hdy_event;
_Static_assert(sizeof(hdy_event) == HDY_CACHE_LINE, "an event fills one cache line");

/* ---- what has a table of processes: Semaphore, Condition, Barrier, RWLock ---- */

typedef struct {
    uint32_t kind;     /*  0 creator */
    uint32_t turn;     /*  4 guard; the futex word of waiters: changes whenever they should look again */
    uint32_t waiting;  /*  8 guard; the turn at which somebody last said that it will sleep */
    uint32_t rows;     /* 12 guard; rows of the table ever used: the rest is all zero */
    uint32_t capacity; /* 16 creator */
    uint32_t empty;    /* 20 anyone; a turn before which nobody sleeps any more */
    int64_t swept_ns;  /* 24 anyone; when some waiter last looked for the dead, monotonic */
    char pad[HDY_CACHE_LINE - 32];
    hdy_guard guard HDY_ALIGNED; /* 64 */
} HDY_ALIGNED hdy_party;
_Static_assert(sizeof(hdy_party) == 2 * HDY_CACHE_LINE, "the head of a party fills two cache lines");

/* value = total - what the rows hold; `value` is derived, and computed anew after a death in the guard. */
#define HDY_SEM_ROWS 128u
typedef struct {
    uint64_t identity; /*  0 guard; 0: free */
    uint32_t held;     /*  8 guard; permits taken with `with`: the commit of taking and giving back */
    uint32_t reserved; /* 12 */
} hdy_sem_row;
typedef struct {
    hdy_party party;
    uint64_t count; /* 128 anyone, by compare-and-swap: total << 32 | somebody sleeps << 31 | value; see sync_sem.h */
    int32_t bound;  /* 136 creator; a release above it is refused */
    char pad[HDY_CACHE_LINE - 12];
    hdy_sem_row row[HDY_SEM_ROWS]; /* 192 */
} hdy_sem;
_Static_assert(offsetof(hdy_sem, row) == 3 * HDY_CACHE_LINE, "rows start on a cache line");

#define HDY_SEM_SLEEPS (1ull << 31)
static inline int32_t hdy_sem_value(uint64_t count)
{
    return (int32_t)(count & (HDY_SEM_SLEEPS - 1));
}

/* ---- Condition ---- */

#define HDY_COND_ROWS 256u
enum { HDY_COND_FREE = 0, HDY_COND_WAITING = 1, HDY_COND_NOTIFIED = 2 };
typedef struct {
    uint64_t identity; /*  0 guard */
    uint64_t ticket;   /*  8 guard; order of arrival */
    uint64_t latest;   /* 16 guard; when notified: who came later must not get this notification */
    uint32_t state;    /* 24 guard; HDY_COND_*: the commit of all changes, and the waiter's futex word */
    uint32_t reserved; /* 28 */
} hdy_cond_row;
typedef struct {
    hdy_party party;
    uint64_t tickets; /* 128 guard; given out so far */
    uint32_t passing; /* 136 guard; a notification on its way: (from + 1) << 16 | (to + 1), else 0 */
    char pad[HDY_CACHE_LINE - 12];
    hdy_cond_row row[HDY_COND_ROWS]; /* 192 */
} hdy_cond;
_Static_assert(offsetof(hdy_cond, row) == 3 * HDY_CACHE_LINE, "rows start on a cache line");

/* ---- Barrier ---- */

/* Rows beyond the parties: for those who have passed and not yet left, and for the dead. */
#define HDY_BARRIER_SPARE_ROWS 64u
#define HDY_BARRIER_MOST_PARTIES 60000u
enum { HDY_BARRIER_FREE = 0, HDY_BARRIER_ARRIVED = 1, HDY_BARRIER_PASSED = 2, HDY_BARRIER_LOST = 3 };
typedef struct {
    uint64_t identity;   /*  0 guard */
    uint32_t generation; /*  8 guard; of the barrier on arrival */
    uint32_t outcome;    /* 12 guard; HDY_BARRIER_* */
} hdy_barrier_row;
typedef struct {
    hdy_party party;
    uint64_t culprit; /* 128 guard; identity of the dead party that broke it, else 0 */
    uint32_t parties; /* 136 creator */
    uint32_t state;   /* 140 guard; generation << 2 | last one was lost << 1 | broken: the commit */
    uint32_t acting;  /* 144 guard; row + 1 of the party that runs the action, else 0 */
    uint32_t arrived; /* 148 guard; derived: rows of this generation that have arrived */
    char pad[HDY_CACHE_LINE - 24];
    hdy_barrier_row row[]; /* 192 */
} hdy_barrier;
_Static_assert(offsetof(hdy_barrier, row) == 3 * HDY_CACHE_LINE, "rows start on a cache line");

/* ---- RWLock ---- */

#define HDY_RW_ROWS 128u
typedef struct {
    uint64_t identity; /*  0 guard; 0: free, and then the counts mean nothing */
    uint32_t reading;  /*  8 guard; read locks held: the commit of taking and giving back */
    uint32_t queued;   /* 12 guard; threads that wait to write */
} hdy_rw_row;
typedef struct {
    hdy_party party;
    uint64_t writer;    /* 128 guard; identity of the writer, 0 when there is none: the commit */
    uint64_t thread;    /* 136 guard; key of the writer's thread */
    uint64_t recovered; /* 144 guard; identity of a writer that died, until another has written */
    uint32_t reading;   /* 152 guard; derived: sum over the rows */
    uint32_t queued;    /* 156 guard; derived: sum over the rows */
    char pad[HDY_CACHE_LINE - 32];
    hdy_rw_row row[HDY_RW_ROWS]; /* 192 */
} hdy_rw;
_Static_assert(offsetof(hdy_rw, row) == 3 * HDY_CACHE_LINE, "rows start on a cache line");

#endif
