# The one runtime of this process, shared by every extension of the core.
cdef extern from "base.h":
    ctypedef struct hdy_runtime:
        unsigned long long identity
        unsigned long long pidns
        unsigned int clock
        unsigned int forks
        unsigned int forked
        unsigned int fp_action
        unsigned int fp_left
        char fp_name[64]
    enum:
        HDY_CLOCK_UNKNOWN
    hdy_runtime *hdy_rt
    unsigned long long hdy_self() noexcept nogil
    unsigned long long hdy_identity_of(unsigned int pid) noexcept nogil
    unsigned int hdy_pid_of(unsigned long long identity) noexcept nogil
    bint hdy_alive(unsigned long long identity) noexcept nogil
    unsigned long long hdy_pidns() noexcept nogil
    long long hdy_now_ns() noexcept nogil
    size_t hdy_fp_count() noexcept nogil
    const char *hdy_fp_name(size_t i) noexcept nogil
    long long HDY_FOREVER

# Each extension does `hdy_rt = runtime.shared()` when it is imported.
cdef hdy_runtime *shared() noexcept nogil

# seconds (None: no end) -> an absolute deadline in monotonic nanoseconds; raises TypeError, ValueError
cdef long long deadline_ns(object timeout_s) except -1

# Exceptions for a negative errno that no operation expects of its own accord.
cdef int raise_errno(int negative_errno, str doing) except -1
