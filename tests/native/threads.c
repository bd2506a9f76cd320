/* Threads that use the core's locks as processes do, over one mapping: for ThreadSanitizer.
 *
 * The headers need no Python. What sync.pyx, sync_party.pyx and sync_meet.pyx do around them (try, sleep for a slice,
 * look again) is done here in C. Plain data, guarded by the object under test, tells whether the object orders
 * memory: a missing barrier is a data race in it. Built and run by tools/sanitize.py.
 */
#include "sync_barrier.h"
#include "sync_cond.h"
#include "sync_rw.h"
#include "sync_sem.h"

#include <sched.h>
#include <stdio.h>

#define THREADS 4
#define ROUNDS 20000

static hdy_runtime the_runtime;

static struct {
    hdy_lock lock, cond_lock;
    hdy_event event;
    hdy_sem sem, with;
    hdy_rw rw;
    hdy_cond cond;
    union {
        hdy_barrier barrier;
        char room[sizeof(hdy_barrier) + (THREADS + HDY_BARRIER_SPARE_ROWS) * sizeof(hdy_barrier_row)];
    };
} HDY_ALIGNED it;

/* Plain on purpose: the objects above must order the accesses. */
static long by_lock, by_sem, by_with, by_rw, by_cond, for_event, slot[THREADS];

static int64_t soon(void)
{
    return hdy_now_ns() + 10 * HDY_NS_PER_MS;
}

static void fail(const char *what, long got, long wanted)
{
    fprintf(stderr, "%s: %ld, not %ld\n", what, got, wanted);
    _exit(1);
}

/* As PartyCell.run. */
static int run(hdy_party *p, hdy_repair repair, hdy_op op, hdy_call *call)
{
    int r;
    while ((r = hdy_party_run(p, repair, op, call, 0)) == -EBUSY)
        sched_yield();
    return r;
}

/* As SemaphoreCell._take and RWLockCell._wait. */
static void wait_for(hdy_party *p, hdy_repair repair, hdy_op op, hdy_call *call)
{
    int32_t number = call->number;
    while (call->number = number, run(p, repair, op, call) == -EAGAIN)
        hdy_futex_wait(&p->turn, call->turn, soon());
}

/* As LockCell.acquire and contend. */
static void take(hdy_lock *l, uint64_t contended)
{
    uint64_t seen;
    while (!hdy_lock_take(l, contended, 0)) {
        if ((seen = hdy_load(&l->owner)) == 0 || !hdy_lock_mark(l, &seen))
            continue;
        contended = HDY_CONTENDED;
        hdy_futex_wait(hdy_low_half(&l->owner), (uint32_t)seen, soon());
    }
}

/* As ConditionCell.wait, with the lock held. */
static void wait_notified(void)
{
    hdy_call call = {0};
    if (run(&it.cond.party, hdy_cond_repair, hdy_cond_enlist, &call) < 0)
        fail("rows of the condition", 0, 1);
    uint32_t *state = &it.cond.row[call.row].state;
    hdy_lock_release(&it.cond_lock);
    while (hdy_load(state) == HDY_COND_WAITING)
        hdy_futex_wait(state, HDY_COND_WAITING, soon());
    take(&it.cond_lock, HDY_CONTENDED);
    run(&it.cond.party, hdy_cond_repair, hdy_cond_leave, &call);
}

static void pass_barrier(void)
{
    hdy_call call = {.ticket = 1};
    int r;
    while ((r = run(&it.barrier.party, hdy_barrier_repair, hdy_barrier_arrive, &call)) == -EAGAIN) {
        hdy_futex_wait(&it.barrier.party.turn, call.turn, soon());
        call.number = 0;
    }
    if (r == HDY_BARRIER_SLEEP)
        do
            hdy_futex_wait(&it.barrier.party.turn, call.turn, soon());
        while ((r = run(&it.barrier.party, hdy_barrier_repair, hdy_barrier_leave, &call)) == -EAGAIN);
    if (r < 0)
        fail("barrier", r, 0);
}

