/* Lock, RLock and Event: one word each, changed by compare-and-swap.
 *
 * The owner word of a lock is an identity (base.h) with a flag moved in between, so that the flag
 * lies in the half that the futex sees:
 *
 *      63                    23   22   21        0
 *     +------------------------+----+-------------+
 *     |  start time, 41 bits   | C  |  pid        |     0: free
 *     +------------------------+----+-------------+
 *                         C: somebody may be asleep
 *
 *     free --CAS--> held by A --CAS, waiter--> held by A, C --exchange--> free (then wake one)
 *                      |  A dies                   |  A dies
 *                      v                           v
 *                  dead word ----CAS by a waiter or a newcomer----> held by B, C; recovered = A
 *
 * What a reader finds after a death: a word that names a dead process (take over by CAS from exactly
 * that word, which no process will ever write again), or a free word whose wake-up was not sent or
 * was swallowed (sleepers look again at the end of each slice). There is no state in between.
 *
 * Rejected: a robust mutex (must be released by the thread that took it; one mapping for ever), and
 * FUTEX_LOCK_PI (thread ids: no other process may release).
 */
#ifndef HDY_SYNC_LOCK_H
#define HDY_SYNC_LOCK_H

#include "layout_sync.h"
#include "wait.h"

#define HDY_CONTENDED (1ull << HDY_PID_BITS)

static inline uint64_t hdy_owner_word(uint64_t identity)
{
    return (identity & HDY_PID_MASK) | (identity >> HDY_PID_BITS << (HDY_PID_BITS + 1));
}

static inline uint64_t hdy_owner_identity(uint64_t word)
{
    return (word & HDY_PID_MASK) | (word >> (HDY_PID_BITS + 1) << HDY_PID_BITS);
}

static inline uint32_t *hdy_low_half(uint64_t *word)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return (uint32_t *)word;
#else
    return (uint32_t *)word + 1;
#endif
}

/* What a handle knows of the owner that it met last; this process's own. */
typedef struct {
    uint64_t identity; /* found alive, by pid and start time, */
    int64_t at_ns;     /* then */
} hdy_known;
/* Within this time no pid comes round again: that would take all pids of the system. */
#define HDY_KNOWN_FOR_NS (100 * HDY_NS_PER_MS)

/* As hdy_alive, but the start time, which costs most to read, is not read again for a while: for
 * programs that try a held lock over and over. */
static inline int hdy_alive_still(uint64_t identity, hdy_known *known)
{
    int64_t now = hdy_now_ns();
    if (known->identity == identity && now - known->at_ns < HDY_KNOWN_FOR_NS) {
        struct pollfd pf = {(int)syscall(SYS_pidfd_open, hdy_pid_of(identity), 0), POLLIN, 0};
        if (pf.fd >= 0) {
            int dead = poll(&pf, 1, 0) > 0;
            close(pf.fd);
            return !dead;
        }
    }
    int alive = hdy_alive(identity);
    known->identity = alive ? identity : 0;
    known->at_ns = now;
    return alive;
}

/* 1: the lock was free and is ours; 0: it was not. `how`: 0 or HDY_TAKEN_WITH. */
static inline int hdy_lock_take(hdy_lock *l, uint64_t contended, uint64_t how)
{
    uint64_t expected = 0;
    HDY_FAILPOINT("lock.acquire.before_cas");
    if (!hdy_cas(&l->owner, &expected, hdy_owner_word(hdy_self()) | contended))
        return 0;
    HDY_FAILPOINT("lock.acquire.after_cas");
    __atomic_store_n(&l->thread, hdy_thread_key() | how, __ATOMIC_RELAXED);
    HDY_FAILPOINT("lock.acquire.after_thread");
    return 1;
}

/* Says in the word that somebody will sleep. 1: done, *seen is the word to sleep on; 0: look again. */
static inline int hdy_lock_mark(hdy_lock *l, uint64_t *seen)
{
    HDY_FAILPOINT("lock.wait.before_mark");
    if (!(*seen & HDY_CONTENDED)) {
        if (!hdy_cas(&l->owner, seen, *seen | HDY_CONTENDED))
            return 0;
        *seen |= HDY_CONTENDED;
    }
    HDY_FAILPOINT("lock.wait.before_sleep");
    return 1;
}

