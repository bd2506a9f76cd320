/* What every part of the core stands on: atomics, futex, clock, identity, failpoints.
 *
 * No Python object is touched here. Functions return 0 or a negative errno unless they say otherwise.
 */
#ifndef HDY_BASE_H
#define HDY_BASE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

#define HDY_CACHE_LINE 64
#define HDY_ALIGNED __attribute__((aligned(HDY_CACHE_LINE)))
#define HDY_LIKELY(x) __builtin_expect(!!(x), 1)
#define HDY_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* ---- atomics: the only orders that the protocols use ---- */

#define hdy_load(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define hdy_load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define hdy_store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
/* Everything written before it is visible to whoever sees it: the shape of every commit. */
#define hdy_store(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define hdy_store_seq(p, v) __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)
#define hdy_load_seq(p) __atomic_load_n((p), __ATOMIC_SEQ_CST)
#define hdy_exchange(p, v) __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)
#define hdy_add(p, v) __atomic_add_fetch((p), (v), __ATOMIC_SEQ_CST)
#define hdy_cas(p, expected, v) \
    __atomic_compare_exchange_n((p), (expected), (v), 0, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE)

static inline void hdy_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

/* ---- clock: monotonic, in nanoseconds ---- */

#define HDY_NS_PER_S 1000000000LL
#define HDY_NS_PER_MS 1000000LL
/* A deadline that never comes. */
#define HDY_FOREVER INT64_MAX

static inline int64_t hdy_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * HDY_NS_PER_S + t.tv_nsec;
}

/* The clock by which the kernel notes when a process started. */
static inline int64_t hdy_boot_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * HDY_NS_PER_S + t.tv_nsec;
}

/* ---- futex: process-shared ---- */

/* Sleeps while *word == seen, until `deadline_ns` at the latest.
 * 0: woken, or the word had changed; -ETIMEDOUT; -EINTR: run the signal handlers, then look again. */
static inline int hdy_futex_wait(uint32_t *word, uint32_t seen, int64_t deadline_ns)
{
    struct timespec t = {deadline_ns / HDY_NS_PER_S, deadline_ns % HDY_NS_PER_S};
    long r = syscall(SYS_futex, word, FUTEX_WAIT_BITSET, seen,
                     deadline_ns == HDY_FOREVER ? NULL : &t, NULL, FUTEX_BITSET_MATCH_ANY);
    if (r == 0 || errno == EAGAIN)
        return 0;
    return -errno;
}

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

/* Sleeps while *word == seen and *other == other_seen (other may be NULL); else as hdy_futex_wait.
 * A kernel before 5.16, or a seccomp filter, has no futex_waitv: then only `word` wakes. */
static inline int hdy_futex_wait_either(uint32_t *word, uint32_t seen, uint32_t *other,
                                        uint32_t other_seen, int64_t deadline_ns)
{
    struct {
        uint64_t value, address;
        uint32_t flags, reserved;
    } both[2] = {{seen, (uintptr_t)word, 2 /* 32 bits wide, shared */, 0},
                 {other_seen, (uintptr_t)other, 2, 0}};
    struct timespec t = {deadline_ns / HDY_NS_PER_S, deadline_ns % HDY_NS_PER_S};
    if (!other)
        return hdy_futex_wait(word, seen, deadline_ns);
    long r = syscall(SYS_futex_waitv, both, 2, 0, deadline_ns == HDY_FOREVER ? NULL : &t, CLOCK_MONOTONIC);
    if (r >= 0 || errno == EAGAIN)
        return 0;
    if (errno == ENOSYS || errno == EPERM)
        return hdy_futex_wait(word, seen, deadline_ns);
    return -errno;
}

/* How many sleepers were woken (never more than `most`). */
static inline int hdy_futex_wake(uint32_t *word, int most)
{
    long r = syscall(SYS_futex, word, FUTEX_WAKE, most, NULL, NULL, 0);
    return r < 0 ? 0 : (int)r;
}

/* ---- what this process knows of itself: one struct, owned by the extension `runtime` ---- */

enum { HDY_FP_NONE = 0, HDY_FP_KILL = 1, HDY_FP_STOP = 2 };
/* Whether the clock tells when a process started, as /proc does; found out with the first process that is forked. */
enum { HDY_CLOCK_UNKNOWN = 0, HDY_CLOCK_TELLS = 1, HDY_CLOCK_DOES_NOT = 2 };

