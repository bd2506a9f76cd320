# The queue of the core; see ring.pyx, ring.h.
from libc.stdint cimport uint64_t

from hardy._core.board cimport hdy_waiting
from hardy._core.label cimport hdy_label
from hardy._core.runtime cimport hdy_runtime
from hardy._core.memory cimport Segment, hdy_head
from hardy._core.codec cimport iovec

cdef extern from "message.h":
    ctypedef struct hdy_message:
        unsigned int kind
        unsigned long long size
        iovec *parts
        int nparts
        unsigned int unit
        const char *records
    ctypedef struct hdy_got:
        unsigned int kind, pid
        unsigned long long size
        char *small
        unsigned long long room
        unsigned int room_kind, unit, as_records, used, more

cdef extern from "repair.h":
    """
    /* As hdy_futex_wait_either. A wake-up that dies with who was woken is made up for by the others' own looks. */
    static inline int hdy_sleep(
        uint32_t *word, uint32_t seen, uint32_t *other, uint32_t other_seen, int64_t deadline_ns)
    {
        int r = hdy_futex_wait_either(word, seen, other, other_seen, deadline_ns);
        if (r == 0)
            HDY_FAILPOINT("ring.wait.woken");
        return r;
    }
    """
    enum:
        HDY_INLINE_MAX
        HDY_MAX_ARENAS
        HDY_ARENA_UNITS
        HDY_KEEP_UNITS
        HDY_MARK_BYTES
        HDY_ITEMS
        HDY_SPACE
        HDY_DONE
        HDY_USERS
        HDY_ENDED_FOR_LOOPS
        HDY_ENDED_FOR_TAKES
        HDY_ENDED_FOR_ALL
        HDY_USER_PUT
        HDY_USER_CLOSED
        HDY_USER_SOLE_THREAD
        HDY_SLOT_READY
        HDY_SLOT_DEAD
    const unsigned long long HDY_ARENA_BYTES

    ctypedef struct hdy_end:
        unsigned long long seq, bytes
    ctypedef struct hdy_side:
        unsigned long long commits
    ctypedef struct hdy_view:
        unsigned long long count, bytes
    ctypedef struct hdy_wait:
        unsigned int word
    ctypedef struct hdy_ring:
        hdy_head head_of_segment
        hdy_side head, tail
        unsigned int arenas, retained
        unsigned long long maxsize, maxbytes
        unsigned int ended, closes, dirty, hands_deaths
        int hands
        hdy_wait waits[3]
        unsigned int leased, ready, dead, emptied
    ctypedef struct hdy_queue:
        hdy_ring *ring
        char **arena
        int fd
        unsigned int forks, user, user_flags
        unsigned long long looked[2]
        int luck[2]
        unsigned long long puts, ticket
    ctypedef struct hdy_marks:
        unsigned char *bits
        unsigned int arenas
    ctypedef struct hdy_user:
        unsigned long long identity
        unsigned int flags, waiting
    ctypedef struct hdy_sign:
        hdy_label label
        char kind[32]
    hdy_sign *hdy_sign_of(hdy_ring *) noexcept nogil
    ctypedef struct hdy_lease:
        unsigned int unit, index
        unsigned long long seq
        unsigned int kind, pid, deliveries
        unsigned long long size
        unsigned int payload_unit

    int hdy_try(hdy_queue *, hdy_side *) noexcept nogil
    int hdy_slice(hdy_queue *, hdy_side *) noexcept nogil
    void hdy_leave(hdy_queue *, hdy_side *) noexcept nogil
    void hdy_leave_tail(hdy_queue *) noexcept nogil
    int hdy_heap_try(hdy_queue *) noexcept nogil
    int hdy_heap_slice(hdy_queue *) noexcept nogil
    void hdy_heap_leave(hdy_queue *) noexcept nogil
    int hdy_ring_init(hdy_queue *, unsigned long long, unsigned long long, unsigned int, int) noexcept nogil
    int hdy_put_now(hdy_queue *, hdy_message *) noexcept nogil
    int hdy_get_now(hdy_queue *, hdy_got *) noexcept nogil
    int hdy_ring_put(hdy_queue *, hdy_message *, int, int *) noexcept nogil
    int hdy_message_fill(hdy_queue *, hdy_message *) noexcept nogil
    int hdy_ring_get(hdy_queue *, hdy_got *, int, unsigned long long, int *) noexcept nogil
    int hdy_chain_copy(hdy_queue *, unsigned int, unsigned long long, char *, unsigned long long, int) noexcept nogil
    unsigned int hdy_chain_alloc(hdy_queue *, unsigned long long, int *) noexcept nogil
    void hdy_hand_free(hdy_queue *, unsigned int) noexcept nogil
    int hdy_make_arena_list(hdy_queue *) noexcept nogil
    void hdy_unmap_arenas(hdy_queue *) noexcept nogil
    unsigned int hdy_heap_sweep(hdy_queue *) noexcept nogil
    void hdy_heap_trim(hdy_queue *, unsigned int) noexcept nogil
    void hdy_free_emptied(hdy_queue *) noexcept nogil
    int hdy_ring_mend(hdy_queue *, hdy_marks *) noexcept nogil
    hdy_end *hdy_current(hdy_side *) noexcept nogil
    hdy_view hdy_look(hdy_ring *) noexcept nogil
    unsigned long long hdy_unread(hdy_ring *) noexcept nogil
    unsigned long long hdy_unfinished(hdy_ring *) noexcept nogil
    bint hdy_is_full(hdy_queue *, hdy_end *, unsigned long long) noexcept nogil
    bint hdy_exceeds(hdy_ring *, unsigned long long, unsigned long long, unsigned long long) noexcept nogil
    unsigned int hdy_ask(hdy_queue *, int) noexcept nogil
    void hdy_wake(hdy_queue *, hdy_side *, int, unsigned long long) noexcept nogil
    int hdy_sleep(unsigned int *, unsigned int, unsigned int *, unsigned int, long long) noexcept nogil
    hdy_user *hdy_users(hdy_ring *) noexcept nogil
    hdy_user *hdy_user_own(hdy_queue *) noexcept nogil
    hdy_user *hdy_user_of(hdy_queue *, unsigned long long) noexcept nogil
    int hdy_ring_task_done(hdy_queue *) noexcept nogil
    unsigned int hdy_ring_write_off(hdy_queue *, uint64_t *) noexcept nogil
    int hdy_lease_take(hdy_queue *, hdy_lease *, char *, unsigned int) noexcept nogil
    int hdy_lease_retake(hdy_queue *, hdy_lease *, unsigned int, char *) noexcept nogil
    unsigned int hdy_lease_sweep(hdy_queue *) noexcept nogil
    int hdy_lease_ack(hdy_queue *, hdy_lease *, unsigned int *) noexcept nogil
    int hdy_lease_nack(hdy_queue *, hdy_lease *, int) noexcept nogil
    int hdy_lease_bury(hdy_queue *, hdy_lease *, int) noexcept nogil

