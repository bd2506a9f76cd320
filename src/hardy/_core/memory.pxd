# Segments of shared memory, and small cells cut from them.
from hardy._core.runtime cimport hdy_runtime

cdef extern from "layout.h":
    ctypedef struct hdy_head:
        unsigned long long magic
        unsigned int version
        unsigned int kind
        unsigned long long uid[2]
        unsigned long long pidns
        unsigned long long creator
        unsigned long long map_bytes
    enum:
        HDY_KIND_RING
        HDY_KIND_SLAB
        HDY_KIND_BOARD
        HDY_KIND_TRACE

cdef class Segment:
    # One mapping of one memfd. At most one per process and segment (a robust mutex that is known
    # under two addresses cannot be recovered), kept by `attach`.
    cdef readonly int fd
    cdef readonly unsigned int kind
    cdef char *base
    cdef size_t map_bytes
    cdef object __weakref__
    cdef readonly bytes uid
    # What the segment is called where 16 bytes are too many: the first 8 of its uid.
    cdef unsigned long long number(self) noexcept
    # Raises ForeignHandle once this process lives in another pid namespace than the segment.
    cdef int check(self) except -1

cdef class Cell:
    # `nbytes` of a slab, zeroed, cache-line aligned; keeps its segment mapped.
    cdef readonly Segment segment
    cdef readonly unsigned long long offset
    cdef readonly unsigned int nbytes
    cdef char *at
    cdef unsigned int _forked
    cdef bint _shared
    cdef object __weakref__

cdef Segment create_segment(str name, unsigned int kind, size_t map_bytes, size_t file_bytes)
cdef Cell allocate_cell(unsigned int nbytes)
