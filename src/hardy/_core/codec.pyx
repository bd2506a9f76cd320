# Python objects to bytes and back.
#
# Exact types only: a subclass of int may carry more than its number, and goes to the pickler.
# Measured on CPython 3.11: the C pickler costs 460 ns for an int, the native path some 20 ns.
#
# Kinds of messages; the numbers are part of the layout (see layout.h, HDY_LAYOUT_VERSION).
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE, PyBytes_FromStringAndSize
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_FromDouble
from cpython.buffer cimport PyObject_GetBuffer, PyBuffer_Release, PyBUF_SIMPLE
from cpython.memoryview cimport PyMemoryView_GET_BUFFER
from cpython.ref cimport Py_DECREF
from libc.string cimport memcpy

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object)
    const char *PyUnicode_AsUTF8AndSize(object, Py_ssize_t *size) except NULL
    object PyUnicode_DecodeUTF8(const char *, Py_ssize_t, const char *errors)
    ctypedef struct PyObject

cdef extern from "plain_write.h":
    const int HDY_PLAIN_OK
    const int HDY_PLAIN_FAILED
    int hdy_plain_encode(
        object, unsigned char *small, size_t room, PyObject **heap, size_t *used
    ) except? HDY_PLAIN_FAILED

cdef extern from "plain_read.h":
    object hdy_plain_decode(const char *, size_t)

cdef enum:
    KIND_NONE = 0
    KIND_FALSE = 1
    KIND_TRUE = 2
    KIND_FLOAT = 4
    KIND_STR = 5
    KIND_PICKLE = 7
    KIND_BUFFERS = 8  # pickle with out-of-band buffers
    KIND_PLAIN = 9  # containers of plain values (plain.h)

cdef char[64] _zeros
for _i in range(64):
    _zeros[_i] = 0


cdef inline void _part(encoding *e, const void *p, size_t n) noexcept:
    e.parts[e.nparts].iov_base = <void *>p
    e.parts[e.nparts].iov_len = n
    e.nparts += 1
    e.size += n


cdef inline void _pad(encoding *e) noexcept:
    if e.size % 64:
        _part(e, _zeros, 64 - e.size % 64)


cdef class _Buffers:
    # Holds the buffers of one message until its bytes are copied.
    cdef Py_buffer views[64]
    cdef int n
    cdef bytes header, pickled

    def __dealloc__(self):
        cdef int i
        for i in range(self.n):
            PyBuffer_Release(&self.views[i])


cdef object _encode_buffers(bytes pickled, list buffers, encoding *e):
    # u64 count | u64 bytes of pickle | u64 bytes of each buffer | pickle | each buffer on 64 bytes
    cdef _Buffers b = _Buffers.__new__(_Buffers)
    cdef unsigned long long[66] words
    cdef Py_ssize_t count = len(buffers)
    words[0] = count
    words[1] = PyBytes_GET_SIZE(pickled)
    for i in range(count):
        PyObject_GetBuffer(buffers[i], &b.views[i], PyBUF_SIMPLE)
        b.n += 1
        words[2 + i] = b.views[i].len
    b.header = (<char *>words)[:8 * (2 + count)]
    b.pickled = pickled
    e.kind = KIND_BUFFERS
    _part(e, PyBytes_AS_STRING(b.header), PyBytes_GET_SIZE(b.header))
    _part(e, PyBytes_AS_STRING(pickled), PyBytes_GET_SIZE(pickled))
    for i in range(count):
        _pad(e)
        _part(e, b.views[i].buf, b.views[i].len)
    return b


cdef inline object _stolen(PyObject *owned):
    obj = <object>owned
    Py_DECREF(obj)
    return obj


cdef inline bint _may_be_plain(object kind) noexcept:
    return (
        kind is dict or kind is tuple or kind is list or kind is set or kind is frozenset or kind is bytearray
        or kind is str
    )


cdef inline bint _encode_plain(object obj, encoding *e, PyObject **heap) except -1:
    # Whether it was plain all through. Nothing else looks at *e meanwhile.
    cdef size_t used
    if hdy_plain_encode(obj, e.small, CODEC_SMALL, heap, &used) != HDY_PLAIN_OK:
        return False
    e.kind = KIND_PLAIN
    if heap[0] == NULL:
        _part(e, e.small, used)
    else:
        _part(e, PyBytes_AS_STRING(<object>heap[0]), used)
    return True