/* From a dead owner. `dead` is the whole word that named it. Others may sleep, hence the flag. */
static inline int hdy_lock_take_over(hdy_lock *l, uint64_t dead, uint64_t how)
{
    uint64_t expected = dead;
    HDY_FAILPOINT("lock.recover.before_cas");
    if (!hdy_cas(&l->owner, &expected, hdy_owner_word(hdy_self()) | HDY_CONTENDED))
        return 0;
    HDY_FAILPOINT("lock.recover.after_cas");
    hdy_store(&l->recovered, hdy_owner_identity(dead));
    HDY_FAILPOINT("lock.recover.after_recovered");
    __atomic_store_n(&l->thread, hdy_thread_key() | how, __ATOMIC_RELAXED);
    HDY_FAILPOINT("lock.recover.after_thread");
    return 1;
}

/* Undo a take-over: the word names the dead one again, and the next acquirer is told instead. */
static inline int hdy_lock_give_back(hdy_lock *l, uint64_t dead)
{
    uint64_t me = hdy_owner_word(hdy_self());
    uint64_t expected = me | HDY_CONTENDED;
    __atomic_store_n(&l->thread, 0, __ATOMIC_RELAXED);
    hdy_store(&l->recovered, 0);
    HDY_FAILPOINT("lock.give_back.before_cas");
    int done = hdy_cas(&l->owner, &expected, hdy_owner_word(dead) | HDY_CONTENDED);
    HDY_FAILPOINT("lock.give_back.before_wake");
    if (done)
        hdy_futex_wake(hdy_low_half(&l->owner), 1);
    return done;
}

/* Whether the thread that took it last, and has not released it, is this one. */
static inline int hdy_lock_of_thread(hdy_lock *l)
{
    return (hdy_load_relaxed(&l->thread) & ~HDY_THREAD_FLAGS) == hdy_thread_key();
}

/* Frees a held lock; 0, or -EINVAL when another did meanwhile. */
static inline int hdy_lock_free(hdy_lock *l)
{
    HDY_FAILPOINT("lock.release.before_clear");
    __atomic_store_n(&l->thread, 0, __ATOMIC_RELAXED);
    if (HDY_UNLIKELY(hdy_load_relaxed(&l->recovered)))
        __atomic_store_n(&l->recovered, 0, __ATOMIC_RELAXED);
    HDY_FAILPOINT("lock.release.before_exchange");
    uint64_t old = hdy_exchange(&l->owner, 0);
    HDY_FAILPOINT("lock.release.after_exchange");
    if (old == 0)
        return -EINVAL;
    if (old & HDY_CONTENDED) {
        hdy_futex_wake(hdy_low_half(&l->owner), 1);
        HDY_FAILPOINT("lock.release.after_wake");
    }
    return 0;
}

/* 0, or -EINVAL when it was free. Whoever calls need not be the owner, but for a lock that is its holder's own: then
 * -EPERM. */
static inline int hdy_lock_release(hdy_lock *l)
{
    if (hdy_load_relaxed(&l->owner) == 0)
        return -EINVAL;
#ifndef HARDY_BLIND
    uint32_t habit = hdy_lock_of_thread(l) ? HDY_RELEASED_BY_HOLDER : HDY_RELEASED_BY_OTHER;
    uint32_t habits = hdy_load_relaxed(&l->habits);
    if (HDY_UNLIKELY(!(habits & habit))) {
        if (habit == HDY_RELEASED_BY_OTHER && (habits & HDY_HOLDERS_OWN))
            return -EPERM; /* so the bit of this habit is never set, and each try comes by here */
        __atomic_or_fetch(&l->habits, habit, __ATOMIC_RELAXED);
    }
#endif
    return hdy_lock_free(l);
}

/* Shows who holds the lock. That `thread` names a thread proves that this one holds it: it is written after the
 * lock was taken, and cleared before it is released, by whoever releases it. */
