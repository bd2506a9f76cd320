/* Plain values as bytes: None, bool, int of 64 bits, float, str, bytes, bytearray, and list, tuple, dict, set
 * and frozenset of these; exact types only. See docs/en/design/0004-encoding.md.
 *
 * A value is one byte, its tag, and what the tag says. Counts are one byte, or 255 and eight more.
 * HDY_PLAIN_SHARED in a tag: the value gets the next number, counted from 0 in the order of the
 * tags, and HDY_PLAIN_SAME names it by that number. So what was one object in the message before is
 * one object after it, as pickle has it.
 *
 * plain_write.h writes, plain_read.h reads. Both hold the GIL and run no Python code of anybody: they
 * call no method, and the garbage collector is paused meanwhile. Hence nobody can change a container
 * while it is walked, nor see one that is half built.
 */
#ifndef HDY_PLAIN_H
#define HDY_PLAIN_H

#include <Python.h>
#include <stdint.h>
#include <string.h>

enum {
    HDY_PLAIN_NONE,
    HDY_PLAIN_FALSE,
    HDY_PLAIN_TRUE,
    HDY_PLAIN_INT_1, /* signed, so many bytes */
    HDY_PLAIN_INT_4,
    HDY_PLAIN_INT_8,
    HDY_PLAIN_FLOAT, /* 8 bytes, as the processor has them */
    HDY_PLAIN_SAME,  /* 4 bytes: which */
    HDY_PLAIN_STR_1, /* count, characters of so many bytes */
    HDY_PLAIN_STR_2,
    HDY_PLAIN_STR_4,
    HDY_PLAIN_BYTES, /* count, bytes */
    HDY_PLAIN_BYTEARRAY,
    HDY_PLAIN_LIST, /* count, values */
    HDY_PLAIN_TUPLE,
    HDY_PLAIN_SET,
    HDY_PLAIN_FROZENSET,
    HDY_PLAIN_DICT, /* count of pairs; key, value, key, value... */
    HDY_PLAIN_SHARED = 0x80
};

enum {
    HDY_PLAIN_LONG_COUNT = 255,
    /* Deeper than this goes through pickle, which knows how to run out of stack. */
    HDY_PLAIN_DEPTH = 64
};

static inline int hdy_gc_pause(void)
{
    return PyGC_Disable();
}

static inline void hdy_gc_go_on(int was_on)
{
    if (was_on)
        PyGC_Enable();
}

#endif
