/* Plain C on hardy's ring: what a queue costs without Python, codec and GIL.
 *
 *   cc -O2 -D_GNU_SOURCE -pthread -Isrc/hardy/_core bench/plain_c.c -o plain_c
 *   ./plain_c [messages]
 *
 * One process puts, another gets; a line for each kind of message: name, messages per second. A reader that finds
 * nothing spins, as hardy's does at first; it never sleeps, so both processes need a processor of their own.
 */
#include "repair.h"
#include "spin.h"
#include <sys/wait.h>

#define MANY 100
#define RUNS 5

static hdy_runtime the_runtime;

static void fail(const char *what, int code)
{
    fprintf(stderr, "%s: %s\n", what, strerror(code < 0 ? -code : code));
    exit(1);
}

static void open_queue(hdy_queue *q)
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
    int error = hdy_ring_init(q, 0, 0, 0, 0);
    if (error)
        fail("queue", error);
}

static void produce(hdy_queue *q, uint64_t count, uint32_t size, int many)
{
    static char bytes[MANY][1024];
    struct iovec parts[MANY];
    hdy_message m[MANY];
    for (int i = 0; i < MANY; i++) {
        parts[i] = (struct iovec){bytes[i], size};
        m[i] = (hdy_message){.kind = 3, .size = size, .parts = &parts[i], .nparts = 1};
    }
    for (uint64_t at = 0; at < count;) {
        int n = (uint64_t)many < count - at ? many : (int)(count - at), done = 0, rc;
        for (int i = 0; i < n; i++)
            *(uint64_t *)bytes[i] = at + (uint64_t)i;
        while ((rc = hdy_try(q, &q->ring->tail)) == -EBUSY)
            ;
        if (rc == 0)
            rc = hdy_ring_put(q, m, n, &done);
        hdy_leave_tail(q);
        if (rc && rc != -EBUSY)
            fail("put", rc);
        at += (uint64_t)done;
    }
}

static void consume(hdy_queue *q, uint64_t count, int many)
{
    static char small[MANY * 1024];
    hdy_got got[MANY];
    for (uint64_t at = 0; at < count;) {
        int done = 0, rc;
        got[0].small = small;
        got[0].room = 0;
        while ((rc = hdy_try(q, &q->ring->head)) == -EBUSY)
            ;
        if (rc == 0)
            rc = hdy_ring_get(q, got, many, sizeof small, &done);
        hdy_leave(q, &q->ring->head);
        if (rc == -EAGAIN)
            hdy_spin(q, HDY_ITEMS, 1);
        else if (rc)
            fail("get", rc);
        for (int i = 0; i < done; i++)
            if (*(uint64_t *)got[i].small != at + (uint64_t)i)
                fail("order", EPROTO);
        at += (uint64_t)done;
    }
}

static double measure(uint64_t count, uint32_t size, int many)
{
    hdy_queue q;
    open_queue(&q);
    int64_t start = hdy_now_ns();
    pid_t child = fork();
    if (child < 0)
        fail("fork", errno);
    if (child == 0) {
        the_runtime.identity = 0;
        produce(&q, count, size, many);
        _exit(0);
    }
    consume(&q, count, many);
    double seconds = (double)(hdy_now_ns() - start) / 1e9;
    int status;
    waitpid(child, &status, 0);
    munmap(q.arena[0], HDY_ARENA_BYTES);
    free(q.arena);
    close(q.fd);
    return (double)count / seconds;
}

static int by_size(const void *a, const void *b)
{
    return *(const double *)a < *(const double *)b ? -1 : 1;
}

int main(int argc, char **argv)
{
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 4000000;
    static const struct {
        const char *name;
        uint32_t size;
        int many;
    } cells[] = {{"int", 8, 1}, {"100 bytes", 100, 1}, {"int, many", 8, MANY}, {"100 bytes, many", 100, MANY}};
    hdy_rt = &the_runtime;
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) {
        double rate[RUNS];
        for (int run = 0; run < RUNS; run++)
            rate[run] = measure(count, cells[i].size, cells[i].many);
        qsort(rate, RUNS, sizeof *rate, by_size);
        printf("%s\t%.0f\n", cells[i].name, rate[RUNS / 2]);
    }
    return 0;
}
