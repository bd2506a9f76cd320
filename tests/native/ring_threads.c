/* Threads that use a queue as processes do, over one mapping: for ThreadSanitizer.
 *
 * Each thread has a view of the queue (hdy_queue) of its own, as each process has. What sender.pyx, channel.pyx,
 * joinable.pyx and tasks.pyx do around the headers (try, ask, sleep for a slice, look again) is done here in C. Besides
 * the bytes in the queue's memory, `proof` is plain data that is written before a put and read after the get of that
 * message: a commit that does not order memory is a data race in it. Built and run by tools/sanitize.py.
 */
#define _GNU_SOURCE
#include <pthread.h>
/* gcc 12's ThreadSanitizer does not know clocklock. What it gets is long past: whoever meets the guard held gives up. */
#define pthread_mutex_clocklock(mutex, clock, until) pthread_mutex_timedlock(mutex, until)
#include "repair.h"

#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>

#define PUTTERS 2
#define GETTERS 2
#define MOST 16000
#define BOUND 50
#define BATCH 16
#define LARGE_BYTES (3 * HDY_UNIT_BYTES + 100)

static hdy_runtime the_runtime;
static hdy_queue the_queue;
static uint64_t count; /* of this round: messages of each putter */
static uint64_t taken; /* atomic: messages that arrived */
static int over;       /* atomic */
static int equal;      /* all messages of this round have one size */

/* Plain on purpose: the queue must order the accesses. */
static long proof[PUTTERS][MOST];

typedef struct {
    uint64_t putter, number;
} message;

static void fail(const char *what, long got, long wanted)
{
    fprintf(stderr, "%s: %ld, not %ld\n", what, got, wanted);
    _exit(1);
}

static void enter(hdy_queue *q, hdy_side *s)
{
    int rc;
    while ((rc = hdy_try(q, s)) == -EBUSY)
        sched_yield();
    if (rc)
        fail("guard", rc, 0);
}

static void nap(hdy_queue *q, int what, uint32_t seen)
{
    hdy_futex_wait(&q->ring->waits[what].word, seen, hdy_now_ns() + 20 * HDY_NS_PER_MS);
}

/* As Sender._push: at least one of them. */
static int put(hdy_queue *q, const hdy_message *m, int n)
{
    for (int done = 0;;) {
        uint32_t seen = 0;
        enter(q, &q->ring->tail);
        int rc = hdy_ring_put(q, m, n, &done);
        if (rc == -EAGAIN) {
            seen = hdy_ask(q, HDY_SPACE);
            rc = hdy_ring_put(q, m, n, &done);
        }
        hdy_leave_tail(q);
        if (rc == 0)
            return done;
        if (rc == -EAGAIN)
            nap(q, HDY_SPACE, seen);
        else if (rc != -EBUSY)
            fail("put", rc, 0);
    }
}

/* As Sender._push_large. */
static void put_large(hdy_queue *q, hdy_message *m)
{
    int rc = 0;
    while (hdy_heap_try(q))
        sched_yield();
    m->unit = hdy_chain_alloc(q, m->size, &rc);
    hdy_heap_leave(q);
    if (!m->unit)
        fail("memory", rc, 0);
    if ((rc = hdy_message_fill(q, m)))
        fail("fill", rc, 0);
    put(q, m, 1);
}

static void *put_all(void *argument)
{
    hdy_queue own = the_queue, *q = &own;
    uint64_t me = (uint64_t)(intptr_t)argument, at = 0;
    static char bytes[PUTTERS][LARGE_BYTES];
    message text;
    struct iovec part = {&text, sizeof text};
    char many[BATCH * (sizeof(hdy_record) + sizeof text)];
    while (at < count) {
        hdy_records records = {.bytes = many, .pid = hdy_pid_of(hdy_self())};
        hdy_message m = {.kind = 3, .size = sizeof text, .parts = &part, .nparts = 1};
        int n = at % 3 ? 1 : BATCH;
        if ((uint64_t)n > count - at)
            n = (int)(count - at);
        for (int i = 0; i < n; i++) {
            text = (message){me, at + (uint64_t)i};
            proof[me][at + (uint64_t)i] = (long)(at + (uint64_t)i) + 1;
            hdy_records_add(&records, 3, &part, 1, sizeof text);
        }
        if (at % 64 == 1 && !equal) {
            text.number = at;
            memcpy(bytes[me], &text, sizeof text);
            m.parts = &(struct iovec){bytes[me], LARGE_BYTES};
            m.size = LARGE_BYTES;
            put_large(q, &m);
            at++;
        } else {
            m.records = n > 1 ? records.bytes : NULL;
            at += (uint64_t)put(q, &m, n);
        }
    }
    return NULL;
}