cdef object encode_other(object obj, encoding *e, object dumps):
    cdef Py_ssize_t n
    cdef const char *p
    cdef double d
    cdef PyObject *heap = NULL
    e.size = 0
    e.nparts = 0
    kind = type(obj)
    if kind is str:
        if PyUnicode_IS_ASCII(obj):
            p = PyUnicode_AsUTF8AndSize(obj, &n)
            e.kind = KIND_STR
            _part(e, p, n)
            return None
        try:
            # Not the string's own UTF-8, which it would keep for the rest of its life.
            utf8 = (<str>obj).encode("utf-8")
        except UnicodeEncodeError:
            utf8 = None  # lone surrogates: the pickler knows how
        if utf8 is not None:
            e.kind = KIND_STR
            _part(e, PyBytes_AS_STRING(utf8), PyBytes_GET_SIZE(utf8))
            return utf8
    elif kind is float:
        d = PyFloat_AS_DOUBLE(obj)
        memcpy(&e.scratch, &d, 8)
        e.kind = KIND_FLOAT
        _part(e, &e.scratch, 8)
        return None
    elif obj is None:
        e.kind = KIND_NONE
        return None
    elif kind is bool:
        e.kind = KIND_TRUE if obj else KIND_FALSE
        return None
    if _may_be_plain(kind) and _encode_plain(obj, e, &heap):
        return None if heap == NULL else _stolen(heap)
    pickled, buffers = dumps(obj)
    if buffers:
        return _encode_buffers(pickled, buffers, e)
    e.kind = KIND_PICKLE
    _part(e, PyBytes_AS_STRING(pickled), PyBytes_GET_SIZE(pickled))
    return pickled


cdef bint wants_bytearray(unsigned int kind) noexcept nogil:
    return kind == KIND_BUFFERS


cdef object decode(unsigned int kind, const char *p, Py_ssize_t n, object loads):
    cdef double d
    if kind == KIND_INT and n == 8:
        return decode_int(p)
    if kind == KIND_BYTES:
        return PyBytes_FromStringAndSize(p, n)
    if kind == KIND_STR:
        return PyUnicode_DecodeUTF8(p, n, NULL)
    if kind == KIND_PLAIN:
        return hdy_plain_decode(p, n)
    if kind == KIND_PICKLE:
        return loads(PyBytes_FromStringAndSize(p, n))
    if kind == KIND_FLOAT and n == 8:
        memcpy(&d, p, 8)
        return PyFloat_FromDouble(d)
    if kind == KIND_NONE:
        return None
    if kind == KIND_TRUE:
        return True
    if kind == KIND_FALSE:
        return False
    if kind == KIND_BUFFERS:
        return decode_owned(kind, bytearray(p[:n]), loads)
    raise ValueError(f"a message of the unknown kind {kind} with {n} bytes: the queue's memory is corrupt")


cdef object decode_owned(unsigned int kind, object owner, object loads):
    cdef unsigned long long *words
    cdef unsigned long long at, count, size, length
    if kind == KIND_BYTES:
        return owner
    if kind == KIND_PICKLE:
        return loads(owner)
    if kind != KIND_BUFFERS:
        return decode(kind, PyBytes_AS_STRING(owner), PyBytes_GET_SIZE(owner), loads)
    view = memoryview(owner)
    words = <unsigned long long *>PyMemoryView_GET_BUFFER(view).buf
    size = PyMemoryView_GET_BUFFER(view).len
    count = words[0] if size >= 16 else 65
    if count > 64 or 16 + 8 * count > size or words[1] > size - 16 - 8 * count:
        raise ValueError("a message with buffers that do not fit it: the queue's memory is corrupt")
    at = 16 + 8 * count
    pickled = view[at:at + words[1]]
    at += words[1]
    buffers = []
    for i in range(count):
        at = (at + 63) & ~<unsigned long long>63
        length = words[2 + i]
        buffers.append(view[at:at + length])
        at += length
    return loads(pickled, buffers=buffers)
