# The recorder, for the other extensions; see trace.h. All but `tracing` are called while it is true, with the GIL held.
from hardy._core.label cimport hdy_label

cdef extern from "trace.h":
    enum:
        HDY_EVENT_START
        HDY_EVENT_END
        HDY_EVENT_CHILD
        HDY_EVENT_PUT
        HDY_EVENT_GET
        HDY_EVENT_WAIT
        HDY_EVENT_GOES_ON
        HDY_EVENT_HOLD
        HDY_EVENT_LET_GO
        HDY_EVENT_BEGIN
        HDY_EVENT_FINISH
        HDY_EVENT_TASK
        HDY_EVENT_TASK_END
    # One load and one predicted branch: all that a program without a trace pays.
    bint tracing "hdy_tracing"() noexcept nogil
    void hdy_trace_event(unsigned int kind, unsigned long long object, unsigned long long seq,
                         unsigned int count) noexcept nogil

cdef extern from "wait.h":
    # An event at a shared object, and once what the object is called.
    void trace_at "hdy_trace_at"(unsigned int kind, unsigned long long segment, unsigned long long place,
                                 const hdy_label *label, unsigned long long seq, unsigned int count) noexcept nogil
