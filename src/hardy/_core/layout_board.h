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
 *
 * Behind the slots: who waits for what, now; see wait.h.
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

#define HDY_SLOT_DAEMON 1u

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
    uint32_t flags;    /* 128 HDY_SLOT_* */
    uint32_t restarts; /* 132 how many processes had this one's place before it */
} HDY_ALIGNED hdy_slot;
_Static_assert(sizeof(hdy_slot) == 3 * HDY_CACHE_LINE, "a slot fills three cache lines");

/* What a shared object is called: the last cache line of its cell, or behind a queue's header.
 * Written once by the creator, before anyone else can see the object. */
#define HDY_LABEL_TEXT 56u
typedef struct {
    uint32_t number;   /*  0 how many of its kind the creator had made by then */
    uint8_t bytes;     /*  4 length of the text */
    uint8_t is_name;   /*  5 1: the text is the name that the user gave; 0: where it was made, file:line */
    uint16_t reserved; /*  6 */
    char text[HDY_LABEL_TEXT]; /* 8 UTF-8, cut at a character */
} HDY_ALIGNED hdy_label;
_Static_assert(sizeof(hdy_label) == HDY_CACHE_LINE, "a label fills one cache line");

/* One thread that waits. Written by that thread alone, between the CAS of `identity` from 0 and the store of 0. */
#define HDY_WAITS 1024u
#define HDY_WAIT_STACK 1856u
#define HDY_WAIT_OPEN (1ull << 63)
typedef struct {
    uint64_t identity; /*   0 of its process; with HDY_WAIT_OPEN while the row is being written; 0: free */
    uint64_t turn;     /*   8 counts the waits that this row was used for: with its number, names one wait for ever */
    uint64_t thread;   /*  16 key of the thread, as in the owner's field of a lock */
    uint32_t tid;      /*  24 as the kernel knows it */
    uint32_t what;     /*  28 HDY_WAITS_* | HDY_WAITS_TIMED */
    uint64_t segment;  /*  32 first 8 bytes of the segment's uid; 0: `place` is the identity of a process */
    uint64_t place;    /*  40 where in the segment */
    int64_t since_ns;  /*  48 monotonic */
    uint64_t holder;   /*  56 of a lock: the identity that held it when the waiter last looked, */
    uint64_t holder_thread; /* 64 the key of its thread, */
    int64_t seen_ns;   /*  72 and when that was; the commit of the two fields before it */
    uint32_t how;      /*  80 of a lock: how the holder had taken it, HDY_TAKEN_* */
    uint32_t stack_bytes; /* 84 length of the stack; 0: not left yet. The commit of a stack */
    char pad[HDY_CACHE_LINE - 24];
    hdy_label label;   /* 128 of the object */
    char stack[HDY_WAIT_STACK]; /* 192 the thread's Python stack, once it has waited long */
} HDY_ALIGNED hdy_wait_row;
_Static_assert(sizeof(hdy_wait_row) == 2048, "rows tile pages");

enum {
    HDY_WAITS_LOCK = 1,
    HDY_WAITS_RLOCK = 2,
    HDY_WAITS_READ = 3,  /* an RWLock */
    HDY_WAITS_WRITE = 4,
    HDY_WAITS_SEMAPHORE = 5,
    HDY_WAITS_EVENT = 6,
    HDY_WAITS_CONDITION = 7,
    HDY_WAITS_BARRIER = 8,
    HDY_WAITS_ITEMS = 9, /* a queue */
    HDY_WAITS_SPACE = 10,
    HDY_WAITS_DONE = 11, /* join() of a queue */
    HDY_WAITS_END = 12,  /* of a process */
    HDY_WAITS_NAMED = 13, /* a NamedLock, which lies nowhere: `segment` is a hash of its name */
};
#define HDY_WAITS_TIMED 0x100u /* it ends by itself */

typedef struct {
    hdy_head head;            /*   0 */
    uint32_t deaths HDY_ALIGNED; /*  64 futex word: reapers count up, then wake all */
    uint64_t tickets HDY_ALIGNED; /* 128 by fetch-and-add: the next ticket's number */
    hdy_slot slot[HDY_BOARD_SLOTS] HDY_ALIGNED;
    hdy_wait_row wait[HDY_WAITS];
} hdy_board;
_Static_assert(offsetof(hdy_board, slot) == 3 * HDY_CACHE_LINE, "the slots begin at byte 192");

#endif
