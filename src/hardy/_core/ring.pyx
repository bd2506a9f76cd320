# The queue of the core: its memory, its guard, and waiting (protocols: ring.h, users.h).
#
# The guard is tried with the GIL held, for a critical section takes some 100 ns; every wait and every
# large copy is without it. No Python object is touched in the guard.
cimport cython
from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EBUSY, ETIMEDOUT
from libc.stdlib cimport calloc, free
import threading as _threading

from hardy._core cimport board, runtime
from hardy._core.memory cimport HDY_KIND_RING, Segment, create_segment
from hardy._core.runtime cimport (HDY_FOREVER, deadline_ns, hdy_fp_count, hdy_fp_name, hdy_now_ns, hdy_rt,
                                  raise_errno)
from hardy._core.runtime import _declare
from hardy.errors import Closed, QueueCorrupt

hdy_rt = runtime.shared()
_declare(*[hdy_fp_name(i).decode() for i in range(hdy_fp_count())])

cdef extern from "errno.h":
    int EUCLEAN

cdef enum:
    # A waiter looks again by itself after 20, 40, 80, 100, 100 ... ms (see ring.h).
    _FIRST_SLICE_MS = 20
    _LONGEST_SLICE_MS = 100
    # A call that must not wait for items or space still waits this long for the guard: its holder
    # may be stopped inside it.
    _GUARD_PATIENCE_MS = 1000


cdef unsigned int count_deaths() noexcept nogil:
    cdef unsigned int *word = board.deaths()
    return word[0] if word != NULL else 0


cdef int check_rc(int rc) except -1:
    # What no operation expects of its own accord.
    if rc == -EUCLEAN:
        raise QueueCorrupt(
            "the queue's shared memory is corrupt: some process wrote where it must not (a stray pointer in native "
            "code?). The queue cannot be used any more; the messages in it are lost"
        )
    raise_errno(rc, "growing the queue's shared memory")


