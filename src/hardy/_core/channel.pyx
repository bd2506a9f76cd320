# put and get: how messages go in and out of a ring (protocol: ring.h).
cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.errno cimport EAGAIN, EBUSY, EMSGSIZE
from queue import Empty, Full

from hardy._core cimport runtime
from hardy._core.batch cimport BATCH_BYTES, BATCH_MESSAGES, Basket, Batch
from hardy._core.codec cimport decode, decode_owned, encode, encoding, wants_bytearray
from hardy._core.ring cimport *
from hardy._core.ring cimport check_rc, count_deaths
from hardy._core.tracer cimport HDY_EVENT_GET, HDY_EVENT_PUT, tracing
from hardy._core.view cimport View
from hardy._core.runtime cimport HDY_FOREVER, deadline_ns, hdy_fp_count, hdy_fp_name, hdy_now_ns, hdy_rt
from hardy._core.runtime import _declare
from hardy.errors import CannotUnpickle, Closed

hdy_rt = runtime.shared()
_declare(*[hdy_fp_name(i).decode() for i in range(hdy_fp_count())])


cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX

cdef extern from "spin.h":
    unsigned long long hdy_puts_here
    bint hdy_spin_pays(hdy_queue *, int) noexcept nogil
    void hdy_spin(hdy_queue *, int, bint) noexcept nogil

cdef Py_ssize_t _wanted(object max_items) except -1:
    if not isinstance(max_items, int) or isinstance(max_items, bool):
        raise TypeError(f"max_items must be an int, not {type(max_items).__name__}")
    if max_items < 1:
        raise ValueError(f"max_items must be at least 1, not {max_items}")
    return min(max_items, PY_SSIZE_T_MAX)


cdef inline bint _is_plain(object timeout_s):
    # Whether it is surely valid, so that it need not be looked at before there is something to wait for.
    if timeout_s is None or type(timeout_s) is int:
        return True
    return type(timeout_s) is float and <double>timeout_s == <double>timeout_s


cdef inline void _address(hdy_message *m, encoding *e) noexcept:
    m.kind = e.kind
    m.size = e.size
    m.parts = e.parts
    m.nparts = e.nparts
    m.unit = 0