static inline void hdy_lock_show_holder(hdy_lock *l, hdy_waiting *w)
{
    int64_t before_ns = hdy_now_ns();
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    uint64_t thread = hdy_load(&l->thread), holder = hdy_owner_identity(hdy_load(&l->owner));
    uint32_t how = (thread & HDY_TAKEN_WITH) | hdy_load_relaxed(&l->habits);
    HDY_FAILPOINT("lock.wait.after_look");
    hdy_wait_sees(w, holder, thread & ~HDY_THREAD_FLAGS, how, before_ns);
}

static inline int hdy_lock_held_here(hdy_lock *l)
{
    uint64_t word = hdy_load_relaxed(&l->owner) & ~HDY_CONTENDED;
    return word != 0 && word == hdy_owner_word(hdy_self());
}

static inline int hdy_lock_is_mine(hdy_lock *l)
{
    return hdy_lock_held_here(l) && hdy_lock_of_thread(l);
}

/* ---- RLock: the same word; the depth is the owner's own ---- */

static inline int hdy_rlock_enter(hdy_lock *l, uint32_t depth)
{
    HDY_FAILPOINT("rlock.acquire.before_depth");
    l->depth = depth;
    HDY_FAILPOINT("rlock.acquire.after_depth");
    return 1;
}

/* 0, or -EPERM when this thread does not hold it. */
static inline int hdy_rlock_release(hdy_lock *l)
{
    if (!hdy_lock_is_mine(l))
        return -EPERM;
    HDY_FAILPOINT("rlock.release.before_depth");
    l->depth--;
    HDY_FAILPOINT("rlock.release.after_depth");
    return l->depth == 0 ? hdy_lock_free(l) : 0; /* by its holder: nothing to note */
}

/* ---- Event ----
 *
 * word: times set << 2 | somebody waits << 1 | is set. A waiter leaves when the flag is up or when
 * the number of times differs from what it was when it came: a set() that is followed by clear() at
 * once still lets everyone go who waited. A setter that dies between the swap and the wake-up has
 * set; sleepers see it at the end of their slice.
 */
#define HDY_EVENT_SET 1u
#define HDY_EVENT_WAITERS 2u
#define HDY_EVENT_TIMES_SHIFT 2

static inline void hdy_event_set(hdy_event *e)
{
    HDY_FAILPOINT("event.set.before_cas");
    uint32_t seen = hdy_load(&e->word);
    do {
        if (seen & HDY_EVENT_SET)
            return;
    } while (!hdy_cas(&e->word, &seen,
                      ((seen >> HDY_EVENT_TIMES_SHIFT) + 1) << HDY_EVENT_TIMES_SHIFT | HDY_EVENT_SET));
    HDY_FAILPOINT("event.set.before_wake");
    if (seen & HDY_EVENT_WAITERS) {
        hdy_futex_wake(&e->word, INT32_MAX);
        HDY_FAILPOINT("event.set.after_wake");
    }
}

static inline void hdy_event_clear(hdy_event *e)
{
    HDY_FAILPOINT("event.clear.before_cas");
    __atomic_and_fetch(&e->word, ~HDY_EVENT_SET, __ATOMIC_SEQ_CST);
    HDY_FAILPOINT("event.clear.after_cas");
}

/* 1: the event was set meanwhile; 0: sleep on *seen. `since` is the word as the waiter found it. */
static inline int hdy_event_passed(hdy_event *e, uint32_t since, uint32_t *seen)
{
    *seen = hdy_load(&e->word);
    do {
        if ((*seen & HDY_EVENT_SET) || (*seen ^ since) >> HDY_EVENT_TIMES_SHIFT)
            return 1;
        HDY_FAILPOINT("event.wait.before_mark");
        if (*seen & HDY_EVENT_WAITERS)
            break;
    } while (!hdy_cas(&e->word, seen, *seen | HDY_EVENT_WAITERS));
    *seen |= HDY_EVENT_WAITERS;
    HDY_FAILPOINT("event.wait.before_sleep");
    return 0;
}

#endif