# How many deaths of the program's processes were recorded; read it before the look after which to sleep.
cdef unsigned int count_deaths() noexcept nogil

# Raises for a negative errno of a queue's operation.
cdef int check_rc(int rc) except -1

cdef class Ring:
    cdef hdy_queue q
    cdef readonly Segment segment
    cdef readonly bint closed
    cdef public object name
    cdef bint _drain, _cannot_mend
    # The largest message that may need nothing but room.
    cdef unsigned long long _most_at_once
    cdef object _dumps, _loads
    cdef object __weakref__
    cdef int _show(self, hdy_waiting *w, int what, long long deadline, int turn) except -1
    cdef int _write_sign(self, object name) except -1
    cdef int _setup(self, Segment segment, object codec) except -1
    cdef int _found(self, object name) except -1
    # 0: in that side's guard; -1: it was not to be had by the deadline, or not at all when `block` is false.
    cdef int _enter(self, hdy_side *side, bint block, long long deadline) except -2
    cdef int _enter_head(self) except -1
    # After -EBUSY of an operation: 0: the heap's guard was free; -1: it was not, as _enter.
    cdef int _await_heap(self, bint block, long long deadline) except -2
    cdef bint _has_chores(self) noexcept
    cdef int _do_chores(self) except -1
    cdef int _mend(self) except -1
    cdef int _sleep(
        self, int what, unsigned int seen, unsigned int deaths, long long deadline, int turn
    ) except -1
    cdef int _note(self, unsigned int flag, bint block, long long deadline) except -1
    cdef int _at_end_of_stream(self, unsigned int who) except -1
    cdef object _end(self)
    cdef int _await_items(
        self, bint asks, bint *waiting, unsigned int who, unsigned int seen, unsigned int deaths, long long deadline,
        int turn
    ) except -1
    cdef void _trace(self, unsigned int kind, int count) noexcept
    cdef int _tidy(self) except -1
    cdef int _waits(self, int change) except -1
    cdef hdy_view _look(self) except *
