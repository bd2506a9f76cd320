# One child of this process, as the lifeline knows it.
cdef class Child:
    cdef readonly int pid
    cdef readonly unsigned long long identity
    cdef readonly int pidfd
    cdef unsigned long long _token
    cdef unsigned int _forks
    cdef bint _added
    cdef bint _gone
    cdef void _release(self) noexcept