#define HDY_TRACED 256u
typedef struct {
    uint64_t identity;  /* 0: not yet known (set so in the child of a fork) */
    uint64_t pidns;     /* inode of /proc/self/ns/pid */
    uint32_t pid;       /* of this process; in the child of a fork, its parent's until that is dealt with */
    uint32_t clock;     /* HDY_CLOCK_* */
    uint32_t forks;     /* how many forks lie between this process and the first import */
    uint32_t forked;    /* how many forks this process took part in, as parent or as child */
    uint32_t fp_action; /* HDY_FP_*; HDY_FP_NONE: no failpoint is armed */
    uint32_t fp_left;   /* hits of the armed failpoint still to be let through */
    char fp_name[64];
    void *trace;        /* the trace that is recorded to (trace.h); NULL: none */
    void *chunk;        /* this process's chunk of it; NULL: none yet (set so in the child of a fork) */
    uint32_t telling;   /* how many threads tell a death to the trace */
    uint64_t traced[HDY_TRACED]; /* some of what the trace was told the name of */
} hdy_runtime;

/* Each extension holds a pointer to the one runtime; set when the extension is imported. */
static hdy_runtime *hdy_rt;

/* ---- identity: a process, for ever ----
 *
 * A pid is reused; a pid with its start time is not. Both fit one word, so that ownership is taken
 * and given up by a single store: pid in bits 0..21 (pid_max is 2^22), start time in clock ticks
 * since boot in bits 22..62 (over 600 years at 100 Hz). Bit 63 is free for a protocol's own flag.
 */
#define HDY_PID_BITS 22
#define HDY_PID_MASK ((1ull << HDY_PID_BITS) - 1)
#define HDY_IDENTITY_MASK ((1ull << 63) - 1)

static inline uint32_t hdy_pid_of(uint64_t identity)
{
    return (uint32_t)(identity & HDY_PID_MASK);
}

/* Fields of /proc/<pid>/stat that tell who a process is and whether it still runs. */
typedef struct {
    char state;           /* field 3 */
    long threads;         /* field 20 */
    unsigned long long start; /* field 22, clock ticks since boot */
    int exit_status;      /* field 52, as for waitpid; 0 where the kernel hides it */
} hdy_stat;

