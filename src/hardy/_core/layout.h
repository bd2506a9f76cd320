/* The head that every shared segment begins with, and the rules that all layouts keep.
 *
 * A segment is a memfd: no path, freed by the kernel with its last user. Inside are offsets, never
 * pointers. Every field names its writer and its guard. The layouts themselves are in
 * layout_ring.h (queues), layout_sync.h (locks and their like) and layout_board.h (processes).
 */
#ifndef HDY_LAYOUT_H
#define HDY_LAYOUT_H

#include "base.h"

#define HDY_MAGIC 0x3179647261686879ull /* "yhardy1" */
/* Raised with every change of any layout: two versions of hardy in one tree refuse each other. */
#define HDY_LAYOUT_VERSION 4u

enum { HDY_KIND_RING = 1, HDY_KIND_SLAB = 2, HDY_KIND_BOARD = 3, HDY_KIND_TRACE = 4 };

/* All written once by the creator, before anyone else can see the segment. */
typedef struct {
    uint64_t magic;     /*  0 */
    uint32_t version;   /*  8 HDY_LAYOUT_VERSION */
    uint32_t kind;      /* 12 HDY_KIND_* */
    uint64_t uid[2];    /* 16 random: no two segments of one boot share it */
    uint64_t pidns;     /* 32 pid namespace of the creator: identities mean nothing in another */
    uint64_t creator;   /* 40 identity */
    uint64_t map_bytes; /* 48 what an attacher maps of the file */
    uint64_t reserved;  /* 56 */
} hdy_head;
_Static_assert(sizeof(hdy_head) == HDY_CACHE_LINE, "the head fills one cache line");

#endif
