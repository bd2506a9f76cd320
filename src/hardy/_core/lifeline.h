/* The lifeline: how a process learns at once that its parent or its child has died.
 *
 * One native thread waits for pidfds. It needs no Python, so it works while the GIL is held in a
 * long C call. It lives only while there is something to watch: a parent, or children that run; and
 * HDY_LINGER_MS longer, for a program that starts one process after the other.
 *
 * Who does what:
 *   parent's pidfd readable -> SIGKILL to the own process (unless it was told to outlive its parent)
 *   child's pidfd readable  -> waitid, status into the table, the death onto the board
 * A caller who asks for a child's status first does the same by the same function, so that nothing
 * depends on how quickly the thread runs. While a caller sleeps on a child's pidfd (hdy_line_await), it alone does: two
 * that are woken by one death only get in each other's way.
 *
 * The states of an entry, all under `mutex`: unused | running (status HDY_STATUS_NONE) | ended. The
 * pidfd belongs to the Python object; an object that is dropped while its child runs leaves it to
 * the entry (`abandoned`), so that the child is reaped all the same.
 *
 * After a fork the child starts empty (hdy_line_after_fork): its siblings are not its children.
 */
#ifndef HDY_LIFELINE_H
#define HDY_LIFELINE_H

#include "ended.h"
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>

#define HDY_TOKEN_PARENT UINT64_MAX
#define HDY_TOKEN_BELL (UINT64_MAX - 1)
/* A thread costs as much as a third of a fork; a program that does not fork again soon is to be without. One that forks
 * by itself has it leave before (hdy_line_let_go), for from Python 3.12 on os.fork() warns of every thread. */
#define HDY_LINGER_MS 20
#define HDY_STACK_BYTES (256u << 10)
/* Before a child that is dead, but that a debugger has not let go yet, is looked at again. */
#define HDY_DEBUGGED_PAUSE_NS (20 * HDY_NS_PER_MS)

static struct {
    pthread_mutex_t mutex;
    pthread_t thread;
    int running;  /* the thread watches */
    int joinable; /* it has run; its end is not yet taken notice of */
    /* Both live as long as the thread. The bell is a timer, set when nothing is left to watch: it wakes the thread once
     * it has lingered, and not before. */
    int epoll, bell;
    uint32_t watched; /* entries that run */
    uint32_t capacity, generation;
    hdy_entry *entry;
    int self_fd;      /* pidfd of this process, for its children; -1 until needed */
    int parent_fd;    /* pidfd of the parent; -1: no hardy child */
    int watch_parent; /* end with it */
    int arm_error;
    hdy_board *(*board)(void);
} hdy_line = {.mutex = PTHREAD_MUTEX_INITIALIZER, .epoll = -1, .bell = -1, .self_fd = -1, .parent_fd = -1};

/* What the thread that forks tells its child. */
static __thread struct {
    int hardy, outlives, slot, main_thread;
    int64_t before_ns; /* of the boot clock: when the fork began */
} hdy_forking;

/* ---- the table ---- */

static inline uint64_t hdy_token(hdy_entry *e)
{
    return (uint64_t)e->generation << 32 | (uint64_t)(e - hdy_line.entry);
}

/* With the mutex. NULL: an entry of before a fork, or given back. */
static inline hdy_entry *hdy_entry_of(uint64_t token)
{
    uint32_t i = (uint32_t)token;
    if (i >= hdy_line.capacity)
        return NULL;
    hdy_entry *e = &hdy_line.entry[i];
    return e->used && e->generation == (uint32_t)(token >> 32) ? e : NULL;
}

/* With the mutex. After that time the thread ends, if there is nothing to watch then. */
static inline void hdy_line_ring(int64_t after_ns)
{
    struct itimerspec once = {.it_value = {0, after_ns}};
    if (timerfd_settime(hdy_line.bell, 0, &once, NULL) < 0)
        return; /* the program closed it: then the epoll is gone too */
}

/* With the mutex. The thread may sleep on what it need not watch any more. */
static inline void hdy_line_watch_less(void)
{
    if (--hdy_line.watched == 0 && !hdy_line.watch_parent)
        hdy_line_ring(HDY_LINGER_MS * HDY_NS_PER_MS);
}

