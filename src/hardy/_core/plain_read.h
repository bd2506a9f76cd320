/* Bytes back to plain values (format: plain.h).
 *
 * The bytes come from memory that a stray write may have damaged. Every count is checked against the bytes that
 * are left before room is made for it, nothing that is half built is ever hashed, compared or handed out, and
 * what does not fit is an error. */
#ifndef HDY_PLAIN_READ_H
#define HDY_PLAIN_READ_H

#include "plain.h"

enum { HDY_PLAIN_FEW_SHARED = 32 };

typedef struct {
    const uint8_t *at, *end;
    PyObject **shared; /* by number; NULL: a tuple or frozenset that is not yet whole. Owned. */
    size_t count, room;
    PyObject *few[HDY_PLAIN_FEW_SHARED];
} hdy_plain_reader;

static PyObject *hdy_plain_damaged(const char *what)
{
    if (!PyErr_Occurred())
        PyErr_Format(PyExc_ValueError, "a message of plain values with %s: the queue's memory is corrupt", what);
    return NULL;
}

/* ---- what may be named again ---- */

static int hdy_plain_more_shared(hdy_plain_reader *r)
{
    size_t room = 4 * r->room;
    PyObject **more = (PyObject **)PyMem_Malloc(room * sizeof *more);
    if (!more) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(more, r->shared, r->count * sizeof *more);
    if (r->shared != r->few)
        PyMem_Free(r->shared);
    r->shared = more;
    r->room = room;
    return 0;
}

/* Gives the next number to the object; to NULL: to one that is still to be built. */
static inline int hdy_plain_number(hdy_plain_reader *r, PyObject *o)
{
    if (r->count == r->room && hdy_plain_more_shared(r) < 0)
        return -1;
    Py_XINCREF(o);
    r->shared[r->count++] = o;
    return 0;
}

/* Passes the object on, numbered if the tag says so; NULL on an error. Takes the reference. */
static inline PyObject *hdy_plain_numbered(hdy_plain_reader *r, uint8_t tag, PyObject *o)
{
    if (o && tag & HDY_PLAIN_SHARED && hdy_plain_number(r, o) < 0) {
        Py_DECREF(o);
        return NULL;
    }
    return o;
}

/* ---- the pieces ---- */

static inline size_t hdy_plain_left(hdy_plain_reader *r)
{
    return (size_t)(r->end - r->at);
}

/* A count of things that take at least `width` bytes each. */
static inline int hdy_plain_get_count(hdy_plain_reader *r, size_t width, size_t *count)
{
    uint64_t n;
    if (hdy_plain_left(r) < 1)
        return -1;
    n = *r->at++;
    if (n == HDY_PLAIN_LONG_COUNT) {
        if (hdy_plain_left(r) < sizeof n)
            return -1;
        memcpy(&n, r->at, sizeof n);
        r->at += sizeof n;
    }
    *count = (size_t)n;
    return n <= hdy_plain_left(r) / width ? 0 : -1;
}

static PyObject *hdy_plain_wide_str(const uint8_t *p, size_t count, int width)
{
    /* Made for the largest character of its width, filled, then looked through: one that had no need of the
     * width would be equal to no other string. */
    Py_UCS4 largest = width == 2 ? 0xFFFF : 0x10FFFF, least = width == 2 ? 0x100 : 0x10000, found = 0;
    PyObject *o = PyUnicode_New((Py_ssize_t)count, count ? largest : 0);
    if (!o || count == 0) {
        Py_XDECREF(o);
        return hdy_plain_damaged("an empty wide string");
    }
    memcpy(PyUnicode_DATA(o), p, count * (size_t)width);
    for (size_t i = 0; i < count; i++) {
        Py_UCS4 c = width == 2 ? PyUnicode_2BYTE_DATA(o)[i] : PyUnicode_4BYTE_DATA(o)[i];
        found = c > found ? c : found;
    }
    if (found < least || found > largest) {
        Py_DECREF(o);
        return hdy_plain_damaged("characters that its string cannot have");
    }
    return o;
}

/* Keys of dicts that were read lately: most messages of a queue have the same ones, and a string that is known
 * need be neither made nor hashed. Short ones only, and so few that nobody will miss the memory. */
enum { HDY_PLAIN_KEYS = 256, HDY_PLAIN_LONGEST_KEY = 32 };

static PyObject *hdy_plain_keys[HDY_PLAIN_KEYS];

static inline PyObject *hdy_plain_key_str(const uint8_t *p, size_t n)
{
    uint64_t h = 0, tail = 0;
    if (n < 2 || n > HDY_PLAIN_LONGEST_KEY)
        return PyUnicode_FromKindAndData(PyUnicode_1BYTE_KIND, p, (Py_ssize_t)n);
    if (n >= 8) {
        memcpy(&h, p, 8);
        memcpy(&tail, p + n - 8, 8);
    } else if (n >= 4) {
        memcpy(&h, p, 4);
        memcpy(&tail, p + n - 4, 4);
    } else {
        memcpy(&h, p, 2);
        tail = p[n - 1];
    }
    h = (h ^ (tail << 7 | tail >> 57) ^ n) * UINT64_C(0x9E3779B97F4A7C15);
    PyObject **known = &hdy_plain_keys[h >> 56];
    PyObject *o = *known;
    if (o && (size_t)PyUnicode_GET_LENGTH(o) == n && memcmp(PyUnicode_1BYTE_DATA(o), p, n) == 0) {
        Py_INCREF(o);
        return o;
    }
    o = PyUnicode_FromKindAndData(PyUnicode_1BYTE_KIND, p, (Py_ssize_t)n);
    if (o) {
        Py_XDECREF(*known);
        Py_INCREF(o);
        *known = o;
    }
    return o;
}

