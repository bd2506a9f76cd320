# The queue of the core: put, get and leases over one growing memfd (protocol: ring.h, lease.h).
#
# The guard is tried with the GIL held, for a critical section takes some 100 ns; every wait and every
# large copy is without it. No Python object is touched in the guard.
cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize
from cpython.exc cimport PyErr_CheckSignals
from libc.stdlib cimport calloc, free, malloc
from libc.errno cimport EAGAIN, EBUSY, EMSGSIZE, ERANGE, ETIMEDOUT
from libc.stdint cimport uint64_t
from libc.string cimport memcpy
from queue import Empty, Full
import threading as _threading

from hardy._core cimport runtime
from hardy._core.runtime cimport (HDY_FOREVER, deadline_ns, hdy_fp_count, hdy_fp_name, hdy_now_ns, hdy_rt,
                                  raise_errno)
from hardy._core.memory cimport Segment, create_segment, HDY_KIND_RING
from hardy._core.codec cimport encode, encoding, decode, decode_owned, iovec, wants_bytearray
from hardy._core.runtime import _declare
from hardy.errors import CannotUnpickle, Closed, QueueCorrupt

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
    _MANY = 128
    _MANY_BYTES = 131072


cdef int check_rc(int rc) except -1:
    # What no operation expects of its own accord.
    if rc == -EUCLEAN:
        raise QueueCorrupt(
            "the queue's shared memory is corrupt: some process wrote where it must not (a stray pointer in native "
            "code?). The queue cannot be used any more; the messages in it are lost"
        )
    raise_errno(rc, "growing the queue's shared memory")


cdef int _wanted(object max_items) except -1:
    if not isinstance(max_items, int) or isinstance(max_items, bool):
        raise TypeError(f"max_items must be an int, not {type(max_items).__name__}")
    if max_items < 1:
        raise ValueError(f"max_items must be at least 1, not {max_items}")
    return min(max_items, _MANY)


