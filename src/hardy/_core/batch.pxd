# Many small messages for one operation of a queue.
from hardy._core.codec cimport encoding, iovec

cdef extern from "message.h":
    ctypedef struct hdy_message:
        unsigned int kind
        unsigned long long size
        iovec *parts
        int nparts
        unsigned int unit
    ctypedef struct hdy_got:
        unsigned int kind, pid
        unsigned long long size
        char *small
        unsigned long long room
        unsigned int room_kind, unit, more

cdef enum:
    BATCH_MESSAGES = 128
    BATCH_BYTES = 131072

cdef class Batch:
    # Small messages on their way into one put.
    cdef hdy_message messages[BATCH_MESSAGES]
    cdef iovec parts[BATCH_MESSAGES]
    cdef char *bytes
    cdef size_t used
    cdef int count
    cdef Py_ssize_t total
    cdef bint fits(self, size_t size) noexcept
    cdef void add(self, encoding *e) noexcept
    cdef void _copy(self, encoding *e) noexcept

cdef class Basket:
    # Messages that came out of one get.
    cdef hdy_got got[BATCH_MESSAGES]
    cdef char *bytes
    # Before each get.
    cdef void reset(self) noexcept
