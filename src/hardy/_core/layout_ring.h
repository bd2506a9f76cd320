/* The shared layout of a queue: one memfd that grows.
 *
 * File                       arena 0           arena 1           ...   (16 MiB each, sparse)
 * One arena, in units of 64 KiB:
 *   unit 0    in arena 0 the header (struct hdy_ring at 0, users from 8 KiB);
 *             in every arena the unit table (256 entries at 32 KiB)
 *   unit 1..  blocks of small messages | extents of large messages | lease tables
 *
 * Messages up to HDY_INLINE_MAX bytes are records in blocks: a FIFO list of one-unit blocks, each
 * filled from its start. Larger ones are written to extents outside the guard; their record holds
 * only the place. A steady queue goes round in a few blocks, so it stays in the cache.
 *
 * Two sides: getters work at the head, putters at the tail. Each has a guard, a committed end and a
 * commit of its own, on cache lines that the other side only reads, and seldom (see `seen_seq`).
 *
 * Guards: every field below names its own. Whoever needs several takes them in the order head, tail,
 * heap. `atomic` is a field that is changed by read-modify-write, with or without a guard.
 * Commit: an `end` exists twice. An operation changes memory that no end reaches, writes the end that
 * is to be over the one that does not hold, and then counts `commits` up: that store is the operation.
 * A death before it leaves the queue as it was; what it had allocated is found by `hdy_ring_mend`.
 */
#ifndef HDY_LAYOUT_RING_H
#define HDY_LAYOUT_RING_H

#include "guard.h"
#include "layout.h"
#include "layout_board.h"
#include <stddef.h>

#define HDY_UNIT_BYTES 65536u
#define HDY_ARENA_UNITS 256u
#define HDY_ARENA_BYTES ((uint64_t)HDY_UNIT_BYTES * HDY_ARENA_UNITS)
#define HDY_MAX_ARENAS 16384u /* 256 GiB a queue */
#define HDY_TABLE_OFFSET 32768u
#define HDY_USERS_OFFSET 8192u
#define HDY_SIGN_OFFSET 4096u
#define HDY_USERS 768u
#define HDY_EXTENT_UNITS 255u /* the longest extent: an arena less its unit 0 */
#define HDY_BLOCK_START 64u
#define HDY_INLINE_MAX 24576u
/* Free units that keep their pages, as the next messages find them in the cache: in an idle queue,
 * and at the most while large messages stream (64 MiB). */
#define HDY_KEEP_UNITS 16u
#define HDY_KEEP_MOST 1024u

/* One unit of the file. n is the commit of an allocation: 0 = free. */
typedef struct {
    uint64_t owner; /* allocated: 0 = the queue, else the identity of the process whose hand it is in;
                       free: HDY_RESIDENT when the unit still has its pages */
    uint32_t n;     /* units of the extent that starts here */
    uint32_t next;  /* next extent of a message that needs several (0: last) */
} hdy_unit;
#define HDY_RESIDENT 1ull
#define HDY_ABANDONED 2ull /* allocated: in nobody's hand, as if its owner had died */
_Static_assert(sizeof(hdy_unit) == 16, "the unit table has 4 KiB");

/* The start of a block. */
typedef struct {
    uint32_t next; /* unit of the next block; valid once a JUMP record was committed */
} hdy_block;

/* Before each message in a block; records are 8-byte aligned. */
typedef struct {
    uint32_t size; /* payload bytes in the block */
    uint32_t meta; /* pid of the sender (bits 0..21) | HDY_LARGE | kind (bits 24..31) */
} hdy_record;
#define HDY_LARGE (1u << 22)
#define HDY_KIND_SHIFT 24
#define HDY_JUMP 0xffu /* kind: the list goes on in the next block */

/* Payload of a record with HDY_LARGE. */
typedef struct {
    uint64_t size;
    uint32_t unit;
    uint32_t reserved;
} hdy_large;

/* A process that used the queue. Entries of the dead are used again. Guard: head. */
typedef struct {
    uint64_t identity;
    uint32_t flags;     /* HDY_USER_* */
    uint32_t waiting;   /* its threads that wait in get now (too high after a kill: the dead do not count) */
    int32_t unfinished; /* JoinableQueue: items got less task_done calls ... */
    uint32_t stamp;     /* ... up to the progress with this stamp; one 8-byte store writes both */
    uint64_t reserved;
} hdy_user;
_Static_assert(sizeof(hdy_user) == 32, "users tile cache lines");
enum { HDY_USER_PUT = 1, HDY_USER_CLOSED = 2, HDY_USER_SOLE_THREAD = 4 };
_Static_assert(HDY_USERS_OFFSET + HDY_USERS * sizeof(hdy_user) <= HDY_TABLE_OFFSET, "users fit");

/* One leased message. Live while state != FREE and seq < seq of the committed head: a take
 * fills the slot first and commits by moving the head past the message. Guard: head. */
typedef struct {
    uint64_t owner; /* identity of the holder while LEASED */
    uint64_t seq;   /* sequence number of the message */
    uint32_t state; /* HDY_SLOT_* : one store each commits ack, nack, redelivery */
    uint32_t deliveries;
    uint32_t meta; /* as in the record */
    uint32_t unit; /* first unit of the payload; 0: it is in `payload` */
    uint64_t size;
    uint64_t reserved[3];
    char payload[448];
} hdy_held;
enum { HDY_SLOT_FREE = 0, HDY_SLOT_LEASED = 1, HDY_SLOT_READY = 2, HDY_SLOT_DEAD = 3 };
#define HDY_SLOTS_IN_UNIT (HDY_UNIT_BYTES / (uint32_t)sizeof(hdy_held) - 1)
_Static_assert(sizeof(hdy_held) == 512, "slots tile a unit");