static PyObject *hdy_plain_read(hdy_plain_reader *r, int depth);

static PyObject *hdy_plain_read_raw(hdy_plain_reader *r, uint8_t tag, int is_key)
{
    int kind = tag & ~HDY_PLAIN_SHARED;
    int width = kind == HDY_PLAIN_STR_2 ? 2 : kind == HDY_PLAIN_STR_4 ? 4 : 1;
    size_t count;
    PyObject *o;
    if (hdy_plain_get_count(r, (size_t)width, &count) < 0)
        return hdy_plain_damaged("a length that does not fit it");
    const uint8_t *p = r->at;
    r->at += count * (size_t)width;
    if (kind == HDY_PLAIN_STR_1)
        o = is_key ? hdy_plain_key_str(p, count)
                   : PyUnicode_FromKindAndData(PyUnicode_1BYTE_KIND, p, (Py_ssize_t)count);
    else if (kind == HDY_PLAIN_BYTES)
        o = PyBytes_FromStringAndSize((const char *)p, (Py_ssize_t)count);
    else if (kind == HDY_PLAIN_BYTEARRAY)
        o = PyByteArray_FromStringAndSize((const char *)p, (Py_ssize_t)count);
    else
        o = hdy_plain_wide_str(p, count, width);
    return hdy_plain_numbered(r, tag, o);
}

static inline PyObject *hdy_plain_read_key(hdy_plain_reader *r, int depth)
{
    uint8_t tag = r->at < r->end ? *r->at : HDY_PLAIN_NONE;
    if ((tag & ~HDY_PLAIN_SHARED) != HDY_PLAIN_STR_1)
        return hdy_plain_read(r, depth);
    r->at++;
    return hdy_plain_read_raw(r, tag, 1);
}

static int hdy_plain_fill_dict(hdy_plain_reader *r, PyObject *o, size_t count, int depth)
{
    for (size_t i = 0; i < count; i++) {
        PyObject *key = hdy_plain_read_key(r, depth);
        PyObject *value = key ? hdy_plain_read(r, depth) : NULL;
        int failed = !value || PyDict_SetItem(o, key, value) < 0;
        Py_XDECREF(key);
        Py_XDECREF(value);
        if (failed)
            return -1;
    }
    return (size_t)PyDict_GET_SIZE(o) == count ? 0 : -1;
}

static int hdy_plain_fill_list(hdy_plain_reader *r, PyObject *o, size_t count, int depth)
{
    for (size_t i = 0; i < count; i++) {
        PyObject *item = hdy_plain_read(r, depth);
        if (!item)
            return -1;
        PyList_SET_ITEM(o, (Py_ssize_t)i, item);
    }
    return 0;
}

static int hdy_plain_fill_tuple(hdy_plain_reader *r, PyObject *o, size_t count, int depth)
{
    for (size_t i = 0; i < count; i++) {
        PyObject *item = hdy_plain_read(r, depth);
        if (!item)
            return -1;
        PyTuple_SET_ITEM(o, (Py_ssize_t)i, item);
    }
    return 0;
}

static int hdy_plain_fill_set(hdy_plain_reader *r, PyObject *o, size_t count, int depth)
{
    for (size_t i = 0; i < count; i++) {
        PyObject *item = hdy_plain_read(r, depth);
        int failed = !item || PySet_Add(o, item) < 0;
        Py_XDECREF(item);
        if (failed)
            return -1;
    }
    return (size_t)PySet_GET_SIZE(o) == count ? 0 : -1;
}

/* As pickle makes one: from all of its members at once. */
static PyObject *hdy_plain_frozenset(PyObject *members)
{
    PyObject *o = PyFrozenSet_New(members);
    if (o && PySet_GET_SIZE(o) != PyTuple_GET_SIZE(members))
        Py_CLEAR(o);
    Py_DECREF(members);
    return o;
}

