# put: how messages go into a ring (protocol: ring.h).
cimport cython
from libc.errno cimport EAGAIN, EBUSY
from libc.stdlib cimport free, malloc
from queue import Full

from hardy._core cimport runtime
from hardy._core.codec cimport KIND_INT, encode, encode_int, encoding
from hardy._core.ring cimport *
from hardy._core.ring cimport check_rc, count_deaths
from hardy._core.tracer cimport HDY_EVENT_PUT, tracing
from hardy._core.runtime cimport (HDY_FOREVER, deadline_ns, hdy_fp_count, hdy_fp_name, hdy_now_ns, hdy_pid_of, hdy_rt,
                                  hdy_self)
from hardy._core.runtime import _declare
from hardy.errors import Closed

hdy_rt = runtime.shared()
_declare(*[hdy_fp_name(i).decode() for i in range(hdy_fp_count())])

cdef extern from "spin.h":
    unsigned long long hdy_puts_here
    bint hdy_spin_pays(hdy_queue *, int) noexcept nogil
    void hdy_spin(hdy_queue *, int, bint) noexcept nogil


cdef class Batch:
    """Small messages on their way into one put."""

    def __cinit__(self):
        self.records.bytes = <char *>malloc(MANY_BYTES)
        if self.records.bytes == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.records.bytes)


cdef inline void _address(hdy_message *m, encoding *e) noexcept:
    m.kind = e.kind
    m.size = e.size
    m.parts = e.parts
    m.nparts = e.nparts
    m.unit = 0
    m.records = NULL


cdef inline bint _has_room(const hdy_records *b, unsigned int size) noexcept:
    return b.count < MANY and b.used + hdy_record_bytes(size) <= MANY_BYTES


