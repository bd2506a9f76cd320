# The recorder of a trace seen from Python; see trace.h.
import time as _time

from hardy._core cimport memory, runtime
from hardy._core.memory cimport Segment
from hardy._core.runtime cimport hdy_fp_count, hdy_fp_name, hdy_now_ns, hdy_rt, hdy_self
from hardy._core.runtime import _declare

cdef extern from "trace.h":
    ctypedef struct hdy_trace:
        unsigned long long chunks, over
        long long began_ns, began_wall_ns
    const size_t HDY_CHUNK_BYTES
    const size_t HDY_TRACE_HEAD_BYTES
    const unsigned int HDY_TRACE_DEATHS
    enum:
        HDY_TEXT_OBJECT
        HDY_TEXT_PROCESS
        HDY_TEXT_NAME
    void hdy_trace_text(unsigned long long object, unsigned int what, const char *text,
                        unsigned int count) noexcept nogil

cdef extern from *:
    """
    static void hdy_trace_use(void *trace)
    {
        hdy_rt->chunk = NULL;
        memset(hdy_rt->traced, 0, sizeof hdy_rt->traced);
        __atomic_store_n(&hdy_rt->trace, trace, __ATOMIC_SEQ_CST);
        /* The reaper may be telling a death to the memory that is about to be unmapped. */
        while (!trace && __atomic_load_n(&hdy_rt->telling, __ATOMIC_SEQ_CST))
            sched_yield();
    }
    """
    void hdy_trace_use(void *trace) noexcept nogil

hdy_rt = runtime.shared()
_declare(*[hdy_fp_name(i).decode() for i in range(hdy_fp_count())])

BEGIN = HDY_EVENT_BEGIN
FINISH = HDY_EVENT_FINISH
TASK = HDY_EVENT_TASK
TASK_END = HDY_EVENT_TASK_END
CHUNK_BYTES = HDY_CHUNK_BYTES
HEAD_BYTES = HDY_TRACE_HEAD_BYTES
MOST_DEATHS = HDY_TRACE_DEATHS
KIND = memory.HDY_KIND_TRACE

cdef Segment _segment = None


def active() -> bool:
    """Whether this process records a trace."""
    return tracing()


def create(memory_bytes: int) -> Segment:
    """The memory of a new trace; not yet used by this process.

    Args:
        memory_bytes: for how many bytes of events there is room. The kernel gives what is written to.

    Raises:
        MemoryError, OSError: it cannot be had.
    """
    cdef unsigned long long chunks = max(memory_bytes // HDY_CHUNK_BYTES, 1)
    cdef size_t nbytes = HDY_TRACE_HEAD_BYTES + chunks * HDY_CHUNK_BYTES
    cdef Segment made = memory.create_segment("hardy-trace", memory.HDY_KIND_TRACE, nbytes, nbytes)
    cdef hdy_trace *t = <hdy_trace *>made.base
    t.chunks = chunks
    t.began_ns = hdy_now_ns()
    t.began_wall_ns = _time.time_ns()
    return made


def adopt(segment: Segment) -> None:
    """Record what this process does from now on; its forked children do so too."""
    global _segment
    segment.check()
    stop()
    _segment = segment
    hdy_trace_use((<Segment>segment).base)


def segment() -> Segment | None:
    """The memory of the trace that this process records to."""
    return _segment


def stop() -> None:
    """Record no more in this process."""
    global _segment
    hdy_trace_use(NULL)
    _segment = None


def end(segment: Segment) -> None:
    """End a trace, for all processes that record to it."""
    (<hdy_trace *>(<Segment>segment).base).over = 1


def number_of(name: str) -> int:
    """The same number for the same name, in all processes; not 0."""
    return _hash(name.encode("utf-8", "replace")) or 1


def holds(name: str, number: int, begins: bool) -> None:
    """Record that this process holds, or lets go, a lock that is a name."""
    cdef bytes encoded
    if tracing():
        encoded = name.encode("utf-8", "replace")
        hdy_trace_text(number, HDY_TEXT_OBJECT, encoded, len(encoded))
        hdy_trace_event(HDY_EVENT_HOLD if begins else HDY_EVENT_LET_GO, number, 0, 0)


cdef unsigned long long _hash(bytes text) noexcept:
    # FNV-1a, which `hash` is not: the same in all processes.
    cdef unsigned long long h = 14695981039346656037ull
    cdef const unsigned char *p = text
    cdef Py_ssize_t i
    for i in range(len(text)):
        h = (h ^ p[i]) * 1099511628211ull
    return h


def mark(kind: int, name: str, seq: int = 0) -> None:
    """Record the begin or the end of something with a name.

    Args:
        kind: BEGIN, FINISH, TASK or TASK_END.
        name: of a span, or of a task's function.
        seq: at the begin of a task its number; at an end, how many calls raised.
    """
    cdef bytes encoded
    cdef unsigned long long object
    if tracing():
        encoded = name.encode("utf-8", "replace")
        object = _hash(encoded)
        hdy_trace_text(object, HDY_TEXT_NAME, encoded, len(encoded))
        hdy_trace_event(kind, object, seq, 0)


def started(name: str, parent: int) -> None:
    """Record the begin of this process's work."""
    cdef bytes encoded = name.encode("utf-8", "replace")
    if tracing():
        hdy_trace_text(hdy_self(), HDY_TEXT_PROCESS, encoded, len(encoded))
        hdy_trace_event(HDY_EVENT_START, parent, 0, 0)


def ended() -> None:
    """Record the end of this process's work."""
    if tracing():
        hdy_trace_event(HDY_EVENT_END, 0, 0, 0)


def child(identity: int, name: str) -> None:
    """Record that this process has started another."""
    cdef bytes encoded = name.encode("utf-8", "replace")
    if tracing() and identity:
        hdy_trace_text(identity, HDY_TEXT_PROCESS, encoded, len(encoded))
        hdy_trace_event(HDY_EVENT_CHILD, identity, 0, 0)