/* With the mutex. The one place where a death is taken notice of. */
static inline int hdy_line_look(hdy_entry *e)
{
    if (e->status != HDY_STATUS_NONE)
        return e->status;
    int status = hdy_find_status(e);
    if (status == HDY_STATUS_NONE)
        return status;
    if (!e->awaited)
        epoll_ctl(hdy_line.epoll, EPOLL_CTL_DEL, e->pidfd, NULL);
    hdy_line_watch_less();
    if (e->channel >= 0)
        close(e->channel);
    e->channel = -1;
    hdy_board *b = hdy_line.board();
    hdy_board_record_death(b, e->slot, e->identity, status);
    hdy_board_end_children(b, e->identity);
    HDY_FAILPOINT("lifeline.reap.after_record");
    e->status = status;
    if (e->abandoned) {
        close(e->pidfd);
        e->used = 0;
    }
    return status;
}

/* Whether the two are still what they were: a program may close descriptors that are not its own, and get
 * the same numbers for others. */
static inline int hdy_line_intact(void)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = HDY_TOKEN_BELL};
    return epoll_ctl(hdy_line.epoll, EPOLL_CTL_MOD, hdy_line.bell, &event) == 0;
}

static inline void hdy_line_close(void)
{
    if (hdy_line.epoll >= 0)
        close(hdy_line.epoll);
    if (hdy_line.bell >= 0)
        close(hdy_line.bell);
    hdy_line.epoll = hdy_line.bell = -1;
}

static void *hdy_line_main(void *unused)
{
    (void)unused;
    prctl(PR_SET_NAME, "hardy-lifeline", 0, 0, 0);
    struct epoll_event event[16];
    for (;;) {
        int n = epoll_wait(hdy_line.epoll, event, 16, -1);
        if (n < 0 && errno == EINTR)
            continue;
        /* The program closed descriptors that are not its own: nothing can be watched any more. */
        int broken = n < 0, stuck = 0, rang = 0;
        for (int i = 0; i < n; i++) {
            if (event[i].data.u64 == HDY_TOKEN_PARENT) {
                HDY_FAILPOINT("lifeline.parent.died");
                kill(getpid(), SIGKILL);
            }
            pthread_mutex_lock(&hdy_line.mutex);
            if (event[i].data.u64 == HDY_TOKEN_BELL) {
                uint64_t rings;
                rang = read(hdy_line.bell, &rings, sizeof rings) == sizeof rings;
                stuck |= !rang && errno != EAGAIN; /* it was set anew meanwhile */
            }
            hdy_entry *e = hdy_entry_of(event[i].data.u64);
            if (e && hdy_line_look(e) == HDY_STATUS_NONE)
                stuck = 1;
            pthread_mutex_unlock(&hdy_line.mutex);
        }
        if (stuck) {
            struct timespec pause = {0, HDY_DEBUGGED_PAUSE_NS};
            nanosleep(&pause, NULL);
        }
        pthread_mutex_lock(&hdy_line.mutex);
        if (broken || (rang && hdy_line.watched == 0 && !hdy_line.watch_parent)) {
            if (broken || !hdy_line_intact()) /* the numbers may be somebody else's by now */
                hdy_line.epoll = hdy_line.bell = -1;
            hdy_line_close();
            hdy_line.running = 0;
            pthread_mutex_unlock(&hdy_line.mutex);
            return NULL;
        }
        pthread_mutex_unlock(&hdy_line.mutex);
    }
}

