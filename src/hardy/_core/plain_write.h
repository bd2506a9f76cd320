/* Plain values to bytes (format: plain.h). */
#ifndef HDY_PLAIN_WRITE_H
#define HDY_PLAIN_WRITE_H

#include "plain.h"
#include <stdlib.h>

typedef struct {
    uint8_t *at, *end, *base;
    PyObject *heap;   /* the bytes object that `base` lies in; NULL: the caller's small buffer */
    uint32_t shared;  /* objects numbered so far */
    int open;         /* depth of `tuple` */
    PyObject *tuple[HDY_PLAIN_DEPTH + 1]; /* that are being written */
} hdy_plain_writer;

enum { HDY_PLAIN_OK, HDY_PLAIN_FOREIGN, HDY_PLAIN_FAILED };

/* ---- which objects have a number ----
 * One table for all messages of the process: the GIL is its guard. A slot belongs to the message with
 * its stamp, so that nothing is cleared between two messages. */

typedef struct {
    PyObject *object;
    uint32_t stamp, number;
} hdy_plain_slot;

enum { HDY_PLAIN_SLOTS = 256, HDY_PLAIN_KEPT_SLOTS = 1 << 14 };

static hdy_plain_slot hdy_plain_first_slots[HDY_PLAIN_SLOTS];
static struct {
    hdy_plain_slot *slot;
    uint32_t mask, stamp;
} hdy_plain_numbers = {hdy_plain_first_slots, HDY_PLAIN_SLOTS - 1, 0};

static inline hdy_plain_slot *hdy_plain_slot_of(hdy_plain_slot *slot, uint32_t mask, uint32_t stamp, PyObject *o)
{
    uint32_t i = (uint32_t)(((uintptr_t)o >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 32);
    for (;; i++) {
        hdy_plain_slot *s = &slot[i & mask];
        if (s->stamp != stamp || s->object == o)
            return s;
    }
}

static int hdy_plain_more_slots(void)
{
    uint32_t mask = 2 * hdy_plain_numbers.mask + 1, stamp = hdy_plain_numbers.stamp;
    hdy_plain_slot *more = (hdy_plain_slot *)calloc((size_t)mask + 1, sizeof *more);
    if (!more) {
        PyErr_NoMemory();
        return HDY_PLAIN_FAILED;
    }
    for (uint32_t i = 0; i <= hdy_plain_numbers.mask; i++) {
        hdy_plain_slot *s = &hdy_plain_numbers.slot[i];
        if (s->stamp == stamp)
            *hdy_plain_slot_of(more, mask, stamp, s->object) = *s;
    }
    if (hdy_plain_numbers.slot != hdy_plain_first_slots)
        free(hdy_plain_numbers.slot);
    hdy_plain_numbers.slot = more;
    hdy_plain_numbers.mask = mask;
    return HDY_PLAIN_OK;
}

static inline void hdy_plain_begin_numbers(void)
{
    if (++hdy_plain_numbers.stamp == 0) { /* the count went round: old stamps would be taken for new ones */
        memset(hdy_plain_numbers.slot, 0, ((size_t)hdy_plain_numbers.mask + 1) * sizeof(hdy_plain_slot));
        hdy_plain_numbers.stamp = 1;
    }
}

static inline void hdy_plain_end_numbers(void)
{
    if (hdy_plain_numbers.mask >= HDY_PLAIN_KEPT_SLOTS) {
        free(hdy_plain_numbers.slot);
        hdy_plain_numbers.slot = hdy_plain_first_slots;
        hdy_plain_numbers.mask = HDY_PLAIN_SLOTS - 1;
        /* The count may have gone round since they were used. */
        memset(hdy_plain_first_slots, 0, sizeof hdy_plain_first_slots);
    }
}

/* ---- room ---- */

static int hdy_plain_grow(hdy_plain_writer *w, size_t wanted)
{
    size_t used = (size_t)(w->at - w->base), room = (size_t)(w->end - w->base);
    if (wanted > (size_t)PY_SSIZE_T_MAX / 4) {
        PyErr_NoMemory();
        return HDY_PLAIN_FAILED;
    }
    size_t more = (room < 4096 ? 4096 : room + room / 2) + wanted;
    PyObject *heap = w->heap;
    if (heap) {
        w->heap = NULL; /* what a failed resize has freed */
        if (_PyBytes_Resize(&heap, (Py_ssize_t)more) < 0)
            return HDY_PLAIN_FAILED;
    } else {
        heap = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)more);
        if (!heap)
            return HDY_PLAIN_FAILED;
        memcpy(PyBytes_AS_STRING(heap), w->base, used);
    }
    w->heap = heap;
    w->base = (uint8_t *)PyBytes_AS_STRING(heap);
    w->at = w->base + used;
    w->end = w->base + more;
    return HDY_PLAIN_OK;
}

static inline int hdy_plain_reserve(hdy_plain_writer *w, size_t n)
{
    return (size_t)(w->end - w->at) >= n ? HDY_PLAIN_OK : hdy_plain_grow(w, n);
}

