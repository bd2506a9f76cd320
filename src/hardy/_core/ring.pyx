# The queue of the core: its memory, its guard, and waiting (protocols: ring.h, users.h).
#
# A guard is tried with the GIL held, for a critical section takes some 50 ns; every wait and every large copy is
# without it. No Python object is touched in a guard.
cimport cython
from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EBUSY, ENOMEM, ETIMEDOUT
from libc.stdlib cimport calloc, free
import threading as _threading

from hardy._core cimport board, runtime
from hardy._core.board cimport (HDY_WAITS_DONE, HDY_WAITS_ITEMS, HDY_WAITS_SPACE, HDY_WAITS_TIMED, hdy_wait_begin,
                                hdy_wait_end, hdy_waiting)
from hardy._core.label cimport write_label
from hardy._core.memory cimport HDY_KIND_RING, Segment, create_segment
from hardy._core.tracer cimport trace_at
from hardy._core.runtime cimport (HDY_FOREVER, deadline_ns, hdy_fp_count, hdy_fp_name, hdy_now_ns, hdy_rt,
                                  raise_errno)
from hardy._core.runtime import _declare
from hardy.errors import Closed, QueueCorrupt

hdy_rt = runtime.shared()
_declare(*[hdy_fp_name(i).decode() for i in range(hdy_fp_count())])

cdef extern from "errno.h":
    int EUCLEAN

cdef extern from "base.h":
    void hdy_store_seq(unsigned int *, unsigned int) noexcept nogil

