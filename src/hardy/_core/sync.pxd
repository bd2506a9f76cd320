# What the sync objects share: a handle to a cell, and sleeping in slices.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from hardy._core.board cimport hdy_waiting
from hardy._core.label cimport hdy_label
from hardy._core.memory cimport Cell

cdef extern from "layout_sync.h":
    ctypedef struct hdy_lock:
        uint32_t kind
        uint32_t depth
        uint64_t owner
        uint64_t thread
        uint64_t recovered
        uint32_t habits
    ctypedef struct hdy_event:
        uint32_t kind
        uint32_t word
    enum:
        HDY_SYNC_LOCK
        HDY_SYNC_RLOCK
        HDY_SYNC_EVENT
        HDY_SYNC_SEMAPHORE
        HDY_SYNC_CONDITION
        HDY_SYNC_BARRIER
        HDY_SYNC_RWLOCK
        HDY_TAKEN_WITH
        HDY_HOLDERS_OWN

cdef extern from "sync_lock.h":
    ctypedef struct hdy_known:
        uint64_t identity
        int64_t at_ns

# The first slice of a wait, in nanoseconds; sleep_slice doubles it up to its limit.
cdef enum:
    FIRST_SLICE_NS = 10_000_000

# Sleeps without the GIL while *word == seen, for one slice and until the deadline at the most; runs
# signal handlers. 1: the slice is over, or a death in the program was counted: look whether somebody died;
# 0: woken, or the word changed. `w`: how others see the wait. `watch_deaths`: not where sleepers are moved to another
# word.
cdef int sleep_slice(
    hdy_waiting *w, uint32_t *word, uint32_t seen, int64_t deadline, int64_t *slice_ns, bint watch_deaths=*
) except -1

cdef class SyncCell:
    cdef readonly Cell cell
    # Which process (counted in forks) this handle was last found usable in.
    cdef uint32_t forks
    cdef public object name
    cdef object __weakref__
    # Creates the cell / takes one that another process created, refusing what is of another kind.
    cdef int make(self, uint32_t kind, uint32_t nbytes) except -1
    cdef int take(self, Cell cell, uint32_t kind, uint32_t least_bytes) except -1
    cdef hdy_label *label(self) noexcept
    cdef void trace(self, uint32_t event, uint32_t what=*) noexcept
    # Gives a new object its name.
    cdef int call(self, object name) except -1
    # Shows that this thread is about to sleep; `what`: HDY_WAITS_*. Whoever has called it calls hdy_wait_end.
    cdef int show(self, hdy_waiting *w, uint32_t what, int64_t deadline) except -1
    # To be called first by every operation: nothing but a compare, unless the process has changed.
    cdef int recheck(self) except -1

cdef class LockCell(SyncCell):
    cdef hdy_lock *at
    cdef hdy_known known
    cdef uint32_t waits  # HDY_WAITS_*
    cdef int _bind(self, uint32_t waits) except -1
    # `contended`: the flag to take the lock with, 0 or HDY_CONTENDED. `how`: 0 or HDY_TAKEN_WITH.
    cdef bint contend(self, bint block, int64_t deadline, uint64_t contended, uint64_t how) except -1
    cdef bint wait_for_it(
        self, bint block, int64_t deadline, uint64_t contended, uint64_t how, hdy_waiting *w
    ) except -1
    # For Condition: gives the lock up however often it is held, and takes it back as often. What the one returns and
    # the other takes is how often that is, and how it was taken.
    cdef uint32_t let_go(self) except? 0
    cdef int take_back(self, uint32_t depth) except -1

cdef class RLockCell(LockCell):
    cdef bint enter(self, bint block, int64_t deadline, uint64_t how) except -1

cdef class EventCell(SyncCell):
    cdef hdy_event *at