static inline void hdy_plain_put_count(hdy_plain_writer *w, uint8_t tag, size_t count)
{
    *w->at++ = tag;
    if (count < HDY_PLAIN_LONG_COUNT) {
        *w->at++ = (uint8_t)count;
        return;
    }
    uint64_t wide = count;
    *w->at++ = HDY_PLAIN_LONG_COUNT;
    memcpy(w->at, &wide, sizeof wide);
    w->at += sizeof wide;
}

/* ---- values ---- */

enum { HDY_PLAIN_MOST_HEAD = 16 };

/* Whether the object has a number: then it is named by that, and written. Else it gets one, and `*tag`
 * says so. An object with one reference is in one place, and needs none. */
static inline int hdy_plain_seen(hdy_plain_writer *w, PyObject *o, uint8_t *tag, int *seen)
{
    *seen = 0;
    if (Py_REFCNT(o) == 1)
        return HDY_PLAIN_OK;
    hdy_plain_slot *s =
        hdy_plain_slot_of(hdy_plain_numbers.slot, hdy_plain_numbers.mask, hdy_plain_numbers.stamp, o);
    if (s->stamp == hdy_plain_numbers.stamp) {
        for (int i = 0; i < w->open; i++)
            if (w->tuple[i] == o)
                return HDY_PLAIN_FOREIGN; /* inside itself: a reader could not build it */
        *w->at++ = HDY_PLAIN_SAME;
        memcpy(w->at, &s->number, sizeof s->number);
        w->at += sizeof s->number;
        *seen = 1;
        return HDY_PLAIN_OK;
    }
    *s = (hdy_plain_slot){o, hdy_plain_numbers.stamp, w->shared++};
    *tag |= HDY_PLAIN_SHARED;
    return w->shared <= hdy_plain_numbers.mask / 2 ? HDY_PLAIN_OK : hdy_plain_more_slots();
}

static inline int hdy_plain_write_raw(
    hdy_plain_writer *w, PyObject *o, uint8_t tag, const void *data, size_t count, size_t width)
{
    int seen = 0, r = count > 1 || tag == HDY_PLAIN_BYTEARRAY ? hdy_plain_seen(w, o, &tag, &seen) : HDY_PLAIN_OK;
    if (r || seen)
        return r;
    size_t bytes = count * width;
    hdy_plain_put_count(w, tag, count);
    r = hdy_plain_reserve(w, bytes);
    if (r)
        return r;
    memcpy(w->at, data, bytes);
    w->at += bytes;
    return HDY_PLAIN_OK;
}

static inline int hdy_plain_write_str(hdy_plain_writer *w, PyObject *o)
{
#if PY_VERSION_HEX < 0x030C0000
    if (PyUnicode_READY(o) < 0)
        return HDY_PLAIN_FAILED;
#endif
    size_t width = PyUnicode_KIND(o);
    uint8_t tag = width == 1 ? HDY_PLAIN_STR_1 : width == 2 ? HDY_PLAIN_STR_2 : HDY_PLAIN_STR_4;
    return hdy_plain_write_raw(w, o, tag, PyUnicode_DATA(o), (size_t)PyUnicode_GET_LENGTH(o), width);
}

static inline int hdy_plain_write_int(hdy_plain_writer *w, PyObject *o)
{
    int overflow = 0;
    int64_t v = PyLong_AsLongLongAndOverflow(o, &overflow);
    if (overflow)
        return HDY_PLAIN_FOREIGN;
    if (v == (int8_t)v) {
        *w->at++ = HDY_PLAIN_INT_1;
        *w->at++ = (uint8_t)v;
    } else if (v == (int32_t)v) {
        int32_t four = (int32_t)v;
        *w->at++ = HDY_PLAIN_INT_4;
        memcpy(w->at, &four, sizeof four);
        w->at += sizeof four;
    } else {
        *w->at++ = HDY_PLAIN_INT_8;
        memcpy(w->at, &v, sizeof v);
        w->at += sizeof v;
    }
    return HDY_PLAIN_OK;
}

static int hdy_plain_write(hdy_plain_writer *w, PyObject *o, int depth);

static int hdy_plain_write_dict(hdy_plain_writer *w, PyObject *o, uint8_t tag, int depth)
{
    Py_ssize_t at = 0;
    PyObject *key, *value;
    int r = HDY_PLAIN_OK;
    hdy_plain_put_count(w, tag, (size_t)PyDict_GET_SIZE(o));
    while (!r && PyDict_Next(o, &at, &key, &value)) {
        r = hdy_plain_write(w, key, depth);
        if (!r)
            r = hdy_plain_write(w, value, depth);
    }
    return r;
}