cdef enum:
    # A waiter looks again by itself after 20, 40, 80, 100, 100 ... ms (see ring.h).
    _FIRST_SLICE_MS = 20
    _LONGEST_SLICE_MS = 100
    # Spins in vain before the first success (see spin.h).
    _FIRST_LUCK = 4
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
        if hdy_make_arena_list(&self.q) < 0:
            raise MemoryError
        self.segment = Segment.__new__(Segment)

    def __dealloc__(self):
        hdy_unmap_arenas(&self.q)

    cdef int _setup(self, Segment segment, object codec) except -1:
        segment.check()
        self.segment = segment
        self.q.fd = segment.fd
        self.q.ring = <hdy_ring *>segment.base
        self.q.arena[0] = segment.base
        self.q.luck[HDY_ITEMS] = self.q.luck[HDY_SPACE] = _FIRST_LUCK
        self._dumps, self._loads = codec
        return 0

    def _create(self, codec, maxsize, maxbytes, max_deliveries, joinable, name):
        cdef Segment s = create_segment("hardy-ring", HDY_KIND_RING, HDY_ARENA_BYTES, HDY_ARENA_BYTES)
        self._setup(s, codec)
        cdef int rc = hdy_ring_init(&self.q, maxsize, maxbytes, max_deliveries, joinable)
        if rc < 0:
            check_rc(rc)
        self._write_sign(name)
        self._found(name)

    cdef int _write_sign(self, object name) except -1:
        cdef hdy_sign *sign = hdy_sign_of(self.q.ring)
        cdef bytes kind = type(self).__name__.encode("utf-8", "replace")
        cdef int i
        write_label(&sign.label, type(self).__name__, name)
        for i in range(min(len(kind), <int>sizeof(sign.kind) - 1)):
            sign.kind[i] = kind[i]
        return 0

    def _attach(self, Segment segment, codec, name):
        self._setup(segment, codec)
        self._found(name)

    cdef int _found(self, object name) except -1:
        self.name = name
        self._most_at_once = HDY_INLINE_MAX
        if self.q.ring.maxbytes:
            self._most_at_once = min(self.q.ring.maxbytes, <unsigned long long>HDY_INLINE_MAX)
        return 0

    # ---- the guards ----

    cdef int _enter(self, hdy_side *side, bint block, long long deadline) except -2:
        cdef int rc = hdy_try(&self.q, side)
        if rc == 0:
            return 0
        if not block:
            deadline = hdy_now_ns() + 1000000LL * _GUARD_PATIENCE_MS
        while rc:
            if rc != -EBUSY and rc != -ETIMEDOUT:
                raise_errno(rc, "locking the queue")
            if hdy_now_ns() >= deadline:
                return -1
            with nogil:
                rc = hdy_slice(&self.q, side)
                if rc == 0:
                    # Who waited for the GIL in the guard would hold it for as long as another thread keeps the GIL.
                    hdy_leave(&self.q, side)
            PyErr_CheckSignals()
            if rc == 0:
                rc = hdy_try(&self.q, side)
        return 0

    cdef int _enter_head(self) except -1:
        # However long it takes; what the dead left is cleared away before.
        if self.q.ring == NULL:
            self.segment.check()
        if self._has_chores():
            self._do_chores()
        while self._enter(&self.q.ring.head, True, HDY_FOREVER):
            pass
        return 0

    cdef int _await_heap(self, bint block, long long deadline) except -2:
        cdef int rc
        if not block:
            deadline = hdy_now_ns() + 1000000LL * _GUARD_PATIENCE_MS
        while True:
            with nogil:
                rc = hdy_heap_slice(&self.q)
            if rc == 0:
                hdy_heap_leave(&self.q)
                return 0
            if rc != -ETIMEDOUT:
                raise_errno(rc, "locking the queue")
            PyErr_CheckSignals()
            if hdy_now_ns() >= deadline:
                return -1

    # ---- what the dead left ----

    cdef bint _has_chores(self) noexcept:
        cdef hdy_ring *r = self.q.ring
        return (r.dirty and not self._cannot_mend) or (r.hands > 0 and r.hands_deaths != count_deaths())

    cdef int _do_chores(self) except -1:
        # Before an operation, outside of the guards; what cannot be done now is left to the next.
        cdef hdy_ring *r = self.q.ring
        if r.hands > 0 and r.hands_deaths != count_deaths() and hdy_heap_try(&self.q) == 0:
            # Some process died since: what it had in hand may be all of a large message.
            r.hands_deaths = count_deaths()
            hdy_heap_sweep(&self.q)
            hdy_heap_leave(&self.q)
        if r.dirty and not self._cannot_mend:
            self._mend()
        return 0

    cdef int _mend(self) except -1:
        cdef hdy_marks marks
        cdef int rc
        marks.arenas = min(self.q.ring.arenas, <unsigned int>HDY_MAX_ARENAS)
        marks.bits = <unsigned char *>calloc(marks.arenas, HDY_MARK_BYTES)
        if marks.bits == NULL:
            return 0
        rc = hdy_ring_mend(&self.q, &marks)
        free(marks.bits)
        # Without room for all of the queue this process sees no better next time; others may.
        self._cannot_mend = rc == -ENOMEM and marks.arenas == self.q.ring.arenas
        return 0

    cdef void _trace(self, unsigned int kind, int count) noexcept:
        # Messages have no number of their own: the end of the ring that they passed has, on both sides the same.
        trace_at(kind, self.segment.number(), 0, &hdy_sign_of(self.q.ring).label, self.q.ticket, count)

    # ---- waiting ----

    cdef int _sleep(
        self, int what, unsigned int seen, unsigned int deaths, long long deadline, int turn
    ) except -1:
        # One slice of a wait, cut short by a wake-up or by any death in the program (whoever died may have had what
        # is waited for). 1: it ran out.
        cdef long long until = hdy_now_ns() + 1000000LL * min(_FIRST_SLICE_MS << min(turn, 3), _LONGEST_SLICE_MS)
        cdef hdy_waiting w
        cdef int rc
        if until > deadline:
            until = deadline
        self._show(&w, what, deadline, turn)
        with nogil:
            rc = hdy_sleep(&self.q.ring.waits[what].word, seen, board.deaths(), deaths, until)
        if turn > 1:
            board.leave_stack(&w)
        hdy_wait_end(&w)
        PyErr_CheckSignals()
        return rc == -ETIMEDOUT

    cdef int _show(self, hdy_waiting *w, int what, long long deadline, int turn) except -1:
        # That this thread is about to sleep, for others to see.
        cdef hdy_ring *r = self.q.ring
        cdef unsigned int waits = HDY_WAITS_ITEMS if what == HDY_ITEMS else HDY_WAITS_SPACE
        if what == HDY_DONE:
            waits = HDY_WAITS_DONE
        if deadline != HDY_FOREVER:
            waits |= HDY_WAITS_TIMED
        hdy_wait_begin(w, board.for_waits(), waits, self.segment.number(), 0, &hdy_sign_of(r).label, turn > 0)
        return 0

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
        # A program that asks for a moment, again and again, is idle too: its calls never come to a third turn.
        if self._sleep(HDY_ITEMS, seen, deaths, deadline, turn) and (turn >= 2 or hdy_now_ns() >= deadline):
            self._tidy()
        return 0

    cdef int _tidy(self) except -1:
        # An idle waiter gives memory back, and takes away what the dead had in hand.
        cdef hdy_ring *r = self.q.ring
        if r.emptied and hdy_try(&self.q, &r.head) == 0:
            hdy_free_emptied(&self.q)
            hdy_leave(&self.q, &r.head)
        if (r.hands > 0 or r.retained > HDY_KEEP_UNITS) and hdy_heap_try(&self.q) == 0:
            hdy_heap_sweep(&self.q)
            hdy_heap_trim(&self.q, HDY_ARENA_UNITS)
            hdy_heap_leave(&self.q)
        if r.dirty and not self._cannot_mend:
            self._mend()
        return 0

    cdef int _waits(self, int change) except -1:
        cdef hdy_user *p
        cdef bint sole = _threading.active_count() == 1
        self._enter_head()
        p = hdy_user_own(&self.q)
        if p != NULL and (change > 0 or p.waiting):
            p.waiting += change
            p.flags = (p.flags & ~<unsigned int>HDY_USER_SOLE_THREAD) | (HDY_USER_SOLE_THREAD if sole else 0)
        hdy_leave(&self.q, &self.q.ring.head)
        return 0

    cdef int _at_end_of_stream(self, unsigned int who) except -1:
        # `who`: HDY_ENDED_FOR_*.
        cdef hdy_ring *r = self.q.ring
        cdef bint asked = False, over = False
        if r.ended < who:
            if not self._nobody_can_put(who):
                return False
            asked = True
        self._enter_head()
        if asked or r.ended >= who:
            # The size after the question: what a writer put just before it closed must be seen.
            over = hdy_unread(r) == 0
            if over and r.ended < who:
                # The others need not find it out, and must not when this process, which now goes on, no longer waits.
                # Who puts all the same takes it back after its commit: hence another look (see hdy_leave_tail).
                hdy_store_seq(&r.ended, who)
                over = hdy_unread(r) == 0
                if over:
                    hdy_wake(&self.q, &self.q.ring.head, HDY_ITEMS, 1 << 30)
                else:
                    r.ended = 0
        hdy_leave(&self.q, &r.head)
        return over

    cdef object _end(self):
        return Closed(
            f"{self!r} is at its end: it is empty, and everyone who could put has closed it or ended"
        )

    def _nobody_can_put(self, who):
        """Whether the stream has ended for a loop (1), a `take` (2), a `get` (3). The policy is `_ipc`'s."""
        return False

    # ---- what is there ----

    cdef hdy_view _look(self) except *:
        self.segment.check()
        return hdy_look(self.q.ring)

    def qsize(self):
        """How many messages are in the queue, exactly, at this instant."""
        return self._look().count

    def nbytes(self):
        """How many bytes of messages are in the queue, at this instant."""
        return self._look().bytes

    def empty(self):
        """Whether the queue is empty at this instant."""
        return self.qsize() == 0

    def full(self):
        """Whether a `put` would wait at this instant (of a message of one byte, under `maxbytes`)."""
        cdef hdy_view v = self._look()
        return bool(hdy_exceeds(self.q.ring, v.count, v.bytes, 1))

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
        cdef unsigned int seen = 0
        cdef unsigned int deaths = count_deaths()
        cdef hdy_ring *r = self.q.ring
        cdef bint there
        self._enter_head()
        there = hdy_unread(r) > 0
        if not there:
            seen = hdy_ask(&self.q, HDY_ITEMS)
            there = hdy_unread(r) > 0
        hdy_leave(&self.q, &r.head)
        if not there:
            if r.closes and self._at_end_of_stream(HDY_ENDED_FOR_ALL):
                raise self._end()
            self._sleep(HDY_ITEMS, seen, deaths, deadline, 3)

    def _wait_room(self, timeout_s):
        """Returns when there is room for a small object, or after the slice."""
        cdef long long deadline = deadline_ns(timeout_s)
        cdef unsigned int seen = 0
        cdef unsigned int deaths = count_deaths()
        cdef hdy_side *tail
        cdef bint full
        self.segment.check()
        tail = &self.q.ring.tail
        while self._enter(tail, True, HDY_FOREVER):
            pass
        full = hdy_is_full(&self.q, hdy_current(tail), 1)
        if full:
            seen = hdy_ask(&self.q, HDY_SPACE)
            full = hdy_is_full(&self.q, hdy_current(tail), 1)
        hdy_leave(&self.q, tail)
        if full:
            self._sleep(HDY_SPACE, seen, deaths, deadline, 3)

    # ---- the end ----

    cdef int _note(self, unsigned int flag, bint block, long long deadline) except -1:
        # Notes in this process's entry what it does with the queue. 1: the guard was not to be had in time.
        cdef hdy_user *p
        if self._enter(&self.q.ring.head, block, deadline):
            return 1
        p = hdy_user_own(&self.q)
        if p != NULL:
            p.flags |= flag
            self.q.user_flags = p.flags
        hdy_leave(&self.q, &self.q.ring.head)
        self.q.user_flags |= flag  # also where no entry could be had: it is not asked for again
        return 0

    def _close(self):
        if self.closed:
            return
        self.segment.check()
        self._note(HDY_USER_CLOSED, True, HDY_FOREVER)
        self._enter_head()
        self.q.ring.closes += 1
        hdy_wake(&self.q, &self.q.ring.head, HDY_ITEMS, 1 << 30)
        hdy_leave(&self.q, &self.q.ring.head)
        self.closed = True

    def _entrust(self, identity):
        """Notes that a process was given this queue and may put into it, though it has not yet; 0: it has ended."""
        if identity and not self.closed:
            self._enter_head()
            hdy_user_of(&self.q, identity)
            hdy_leave(&self.q, &self.q.ring.head)

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
        return self.q.ring.head_of_segment.creator
