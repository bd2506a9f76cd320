# The memory of a large message, lent to this process (protocol: view.h).
cimport cython
from cpython.buffer cimport PyBuffer_FillInfo

from hardy._core cimport runtime
from hardy._core.ring cimport Ring, check_rc, hdy_queue
from hardy._core.runtime cimport hdy_fp_count, hdy_fp_name, hdy_rt, raise_errno
from hardy._core.runtime import _declare

cdef extern from "view.h":
    int hdy_view_reserve(hdy_view_of *, unsigned long long) noexcept nogil
    int hdy_view_fill(hdy_view_of *, hdy_queue *, unsigned int) noexcept nogil
    void hdy_view_close(hdy_view_of *, hdy_queue *) noexcept nogil
    int hdy_views_start() noexcept nogil

hdy_rt = runtime.shared()
if hdy_views_start() != 0:
    raise ImportError("hardy: pthread_atfork failed; no memory?")
_declare(*[hdy_fp_name(i).decode() for i in range(hdy_fp_count())])


@cython.no_gc_clear  # the ring is needed to the last
cdef class View:
    """The bytes of one message, in the queue's own memory, for as long as anybody refers to them.

    It holds the queue: that may be closed and forgotten meanwhile.
    """

    def __dealloc__(self):
        if self.view.at != NULL:
            with nogil:
                hdy_view_close(&self.view, &self.ring.q)

    cdef int reserve(self, Ring ring, unsigned long long size) except -1:
        cdef int rc = hdy_view_reserve(&self.view, size)
        if rc < 0:
            raise_errno(rc, f"finding room in the address space for a view of {size} bytes")
        self.ring = ring
        self.size = size
        return 0

    cdef int fill(self, unsigned int unit) except -1:
        cdef int rc
        with nogil:
            rc = hdy_view_fill(&self.view, &self.ring.q, unit)
        if rc < 0:
            check_rc(rc)
        return 0

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self.view.at, self.size, False, flags)
