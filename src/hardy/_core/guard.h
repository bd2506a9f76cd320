/* The guard: a process-shared robust mutex around a short, bounded critical section.
 *
 * Rules that every user of a guard keeps:
 *  - never take the GIL, allocate, or wait while holding it;
 *  - every change becomes visible by one store (the commit), so that an owner found dead leaves a
 *    state that some sequence of whole operations gives;
 *  - one mapping of an object per process, never unmapped while a guard in it may be held: the
 *    kernel finds a dead owner's mutexes through its address space.
 *
 * States: free | held by a live thread | owner died (the next locker gets EOWNERDEAD, repairs, and
 * only then marks it consistent; a repairer that dies hands the same task to the next).
 *
 * Source: pthread_mutexattr_setrobust(3); Linux Documentation/locking/robust-futexes.rst.
 */
#ifndef HDY_GUARD_H
#define HDY_GUARD_H

#include "base.h"
#include <pthread.h>

typedef struct {
    pthread_mutex_t mutex;
} hdy_guard;

/* Mends what a dead owner may have left between two commits. Idempotent. */
typedef void (*hdy_repair)(void *object);

/* Turns of trylock before a waiter goes to the kernel: a critical section lasts some 100 ns. */
#define HDY_GUARD_SPIN 200
#define HDY_GUARD_SLICE_NS (50 * HDY_NS_PER_MS)

static inline int hdy_guard_init(hdy_guard *g)
{
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    int r = pthread_mutex_init(&g->mutex, &a);
    pthread_mutexattr_destroy(&a);
    return -r;
}

/* The one place where a dead owner is dealt with. */
static inline int hdy_guard_settle(hdy_guard *g, int r, hdy_repair repair, void *object)
{
    if (HDY_LIKELY(r == 0))
        return 0;
    if (r == EOWNERDEAD) {
        HDY_FAILPOINT("guard.dead.before_repair");
        repair(object);
        HDY_FAILPOINT("guard.dead.before_consistent");
        pthread_mutex_consistent(&g->mutex);
        return 0;
    }
    return -r;
}

/* 0, or -EBUSY after a short spin. May be called with the GIL. */
static inline int hdy_guard_try(hdy_guard *g, hdy_repair repair, void *object)
{
    int r = pthread_mutex_trylock(&g->mutex);
    for (int i = 0; r == EBUSY && i < HDY_GUARD_SPIN; i++) {
        hdy_pause();
        r = pthread_mutex_trylock(&g->mutex);
    }
    return hdy_guard_settle(g, r, repair, object);
}

/* 0, or -ETIMEDOUT after one slice, so that the caller can look at its deadline and at signals
 * (a holder may be stopped). Call without the GIL. */
static inline int hdy_guard_lock_slice(hdy_guard *g, hdy_repair repair, void *object)
{
    struct timespec t;
#if defined(__GLIBC__)
    clock_gettime(CLOCK_MONOTONIC, &t);
#else
    clock_gettime(CLOCK_REALTIME, &t);
#endif
    int64_t ns = t.tv_nsec + HDY_GUARD_SLICE_NS;
    t.tv_sec += ns / HDY_NS_PER_S;
    t.tv_nsec = ns % HDY_NS_PER_S;
#if defined(__GLIBC__)
    int r = pthread_mutex_clocklock(&g->mutex, CLOCK_MONOTONIC, &t);
#else
    int r = pthread_mutex_timedlock(&g->mutex, &t);
#endif
    return hdy_guard_settle(g, r, repair, object);
}

static inline void hdy_guard_unlock(hdy_guard *g)
{
    pthread_mutex_unlock(&g->mutex);
}

#endif