static inline int hdy_line_watch(int fd, uint64_t token)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = token};
    return epoll_ctl(hdy_line.epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* With the mutex: takes notice of a thread that has ended, so that none is counted that is not. */
static inline void hdy_line_join_ended(void)
{
    if (hdy_line.joinable && !hdy_line.running) {
        pthread_join(hdy_line.thread, NULL);
        hdy_line.joinable = 0;
    }
}

/* With the mutex, after `epoll` has been given something to watch. */
static inline int hdy_line_start_thread(void)
{
    if (hdy_line.running)
        return 0;
    hdy_line_join_ended();
    /* Python's signal handlers must run in Python's threads. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, HDY_STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    hdy_line.running = 1;
    int r = pthread_create(&hdy_line.thread, &attr, hdy_line_main, NULL);
    if (r == EINVAL) /* thread-local storage of some library does not fit that stack */
        r = pthread_create(&hdy_line.thread, NULL, hdy_line_main, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    hdy_line.running = hdy_line.joinable = r == 0;
    return -r;
}

/* With the mutex. */
static inline int hdy_line_open(void)
{
    /* A thread that lingers sleeps on what it had, and then goes on with what is opened here. */
    if (hdy_line.epoll >= 0 && (hdy_line.watched > 0 || hdy_line_intact()))
        return 0;
    int epoll = hdy_raise_fd(epoll_create1(EPOLL_CLOEXEC));
    int bell = epoll < 0 ? epoll : hdy_raise_fd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    hdy_line.epoll = epoll < 0 ? -1 : epoll;
    hdy_line.bell = bell < 0 ? -1 : bell;
    int r = bell < 0 ? bell : hdy_line_watch(bell, HDY_TOKEN_BELL);
    if (r < 0)
        hdy_line_close();
    return r;
}

/* With the mutex. Undoes a start of the thread that failed half-way. */
static inline int hdy_line_settle(int r)
{
    if (r < 0 && !hdy_line.running)
        hdy_line_close();
    return r;
}

static inline int hdy_line_grow(void)
{
    uint32_t capacity = hdy_line.capacity ? 2 * hdy_line.capacity : 16;
    hdy_entry *entry = (hdy_entry *)realloc(hdy_line.entry, capacity * sizeof *entry);
    if (!entry)
        return -ENOMEM;
    memset(entry + hdy_line.capacity, 0, (capacity - hdy_line.capacity) * sizeof *entry);
    hdy_line.entry = entry;
    hdy_line.capacity = capacity;
    return 0;
}

static inline hdy_entry *hdy_line_unused(void)
{
    for (uint32_t i = 0; i < hdy_line.capacity; i++)
        if (!hdy_line.entry[i].used)
            return &hdy_line.entry[i];
    if (hdy_line_grow() < 0)
        return NULL;
    return hdy_line_unused();
}

/* Watches a child from now on. Takes over `channel`; on an error nothing is taken over. */
static inline int hdy_line_add(int pidfd, uint64_t identity, int channel, int slot, int ours,
                               unsigned long long *token)
{
    pthread_mutex_lock(&hdy_line.mutex);
    hdy_entry *e = hdy_line_unused();
    int r = e ? hdy_line_open() : -ENOMEM;
    if (r == 0) {
        uint32_t generation = ++hdy_line.generation;
        *e = (hdy_entry){identity, pidfd, channel, slot, HDY_STATUS_NONE, generation, 1, (uint8_t)ours, 0, 0, 0};
        *token = hdy_token(e);
        hdy_line.watched++;
        HDY_FAILPOINT("lifeline.add.before_watch");
        r = hdy_line_watch(pidfd, *token);
        if (r == 0)
            r = hdy_line_start_thread();
        if (r < 0) {
            hdy_line_watch_less();
            epoll_ctl(hdy_line.epoll, EPOLL_CTL_DEL, pidfd, NULL);
            e->used = 0;
        }
    }
    r = hdy_line_settle(r);
    pthread_mutex_unlock(&hdy_line.mutex);
    HDY_FAILPOINT("lifeline.add.after_watch");
    return r;
}

/* How the child ended; HDY_STATUS_NONE when it runs, or is no child of this process. */
static inline int hdy_line_status(uint64_t token)
{
    pthread_mutex_lock(&hdy_line.mutex);
    hdy_entry *e = hdy_entry_of(token);
    int status = e ? hdy_line_look(e) : HDY_STATUS_NONE;
    pthread_mutex_unlock(&hdy_line.mutex);
    return status;
}

/* The caller sleeps on the child's pidfd from now on: 1, or 0 when it has ended. */
static inline int hdy_line_await(uint64_t token)
{
    pthread_mutex_lock(&hdy_line.mutex);
    hdy_entry *e = hdy_entry_of(token);
    int runs = e && hdy_line_look(e) == HDY_STATUS_NONE;
    if (runs && e->awaited++ == 0)
        epoll_ctl(hdy_line.epoll, EPOLL_CTL_DEL, e->pidfd, NULL);
    pthread_mutex_unlock(&hdy_line.mutex);
    HDY_FAILPOINT("lifeline.await.before_sleep");
    return runs;
}

/* It does so no more. What it was woken by is taken notice of here, or else by the thread. */
static inline void hdy_line_await_end(uint64_t token)
{
    pthread_mutex_lock(&hdy_line.mutex);
    hdy_entry *e = hdy_entry_of(token);
    if (e && hdy_line_look(e) == HDY_STATUS_NONE && e->awaited == 1)
        hdy_line_watch(e->pidfd, token);
    if (e)
        e->awaited--;
    pthread_mutex_unlock(&hdy_line.mutex);
}

/* The most resident memory that the child had; 0: it runs, or nobody knows. */
static inline uint64_t hdy_line_peak_bytes(uint64_t token)
{
    pthread_mutex_lock(&hdy_line.mutex);
    hdy_entry *e = hdy_entry_of(token);
    uint64_t bytes = e ? e->peak_bytes : 0;
    pthread_mutex_unlock(&hdy_line.mutex);
    return bytes;
}

/* The Python object goes. 1: the caller closes the pidfd; 0: the entry does, once the child has ended. */
static inline int hdy_line_drop(uint64_t token)
{
    pthread_mutex_lock(&hdy_line.mutex);
    hdy_entry *e = hdy_entry_of(token);
    int theirs = !e || e->status != HDY_STATUS_NONE;
    if (e && theirs)
        e->used = 0;
    else if (e)
        e->abandoned = 1;
    pthread_mutex_unlock(&hdy_line.mutex);
    return theirs;
}

/* ---- this process and its parent ---- */

/* The pidfd that children watch, opened before they exist: however early the parent dies, whichever
 * of its threads started them, and whatever their pid namespace calls it, they will see it. */
static inline int hdy_line_self(void)
{
    pthread_mutex_lock(&hdy_line.mutex);
    if (hdy_line.self_fd < 0)
        hdy_line.self_fd = hdy_pidfd_open((uint32_t)getpid());
    int fd = hdy_line.self_fd;
    if (fd < 0)
        hdy_line.self_fd = -1;
    pthread_mutex_unlock(&hdy_line.mutex);
    return fd;
}

/* In a new child, with its parent's pidfd. `by_thread`: PDEATHSIG may be used too. It alone ends a
 * child that is stopped, but it follows the thread that started the child: hence only if that was the
 * main thread, which ends with the process. */
static inline int hdy_line_arm(int parent_fd, int outlives, int by_thread)
{
    pthread_mutex_lock(&hdy_line.mutex);
    HDY_FAILPOINT("lifeline.arm.before");
    hdy_line.parent_fd = parent_fd;
    hdy_line.watch_parent = !outlives;
    int r = 0;
    if (!outlives) {
        if (by_thread)
            prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        HDY_FAILPOINT("lifeline.arm.before_watch");
        r = hdy_line_open();
        if (r == 0)
            r = hdy_line_watch(parent_fd, HDY_TOKEN_PARENT);
        if (r == 0)
            r = hdy_line_start_thread();
        hdy_line.watch_parent = r == 0;
        r = hdy_line_settle(r);
    }
    HDY_FAILPOINT("lifeline.arm.after");
    pthread_mutex_unlock(&hdy_line.mutex);
    return r;
}

static void hdy_line_before_fork(void)
{
    pthread_mutex_lock(&hdy_line.mutex);
}

static void hdy_line_after_fork_in_parent(void)
{
    pthread_mutex_unlock(&hdy_line.mutex);
}

/* Runs in the child of every fork, before anything of Python. */
static void hdy_line_after_fork(void)
{
    hdy_line.mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    int parent_fd = hdy_line.self_fd;
    hdy_line.self_fd = -1;
    hdy_line_close();
    hdy_line.running = hdy_line.joinable = hdy_line.arm_error = 0;
    if (hdy_line.parent_fd >= 0)
        close(hdy_line.parent_fd);
    hdy_line.parent_fd = -1;
    hdy_line.watch_parent = 0;
    hdy_line.watched = 0;
    for (uint32_t i = 0; i < hdy_line.capacity; i++) {
        hdy_entry *e = &hdy_line.entry[i];
        if (e->used && e->channel >= 0)
            close(e->channel);
        if (e->used && e->abandoned)
            close(e->pidfd);
        if (e->used) /* what is only read is not copied */
            e->used = 0;
    }
    int hardy = hdy_forking.hardy;
    hdy_forking.hardy = 0;
    if (!hardy) {
        if (parent_fd >= 0)
            close(parent_fd);
        return;
    }
    uint64_t me = hdy_identity_by_clock((uint32_t)getpid(), hdy_forking.before_ns, hdy_boot_ns());
    if (me)
        hdy_rt->identity = me;
    hdy_board_set_identity(hdy_line.board(), hdy_forking.slot, hdy_self());
    hdy_line.arm_error = hdy_line_arm(parent_fd, hdy_forking.outlives, hdy_forking.main_thread);
}

#endif