static int hdy_plain_write_set(hdy_plain_writer *w, PyObject *o, uint8_t tag, int depth)
{
    PyObject *items = PyObject_GetIter(o), *item;
    if (!items)
        return HDY_PLAIN_FAILED;
    int r = HDY_PLAIN_OK;
    hdy_plain_put_count(w, tag, (size_t)PySet_GET_SIZE(o));
    while (!r && (item = PyIter_Next(items))) {
        /* The set's own reference and the iterator's: one reference fewer tells whether others have it. */
        Py_DECREF(item);
        r = hdy_plain_write(w, item, depth);
    }
    Py_DECREF(items);
    return r;
}

static int hdy_plain_write_container(hdy_plain_writer *w, PyObject *o, int depth)
{
    PyTypeObject *type = Py_TYPE(o);
    uint8_t tag = type == &PyDict_Type    ? HDY_PLAIN_DICT
                  : type == &PyList_Type  ? HDY_PLAIN_LIST
                  : type == &PyTuple_Type ? HDY_PLAIN_TUPLE
                  : type == &PySet_Type   ? HDY_PLAIN_SET
                                          : HDY_PLAIN_FROZENSET;
    int kind = tag, seen, r = HDY_PLAIN_OK;
    if (depth == HDY_PLAIN_DEPTH)
        return HDY_PLAIN_FOREIGN;
    r = hdy_plain_seen(w, o, &tag, &seen);
    if (r || seen)
        return r;
    if (kind == HDY_PLAIN_DICT)
        return hdy_plain_write_dict(w, o, tag, depth + 1);
    if (kind == HDY_PLAIN_LIST) {
        hdy_plain_put_count(w, tag, (size_t)PyList_GET_SIZE(o));
        for (Py_ssize_t i = 0; !r && i < PyList_GET_SIZE(o); i++)
            r = hdy_plain_write(w, PyList_GET_ITEM(o, i), depth + 1);
        return r;
    }
    /* Hashable ones are read whole before anything may refer to them. */
    w->tuple[w->open++] = o;
    if (kind == HDY_PLAIN_TUPLE) {
        hdy_plain_put_count(w, tag, (size_t)PyTuple_GET_SIZE(o));
        for (Py_ssize_t i = 0; !r && i < PyTuple_GET_SIZE(o); i++)
            r = hdy_plain_write(w, PyTuple_GET_ITEM(o, i), depth + 1);
    } else {
        r = hdy_plain_write_set(w, o, tag, depth + 1);
    }
    w->open--;
    return r;
}

static int hdy_plain_write(hdy_plain_writer *w, PyObject *o, int depth)
{
    int r = hdy_plain_reserve(w, HDY_PLAIN_MOST_HEAD);
    if (r)
        return r;
    PyTypeObject *type = Py_TYPE(o);
    if (type == &PyUnicode_Type)
        return hdy_plain_write_str(w, o);
    if (type == &PyLong_Type)
        return hdy_plain_write_int(w, o);
    if (type == &PyFloat_Type) {
        double d = PyFloat_AS_DOUBLE(o);
        *w->at++ = HDY_PLAIN_FLOAT;
        memcpy(w->at, &d, sizeof d);
        w->at += sizeof d;
        return HDY_PLAIN_OK;
    }
    if (o == Py_None || o == Py_True || o == Py_False) {
        *w->at++ = o == Py_None ? HDY_PLAIN_NONE : o == Py_True ? HDY_PLAIN_TRUE : HDY_PLAIN_FALSE;
        return HDY_PLAIN_OK;
    }
    if (type == &PyDict_Type || type == &PyList_Type || type == &PyTuple_Type || type == &PySet_Type ||
        type == &PyFrozenSet_Type)
        return hdy_plain_write_container(w, o, depth);
    if (type == &PyBytes_Type)
        return hdy_plain_write_raw(w, o, HDY_PLAIN_BYTES, PyBytes_AS_STRING(o), (size_t)PyBytes_GET_SIZE(o), 1);
    if (type == &PyByteArray_Type)
        return hdy_plain_write_raw(
            w, o, HDY_PLAIN_BYTEARRAY, PyByteArray_AS_STRING(o), (size_t)PyByteArray_GET_SIZE(o), 1);
    return HDY_PLAIN_FOREIGN;
}

/* Writes into `small`, or into a bytes object of its own when that is too small: `*heap`, a new reference.
 *
 * Returns HDY_PLAIN_OK with `*used` bytes written; HDY_PLAIN_FOREIGN: something in it is no plain value, and
 * pickle must do it; HDY_PLAIN_FAILED: a Python error is set. */
static int hdy_plain_encode(PyObject *o, uint8_t *small, size_t room, PyObject **heap, size_t *used)
{
    hdy_plain_writer w;
    w.base = w.at = small;
    w.end = small + room;
    w.heap = NULL;
    w.shared = 0;
    w.open = 0;
    int was_on = hdy_gc_pause();
    hdy_plain_begin_numbers();
    int r = hdy_plain_write(&w, o, 0);
    hdy_plain_end_numbers();
    hdy_gc_go_on(was_on);
    if (r) {
        Py_XDECREF(w.heap);
        w.heap = NULL;
    }
    *heap = w.heap;
    *used = (size_t)(w.at - w.base);
    return r;
}

#endif