@cython.no_gc_clear
cdef class Ring:
    """A queue of messages in shared memory; the base of every queue of hardy.

    Attributes:
        segment: the memory; what travels to other processes.
    """

    def __cinit__(self):
        self.q.arena = <char **>calloc(HDY_MAX_ARENAS, sizeof(char *))
        if self.q.arena == NULL:
            raise MemoryError

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

    def _create(self, codec, maxsize, maxbytes, max_deliveries, joinable):
        cdef Segment s = create_segment("hardy-ring", HDY_KIND_RING, HDY_ARENA_BYTES, HDY_ARENA_BYTES)
        self._setup(s, codec)
        cdef int rc = hdy_ring_init(&self.q, maxsize, maxbytes, max_deliveries, joinable)
        if rc < 0:
            check_rc(rc)

    def _attach(self, Segment segment, codec):
        self._setup(segment, codec)

    # ---- the guard ----

    cdef int _enter(self, long long deadline) except -2:
        # 0: in the guard; -1: not before the deadline.
        cdef int rc = hdy_try(&self.q)
        while rc:
            if rc != -EBUSY and rc != -ETIMEDOUT:
                raise_errno(rc, "locking the queue")
            if hdy_now_ns() >= deadline:
                return -1
            with nogil:
                rc = hdy_slice(&self.q)
            PyErr_CheckSignals()
        return 0

    cdef int _enter_surely(self) except -1:
        while self._enter(HDY_FOREVER):
            pass
        return 0

    cdef int _sleep(self, unsigned int *word, unsigned int seen, long long deadline, int turn) except -1:
        # One slice of a wait. 1: it ran out without a wake-up.
        cdef long long until = hdy_now_ns() + 1000000LL * min(_FIRST_SLICE_MS << min(turn, 3), _LONGEST_SLICE_MS)
        cdef int rc
        if until > deadline:
            until = deadline
        with nogil:
            rc = hdy_futex_wait(word, seen, until)
        PyErr_CheckSignals()
        return rc == -ETIMEDOUT

    # ---- put ----

    cdef int _push(self, hdy_message *m, int count, int *done, bint block, long long deadline) except -2:
        # Puts at least one of the messages; 0, or -1: the queue stayed full.
        cdef int rc, turn = 0
        cdef unsigned int seen = 0
        cdef long long patience = deadline if block else hdy_now_ns() + 1000000LL * _GUARD_PATIENCE_MS
        while True:
            if self._enter(patience):
                return -1
            rc = hdy_ring_put(&self.q, m, count, done)
            if rc == -EAGAIN and block:
                seen = hdy_ask(&self.q.ring.space_asked, &self.q.ring.space_seq)
            hdy_leave(&self.q)
            if rc == 0:
                return 0
            if rc != -EAGAIN:
                check_rc(rc)
            if not block or hdy_now_ns() >= deadline:
                return -1
            self._sleep(&self.q.ring.space_seq, seen, deadline, turn)
            turn += 1

    cdef int _push_large(self, hdy_message *m, bint block, long long deadline) except -2:
        # As _push, for one message that goes through extents.
        cdef int rc = 0, done = 0, full
        if self._wait_space(m.size, block, deadline):
            return -1
        self._enter_surely()
        m.unit = hdy_chain_alloc(&self.q, m.size, &rc)
        hdy_leave(&self.q)
        if not m.unit:
            check_rc(rc)
        try:
            with nogil:
                rc = hdy_message_fill(&self.q, m)
            if rc < 0:
                check_rc(rc)
            full = self._push(m, 1, &done, block, deadline)
        except BaseException:
            hdy_hand_free(&self.q, m.unit)
            raise
        if full:
            hdy_hand_free(&self.q, m.unit)
        return full

    cdef int _wait_space(self, unsigned long long size, bint block, long long deadline) except -2:
        # Before memory is taken for a large message: 0: there is room now; -1: it stayed full.
        cdef int full, turn = 0
        cdef unsigned int seen = 0
        while True:
            if self._enter(deadline if block else hdy_now_ns() + 1000000LL * _GUARD_PATIENCE_MS):
                return -1
            full = hdy_is_full(self.q.ring, hdy_current(self.q.ring), size)
            if full:
                seen = hdy_ask(&self.q.ring.space_asked, &self.q.ring.space_seq)
            hdy_leave(&self.q)
            if not full:
                return 0
            if not block or hdy_now_ns() >= deadline:
                return -1
            self._sleep(&self.q.ring.space_seq, seen, deadline, turn)
            turn += 1

    cdef int _writable(self, unsigned long long size) except -1:
        # Checks that hold before anything is written.
        if self.closed:
            raise Closed(f"{self!r} is closed in this process; put before close()")
        self.segment.check()
        if self.q.ring.maxbytes and size > self.q.ring.maxbytes:
            raise ValueError(f"a message of {size} bytes never fits a queue with maxbytes={self.q.ring.maxbytes}; "
                             "nothing was put")
        if self.q.forks != hdy_rt.forks or not self.q.user_flags & HDY_USER_PUT:
            self._note(HDY_USER_PUT)
        return 0

    cdef int _note(self, unsigned int flag) except -1:
        # Notes in this process's entry what it does with the queue.
        cdef hdy_user *p
        self._enter_surely()
        p = hdy_user_own(&self.q)
        if p != NULL:
            p.flags |= flag
            self.q.user_flags = p.flags
        hdy_leave(&self.q)
        self.q.user_flags |= flag
        self.q.forks = hdy_rt.forks
        return 0

    def put(self, obj, block=True, timeout=None):
        """Put an object; when this returns, it is in the queue.

        Args:
            obj: any picklable object.
            block: wait while the queue is full.
            timeout: seconds to wait at most; None: no end.

        Raises:
            queue.Full: the queue stayed full.
            CannotPickle: the object cannot travel; the message names the culprit. Nothing was put.
            Closed: this process has closed the queue.
            MemoryError: there is no memory for it. Nothing was put.
            ValueError: the message is larger than `maxbytes`.
        """
        cdef encoding e
        cdef bint wait = block
        cdef long long deadline = HDY_FOREVER
        if timeout is not None and wait:
            deadline = deadline_ns(timeout)
        keep = encode(obj, &e, self._dumps)
        self._writable(e.size)
        self._put_encoded(&e, wait, deadline)

    cdef int _put_encoded(self, encoding *e, bint block, long long deadline) except -1:
        cdef hdy_message m
        cdef int done = 0, full
        m.kind = e.kind
        m.size = e.size
        m.parts = e.parts
        m.nparts = e.nparts
        m.unit = 0
        if e.size <= HDY_INLINE_MAX:
            full = self._push(&m, 1, &done, block, deadline)
        else:
            full = self._push_large(&m, block, deadline)
        if full:
            raise Full
        return 0

    def put_nowait(self, obj):
        """`put(obj, block=False)`."""
        self.put(obj, False)

    def put_many(self, objs, timeout=None):
        """Put objects in order, many in one operation; as fast as it goes.

        Args:
            objs: an iterable of picklable objects.
            timeout: seconds for all of them; None: no end.

        Returns:
            How many were put: all of them.

        Raises:
            queue.Full: not all had room in time. Its attribute `put` tells how many were put.
            CannotPickle, Closed, MemoryError, ValueError: as `put`; those before the culprit were put,
                and the error's attribute `put` tells how many.
        """
        cdef long long deadline = deadline_ns(timeout)
        cdef encoding e
        cdef _Batch batch = _Batch()
        try:
            for obj in objs:
                keep = encode(obj, &e, self._dumps)
                self._writable(e.size)
                if not batch.fits(e.size):
                    self._flush(batch, deadline)
                if e.size <= HDY_INLINE_MAX:
                    batch.add(&e)
                else:
                    self._flush(batch, deadline)
                    self._put_encoded(&e, True, deadline)
                    batch.total += 1
            self._flush(batch, deadline)
        except BaseException as error:
            try:
                self._flush(batch, deadline)  # those before the culprit; empty when the flush itself failed
            finally:
                error.put = batch.total
            raise
        return batch.total

    cdef int _flush(self, _Batch batch, long long deadline) except -1:
        cdef int done = 0, at = 0, count = batch.count
        batch.count = 0
        batch.used = 0
        while at < count:
            done = 0
            if self._push(&batch.messages[at], count - at, &done, True, deadline):
                raise Full
            at += done
            batch.total += done
        return 0

    # ---- get ----

    cdef int _pull(self, hdy_got *got, int count, size_t room, int *done, bint block, long long deadline) except -2:
        # 0; -1: empty; 1: a large message of got.size bytes waits, make room and come again.
        cdef int rc, turn = 0, idle
        cdef unsigned int seen = 0
        cdef bint waiting = False
        cdef long long patience = deadline if block else hdy_now_ns() + 1000000LL * _GUARD_PATIENCE_MS
        try:
            while True:
                if self._enter(patience):
                    return -1
                rc = hdy_ring_get(&self.q, got, count, room, done)
                if rc == -EAGAIN and block:
                    seen = hdy_ask(&self.q.ring.items_asked, &self.q.ring.items_seq)
                hdy_leave(&self.q)
                if rc == 0:
                    return 0
                if rc == -EMSGSIZE:
                    return 1
                if rc != -EAGAIN:
                    check_rc(rc)
                if not block or hdy_now_ns() >= deadline:
                    return -1
                if self.q.ring.closes:
                    if not waiting:
                        waiting = True
                        self._waits(1)
                    if self._at_end_of_stream():
                        raise Closed(f"{self!r} is at its end: it is empty, and everyone who could put has closed it or ended")
                idle = self._sleep(&self.q.ring.items_seq, seen, deadline, turn)
                if idle and turn >= 2:
                    self._tidy()
                turn += 1
        finally:
            if waiting:
                self._waits(-1)

    cdef int _tidy(self) except -1:
        # An idle waiter gives memory back, and takes away what the dead had in hand.
        if self.q.ring.hands or self.q.ring.retained > HDY_RETAIN_UNITS:
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

    cdef int _at_end_of_stream(self) except -1:
        # Asked twice: what a writer put just before it closed must be seen.
        return self._nobody_can_put() and self.qsize() == 0

    def _nobody_can_put(self):
        """Whether the stream has ended; only asked once somebody has closed. The policy is `_ipc`'s."""
        return False

    cdef object _decoded(self, unsigned int kind, unsigned int pid, const char *p, Py_ssize_t n, object owner):
        try:
            if owner is not None:
                return decode_owned(kind, owner, self._loads)
            return decode(kind, p, n, self._loads)
        except Exception as error:
            raise CannotUnpickle.of(error, pid) from error

    def get(self, block=True, timeout=None):
        """Take the oldest object.

        Args:
            block: wait while the queue is empty.
            timeout: seconds to wait at most; None: no end.

        Raises:
            queue.Empty: the queue stayed empty.
            Closed: this process has closed the queue; or it is empty and nobody is left who could put.
            CannotUnpickle: what was taken cannot be rebuilt here; the error names the sender. The queue goes on.
        """
        cdef char[HDY_INLINE_MAX] small
        cdef hdy_got got
        cdef int done = 0, rc
        cdef bint wait = block
        cdef long long deadline = HDY_FOREVER
        cdef char *to = NULL
        if timeout is not None and wait:
            deadline = deadline_ns(timeout)
        if self.closed and not self._drain:
            raise Closed(f"{self!r} is closed in this process")
        self.segment.check()
        got.small = small
        got.room = 0
        owner = None
        while True:
            rc = self._pull(&got, 1, HDY_INLINE_MAX, &done, wait, deadline)
            if rc < 0:
                raise Empty
            if rc == 0:
                break
            # Room is made before the message is taken: a MemoryError here loses nothing.
            if wants_bytearray(got.kind):
                owner = PyByteArray_FromStringAndSize(NULL, got.size)
                to = PyByteArray_AS_STRING(owner)
            else:
                owner = PyBytes_FromStringAndSize(NULL, got.size)
                to = PyBytes_AS_STRING(owner)
            got.room = got.size
        if got.unit:
            with nogil:
                rc = hdy_chain_copy(&self.q, got.unit, 0, to, got.size, 0)
                hdy_hand_free(&self.q, got.unit)
            if rc < 0:
                check_rc(rc)
            return self._decoded(got.kind, got.pid, NULL, 0, owner)
        return self._decoded(got.kind, got.pid, got.small, got.size, None)

    def get_nowait(self):
        """`get(block=False)`."""
        return self.get(False)

    def _get_after_close(self):
        # What is still there, for a loop that began before this process closed the queue.
        self._drain = True
        try:
            return self.get(False)
        except Empty:
            raise Closed(f"{self!r} is closed in this process, and empty") from None

    def get_many(self, max_items=_MANY, block=True, timeout=None):
        """Take up to `max_items` of the oldest objects in one operation: what is there, at least one.

        Args:
            max_items: at least 1.
            block: wait while the queue is empty.
            timeout: seconds to wait for the first; None: no end.

        Returns:
            A list of 1 to `max_items` objects. A process that is killed has all of them in hand.

        Raises:
            queue.Empty, Closed: as `get`.
            CannotUnpickle: of the first that cannot be rebuilt; its attribute `rest` has the others.
        """
        cdef int want = _wanted(max_items), done = 0, rc, i
        cdef bint wait = block
        cdef long long deadline = deadline_ns(timeout if wait else None)
        if self.closed:
            raise Closed(f"{self!r} is closed in this process")
        self.segment.check()
        cdef _Basket b = _Basket()
        b.got[0].room = 0
        rc = self._pull(b.got, want, _MANY_BYTES, &done, wait, deadline)
        if rc < 0:
            raise Empty
        if rc == 1:
            return [self.get(wait, None if deadline == HDY_FOREVER else max(0.0, (deadline - hdy_now_ns()) / 1e9))]
        objs = []
        failed = None
        for i in range(done):
            try:
                objs.append(self._decoded(b.got[i].kind, b.got[i].pid, b.got[i].small, b.got[i].size, None))
            except CannotUnpickle as error:
                failed = failed or error
        if failed is not None:
            failed.rest = objs
            raise failed
        return objs

    # ---- what is there ----

    cdef hdy_state _look(self) except *:
        cdef hdy_state s
        self.segment.check()
        self._enter_surely()
        s = hdy_current(self.q.ring)[0]
        hdy_leave(&self.q)
        return s

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
        return self.q.ring.maxsize

    @property
    def maxbytes(self):
        """The most bytes of messages it holds; 0: no bound."""
        return self.q.ring.maxbytes

    # ---- for asyncio: one slice of a wait, taking nothing ----

    def _wait_items(self, timeout_s):
        """Returns when there is an object, or the stream has ended (Closed), or after the slice."""
        cdef long long deadline = deadline_ns(timeout_s)
        cdef unsigned int seen
        cdef bint there
        self._enter_surely()
        there = hdy_count(hdy_current(self.q.ring)) > 0
        seen = hdy_ask(&self.q.ring.items_asked, &self.q.ring.items_seq)
        hdy_leave(&self.q)
        if not there:
            if self.q.ring.closes and self._at_end_of_stream():
                raise Closed(f"{self!r} is at its end: it is empty, and everyone who could put has closed it or ended")
            self._sleep(&self.q.ring.items_seq, seen, deadline, 3)

    def _wait_room(self, timeout_s):
        """Returns when there is room for a small object, or after the slice."""
        cdef long long deadline = deadline_ns(timeout_s)
        cdef unsigned int seen
        cdef bint full
        self._enter_surely()
        full = hdy_is_full(self.q.ring, hdy_current(self.q.ring), 1)
        seen = hdy_ask(&self.q.ring.space_asked, &self.q.ring.space_seq)
        hdy_leave(&self.q)
        if full:
            self._sleep(&self.q.ring.space_seq, seen, deadline, 3)

    # ---- the end ----

    def _close(self):
        if self.closed:
            return
        self._note(HDY_USER_CLOSED)
        self._enter_surely()
        self.q.ring.closes += 1
        hdy_wake_all(&self.q.ring.items_asked, &self.q.ring.items_seq)
        hdy_leave(&self.q)
        self.closed = True

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

    # ---- tasks ----

    def _task_done(self):
        self.segment.check()
        self._enter_surely()
        cdef int rc = hdy_ring_task_done(&self.q)
        hdy_leave(&self.q)
        if rc == -ERANGE:
            raise ValueError("task_done() called too many times")

    def _join(self, timeout, leases):
        # None: all is done; False: not in time; (identity, items): a dead process never finished these.
        cdef long long deadline = deadline_ns(timeout)
        cdef int turn = 0
        cdef unsigned int seen, lost = 0
        cdef uint64_t identity = 0
        cdef bint over, lease_kind = leases
        cdef hdy_ring *r = self.q.ring
        self.segment.check()
        while True:
            self._enter_surely()
            if lease_kind:
                if turn:
                    hdy_lease_sweep(&self.q)
                over = hdy_count(hdy_current(r)) == 0 and r.leased == r.dead
            else:
                over = hdy_current(r).unfinished == 0
                if not over and turn and hdy_count(hdy_current(r)) == 0:
                    lost = hdy_ring_write_off(&self.q, &identity)
            seen = hdy_ask(&r.done_asked, &r.done_seq)
            hdy_leave(&self.q)
            if lost:
                return (identity, lost)
            if over:
                return None
            if hdy_now_ns() >= deadline:
                return False
            self._sleep(&r.done_seq, seen, deadline, turn)
            turn += 1


cdef class _Batch:
    def __cinit__(self):
        self.bytes = <char *>malloc(_MANY_BYTES)
        if self.bytes == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.bytes)

    cdef bint fits(self, size_t size) noexcept:
        return self.count < _MANY and self.used + size <= _MANY_BYTES

    cdef void add(self, encoding *e) noexcept:
        cdef int i
        cdef hdy_message *m = &self.messages[self.count]
        self.parts[self.count].iov_base = self.bytes + self.used
        self.parts[self.count].iov_len = e.size
        for i in range(e.nparts):
            memcpy(self.bytes + self.used, e.parts[i].iov_base, e.parts[i].iov_len)
            self.used += e.parts[i].iov_len
        m.kind = e.kind
        m.size = e.size
        m.parts = &self.parts[self.count]
        m.nparts = 1
        m.unit = 0
        self.count += 1


cdef class _Basket:
    def __cinit__(self):
        self.bytes = <char *>malloc(_MANY_BYTES)
        if self.bytes == NULL:
            raise MemoryError
        self.got[0].small = self.bytes

    def __dealloc__(self):
        free(self.bytes)