@cython.no_gc_clear
@cython.auto_pickle(False)
cdef class Ring:
    """A queue of messages in shared memory; the base of every queue of hardy.

    Attributes:
        segment: the memory; what travels to other processes.
        closed: whether this process has closed it.
        name: what messages call it, or None.
    """

    def __cinit__(self):
        self.q.arena = <char **>calloc(HDY_MAX_ARENAS, sizeof(char *))
        if self.q.arena == NULL:
            raise MemoryError
        self.segment = Segment.__new__(Segment)

    def __dealloc__(self):
        if self.q.arena != NULL:
            hdy_unmap_arenas(&self.q)
            free(self.q.arena)

    cdef int _setup(self, Segment segment, object codec) except -1:
        segment.check()
        self.segment = segment
        self.q.fd = segment.fd
        self.q.ring = <hdy_ring *>segment.base
        self.q.arena[0] = segment.base
        self._dumps, self._loads = codec
        return 0

    def _create(self, codec, maxsize, maxbytes, max_deliveries, joinable, name):
        cdef Segment s = create_segment("hardy-ring", HDY_KIND_RING, HDY_ARENA_BYTES, HDY_ARENA_BYTES)
        self._setup(s, codec)
        cdef int rc = hdy_ring_init(&self.q, maxsize, maxbytes, max_deliveries, joinable)
        if rc < 0:
            check_rc(rc)
        self.name = name

    def _attach(self, Segment segment, codec, name):
        self._setup(segment, codec)
        self.name = name

    # ---- the guard ----

    cdef int _enter(self, long long deadline) except -2:
        # 0: in the guard; -1: not before the deadline.
        if self.q.ring == NULL:
            self.segment.check()
        cdef int rc = hdy_try(&self.q)
        while rc:
            if rc != -EBUSY and rc != -ETIMEDOUT:
                raise_errno(rc, "locking the queue")
            if hdy_now_ns() >= deadline:
                return -1
            with nogil:
                rc = hdy_slice(&self.q)
            PyErr_CheckSignals()
        if self.q.ring.hands and self.q.ring.hands_deaths != count_deaths():
            # Some process died since: what it had in hand may be all of a large message.
            self.q.ring.hands_deaths = count_deaths()
            hdy_heap_sweep(&self.q)
        return 0

    cdef int _enter_surely(self) except -1:
        while self._enter(HDY_FOREVER):
            pass
        return 0

    cdef int _sleep(
        self, unsigned int *word, unsigned int seen, unsigned int deaths, long long deadline, int turn
    ) except -1:
        # One slice of a wait, cut short by a wake-up or by any death in the program (whoever died may have had what
        # is waited for). 1: it ran out.
        cdef long long until = hdy_now_ns() + 1000000LL * min(_FIRST_SLICE_MS << min(turn, 3), _LONGEST_SLICE_MS)
        cdef int rc
        if until > deadline:
            until = deadline
        with nogil:
            rc = hdy_sleep(word, seen, board.deaths(), deaths, until)
        PyErr_CheckSignals()
        return rc == -ETIMEDOUT

    # ---- waiting ----

    cdef long long _patience(self, bint block, long long deadline) noexcept:
        # Until when an operation tries for the guard.
        return deadline if block else hdy_now_ns() + 1000000LL * _GUARD_PATIENCE_MS

    cdef int _await_items(
        self, bint asks, bint *waiting, unsigned int who, unsigned int seen, unsigned int deaths, long long deadline,
        int turn
    ) except -1:
        # One turn of a reader that found nothing: Closed at the end of the stream, if it asks for it, else a sleep.
        # *waiting: this process is noted as a reader that waits; the caller takes that back.
        if asks:
            if not waiting[0]:
                waiting[0] = True
                self._waits(1)
            if self._at_end_of_stream(who):
                raise self._end()
        if self._sleep(&self.q.ring.items_seq, seen, deaths, deadline, turn) and turn >= 2:
            self._tidy()
        return 0

    cdef int _tidy(self) except -1:
        # An idle waiter gives memory back, and takes away what the dead had in hand.
        if self.q.ring.hands or self.q.ring.retained > HDY_KEEP_UNITS:
            if self._enter(hdy_now_ns()) == 0:
                hdy_heap_sweep(&self.q)
                hdy_heap_trim(&self.q, HDY_ARENA_UNITS)
                hdy_leave(&self.q)
        return 0

    cdef int _waits(self, int change) except -1:
        cdef hdy_user *p
        cdef bint sole = _threading.active_count() == 1
        self._enter_surely()
        p = hdy_user_own(&self.q)
        if p != NULL and (change > 0 or p.waiting):
            p.waiting += change
            p.flags = (p.flags & ~<unsigned int>HDY_USER_SOLE_THREAD) | (HDY_USER_SOLE_THREAD if sole else 0)
        hdy_leave(&self.q)
        return 0

    cdef int _at_end_of_stream(self, unsigned int who) except -1:
        # `who`: HDY_ENDED_FOR_*.
        if self.q.ring.ended < who and not self._nobody_can_put(who):
            return False
        self._enter_surely()
        # The size after the question: what a writer put just before it closed must be seen.
        cdef bint over = hdy_count(hdy_current(self.q.ring)) == 0
        if over and self.q.ring.ended < who:
            # The others need not find it out, and must not when this process, which now goes on, no longer waits.
            self.q.ring.ended = who
            hdy_wake(&self.q, HDY_ITEMS, 1 << 30)
        hdy_leave(&self.q)
        return over

    cdef object _end(self):
        return Closed(
            f"{self!r} is at its end: it is empty, and everyone who could put has closed it or ended"
        )

    def _nobody_can_put(self, who):
        """Whether the stream has ended for a loop (1), a `take` (2), a `get` (3). The policy is `_ipc`'s."""
        return False

    # ---- what is there ----

    cdef hdy_state _look(self) except *:
        self.segment.check()
        return hdy_look(self.q.ring)

    def qsize(self):
        """How many messages are in the queue, exactly, at this instant."""
        cdef hdy_state s = self._look()
        return s.tail_seq - s.head_seq

    def nbytes(self):
        """How many bytes of messages are in the queue, at this instant."""
        return self._look().bytes

    def empty(self):
        """Whether the queue is empty at this instant."""
        return self.qsize() == 0

    def full(self):
        """Whether a `put` would wait at this instant (of a message of one byte, under `maxbytes`)."""
        cdef hdy_state s = self._look()
        return bool(hdy_is_full(self.q.ring, &s, 1))

    @property
    def maxsize(self):
        """The most messages it holds; 0: no bound."""
        self.segment.check()
        return self.q.ring.maxsize

    @property
    def maxbytes(self):
        """The most bytes of messages it holds; 0: no bound."""
        self.segment.check()
        return self.q.ring.maxbytes

    # ---- for asyncio: one slice of a wait, taking nothing ----

    def _wait_items(self, timeout_s):
        """Returns when there is an object, or the stream has ended (Closed), or after the slice."""
        cdef long long deadline = deadline_ns(timeout_s)
        cdef unsigned int seen
        cdef unsigned int deaths = count_deaths()
        cdef bint there
        self._enter_surely()
        there = hdy_count(hdy_current(self.q.ring)) > 0
        seen = hdy_ask(&self.q, HDY_ITEMS)
        hdy_leave(&self.q)
        if not there:
            if self.q.ring.closes and self._at_end_of_stream(HDY_ENDED_FOR_ALL):
                raise self._end()
            self._sleep(&self.q.ring.items_seq, seen, deaths, deadline, 3)

    def _wait_room(self, timeout_s):
        """Returns when there is room for a small object, or after the slice."""
        cdef long long deadline = deadline_ns(timeout_s)
        cdef unsigned int seen
        cdef unsigned int deaths = count_deaths()
        cdef bint full
        self._enter_surely()
        full = hdy_is_full(self.q.ring, hdy_current(self.q.ring), 1)
        seen = hdy_ask(&self.q, HDY_SPACE)
        hdy_leave(&self.q)
        if full:
            self._sleep(&self.q.ring.space_seq, seen, deaths, deadline, 3)

    # ---- the end ----

    cdef int _note(self, unsigned int flag, long long deadline) except -1:
        # Notes in this process's entry what it does with the queue. 1: the guard was not to be had in time.
        cdef hdy_user *p
        if self._enter(deadline):
            return 1
        p = hdy_user_own(&self.q)
        if p != NULL:
            p.flags |= flag
            self.q.user_flags = p.flags
        hdy_leave(&self.q)
        self.q.user_flags |= flag  # also where no entry could be had: it is not asked for again
        return 0

    def _close(self):
        if self.closed:
            return
        self._note(HDY_USER_CLOSED, HDY_FOREVER)
        self._enter_surely()
        self.q.ring.closes += 1
        hdy_wake(&self.q, HDY_ITEMS, 1 << 30)
        hdy_leave(&self.q)
        self.closed = True

    def _entrust(self, identity):
        """Notes that a process was given this queue and may put into it, though it has not yet; 0: it has ended."""
        if identity and not self.closed:
            self._enter_surely()
            hdy_user_of(&self.q, identity)
            hdy_leave(&self.q)

    def _users(self):
        # (identity, has put, has closed, waits in get, has one thread only), of each process that used it
        cdef hdy_user *table = hdy_users(self.q.ring)
        cdef hdy_user p
        found = []
        for i in range(HDY_USERS):
            p = table[i]
            if p.identity:
                found.append((p.identity, bool(p.flags & HDY_USER_PUT), bool(p.flags & HDY_USER_CLOSED),
                              p.waiting > 0, bool(p.flags & HDY_USER_SOLE_THREAD)))
        return found

    def _creator(self):
        return self.q.ring.head.creator
