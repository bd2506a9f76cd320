/* The board: who belongs to a program, by name, and how the dead ended.
 *
 * One segment per program tree. A slot is claimed by the parent before its child exists, and never
 * given back: the slot of a dead process keeps its name and status until it is needed again.
 * There is no guard. A claim is one CAS of `ticket`; readers copy a slot and look at its ticket
 * again. So nobody ever waits for anybody here, not for a stopped process either, and there is
 * nothing to repair.
 *
 * States of a slot, and what a reader finds when the writer dies there:
 *
 *   free      ticket 0
 *   claiming  ticket has HDY_TICKET_OPEN: readers pass by; the claimer's pid is in the ticket, so
 *             that the slot of a dead claimer can be claimed again
 *   starting  ticket closed, identity 0: name and parent are known; claimable once the parent is dead
 *   live      identity set (by the parent or by the child, the same value): claimable once that
 *             process is dead, for its reaper may have died before it could write the status
 *   dead      status other than HDY_STATUS_NONE: claimable
 */
#ifndef HDY_LAYOUT_BOARD_H
#define HDY_LAYOUT_BOARD_H

#include "layout.h"
#include <stddef.h>

#define HDY_BOARD_SLOTS 4096u
#define HDY_NAME_BYTES 92u

/* How a process ended: as from waitpid(2), or one of these. */
#define HDY_STATUS_NONE INT32_MIN          /* it has not ended, as far as is known */
#define HDY_STATUS_UNKNOWN (INT32_MIN + 1) /* ended, and nobody could learn how */

/* Ticket: bits 0..21 the claimer's pid, 22..62 a number that counts up, 63 open. */
#define HDY_TICKET_OPEN (1ull << 63)

/* Written by whoever claimed the slot (between CAS and the closing store of `ticket`), unless a
 * field says otherwise. */
typedef struct {
    uint64_t ticket;    /*  0 by CAS; the commit of a claim */
    uint64_t identity;  /*  8 by the parent and by the child itself, one store; 0: not yet known */
    uint64_t parent;    /* 16 identity of the parent; 0 for the first process of a program */
    int32_t status;     /* 24 by the reaper, one store: the commit of a death */
    uint32_t outlives;  /* 28 1: it was told to outlive its parent */
    uint32_t name_bytes; /* 32 length of the name, at most HDY_NAME_BYTES */
    char name[HDY_NAME_BYTES]; /* 36 UTF-8, cut at a character */
} HDY_ALIGNED hdy_slot;
_Static_assert(sizeof(hdy_slot) == 2 * HDY_CACHE_LINE, "a slot fills two cache lines");

typedef struct {
    hdy_head head;            /*   0 */
    uint32_t deaths HDY_ALIGNED; /*  64 futex word: reapers count up, then wake all */
    uint64_t tickets HDY_ALIGNED; /* 128 by fetch-and-add: the next ticket's number */
    hdy_slot slot[HDY_BOARD_SLOTS] HDY_ALIGNED;
} hdy_board;
_Static_assert(offsetof(hdy_board, slot) == 3 * HDY_CACHE_LINE, "the slots begin at byte 192");

#endif