static void arrived(const message *text, uint64_t *next)
{
    if (text->putter >= PUTTERS || text->number < next[text->putter] || text->number >= count)
        fail("order", (long)text->number, (long)next[text->putter % PUTTERS]);
    next[text->putter] = text->number + 1;
    if (proof[text->putter][text->number] != (long)text->number + 1)
        fail("proof", proof[text->putter][text->number], (long)text->number + 1);
    proof[text->putter][text->number] = 0; /* a message that came twice would find this */
    hdy_add(&taken, 1);
}

/* As Channel._pull and _receive, and JoinableRing._task_done. */
static void *get_all(void *unused)
{
    hdy_queue own = the_queue, *q = &own;
    static __thread char small[BATCH * 64], large[LARGE_BYTES];
    hdy_got got;
    uint64_t next[PUTTERS] = {0};
    (void)unused;
    while (hdy_load(&taken) < PUTTERS * count) {
        int done = 0;
        uint32_t seen = 0;
        got = (hdy_got){.small = small, .room = LARGE_BYTES, .room_kind = 3, .as_records = 1};
        enter(q, &q->ring->head);
        int rc = hdy_ring_get(q, &got, BATCH, sizeof small, &done);
        if (rc == -EAGAIN) {
            seen = hdy_ask(q, HDY_ITEMS);
            rc = hdy_ring_get(q, &got, BATCH, sizeof small, &done);
        }
        hdy_leave(q, &q->ring->head);
        if (rc == -EAGAIN) {
            nap(q, HDY_ITEMS, seen);
            continue;
        }
        if (rc)
            fail("get", rc, 0);
        for (int i = 0; i < done; i++) {
            message text;
            if (got.unit) {
                if ((rc = hdy_chain_copy(q, got.unit, 0, large, LARGE_BYTES, 0)))
                    fail("copy", rc, 0);
                hdy_hand_free(q, got.unit);
                memcpy(&text, large, sizeof text);
            } else {
                memcpy(&text, hdy_records_skip(small, i) + sizeof(hdy_record), sizeof text);
            }
            arrived(&text, next);
        }
        for (int i = 0; q->ring->joinable && i < done; i++) {
            enter(q, &q->ring->head);
            if (hdy_ring_task_done(q))
                fail("task_done", 1, 0);
            hdy_leave(q, &q->ring->head);
        }
    }
    return NULL;
}

/* As LeaseRing._take, _ack, _nack. */
static void *take_all(void *unused)
{
    hdy_queue own = the_queue, *q = &own;
    static __thread char small[512];
    (void)unused;
    for (uint64_t turn = 0; hdy_load(&taken) < PUTTERS * count; turn++) {
        hdy_lease l;
        message text;
        uint32_t seen = 0, hand = 0;
        uint64_t next[PUTTERS] = {0}; /* what comes back comes late */
        enter(q, &q->ring->head);
        int rc = hdy_lease_take(q, &l, small, 0);
        if (rc == -EAGAIN) {
            seen = hdy_ask(q, HDY_ITEMS);
            rc = hdy_lease_take(q, &l, small, 0);
        }
        hdy_leave(q, &q->ring->head);
        if (rc == -EAGAIN) {
            nap(q, HDY_ITEMS, seen);
            continue;
        }
        if (rc == -EBUSY)
            continue;
        if (rc)
            fail("take", rc, 0);
        if (!l.payload_unit)
            memcpy(&text, small, sizeof text);
        else if ((rc = hdy_chain_copy(q, l.payload_unit, 0, (char *)&text, sizeof text, 0)))
            fail("copy", rc, 0);
        if (turn % 7) /* done with before the ack: after it another may be told that all is */
            arrived(&text, next);
        enter(q, &q->ring->head);
        rc = turn % 7 ? hdy_lease_ack(q, &l, &hand) : hdy_lease_nack(q, &l, 0);
        hdy_leave(q, &q->ring->head);
        if (rc)
            fail("ack", rc, 0);
        if (hand)
            hdy_hand_free(q, hand);
    }
    return NULL;
}

