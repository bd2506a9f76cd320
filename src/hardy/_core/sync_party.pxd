# What the objects with a table of processes share: running operations under the guard.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from hardy._core.sync cimport SyncCell, hdy_lock

cdef extern from "sync_party.h":
    ctypedef struct hdy_party:
        uint32_t kind
        uint32_t turn
        uint32_t rows
    ctypedef struct hdy_call:
        uint64_t identity
        uint64_t ticket
        uint32_t turn
        uint32_t row
        int32_t number
        hdy_lock *lock
    ctypedef int (*hdy_op)(void *object, hdy_call *call) noexcept nogil
    ctypedef void (*hdy_repair)(void *object) noexcept nogil

cdef class PartyCell(SyncCell):
    cdef hdy_party *party
    cdef hdy_repair repair
    # What the operation returned (see hdy_op), or -ETIMEDOUT when the guard could not be had by the
    # deadline. Raises only when nothing was done.
    cdef int run(self, hdy_op op, hdy_call *call, int64_t deadline) except? -1
    # The same for what must not be left half done: a signal handler's exception is raised afterwards.
    cdef int finish(self, hdy_op op, hdy_call *call) except? -1