@cython.auto_pickle(False)  # how a queue travels is said above the core
cdef class Sender(Ring):
    """A ring that objects go into."""

    cdef int _push(self, hdy_message *m, int count, int *done, bint block, long long deadline) except -2:
        # Puts at least one of the messages; 0, or -1: the queue stayed full.
        cdef int rc, turn = 0
        cdef unsigned int seen = 0, deaths = 0
        cdef bint asks = False
        while True:
            if asks:
                deaths = count_deaths()
            if self._enter(&self.q.ring.tail, block, deadline):
                return -1
            rc = hdy_ring_put(&self.q, m, count, done)
            if rc == -EAGAIN and asks:
                seen = hdy_ask(&self.q, HDY_SPACE)
                rc = hdy_ring_put(&self.q, m, count, done)
            hdy_leave_tail(&self.q)
            if rc == 0:
                if tracing():
                    self._trace(HDY_EVENT_PUT, done[0])
                return 0
            if rc == -EBUSY:
                if self._await_heap(block, deadline):
                    return -1
                continue
            if rc != -EAGAIN:
                check_rc(rc)
            if not block or hdy_now_ns() >= deadline:
                return -1
            if asks:
                self._sleep(HDY_SPACE, seen, deaths, deadline, turn)
                turn += 1
            else:
                asks = True
                self._spin(HDY_SPACE)

    cdef void _spin(self, int what) noexcept:
        # Before the first sleep of a call.
        global hdy_puts_here
        cdef bint gather = what == HDY_SPACE or self.q.puts == hdy_puts_here
        self.q.puts = hdy_puts_here
        if hdy_spin_pays(&self.q, what):
            with nogil:
                hdy_spin(&self.q, what, gather)

    cdef int _push_large(self, hdy_message *m, bint block, long long deadline) except -2:
        # As _push, for one message that goes through extents.
        cdef int rc = 0, done = 0, full
        if self._wait_space(m.size, block, deadline):
            return -1
        while hdy_heap_try(&self.q):
            if self._await_heap(block, deadline):
                return -1
        m.unit = hdy_chain_alloc(&self.q, m.size, &rc)
        hdy_heap_leave(&self.q)
        if not m.unit:
            check_rc(rc)
        try:
            with nogil:
                rc = hdy_message_fill(&self.q, m)
            if rc < 0:
                check_rc(rc)
            full = self._push(m, 1, &done, block, deadline)
        except BaseException:
            with nogil:
                hdy_hand_free(&self.q, m.unit)
            raise
        if full:
            with nogil:
                hdy_hand_free(&self.q, m.unit)
        return full

    cdef int _wait_space(self, unsigned long long size, bint block, long long deadline) except -2:
        # Before memory is taken for a large message: 0: there is room now; -1: it stayed full.
        cdef int full, turn = 0
        cdef unsigned int seen = 0, deaths
        cdef hdy_side *tail = &self.q.ring.tail
        while True:
            deaths = count_deaths()
            if self._enter(tail, block, deadline):
                return -1
            full = hdy_is_full(&self.q, hdy_current(tail), size)
            if full and block:
                seen = hdy_ask(&self.q, HDY_SPACE)
                full = hdy_is_full(&self.q, hdy_current(tail), size)
            hdy_leave_tail(&self.q)
            if not full:
                return 0
            if not block or hdy_now_ns() >= deadline:
                return -1
            self._sleep(HDY_SPACE, seen, deaths, deadline, turn)
            turn += 1

    cdef int _writable(self, unsigned long long size, bint block, long long deadline) except -1:
        # Checks that hold before anything is written. Full: the guard was not to be had in time.
        if is_usable(self, HDY_USER_PUT) and (size <= self.q.ring.maxbytes or not self.q.ring.maxbytes):
            return 0
        if self.closed:
            raise Closed(f"{self!r} is closed in this process; put before close()")
        self.segment.check()
        if self.q.ring.maxbytes and size > self.q.ring.maxbytes:
            raise ValueError(f"a message of {size} bytes never fits a queue with maxbytes={self.q.ring.maxbytes}; "
                             "nothing was put")
        self._do_chores()
        if self.q.forks != hdy_rt.forks or not self.q.user_flags & HDY_USER_PUT:
            if self._note(HDY_USER_PUT, block, deadline):
                raise Full
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
        global hdy_puts_here
        cdef encoding e
        cdef hdy_message m
        cdef bint wait
        cdef long long deadline = HDY_FOREVER
        _keep = encode(obj, &e, self._dumps)
        if is_plain(timeout) and is_usable(self, HDY_USER_PUT) and e.size <= self._most_at_once:
            _address(&m, &e)
            if hdy_put_now(&self.q, &m) == 0:
                hdy_puts_here += 1
                if tracing():
                    self._trace(HDY_EVENT_PUT, 1)
                return
        wait = block
        if timeout is not None and wait:
            deadline = deadline_ns(timeout)
        self._writable(e.size, wait, deadline)
        self._put_encoded(&e, wait, deadline)

    cdef int _put_encoded(self, encoding *e, bint block, long long deadline) except -1:
        cdef hdy_message m
        cdef int done = 0, full
        _address(&m, e)
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
        cdef long long number
        cdef Py_ssize_t total = 0
        # The one that was kept from the last call; another thread may be at it meanwhile.
        cdef Batch batch = self._batch or Batch()
        cdef hdy_records *b = &batch.records
        cdef bint ints = self._most_at_once >= 8
        self._batch = None
        b.count = 0
        b.used = 0
        b.pid = hdy_pid_of(hdy_self())
        try:
            objects = iter(objs)
        except TypeError:
            raise TypeError(f"put_many takes an iterable of objects, not {type(objs).__name__}") from None
        try:
            for obj in objects:
                if type(obj) is int and ints and encode_int(obj, &number):
                    if not _has_room(b, 8):
                        self._flush(b, &total, deadline)
                    hdy_records_add_word(b, KIND_INT, number)
                else:
                    self._add(b, obj, &total, deadline)
            self._flush(b, &total, deadline)
        except BaseException as error:
            try:
                self._flush(b, &total, deadline)  # those before the culprit; empty when the flush itself failed
            except BaseException as second:
                second.put = total
                raise
            error.put = total
            raise
        self._batch = batch
        return total

    cdef int _add(self, hdy_records *b, object obj, Py_ssize_t *total, long long deadline) except -1:
        # One of many, whatever it is.
        cdef encoding e
        _keep = encode(obj, &e, self._dumps)
        if e.size > self._most_at_once:
            self._flush(b, total, deadline)
            self._writable(e.size, True, deadline)
            self._put_encoded(&e, True, deadline)
            total[0] += 1
            return 0
        if not _has_room(b, e.size):
            self._flush(b, total, deadline)
        hdy_records_add(b, e.kind, e.parts, e.nparts, e.size)
        return 0

    cdef int _flush(self, hdy_records *b, Py_ssize_t *total, long long deadline) except -1:
        cdef int done = 0, count = b.count
        cdef hdy_message m
        b.count = 0
        b.used = 0
        if count:
            self._writable(0, True, deadline)
        m.records = b.bytes
        while count:
            done = 0
            if self._push(&m, count, &done, True, deadline):
                raise Full
            count -= done
            total[0] += done
            if count:
                m.records = hdy_records_skip(m.records, done)
        return 0
