# put; see sender.pyx.
from hardy._core.codec cimport encoding, iovec
from hardy._core.ring cimport Ring, hdy_message, hdy_ring
from hardy._core.runtime cimport hdy_rt

cdef extern from "records.h":
    ctypedef struct hdy_record:
        unsigned int size
    unsigned int hdy_record_kind(const hdy_record *rec) noexcept nogil
    unsigned int hdy_record_pid(const hdy_record *rec) noexcept nogil
    ctypedef struct hdy_records:
        char *bytes
        size_t used
        int count
        unsigned int pid
    unsigned int hdy_record_bytes(unsigned int size) noexcept nogil
    void hdy_records_add_word(hdy_records *b, unsigned int kind, long long word) noexcept nogil
    void hdy_records_add(
        hdy_records *b, unsigned int kind, const iovec *parts, int nparts, unsigned int size
    ) noexcept nogil
    const char *hdy_records_skip(const char *records, int count) noexcept nogil

# How many small messages, and how many bytes of them, go into one operation.
cdef enum:
    MANY = 128
    MANY_BYTES = 131072

# Whether it is surely valid, so that it need not be looked at before there is something to wait for.
cdef inline bint is_plain(object timeout_s):
    if timeout_s is None or type(timeout_s) is int:
        return True
    return type(timeout_s) is float and <double>timeout_s == <double>timeout_s

cdef class Batch:
    cdef hdy_records records

cdef class Sender(Ring):
    # Kept from the last call of put_many.
    cdef Batch _batch
    cdef int _push(self, hdy_message *m, int count, int *done, bint block, long long deadline) except -2
    cdef int _push_large(self, hdy_message *m, bint block, long long deadline) except -2
    cdef int _wait_space(self, unsigned long long size, bint block, long long deadline) except -2
    cdef void _spin(self, int what) noexcept
    cdef int _writable(self, unsigned long long size, bint block, long long deadline) except -1
    cdef int _put_encoded(self, encoding *e, bint block, long long deadline) except -1
    cdef int _add(self, hdy_records *b, object obj, Py_ssize_t *total, long long deadline) except -1
    cdef int _flush(self, hdy_records *b, Py_ssize_t *total, long long deadline) except -1

# Whether an operation may begin at once: nothing has to be said, noted or cleared away before. `flag`: HDY_USER_PUT,
# or 0.
cdef inline bint is_usable(Sender s, unsigned int flag) noexcept:
    cdef hdy_ring *r = s.q.ring
    return (
        r != NULL
        and not s.closed
        and r.head_of_segment.pidns == hdy_rt.pidns
        and (not flag or (s.q.forks == hdy_rt.forks and s.q.user_flags & flag))
        and ((not r.dirty and r.hands == 0) or not s._has_chores())
    )