static PyObject *hdy_plain_read_container(hdy_plain_reader *r, uint8_t tag, int depth)
{
    int kind = tag & ~HDY_PLAIN_SHARED;
    int late = kind == HDY_PLAIN_TUPLE || kind == HDY_PLAIN_FROZENSET;
    size_t count, number = r->count;
    if (depth == HDY_PLAIN_DEPTH)
        return hdy_plain_damaged("values nested too deeply");
    if (hdy_plain_get_count(r, kind == HDY_PLAIN_DICT ? 2 : 1, &count) < 0)
        return hdy_plain_damaged("a count that does not fit it");
    PyObject *o = kind == HDY_PLAIN_DICT   ? PyDict_New()
                  : kind == HDY_PLAIN_LIST ? PyList_New((Py_ssize_t)count)
                  : kind == HDY_PLAIN_SET  ? PySet_New(NULL)
                                           : PyTuple_New((Py_ssize_t)count);
    if (!o)
        return NULL;
    int failed = 0;
    if (tag & HDY_PLAIN_SHARED)
        failed = hdy_plain_number(r, late ? NULL : o) < 0;
    if (!failed)
        failed = (kind == HDY_PLAIN_DICT   ? hdy_plain_fill_dict
                  : kind == HDY_PLAIN_LIST ? hdy_plain_fill_list
                  : kind == HDY_PLAIN_SET  ? hdy_plain_fill_set
                                           : hdy_plain_fill_tuple)(r, o, count, depth + 1) < 0;
    if (failed) {
        Py_DECREF(o);
        return hdy_plain_damaged("members that a container of its kind cannot have");
    }
    if (kind == HDY_PLAIN_FROZENSET) {
        o = hdy_plain_frozenset(o);
        if (!o)
            return hdy_plain_damaged("members that a container of its kind cannot have");
    }
    if (late && tag & HDY_PLAIN_SHARED) {
        Py_INCREF(o);
        r->shared[number] = o;
    }
    return o;
}

static PyObject *hdy_plain_read_same(hdy_plain_reader *r)
{
    uint32_t number;
    if (hdy_plain_left(r) < sizeof number)
        return hdy_plain_damaged("too few bytes");
    memcpy(&number, r->at, sizeof number);
    r->at += sizeof number;
    if (number >= r->count || !r->shared[number])
        return hdy_plain_damaged("a value that refers to none");
    Py_INCREF(r->shared[number]);
    return r->shared[number];
}

static PyObject *hdy_plain_read_number(hdy_plain_reader *r, uint8_t tag)
{
    size_t width = tag == HDY_PLAIN_INT_1 ? 1 : tag == HDY_PLAIN_INT_4 ? 4 : 8;
    if (hdy_plain_left(r) < width)
        return hdy_plain_damaged("too few bytes");
    const uint8_t *p = r->at;
    int32_t four;
    int64_t eight;
    double d;
    r->at += width;
    switch (tag) {
    case HDY_PLAIN_INT_1:
        return PyLong_FromLong((int8_t)*p);
    case HDY_PLAIN_INT_4:
        memcpy(&four, p, sizeof four);
        return PyLong_FromLong(four);
    case HDY_PLAIN_INT_8:
        memcpy(&eight, p, sizeof eight);
        return PyLong_FromLongLong(eight);
    default:
        memcpy(&d, p, sizeof d);
        return PyFloat_FromDouble(d);
    }
}

static PyObject *hdy_plain_read(hdy_plain_reader *r, int depth)
{
    if (hdy_plain_left(r) < 1)
        return hdy_plain_damaged("too few bytes");
    uint8_t tag = *r->at++;
    switch (tag & ~HDY_PLAIN_SHARED) {
    case HDY_PLAIN_STR_1:
    case HDY_PLAIN_STR_2:
    case HDY_PLAIN_STR_4:
    case HDY_PLAIN_BYTES:
    case HDY_PLAIN_BYTEARRAY:
        return hdy_plain_read_raw(r, tag, 0);
    case HDY_PLAIN_LIST:
    case HDY_PLAIN_TUPLE:
    case HDY_PLAIN_SET:
    case HDY_PLAIN_FROZENSET:
    case HDY_PLAIN_DICT:
        return hdy_plain_read_container(r, tag, depth);
    }
    switch (tag) {
    case HDY_PLAIN_INT_1:
    case HDY_PLAIN_INT_4:
    case HDY_PLAIN_INT_8:
    case HDY_PLAIN_FLOAT:
        return hdy_plain_read_number(r, tag);
    case HDY_PLAIN_NONE:
        Py_RETURN_NONE;
    case HDY_PLAIN_FALSE:
        Py_RETURN_FALSE;
    case HDY_PLAIN_TRUE:
        Py_RETURN_TRUE;
    case HDY_PLAIN_SAME:
        return hdy_plain_read_same(r);
    }
    return hdy_plain_damaged("a value of no known kind");
}

/* A new reference; NULL with an error: the bytes are no whole message, or there is no memory. */
static PyObject *hdy_plain_decode(const char *bytes, size_t size)
{
    hdy_plain_reader r;
    r.at = (const uint8_t *)bytes;
    r.end = r.at + size;
    r.shared = r.few;
    r.count = 0;
    r.room = HDY_PLAIN_FEW_SHARED;
    int was_on = hdy_gc_pause();
    PyObject *o = hdy_plain_read(&r, 0);
    if (o && r.at != r.end) {
        Py_DECREF(o);
        o = hdy_plain_damaged("more bytes than it needs");
    }
    for (size_t i = 0; i < r.count; i++)
        Py_XDECREF(r.shared[i]);
    if (r.shared != r.few)
        PyMem_Free(r.shared);
    hdy_gc_go_on(was_on);
    return o;
}

#endif
