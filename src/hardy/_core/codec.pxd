# Python objects to bytes and back: plain values natively, all else through the policy's pickler.
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memcpy

cdef extern from "sys/uio.h":
    struct iovec:
        void *iov_base
        size_t iov_len

cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object, int *overflow) except? -1
    object PyLong_FromLongLong(long long)

cdef enum:
    CODEC_PARTS = 132  # header, pickle, and 64 buffers with padding each
    CODEC_SMALL = 1024

ctypedef struct encoding:
    unsigned int kind
    unsigned long long size
    int nparts
    iovec parts[CODEC_PARTS]
    long long scratch
    unsigned char[CODEC_SMALL] small

# The kinds of most messages (the others: codec.pyx).
cdef enum:
    KIND_INT = 3
    KIND_BYTES = 6

# Whether the int has 64 bits.
cdef inline bint encode_int(object number, long long *word) except -1:
    cdef int overflow = 0
    word[0] = PyLong_AsLongLongAndOverflow(number, &overflow)
    return not overflow

# Whether it was an int or bytes: what needs no call.
cdef inline bint encode_at_once(object obj, encoding *e) except -1:
    if type(obj) is int:
        if not encode_int(obj, &e.scratch):
            return False
        e.kind = KIND_INT
        e.parts[0].iov_base = &e.scratch
        e.size = 8
    elif type(obj) is bytes:
        e.kind = KIND_BYTES
        e.parts[0].iov_base = PyBytes_AS_STRING(obj)
        e.size = PyBytes_GET_SIZE(obj)
    else:
        return False
    e.parts[0].iov_len = e.size
    e.nparts = 1
    return True

cdef inline object decode_int(const char *p):
    cdef long long word
    memcpy(&word, p, 8)
    return PyLong_FromLongLong(word)

# What is neither.
cdef object encode_other(object obj, encoding *e, object dumps)

# Fills *e with pointers into what it returns (and into `obj`): keep both until the bytes are copied.
cdef inline object encode(object obj, encoding *e, object dumps):
    return None if encode_at_once(obj, e) else encode_other(obj, e, dumps)

# Whether `decode` wants large messages of this kind in a bytearray rather than in bytes.
cdef bint wants_bytearray(unsigned int kind) noexcept nogil

# A small message, from a scratch buffer.
cdef object decode(unsigned int kind, const char *p, Py_ssize_t n, object loads)

# A large message, from a bytes object of its own, or (see wants_bytearray) a bytearray or a view.
cdef object decode_owned(unsigned int kind, object owner, object loads)
