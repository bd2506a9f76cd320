# get: how messages come out of a ring (protocol: ring.h).
cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.errno cimport EAGAIN, EMSGSIZE
from libc.stdlib cimport free, malloc
from queue import Empty

from hardy._core cimport runtime
from hardy._core.codec cimport KIND_BYTES, KIND_INT, decode, decode_int, decode_owned, wants_bytearray
from hardy._core.ring cimport *
from hardy._core.ring cimport check_rc, count_deaths
from hardy._core.sender cimport (MANY, MANY_BYTES, Sender, hdy_record, hdy_record_bytes, hdy_record_kind,
                                 hdy_record_pid, is_plain, is_usable)
from hardy._core.tracer cimport HDY_EVENT_GET, tracing
from hardy._core.view cimport View
from hardy._core.runtime cimport HDY_FOREVER, deadline_ns, hdy_fp_count, hdy_fp_name, hdy_now_ns, hdy_rt
from hardy._core.runtime import _declare
from hardy.errors import CannotUnpickle, Closed

hdy_rt = runtime.shared()
_declare(*[hdy_fp_name(i).decode() for i in range(hdy_fp_count())])


cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX


cdef class Basket:
    """Small messages that came out of one get."""

    def __cinit__(self):
        self.bytes = <char *>malloc(MANY_BYTES)
        if self.bytes == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.bytes)


cdef Py_ssize_t _wanted(object max_items) except -1:
    if not isinstance(max_items, int) or isinstance(max_items, bool):
        raise TypeError(f"max_items must be an int, not {type(max_items).__name__}")
    if max_items < 1:
        raise ValueError(f"max_items must be at least 1, not {max_items}")
    return min(max_items, PY_SSIZE_T_MAX)


@cython.auto_pickle(False)  # how a queue travels is said above the core
cdef class Channel(Sender):
    """A ring that objects go in and out of."""

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
        if is_plain(timeout) and is_usable(self, 0):
            got.small = small
            got.room = 0
            got.as_records = False
            if hdy_get_now(&self.q, &got) == 0:
                if tracing():
                    self._trace(HDY_EVENT_GET, 1)
                if got.kind == KIND_INT and got.size == 8:
                    return decode_int(small)
                if got.kind == KIND_BYTES:
                    return PyBytes_FromStringAndSize(small, got.size)
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
        got.as_records = False
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

    def get_many(self, max_items=MANY, block=True, timeout=None, *, copy=True):
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
        cdef hdy_got got
        cdef const hdy_record *rec
        cdef int at, left
        cdef char *payload
        objs = []
        failed = None
        while want:
            got.small = b.bytes
            got.room = 0
            got.as_records = True
            rc = self._pull(&got, <int>min(want, MANY), MANY_BYTES, &done, wait, deadline, HDY_ENDED_FOR_ALL)
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
            at = 0
            while i < done:
                rec = <const hdy_record *>(b.bytes + at)
                try:
                    while i < done:
                        rec = <const hdy_record *>(b.bytes + at)
                        i += 1
                        payload = <char *>(rec + 1)
                        left = <int>got.used - at
                        if left < <int>sizeof(hdy_record) or rec.size > <unsigned int>left - sizeof(hdy_record):
                            i = done
                            raise ValueError("messages that do not fit their bytes: the queue's memory is corrupt")
                        at += hdy_record_bytes(rec.size)
                        if rec.size == 8 and hdy_record_kind(rec) == KIND_INT:
                            objs.append(decode_int(payload))
                        else:
                            objs.append(decode(hdy_record_kind(rec), payload, rec.size, self._loads))
                except Exception as error:
                    if failed is None:
                        failed = CannotUnpickle.of(error, hdy_record_pid(rec))
                        failed.__cause__ = error
            want -= done
            wait = wait and not objs and failed is None
            if done and not got.more:
                break
        self._basket = b
        if failed is not None:
            failed.rest = objs
            raise failed
        return objs