@cython.auto_pickle(False)  # how a queue travels is said above the core
cdef class Channel(Ring):
    """A ring that objects go in and out of."""

    # ---- put ----

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

    cdef bint _usable(self, unsigned int flag) noexcept:
        # Whether an operation may begin at once: nothing has to be said, noted or cleared away before.
        return (
            self.q.ring != NULL
            and not self.closed
            and self.q.ring.head_of_segment.pidns == hdy_rt.pidns
            and (not flag or (self.q.forks == hdy_rt.forks and self.q.user_flags & flag))
            and not self._has_chores()
        )

    cdef int _writable(self, unsigned long long size, bint block, long long deadline) except -1:
        # Checks that hold before anything is written. Full: the guard was not to be had in time.
        if self._usable(HDY_USER_PUT) and (size <= self.q.ring.maxbytes or not self.q.ring.maxbytes):
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
        if _is_plain(timeout) and self._usable(HDY_USER_PUT) and e.size <= self._most_at_once:
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
        cdef encoding e
        cdef Batch batch = Batch()
        try:
            objects = iter(objs)
        except TypeError:
            raise TypeError(f"put_many takes an iterable of objects, not {type(objs).__name__}") from None
        try:
            for obj in objects:
                _keep = encode(obj, &e, self._dumps)
                if not batch.fits(e.size):
                    self._flush(batch, deadline)
                if e.size <= self._most_at_once:
                    batch.add(&e)
                else:
                    self._flush(batch, deadline)
                    self._writable(e.size, True, deadline)
                    self._put_encoded(&e, True, deadline)
                    batch.total += 1
            self._flush(batch, deadline)
        except BaseException as error:
            try:
                self._flush(batch, deadline)  # those before the culprit; empty when the flush itself failed
            except BaseException as second:
                second.put = batch.total
                raise
            error.put = batch.total
            raise
        return batch.total

    cdef int _flush(self, Batch batch, long long deadline) except -1:
        cdef int done = 0, at = 0, count = batch.count
        batch.count = 0
        batch.used = 0
        if count:
            self._writable(0, True, deadline)
        while at < count:
            done = 0
            if self._push(&batch.messages[at], count - at, &done, True, deadline):
                raise Full
            at += done
            batch.total += done
        return 0

    # ---- get ----

    cdef int _pull(
        self, hdy_got *got, int count, size_t room, int *done, bint block, long long deadline, unsigned int who
    ) except -2:
        # 0; -1: empty; 1: a large message of got.size bytes waits, make room and come again.
        cdef int rc, turn = 0
        cdef unsigned int seen = 0, deaths = 0
        cdef bint asks = False, waiting = False, ends
        cdef hdy_side *head = &self.q.ring.head
        if self._has_chores():
            self._do_chores()
        try:
            while True:
                if asks:
                    deaths = count_deaths()
                if self._enter(head, block, deadline):
                    return -1
                rc = hdy_ring_get(&self.q, got, count, room, done)
                if rc == -EAGAIN and asks:
                    seen = hdy_ask(&self.q, HDY_ITEMS)
                    rc = hdy_ring_get(&self.q, got, count, room, done)
                hdy_leave(&self.q, head)
                if rc == 0:
                    if tracing():
                        self._trace(HDY_EVENT_GET, done[0])
                    return 0
                if rc == -EMSGSIZE:
                    return 1
                if rc != -EAGAIN:
                    check_rc(rc)
                if not block or hdy_now_ns() >= deadline:
                    return -1
                if not asks:
                    asks = True
                    self._spin(HDY_ITEMS)
                    continue
                # A loop also ends without a close; it looks when it was woken in vain, which a death does.
                ends = self.q.ring.closes or (who == HDY_ENDED_FOR_LOOPS and turn)
                self._await_items(ends, &waiting, who, seen, deaths, deadline, turn)
                turn += 1
        finally:
            if waiting:
                self._waits(-1)

    cdef object _decoded(self, unsigned int kind, unsigned int pid, const char *p, Py_ssize_t n, object owner):
        try:
            if owner is not None:
                return decode_owned(kind, owner, self._loads)
            return decode(kind, p, n, self._loads)
        except Exception as error:
            raise CannotUnpickle.of(error, pid) from error

    def get(self, block=True, timeout=None, *, copy=True):
        """Take the oldest object.

        Args:
            block: wait while the queue is empty.
            timeout: seconds to wait at most; None: no end.
            copy: False: the buffers of a large object (the data of a numpy array, what a `pickle.PickleBuffer` holds)
                stay where they are, in the queue's memory, which is given back when nobody refers to them any more.

        Raises:
            queue.Empty: the queue stayed empty.
            Closed: this process has closed the queue; or it is empty and nobody is left who could put.
            CannotUnpickle: what was taken cannot be rebuilt here; the error names the sender. The queue goes on.
        """
        cdef char[HDY_INLINE_MAX] small
        cdef hdy_got got
        cdef bint wait
        cdef long long deadline = HDY_FOREVER
        if _is_plain(timeout) and self._usable(0):
            got.small = small
            got.room = 0
            if hdy_get_now(&self.q, &got) == 0:
                if tracing():
                    self._trace(HDY_EVENT_GET, 1)
                return self._decoded(got.kind, got.pid, small, got.size, None)
        wait = block
        if timeout is not None and wait:
            deadline = deadline_ns(timeout)
        return self._receive(wait, deadline, HDY_ENDED_FOR_ALL, copy)

    cdef object _receive(self, bint wait, long long deadline, unsigned int who, bint copy):
        cdef char[HDY_INLINE_MAX] small
        cdef hdy_got got
        cdef int done = 0, rc
        cdef char *to = NULL
        cdef View view
        if self.closed and not self._drain:
            raise Closed(f"{self!r} is closed in this process; get before close()")
        self.segment.check()
        got.small = small
        got.room = 0
        owner = None
        while True:
            rc = self._pull(&got, 1, HDY_INLINE_MAX, &done, wait, deadline, who)
            if rc < 0:
                raise Empty
            if rc == 0:
                break
            # Room is made before the message is taken: a MemoryError here loses nothing.
            if not copy and wants_bytearray(got.kind):
                owner = view = View.__new__(View)
                view.reserve(self, got.size)
                to = NULL
            elif wants_bytearray(got.kind):
                owner = PyByteArray_FromStringAndSize(NULL, got.size)
                to = PyByteArray_AS_STRING(owner)
            else:
                owner = PyBytes_FromStringAndSize(NULL, got.size)
                to = PyBytes_AS_STRING(owner)
            got.room = got.size
            got.room_kind = got.kind
        if got.unit and to == NULL:
            view.fill(got.unit)
            return self._decoded(got.kind, got.pid, NULL, 0, owner)
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

    def _next(self):
        # For a loop. After a close in this process: what is still there, without waiting.
        if not self.closed:
            return self._receive(True, HDY_FOREVER, HDY_ENDED_FOR_LOOPS, True)
        self._drain = True
        try:
            return self._receive(False, HDY_FOREVER, HDY_ENDED_FOR_LOOPS, True)
        except Empty:
            raise Closed(f"{self!r} is closed in this process, and empty") from None

    def get_many(self, max_items=BATCH_MESSAGES, block=True, timeout=None, *, copy=True):
        """Take up to `max_items` of the oldest objects: what is there, at least one; up to 128 in one operation.

        Args:
            max_items: at least 1.
            block: wait while the queue is empty.
            timeout: seconds to wait for the first; None: no end.
            copy: as in `get`.

        Returns:
            A list of 1 to `max_items` objects. A process that is killed has all of them in hand.

        Raises:
            queue.Empty, Closed: as `get`.
            CannotUnpickle: of the first that cannot be rebuilt; its attribute `rest` has the others.
        """
        cdef Py_ssize_t want = _wanted(max_items)
        cdef int done = 0, rc, i
        cdef bint wait = block
        cdef long long deadline = deadline_ns(timeout if wait else None)
        if self.closed:
            raise Closed(f"{self!r} is closed in this process; get before close()")
        self.segment.check()
        # The one that was kept from the last call; another thread may be at it meanwhile.
        cdef Basket b = self._basket or Basket()
        self._basket = None
        cdef hdy_got *got
        objs = []
        failed = None
        while want:
            b.reset()
            rc = self._pull(b.got, min(want, BATCH_MESSAGES), BATCH_BYTES, &done, wait, deadline, HDY_ENDED_FOR_ALL)
            if rc < 0:
                if objs or failed is not None:
                    break
                raise Empty
            try:
                if rc == 1:
                    want -= 1
                    objs.append(self._receive(wait, deadline, HDY_ENDED_FOR_ALL, copy))
            except Empty:
                pass  # another took the large one meanwhile
            except CannotUnpickle as error:
                failed = failed or error
            i = 0
            while i < done:
                got = &b.got[i]
                try:
                    while i < done:
                        got = &b.got[i]
                        i += 1
                        objs.append(decode(got.kind, got.small, got.size, self._loads))
                except Exception as error:
                    if failed is None:
                        failed = CannotUnpickle.of(error, got.pid)
                        failed.__cause__ = error
            want -= done
            wait = wait and not objs and failed is None
            if done and not b.got[0].more:
                break
        self._basket = b
        if failed is not None:
            failed.rest = objs
            raise failed
        return objs
