# The memory of a large message, lent to this process; see view.pyx, view.h.
from hardy._core.ring cimport Ring

cdef extern from "view.h":
    ctypedef struct hdy_view_of:
        char *at

cdef class View:
    cdef hdy_view_of view
    cdef Ring ring
    cdef Py_ssize_t size
    # Before the message is taken: MemoryError loses nothing.
    cdef int reserve(self, Ring ring, unsigned long long size) except -1
    # After it was taken: from here on its extents are this object's to free.
    cdef int fill(self, unsigned int unit) except -1
