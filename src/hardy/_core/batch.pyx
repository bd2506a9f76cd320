# Many small messages for one operation of a queue.
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from hardy._core.codec cimport encoding


cdef class Batch:
    def __cinit__(self):
        self.bytes = <char *>malloc(BATCH_BYTES)
        if self.bytes == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.bytes)

    cdef bint fits(self, size_t size) noexcept:
        return self.count < BATCH_MESSAGES and self.used + size <= BATCH_BYTES

    cdef void add(self, encoding *e) noexcept:
        cdef hdy_message *m = &self.messages[self.count]
        self.parts[self.count].iov_base = self.bytes + self.used
        self.parts[self.count].iov_len = e.size
        if e.nparts == 1 and e.size == 8:
            memcpy(self.bytes + self.used, e.parts[0].iov_base, 8)  # one instruction
            self.used += 8
        else:
            self._copy(e)
        m.kind = e.kind
        m.size = e.size
        m.parts = &self.parts[self.count]
        m.nparts = 1
        m.unit = 0
        self.count += 1

    cdef void _copy(self, encoding *e) noexcept:
        cdef int i
        for i in range(e.nparts):
            memcpy(self.bytes + self.used, e.parts[i].iov_base, e.parts[i].iov_len)
            self.used += e.parts[i].iov_len


cdef class Basket:
    def __cinit__(self):
        self.bytes = <char *>malloc(BATCH_BYTES)
        if self.bytes == NULL:
            raise MemoryError

    cdef void reset(self) noexcept:
        self.got[0].small = self.bytes
        self.got[0].room = 0

    def __dealloc__(self):
        free(self.bytes)