static void *work(void *argument)
{
    long me = (long)(intptr_t)argument;
    uint64_t dead;
    for (int round = 0; round < ROUNDS; round++) {
        hdy_call call = {.row = (uint32_t)HDY_SEM_ROWS};
        take(&it.lock, 0);
        by_lock++;
        hdy_lock_release(&it.lock);

        if (!hdy_sem_try(&it.sem, HDY_SEM_BARE))
            wait_for(&it.sem.party, hdy_sem_repair, hdy_sem_acquire, &call);
        by_sem++;
        if (hdy_sem_give(&it.sem, 0) == 0)
            run(&it.sem.party, hdy_sem_repair, hdy_sem_release, &call);

        wait_for(&it.with.party, hdy_sem_repair, hdy_sem_hold, &call);
        by_with++;
        run(&it.with.party, hdy_sem_repair, hdy_sem_give_back, &call);
        hdy_sem_find_dead(&it.with, 0, &dead);

        call = (hdy_call){0};
        if ((round + me) % 4 == 0) {
            wait_for(&it.rw.party, hdy_rw_repair, hdy_rw_write, &call);
            by_rw++;
            run(&it.rw.party, hdy_rw_repair, hdy_rw_write_end, &call);
        } else {
            wait_for(&it.rw.party, hdy_rw_repair, hdy_rw_read, &call);
            if (by_rw < 0)
                fail("rwlock", by_rw, 0);
            run(&it.rw.party, hdy_rw_repair, hdy_rw_read_end, &call);
        }
        hdy_rw_find_dead(&it.rw, &call);

        if (round % 16 == 0) {
            slot[me] = round;
            pass_barrier();
            if (slot[(me + 1) % THREADS] != round)
                fail("barrier", slot[(me + 1) % THREADS], round);
            hdy_barrier_find_dead(&it.barrier, 0, &dead);
            pass_barrier();
        }
    }
    return NULL;
}

/* Two pass one ball back and forth: `by_cond` even is the one's turn, odd the other's. */
static void *play(void *argument)
{
    long me = (long)(intptr_t)argument;
    uint64_t dead;
    for (int round = 0; round < ROUNDS / 4; round++) {
        take(&it.cond_lock, 0);
        while (by_cond % 2 != me)
            wait_notified();
        by_cond++;
        hdy_call call = {.number = 1, .lock = &it.cond_lock};
        run(&it.cond.party, hdy_cond_repair, hdy_cond_notify, &call);
        hdy_lock_release(&it.cond_lock);
        hdy_cond_find_dead(&it.cond, 0, 0, &dead);
    }
    return NULL;
}

static void *await_event(void *unused)
{
    uint32_t since = hdy_load(&it.event.word), seen;
    (void)unused;
    while (!hdy_event_passed(&it.event, since, &seen))
        hdy_futex_wait(&it.event.word, seen, soon());
    if (for_event != 42)
        fail("event", for_event, 42);
    return NULL;
}

static void run_threads(void *(*main)(void *), int count, void (*meanwhile)(void))
{
    pthread_t thread[THREADS];
    for (long i = 0; i < count; i++)
        pthread_create(&thread[i], NULL, main, (void *)(intptr_t)i);
    if (meanwhile)
        meanwhile();
    for (int i = 0; i < count; i++)
        pthread_join(thread[i], NULL);
}

static void raise_event(void)
{
    for_event = 42;
    hdy_event_set(&it.event);
}

int main(void)
{
    hdy_rt = &the_runtime;
    hdy_self();
    hdy_sem_start(&it.sem, 1, INT32_MAX);
    hdy_sem_start(&it.with, 1, INT32_MAX);
    hdy_rw_start(&it.rw);
    hdy_cond_start(&it.cond);
    hdy_barrier_start(&it.barrier, THREADS);
    run_threads(work, THREADS, NULL);
    run_threads(play, 2, NULL);
    run_threads(await_event, THREADS, raise_event);
    if (by_lock != THREADS * ROUNDS || by_sem != by_lock || by_with != by_lock || by_rw != by_lock / 4)
        fail("counts", by_lock + by_sem + by_with + 4 * by_rw, 4 * THREADS * ROUNDS);
    puts("threads: all counts are right");
    return 0;
}