/* Signal-safe (used after fork): raw system calls and no allocation. */
static inline int hdy_read_stat(uint32_t pid, hdy_stat *out)
{
    char path[40], buf[1024];
    memset(out, 0, sizeof *out);
    if (pid == 0)
        strcpy(path, "/proc/self/stat");
    else
        snprintf(path, sizeof path, "/proc/%u/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = read(fd, buf, sizeof buf - 1);
    int saved = errno;
    close(fd);
    if (n <= 0)
        return n < 0 ? -saved : -ESRCH;
    buf[n] = 0;
    /* The command name is in parentheses and may itself hold spaces and parentheses. */
    char *p = strrchr(buf, ')');
    if (!p || p[1] != ' ')
        return -EPROTO;
    p += 2;
    out->state = *p;
    for (int field = 3; p && *p; field++) {
        if (field == 20)
            out->threads = strtol(p, NULL, 10);
        else if (field == 22)
            out->start = strtoull(p, NULL, 10);
        else if (field == 52)
            out->exit_status = (int)strtol(p, NULL, 10);
        p = strchr(p, ' ');
        if (p)
            p++;
    }
    return out->start ? 0 : -EPROTO;
}

static inline uint64_t hdy_make_identity(uint32_t pid, unsigned long long start)
{
    return ((uint64_t)pid & HDY_PID_MASK) | ((uint64_t)start << HDY_PID_BITS & HDY_IDENTITY_MASK);
}

/* The identity of a process by pid; 0 when there is none (or /proc cannot be read). */
static inline uint64_t hdy_identity_of(uint32_t pid)
{
    hdy_stat st;
    if (hdy_read_stat(pid, &st) < 0)
        return 0;
    return hdy_make_identity(pid, st.start);
}

/* The start time in /proc is in these, on every machine but some long gone (hdy_clock_compare would notice). */
#define HDY_TICK_NS (HDY_NS_PER_S / 100)
/* How far two readings of the clock, in the kernel and in the process, may be apart. */
#define HDY_CLOCK_SLACK_NS 1000

/* The identity of a process that was forked between two times of `hdy_boot_ns`, which is what /proc would tell, for a
 * twentieth of the price; 0: they lie in different ticks, one in a hundred does. */
static inline uint64_t hdy_identity_by_clock(uint32_t pid, int64_t before_ns, int64_t after_ns)
{
    int64_t tick = (before_ns - HDY_CLOCK_SLACK_NS) / HDY_TICK_NS;
    if (hdy_rt->clock != HDY_CLOCK_TELLS || tick != (after_ns + HDY_CLOCK_SLACK_NS) / HDY_TICK_NS)
        return 0;
    return hdy_make_identity(pid, (unsigned long long)tick);
}

/* An emulated kernel may count otherwise: so what the first fork's clock says is compared with what /proc says. */
static inline void hdy_clock_compare(uint64_t identity, int64_t before_ns, int64_t after_ns)
{
    int64_t tick = (int64_t)(identity >> HDY_PID_BITS);
    int64_t first = (before_ns - HDY_CLOCK_SLACK_NS) / HDY_TICK_NS;
    int64_t last = (after_ns + HDY_CLOCK_SLACK_NS) / HDY_TICK_NS;
    if (identity && hdy_rt->clock == HDY_CLOCK_UNKNOWN)
        hdy_rt->clock = first <= tick && tick <= last ? HDY_CLOCK_TELLS : HDY_CLOCK_DOES_NOT;
}

/* This process. One load, but for the first call after a start or a fork. */
static inline uint64_t hdy_self(void)
{
    uint64_t me = hdy_load_relaxed(&hdy_rt->identity);
    if (HDY_LIKELY(me))
        return me;
    hdy_stat st;
    if (hdy_read_stat(0, &st) < 0)
        return 0;
    me = hdy_make_identity((uint32_t)getpid(), st.start);
    __atomic_store_n(&hdy_rt->identity, me, __ATOMIC_RELAXED);
    return me;
}

/* Does that process still run? A zombie does not. Judged by pidfd; the start time then tells a
 * process from a later one that got its pid. */
static inline int hdy_alive(uint64_t identity)
{
    identity &= HDY_IDENTITY_MASK;
    if (identity == 0)
        return 0;
    if (identity == hdy_self())
        return 1;
    uint32_t pid = hdy_pid_of(identity);
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd >= 0) {
        struct pollfd pf = {fd, POLLIN, 0};
        int dead = poll(&pf, 1, 0) > 0;
        close(fd);
        if (dead)
            return 0;
    } else if (errno == ESRCH) {
        return 0;
    }
    /* Also the answer where a pidfd cannot be had (descriptors exhausted). A thread group whose
     * leader has ended shows Z while other threads live on, hence the count. */
    hdy_stat st;
    int r = hdy_read_stat(pid, &st);
    if (r < 0)
        return r != -ENOENT && r != -ESRCH;
    if (hdy_make_identity(pid, st.start) != identity)
        return 0;
    return !((st.state == 'Z' || st.state == 'X') && st.threads <= 1);
}

static inline uint64_t hdy_pidns(void)
{
    struct stat st;
    return stat("/proc/self/ns/pid", &st) == 0 ? (uint64_t)st.st_ino : 0;
}

/* ---- failpoints ----
 *
 * HDY_FAILPOINT("ring.put.after_copy") names a step. In the build that the tests make, arming one
 * by name (see `runtime.arm`) kills or stops the process there; elsewhere it is nothing at all.
 * Names collect in a linker section, so that the crash tests are generated from the code.
 */
#ifdef HARDY_FAILPOINTS
__attribute__((unused)) static void hdy_fp_hit(const char *name)
{
    if (strcmp(hdy_rt->fp_name, name) != 0)
        return;
    if (hdy_rt->fp_left > 0) {
        hdy_rt->fp_left--;
        return;
    }
    uint32_t action = hdy_rt->fp_action;
    hdy_rt->fp_action = HDY_FP_NONE;
    kill(getpid(), action == HDY_FP_STOP ? SIGSTOP : SIGKILL);
}
#define HDY_FAILPOINT(name)                                                               \
    do {                                                                                  \
        static const char *hdy_fp_entry                                             \
            __attribute__((section("hdy_failpoints"), used)) = name;                      \
        if (HDY_UNLIKELY(hdy_rt->fp_action != HDY_FP_NONE))                               \
            hdy_fp_hit(hdy_fp_entry);                                                     \
    } while (0)
extern const char *__start_hdy_failpoints[] __attribute__((weak, visibility("hidden")));
extern const char *__stop_hdy_failpoints[] __attribute__((weak, visibility("hidden")));
#define hdy_fp_count() ((size_t)(__stop_hdy_failpoints - __start_hdy_failpoints))
#define hdy_fp_name(i) (__start_hdy_failpoints[i])
#else
#define HDY_FAILPOINT(name) ((void)0)
#define hdy_fp_count() ((size_t)0)
#define hdy_fp_name(i) ((const char *)NULL)
#endif

#endif
