# put and get; see channel.pyx.
from hardy._core.batch cimport Basket, Batch, hdy_got, hdy_message
from hardy._core.codec cimport encoding
from hardy._core.ring cimport Ring

cdef class Channel(Ring):
    cdef Basket _basket
    cdef int _push(self, hdy_message *m, int count, int *done, bint block, long long deadline) except -2
    cdef int _push_large(self, hdy_message *m, bint block, long long deadline) except -2
    cdef int _wait_space(self, unsigned long long size, bint block, long long deadline) except -2
    cdef void _spin(self, int what) noexcept
    cdef bint _usable(self, unsigned int flag) noexcept
    cdef int _writable(self, unsigned long long size, bint block, long long deadline) except -1
    cdef int _put_encoded(self, encoding *e, bint block, long long deadline) except -1
    cdef int _flush(self, Batch batch, long long deadline) except -1
    cdef int _pull(
        self, hdy_got *got, int count, size_t room, int *done, bint block, long long deadline, unsigned int who
    ) except -2
    cdef object _receive(self, bint wait, long long deadline, unsigned int who, bint copy)
    cdef object _decoded(self, unsigned int kind, unsigned int pid, const char *p, Py_ssize_t n, object owner)