/* One end of the queue: what an operation there replaces as a whole. */
typedef struct {
    uint64_t seq;   /* messages ever taken (head), ever put (tail) */
    uint64_t bytes; /* and their payload bytes */
    uint32_t unit, off; /* next record to take; where the next record goes */
} hdy_end;

typedef struct {
    hdy_guard guard HDY_ALIGNED;
    /* Guard: this side's. The other end as somebody of this side last saw it: never ahead of it, so that what
     * it says is there (messages, room) is there. The other side's lines are read only when it says "nothing". */
    uint64_t seen_seq, seen_bytes;
    uint64_t commits HDY_ALIGNED; /* the commit: its lowest bit says which end holds */
    hdy_end end[2];
} hdy_side;
_Static_assert(sizeof(hdy_side) == 2 * HDY_CACHE_LINE, "guard and view | commit and ends");

/* JoinableQueue: the rest of what an operation at the head replaces; the head's commit is its own. */
typedef struct {
    uint64_t done; /* messages ever done with; put less done is what is unfinished */
    /* `delta` is added to the unfinished of user `actor` - 1 by whoever finds its stamp older than
       this one: the actor after its commit, or the repair after its death. */
    uint32_t stamp;
    uint16_t actor; /* 0: nobody's */
    int16_t delta;
} hdy_progress;

/* For what one waits: until there are items (asked at the head), space (at the tail), until all that was put is
 * done with (at the head). A line each, which is written only when somebody waits. See hdy_ask and hdy_notify. */
enum { HDY_ITEMS = 0, HDY_SPACE = 1, HDY_DONE = 2 };
typedef struct {
    uint32_t asks HDY_ALIGNED; /* atomic: how often somebody was about to sleep */
    uint32_t answered; /* as asks was when a wake-up found nobody asleep any more; any waker's plain store */
    uint32_t word;     /* atomic: the futex word, counts wake-ups */
} hdy_wait;

/* For whom the stream has ended; each includes those before it (see `_ipc.stream`). */
enum { HDY_ENDED_FOR_LOOPS = 1, HDY_ENDED_FOR_TAKES = 2, HDY_ENDED_FOR_ALL = 3 };

typedef struct {
    hdy_head head_of_segment;

    /* lines 1 to 4 */
    hdy_side head;
    hdy_side tail;

    /* line 5: as head.end */
    hdy_progress progress[2] HDY_ALIGNED;

    /* line 6: the heap; all but `arenas` are hints and counters that are counted anew after a death. Guard: heap */
    hdy_guard heap HDY_ALIGNED;
    uint32_t arenas;   /* of the file; only grows */
    uint32_t hint;     /* no arena before this one has a free unit */
    uint32_t retained; /* free units that keep their pages (also read without the guard, as a guess), */
    uint32_t keep;     /* and how many may (likewise): grows while what was given back is wanted again at once */
    uint32_t punched;  /* units given back and not yet wanted again */

    /* the next line: written once, before anyone else can see the queue, ... */
    uint64_t maxsize HDY_ALIGNED; /* 0: no bound */
    uint64_t maxbytes;            /* 0: no bound */
    uint32_t max_deliveries;      /* 0: no bound */
    uint32_t joinable;
    /* ... and what is seldom written */
    uint32_t ended;  /* guard: head; a put takes it back: HDY_ENDED_*: a reader found that nobody can put */
    uint32_t closes; /* guard: head; how many processes closed their handle */
    uint32_t dirty;  /* somebody died in a guard: there may be memory that nothing reaches (see repair.h) */
    int32_t hands;   /* atomic: extents in some process's hand; counted anew with `retained` */
    uint32_t hands_deaths; /* deaths that the program had counted when what the dead had in hand was last looked for */

    hdy_wait waits[3];

    /* the last line. Guard: head; the counters are counted anew after a death in it */
    uint64_t swept_ns HDY_ALIGNED; /* when dead lease holders were last looked for, */
    uint32_t swept_deaths;         /* and how many deaths the program had counted then */
    uint32_t lease_first; /* first unit of the lease tables, chained by unit.next; only grows */
    uint32_t leased;      /* slots LEASED, READY, DEAD */
    uint32_t ready;
    uint32_t dead;
    uint32_t emptied; /* blocks that were read to the end and are to be freed, chained by unit.next */
} hdy_ring;
_Static_assert(offsetof(hdy_ring, head) == HDY_CACHE_LINE, "the sides follow the segment's head");
_Static_assert(sizeof(hdy_ring) <= HDY_SIGN_OFFSET, "the header fits");

/* At HDY_SIGN_OFFSET: what the queue is called, and of which class; by the creator, once. */
typedef struct {
    hdy_label label;
    char kind[32]; /* ends with 0 */
} hdy_sign;

static inline hdy_sign *hdy_sign_of(hdy_ring *r)
{
    return (hdy_sign *)((char *)r + HDY_SIGN_OFFSET);
}

#endif