/* As Ring.qsize and _tidy: looks without a guard, and gives memory back. */
static void *watch(void *unused)
{
    hdy_queue own = the_queue, *q = &own;
    (void)unused;
    while (!hdy_load(&over)) {
        hdy_view v = hdy_look(q->ring);
        if (v.count > BOUND)
            fail("messages in a bounded queue", (long)v.count, BOUND);
        if (equal) {
            hdy_end end;
            hdy_peek(&q->ring->tail, &end);
            if (end.bytes != end.seq * sizeof(message) || v.bytes != v.count * sizeof(message))
                fail("an end of two instants", (long)end.bytes, (long)(end.seq * sizeof(message)));
            continue;
        }
        if (hdy_heap_try(q) == 0) {
            hdy_heap_sweep(q);
            hdy_heap_trim(q, HDY_ARENA_UNITS);
            hdy_heap_leave(q);
        }
        sched_yield();
    }
    return NULL;
}

static void open_queue(int joinable)
{
    hdy_queue *q = &the_queue;
    memset(q, 0, sizeof *q);
    q->fd = memfd_create("hardy-threads", MFD_CLOEXEC);
    if (q->fd < 0 || hdy_make_arena_list(q) < 0 || ftruncate(q->fd, (off_t)HDY_ARENA_BYTES))
        fail("memory", errno, 0);
    q->arena[0] = mmap(NULL, HDY_ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, q->fd, 0);
    if (q->arena[0] == MAP_FAILED)
        fail("mmap", errno, 0);
    q->ring = (hdy_ring *)q->arena[0];
    int error = hdy_ring_init(q, BOUND, 0, 0, joinable);
    if (error)
        fail("queue", error, 0);
}

static void run(const char *name, uint64_t messages, int joinable, int same_size, void *(*reader)(void *))
{
    pthread_t thread[PUTTERS + GETTERS], watcher;
    open_queue(joinable);
    count = messages;
    equal = same_size;
    taken = 0;
    over = 0;
    pthread_create(&watcher, NULL, watch, NULL);
    for (long i = 0; i < PUTTERS; i++)
        pthread_create(&thread[i], NULL, put_all, (void *)(intptr_t)i);
    for (long i = PUTTERS; i < PUTTERS + GETTERS; i++)
        pthread_create(&thread[i], NULL, reader, NULL);
    for (int i = 0; i < PUTTERS + GETTERS; i++)
        pthread_join(thread[i], NULL);
    hdy_store(&over, 1);
    pthread_join(watcher, NULL);
    for (int i = 0; i < PUTTERS; i++)
        for (uint64_t k = 0; k < count; k++)
            if (proof[i][k])
                fail("a message that never came", (long)k, 0);
    hdy_view v = hdy_look(the_queue.ring);
    hdy_heap_sweep(&the_queue); /* what hdy_hand_free left in nobody's hand */
    if (v.count || v.bytes || the_queue.ring->hands || the_queue.ring->dirty)
        fail(name, (long)v.count, 0);
    if (joinable && hdy_unfinished(the_queue.ring))
        fail("unfinished", (long)hdy_unfinished(the_queue.ring), 0);
    char *first = the_queue.arena[0];
    hdy_unmap_arenas(&the_queue);
    munmap(first, HDY_ARENA_BYTES);
    close(the_queue.fd);
}

int main(void)
{
    hdy_rt = &the_runtime;
    hdy_self();
    for (int i = 0; i < 10; i++)
        run("queue of equals", MOST, 0, 1, get_all);
    run("queue", MOST, 0, 0, get_all);
    run("joinable queue", MOST / 4, 1, 0, get_all);
    run("queue of leases", MOST / 4, 0, 0, take_all);
    puts("ring_threads: every message came once");
    return 0;
}
