/* How a process ended: from its wait, from the kernel's memory of it, or from the forkserver that waited.
 *
 * `hdy_entry` is one watched child; who owns what of it, and its states, are in lifeline.h.
 */
#ifndef HDY_ENDED_H
#define HDY_ENDED_H

#include "board.h"
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define HDY_P_PIDFD 3
/* How long a dead process's status may be on its way from the forkserver. */
#define HDY_CHANNEL_WAIT_MS 200

typedef struct {
    uint64_t identity;
    int pidfd;
    int channel;  /* where the forkserver says how its child ended, or -1; owned by the entry */
    int slot;     /* on the board, or -1 */
    int status;
    uint32_t generation;
    uint8_t used, ours, abandoned; /* ours: a child of this process, to be waited for */
    uint32_t awaited; /* by how many callers that sleep on the pidfd: the thread does not, then */
    uint64_t peak_bytes; /* the most resident memory that it had; 0 until it is reaped, or when it was not ours */
} hdy_entry;

/* A program may close or redirect 0, 1 and 2 without asking who lives there. */
static inline int hdy_raise_fd(int fd)
{
    if (fd < 0)
        return -errno;
    if (fd > 2)
        return fd;
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    int saved = errno;
    close(fd);
    return moved < 0 ? -saved : moved;
}

static inline int hdy_pidfd_open(uint32_t pid)
{
    return hdy_raise_fd((int)syscall(SYS_pidfd_open, pid, 0));
}

static inline int hdy_fd_ready(int fd, int timeout_ms)
{
    struct pollfd p = {fd, POLLIN, 0};
    return poll(&p, 1, timeout_ms) > 0;
}

/* Linux 6.15 and later remember it for as long as a pidfd is open. */
static inline int hdy_status_from_pidfd(int pidfd)
{
    struct {
        uint64_t mask, cgroup;
        uint32_t pid, tgid, ppid, ids[8];
        int32_t exit_code;
    } info = {.mask = 1u << 3 /* PIDFD_INFO_EXIT */};
    if (ioctl(pidfd, _IOWR(0xFF, 11, info), &info) < 0 || !(info.mask & 1u << 3))
        return HDY_STATUS_UNKNOWN;
    return info.exit_code;
}

/* For a dead process that is not ours to wait for, or that somebody else waited for. */
static inline int hdy_status_of_stranger(hdy_entry *e)
{
    hdy_stat st;
    if (hdy_read_stat(hdy_pid_of(e->identity), &st) == 0 && st.state == 'Z' &&
        hdy_make_identity(hdy_pid_of(e->identity), st.start) == e->identity)
        return st.exit_status;
    int status = hdy_status_from_pidfd(e->pidfd);
    if (status != HDY_STATUS_UNKNOWN || e->channel < 0)
        return status;
    int64_t exitcode;
    if (hdy_fd_ready(e->channel, HDY_CHANNEL_WAIT_MS) &&
        read(e->channel, &exitcode, sizeof exitcode) == sizeof exitcode)
        return exitcode < 0 ? (int)-exitcode : (int)(exitcode & 0xFF) << 8;
    return HDY_STATUS_UNKNOWN;
}

static inline int hdy_find_status(hdy_entry *e)
{
    if (!hdy_fd_ready(e->pidfd, 0))
        return HDY_STATUS_NONE;
    if (!e->ours)
        return hdy_status_of_stranger(e);
    HDY_FAILPOINT("lifeline.reap.before_wait");
    siginfo_t si = {0};
    struct rusage usage = {0};
    /* The system call itself: the library's has no place for the usage. */
    while (syscall(SYS_waitid, HDY_P_PIDFD, e->pidfd, &si, WEXITED | WNOHANG, &usage) < 0) {
        if (errno == EINTR)
            continue;
        /* SIGCHLD is ignored, or somebody waited for any child. */
        return hdy_status_of_stranger(e);
    }
    if (si.si_pid == 0)
        return HDY_STATUS_NONE;
    e->peak_bytes = (uint64_t)usage.ru_maxrss << 10;
    HDY_FAILPOINT("lifeline.reap.after_wait");
    if (si.si_code == CLD_EXITED)
        return (si.si_status & 0xFF) << 8;
    return si.si_status | (si.si_code == CLD_DUMPED ? 0x80 : 0);
}

#endif
