/* Plain C on hardy's ring: what a queue costs without Python, codec and GIL.
 *
 *   cc -O2 -D_GNU_SOURCE -pthread -Isrc/hardy/_core bench/plain_c.c -o plain_c
 *   ./plain_c one-way BYTES MANY COUNT      one process puts, another gets, MANY at a time
 *   ./plain_c round-trip PAUSE_NS COUNT     8 bytes there and back, with a pause before each
 *
 * Prints the seconds that all took, the pauses not counted. What sender.pyx and channel.pyx do around the headers is
 * done here: who finds nothing spins, and then asks and sleeps. bench/plain.py builds and runs it.
 */
#include "repair.h"
#include "spin.h"
#include <sys/wait.h>

#define MOST_AT_ONCE 100
#define SMALL_BYTES 1024

static hdy_runtime the_runtime;

static void fail(const char *what, int code)
{
    fprintf(stderr, "%s: %s\n", what, strerror(code < 0 ? -code : code));
    exit(1);
}

static void open_queue(hdy_queue *q, uint64_t maxsize)
{
    memset(q, 0, sizeof *q);
    q->fd = memfd_create("hardy-plain-c", MFD_CLOEXEC);
    if (q->fd < 0 || ftruncate(q->fd, (off_t)HDY_ARENA_BYTES))
        fail("memory", errno);
    q->arena = calloc(HDY_MAX_ARENAS, sizeof *q->arena);
    q->arena[0] = mmap(NULL, HDY_ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, q->fd, 0);
    if (q->arena[0] == MAP_FAILED)
        fail("mmap", errno);
    q->ring = (hdy_ring *)q->arena[0];
    q->luck[HDY_ITEMS] = q->luck[HDY_SPACE] = 4; /* as a queue begins */
    int error = hdy_ring_init(q, maxsize, 0, 0, 0);
    if (error)
        fail("queue", error);
}

static void enter(hdy_queue *q, hdy_side *s)
{
    int rc;
    while ((rc = hdy_try(q, s)) == -EBUSY)
        ;
    if (rc)
        fail("guard", rc);
}

/* After the first look of a call found nothing: spins once, then sleeps. */
static void wait_for(hdy_queue *q, int what, int turn, uint32_t seen, int gather)
{
    if (turn)
        hdy_futex_wait(&q->ring->waits[what].word, seen, hdy_now_ns() + 100 * HDY_NS_PER_MS);
    else if (hdy_spin_pays(q, what))
        hdy_spin(q, what, gather);
}

/* How many of the messages were put, at least one. */
static int put(hdy_queue *q, const hdy_message *m, int n)
{
    for (int turn = 0, done = 0;; turn++) {
        uint32_t seen = 0;
        enter(q, &q->ring->tail);
        int rc = hdy_ring_put(q, m, n, &done);
        if (rc == -EAGAIN && turn) {
            seen = hdy_ask(q, HDY_SPACE);
            rc = hdy_ring_put(q, m, n, &done);
        }
        hdy_leave_tail(q);
        if (rc == 0)
            return done;
        if (rc == -EAGAIN)
            wait_for(q, HDY_SPACE, turn, seen, 1);
        else if (rc != -EBUSY)
            fail("put", rc);
    }
}

static void put_large(hdy_queue *q, hdy_message *m)
{
    int rc = 0;
    while (hdy_heap_try(q))
        ;
    m->unit = hdy_chain_alloc(q, m->size, &rc);
    hdy_heap_leave(q);
    if (!m->unit || (rc = hdy_message_fill(q, m)))
        fail("memory", rc);
    put(q, m, 1);
}

/* How many messages came, at least one; a large one is in `large`. */
static int get(hdy_queue *q, hdy_got *got, int n, char *small, char *large, uint64_t large_bytes, int gather)
{
    for (int turn = 0, done = 0;; turn++) {
        uint32_t seen = 0;
        *got = (hdy_got){.small = small, .room = large_bytes, .room_kind = 3, .as_records = n > 1};
        enter(q, &q->ring->head);
        int rc = hdy_ring_get(q, got, n, MOST_AT_ONCE * (SMALL_BYTES + sizeof(hdy_record)), &done);
        if (rc == -EAGAIN && turn) {
            seen = hdy_ask(q, HDY_ITEMS);
            rc = hdy_ring_get(q, got, n, MOST_AT_ONCE * (SMALL_BYTES + sizeof(hdy_record)), &done);
        }
        hdy_leave(q, &q->ring->head);
        if (rc == 0 && got->unit) {
            if ((rc = hdy_chain_copy(q, got->unit, 0, large, large_bytes, 0)))
                fail("copy", rc);
            hdy_hand_free(q, got->unit);
        }
        if (rc == 0)
            return done;
        if (rc == -EAGAIN)
            wait_for(q, HDY_ITEMS, turn, seen, gather);
        else
            fail("get", rc);
    }
}

