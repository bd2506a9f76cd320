/* Operations on the board of a program; the states are in layout_board.h.
 *
 * Safe in the child of a fork before anything else has run: atomics and system calls only.
 */
#ifndef HDY_BOARD_H
#define HDY_BOARD_H

#include "layout_board.h"
#include "trace.h"
#include <limits.h>

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

/* A slot as a reader got it: whole, from one claim. */
typedef struct {
    uint64_t ticket, identity, parent;
    int32_t status;
    uint32_t outlives, flags, restarts, name_bytes;
    char name[HDY_NAME_BYTES];
} hdy_row;

/* 1 and the row; 0 when the slot is free or just being claimed. */
static inline int hdy_board_read(hdy_board *b, uint32_t i, hdy_row *row)
{
    hdy_slot *s = &b->slot[i];
    for (int turn = 0; turn < 8; turn++) {
        row->ticket = hdy_load(&s->ticket);
        if (row->ticket == 0 || row->ticket & HDY_TICKET_OPEN)
            return 0;
        row->identity = hdy_load(&s->identity);
        row->parent = s->parent;
        row->status = hdy_load(&s->status);
        row->outlives = s->outlives;
        row->flags = s->flags;
        row->restarts = s->restarts;
        row->name_bytes = s->name_bytes;
        memcpy(row->name, s->name, HDY_NAME_BYTES);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (hdy_load(&s->ticket) == row->ticket) {
            if (row->name_bytes > HDY_NAME_BYTES)
                row->name_bytes = 0; /* a stray write: never read past the field */
            return 1;
        }
    }
    return 0;
}

/* How many slots can be in use: readers need not look at the rest. */
static inline uint32_t hdy_board_used(hdy_board *b)
{
    uint64_t n = hdy_load(&b->tickets);
    return n < HDY_BOARD_SLOTS ? (uint32_t)n : HDY_BOARD_SLOTS;
}

/* How much of a UTF-8 text fits, in whole characters. */
static inline uint32_t hdy_cut(const char *text, uint32_t bytes, uint32_t most)
{
    if (bytes <= most)
        return bytes;
    for (bytes = most; bytes > 0 && ((unsigned char)text[bytes] & 0xC0) == 0x80;)
        bytes--;
    return bytes;
}

static inline int hdy_board_claimable(hdy_slot *s, uint64_t ticket, int ask_kernel)
{
    if (ticket == 0)
        return 1;
    if (!(ticket & HDY_TICKET_OPEN) && hdy_load(&s->status) != HDY_STATUS_NONE)
        return 1;
    if (!ask_kernel)
        return 0;
    if (ticket & HDY_TICKET_OPEN)
        return kill((pid_t)(ticket & HDY_PID_MASK), 0) < 0 && errno == ESRCH;
    uint64_t identity = hdy_load(&s->identity);
    return !hdy_alive(identity ? identity : s->parent);
}

/* A slot for a child of `parent`, in state starting; its number, or -ENOSPC when thousands of
 * processes of one program are alive: the child then goes without one. The search starts at the
 * oldest claim. */
static inline int hdy_board_claim(hdy_board *b, uint64_t parent, uint32_t outlives, uint32_t flags,
                                  uint32_t restarts, const char *name, uint32_t name_bytes)
{
    HDY_FAILPOINT("board.claim.before_cas");
    uint64_t number = __atomic_fetch_add(&b->tickets, 1, __ATOMIC_SEQ_CST);
    uint64_t ticket = ((uint64_t)getpid() & HDY_PID_MASK) | (number + 1) << HDY_PID_BITS;
    ticket &= ~HDY_TICKET_OPEN;
    name_bytes = hdy_cut(name, name_bytes, HDY_NAME_BYTES);
    for (uint32_t turn = 0; turn < 2 * HDY_BOARD_SLOTS; turn++) {
        uint32_t i = (uint32_t)((number + turn) % HDY_BOARD_SLOTS);
        hdy_slot *s = &b->slot[i];
        uint64_t seen = hdy_load(&s->ticket);
        if (!hdy_board_claimable(s, seen, turn >= HDY_BOARD_SLOTS))
            continue;
        if (!hdy_cas(&s->ticket, &seen, ticket | HDY_TICKET_OPEN))
            continue;
        HDY_FAILPOINT("board.claim.after_cas");
        __atomic_thread_fence(__ATOMIC_RELEASE);
        hdy_store(&s->identity, 0);
        hdy_store(&s->status, HDY_STATUS_NONE);
        s->parent = parent;
        s->outlives = outlives;
        s->flags = flags;
        s->restarts = restarts;
        s->name_bytes = name_bytes;
        memcpy(s->name, name, name_bytes);
        HDY_FAILPOINT("board.claim.before_close");
        hdy_store(&s->ticket, ticket);
        HDY_FAILPOINT("board.claim.after_close");
        return (int)i;
    }
    return -ENOSPC;
}

/* Both the parent and the child may say so, with the same value. */
static inline void hdy_board_set_identity(hdy_board *b, int slot, uint64_t identity)
{
    if (b && slot >= 0 && (uint32_t)slot < HDY_BOARD_SLOTS)
        hdy_store(&b->slot[slot].identity, identity);
}

/* Whose place that is; 0: it is not known yet. */
static inline uint64_t hdy_board_identity(hdy_board *b, int slot)
{
    return b && slot >= 0 && (uint32_t)slot < HDY_BOARD_SLOTS ? hdy_load(&b->slot[slot].identity) : 0;
}

/* The start failed: no process will ever be in that slot. */
static inline void hdy_board_give_back(hdy_board *b, int slot)
{
    if (b && slot >= 0 && (uint32_t)slot < HDY_BOARD_SLOTS)
        hdy_store(&b->slot[slot].status, HDY_STATUS_UNKNOWN);
}

/* SIGKILL to one process, if it is still that one. */
static inline void hdy_kill_identity(uint64_t identity)
{
    uint32_t pid = hdy_pid_of(identity);
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return;
    /* The pidfd is of whoever has the pid now; only after this look is it known to be the one. */
    if (hdy_identity_of(pid) == identity)
        syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
    close(fd);
}

/* Ends the children of a dead process that their own lifeline could not end: a stopped process
 * runs no thread. Those told to outlive it stay. */
static inline void hdy_board_end_children(hdy_board *b, uint64_t dead)
{
    if (!b || !dead)
        return;
    hdy_row row;
    for (uint32_t i = 0, n = hdy_board_used(b); i < n; i++) {
        if (hdy_load_relaxed(&b->slot[i].parent) != dead || !hdy_board_read(b, i, &row))
            continue;
        if (row.parent == dead && row.identity && !row.outlives && row.status == HDY_STATUS_NONE)
            hdy_kill_identity(row.identity);
    }
}

/* The reaper's record of a death: the status, then the count, then everybody who sleeps on it. */
static inline void hdy_board_record_death(hdy_board *b, int slot, uint64_t identity, int32_t status)
{
    if (hdy_tracing())
        hdy_trace_tell_death(identity, status);
    if (!b)
        return;
    HDY_FAILPOINT("board.death.before_store");
    if (slot >= 0 && (uint32_t)slot < HDY_BOARD_SLOTS && hdy_load(&b->slot[slot].identity) == identity)
        hdy_store(&b->slot[slot].status, status);
    HDY_FAILPOINT("board.death.after_store");
    hdy_add(&b->deaths, 1);
    HDY_FAILPOINT("board.death.before_wake");
    hdy_futex_wake(&b->deaths, INT_MAX);
}

#endif
