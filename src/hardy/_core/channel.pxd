# get; see channel.pyx.
from hardy._core.ring cimport hdy_got
from hardy._core.sender cimport Sender

cdef class Basket:
    cdef char *bytes

cdef class Channel(Sender):
    # Kept from the last call of get_many.
    cdef Basket _basket
    cdef int _pull(
        self, hdy_got *got, int count, size_t room, int *done, bint block, long long deadline, unsigned int who
    ) except -2
    cdef object _receive(self, bint wait, long long deadline, unsigned int who, bint copy)
    cdef object _decoded(self, unsigned int kind, unsigned int pid, const char *p, Py_ssize_t n, object owner)