static void produce(hdy_queue *q, uint64_t count, uint32_t size, int many)
{
    char *bytes = calloc(1, size);
    struct iovec part = {bytes, size};
    hdy_message m = {.kind = 3, .size = size, .parts = &part, .nparts = 1}, run = {0};
    static char space[MOST_AT_ONCE * (SMALL_BYTES + sizeof(hdy_record))];
    hdy_records records = {.bytes = space, .pid = hdy_pid_of(hdy_self())};
    run.records = records.bytes;
    for (uint64_t at = 0; at < count;) {
        int n = (uint64_t)many < count - at ? many : (int)(count - at);
        *(uint64_t *)bytes = at;
        if (size > HDY_INLINE_MAX) {
            put_large(q, &m);
            at++;
        } else if (many == 1) {
            at += (uint64_t)put(q, &m, 1);
        } else {
            records.used = 0;
            for (int i = 0; i < n; i++) {
                *(uint64_t *)bytes = at + (uint64_t)i;
                hdy_records_add(&records, 3, &part, 1, size);
            }
            at += (uint64_t)put(q, &run, n);
        }
    }
}

static void consume(hdy_queue *q, uint64_t count, uint32_t size, int many)
{
    static char small[MOST_AT_ONCE * (SMALL_BYTES + sizeof(hdy_record))];
    char *large = size > HDY_INLINE_MAX ? malloc(size) : NULL;
    hdy_got got;
    for (uint64_t at = 0; at < count;) {
        int done = get(q, &got, many, small, large, large ? size : 0, 1);
        const char *text = got.unit ? large : many > 1 ? small + sizeof(hdy_record) : small;
        for (int i = 0; i < done; i++, text += hdy_record_bytes(size))
            if (*(uint64_t *)text != at + (uint64_t)i)
                fail("order", EPROTO);
        at += (uint64_t)done;
    }
}

static void be_child(void)
{
    the_runtime.identity = 0;
    the_runtime.forks++;
}

static double one_way(uint64_t count, uint32_t size, int many)
{
    hdy_queue q;
    int gate[2];
    char byte = 0;
    /* As the bench does with the other contenders: large messages would fill the memory. */
    open_queue(&q, size > HDY_INLINE_MAX ? 16 : 0);
    if (pipe(gate))
        fail("pipe", errno);
    pid_t child = fork();
    if (child < 0)
        fail("fork", errno);
    if (child == 0) {
        be_child();
        produce(&q, 1, size, many); /* as a start: the memory, and the way to it */
        if (read(gate[0], &byte, 1) == 1)
            produce(&q, count, size, many);
        _exit(0);
    }
    consume(&q, 1, size, many);
    int64_t start = hdy_now_ns();
    if (write(gate[1], &byte, 1) != 1)
        fail("pipe", errno);
    consume(&q, count, size, many);
    int64_t took = hdy_now_ns() - start;
    waitpid(child, NULL, 0);
    return (double)took / 1e9;
}

static void send_number(hdy_queue *q, uint64_t number)
{
    struct iovec part = {&number, sizeof number};
    hdy_message m = {.kind = 3, .size = sizeof number, .parts = &part, .nparts = 1};
    put(q, &m, 1);
}

static uint64_t receive_number(hdy_queue *q)
{
    char small[SMALL_BYTES];
    hdy_got got;
    get(q, &got, 1, small, NULL, 0, 0);
    return *(uint64_t *)got.small;
}

static double round_trip(uint64_t count, int64_t pause_ns)
{
    hdy_queue there, back;
    int64_t took = 0;
    open_queue(&there, 0);
    open_queue(&back, 0);
    pid_t child = fork();
    if (child < 0)
        fail("fork", errno);
    if (child == 0) {
        be_child();
        for (uint64_t i = 0; i <= count; i++)
            send_number(&back, receive_number(&there));
        _exit(0);
    }
    for (uint64_t i = 0; i <= count; i++) {
        struct timespec pause = {pause_ns / HDY_NS_PER_S, pause_ns % HDY_NS_PER_S};
        if (pause_ns)
            nanosleep(&pause, NULL);
        int64_t start = hdy_now_ns();
        send_number(&there, i);
        if (receive_number(&back) != i)
            fail("order", EPROTO);
        if (i) /* the first is the start */
            took += hdy_now_ns() - start;
    }
    waitpid(child, NULL, 0);
    return (double)took / 1e9;
}

int main(int argc, char **argv)
{
    hdy_rt = &the_runtime;
    if (argc == 5 && strcmp(argv[1], "one-way") == 0) {
        int many = atoi(argv[3]);
        if (many < 1 || many > MOST_AT_ONCE)
            fail("MANY", ERANGE);
        printf("%.9f\n", one_way(strtoull(argv[4], NULL, 10), (uint32_t)atoi(argv[2]), many));
    } else if (argc == 4 && strcmp(argv[1], "round-trip") == 0) {
        printf("%.9f\n", round_trip(strtoull(argv[3], NULL, 10), atoll(argv[2])));
    } else {
        fail("usage: see plain_c.c", EINVAL);
    }
    return 0;
}
