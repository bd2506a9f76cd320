# Leases on the messages of a queue (protocol: lease.h).
cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize
from libc.errno cimport EAGAIN, EBUSY, ESTALE
from queue import Empty

from hardy._core cimport runtime
from hardy._core.tracer cimport HDY_EVENT_GET, tracing
from hardy._core.runtime cimport deadline_ns, hdy_fp_count, hdy_fp_name, hdy_now_ns, hdy_rt
from hardy._core.codec cimport wants_bytearray
from hardy._core.channel cimport Channel
from hardy._core.ring cimport *
from hardy._core.ring cimport check_rc, count_deaths
from hardy._core.runtime import _declare
from hardy.errors import CannotUnpickle, Closed, LeaseLost

hdy_rt = runtime.shared()
_declare(*[hdy_fp_name(i).decode() for i in range(hdy_fp_count())])

cdef enum:
    _PAYLOAD_BYTES = 448


cdef class Hold:
    """A lease of one message: this process holds it until it acknowledges it, gives it back, or dies.

    Attributes:
        deliveries: how often the message was given out, this time included.
        sender: pid of the process that put it.
    """
    cdef hdy_lease lease
    cdef bint open

    @property
    def deliveries(self):
        return self.lease.deliveries

    @property
    def sender(self):
        return self.lease.pid

    @property
    def is_open(self):
        """Whether the lease was neither acknowledged nor given back by this handle."""
        return self.open


@cython.auto_pickle(False)  # how a queue travels is said above the core
cdef class LeaseRing(Channel):
    """A queue whose messages are taken under leases."""

    cdef int _hold(
        self, Hold h, char *small, unsigned int from_state, bint block, long long deadline, unsigned int who
    ) except -2:
        # 0: h holds a message; -1: there was none.
        cdef int rc, turn = 0
        cdef unsigned int seen = 0, deaths
        cdef bint ends, waiting = False
        cdef hdy_side *head = &self.q.ring.head
        if self._has_chores():
            self._do_chores()
        try:
            while True:
                deaths = count_deaths()
                if self._enter(head, block, deadline):
                    return -1
                if from_state == HDY_SLOT_DEAD:
                    hdy_lease_sweep(&self.q)
                    rc = hdy_lease_retake(&self.q, &h.lease, from_state, small)
                else:
                    if turn:
                        hdy_lease_sweep(&self.q)
                    rc = hdy_lease_take(&self.q, &h.lease, small, deaths)
                if rc == -EAGAIN and block:
                    seen = hdy_ask(&self.q, HDY_ITEMS)
                    if from_state == HDY_SLOT_READY:
                        rc = hdy_lease_take(&self.q, &h.lease, small, deaths)
                hdy_leave(&self.q, head)
                if rc == 0:
                    if tracing() and from_state == HDY_SLOT_READY:
                        self._trace(HDY_EVENT_GET, 1)
                    h.open = True
                    return 0
                if rc == -EBUSY:
                    if self._await_heap(block, deadline):
                        return -1
                    continue
                if rc != -EAGAIN:
                    check_rc(rc)
                if not block or hdy_now_ns() >= deadline:
                    return -1
                # While others hold leases, their messages may come back.
                ends = self.q.ring.closes or (who == HDY_ENDED_FOR_LOOPS and turn)
                ends = ends and self.q.ring.leased == self.q.ring.dead
                self._await_items(ends, &waiting, who, seen, deaths, deadline, turn)
                turn += 1
        finally:
            if waiting:
                self._waits(-1)

    def _take(self, bint dead, block, timeout, bint loop=False):
        """(Hold, object); the object is a CannotUnpickle when it cannot be rebuilt here."""
        cdef char[_PAYLOAD_BYTES] small
        cdef Hold h = Hold()
        cdef bint wait = block
        cdef long long deadline = deadline_ns(timeout if wait else None)
        cdef char *to
        cdef int rc
        if self.closed:
            raise Closed(f"{self!r} is closed in this process; get before close()")
        self.segment.check()
        cdef unsigned int who = HDY_ENDED_FOR_LOOPS if loop else HDY_ENDED_FOR_TAKES
        if self._hold(h, small, HDY_SLOT_DEAD if dead else HDY_SLOT_READY, wait, deadline, who):
            raise Empty
        owner = None
        try:
            if h.lease.payload_unit or h.lease.size > _PAYLOAD_BYTES:
                if wants_bytearray(h.lease.kind):
                    owner = PyByteArray_FromStringAndSize(NULL, h.lease.size)
                    to = PyByteArray_AS_STRING(owner)
                else:
                    owner = PyBytes_FromStringAndSize(NULL, h.lease.size)
                    to = PyBytes_AS_STRING(owner)
                with nogil:
                    rc = hdy_chain_copy(&self.q, h.lease.payload_unit, 0, to, h.lease.size, 0)
                if rc < 0:
                    check_rc(rc)
            try:
                return h, self._decoded(h.lease.kind, h.lease.pid, small, h.lease.size, owner)
            except CannotUnpickle as error:
                return h, error
        except BaseException:
            self._nack(h, True)
            raise

    cdef int _settle(self, Hold h, int rc, str what) except -1:
        h.open = False
        if rc == -ESTALE:
            raise LeaseLost(
                f"cannot {what} this lease of {self!r}: this process does not hold it (it was already acknowledged "
                "or given back, or it was taken by the parent before a fork). The message is as it was"
            )
        return 0

    def _ack(self, Hold h):
        cdef unsigned int hand = 0
        self._enter_head()
        cdef int rc = hdy_lease_ack(&self.q, &h.lease, &hand)
        hdy_leave(&self.q, &self.q.ring.head)
        self._settle(h, rc, "acknowledge")
        if hand:
            with nogil:
                hdy_hand_free(&self.q, hand)

    def _nack(self, Hold h, bint undo):
        self._enter_head()
        cdef int rc = hdy_lease_nack(&self.q, &h.lease, undo)
        hdy_leave(&self.q, &self.q.ring.head)
        self._settle(h, rc, "give back")

    def _bury(self, Hold h, bint undo=False):
        self._enter_head()
        cdef int rc = hdy_lease_bury(&self.q, &h.lease, undo)
        hdy_leave(&self.q, &self.q.ring.head)
        self._settle(h, rc, "put away")

    def _tally(self):
        # (leased now, waiting to be delivered again, dead letters)
        self._enter_head()
        hdy_lease_sweep(&self.q)
        cdef unsigned int leased = self.q.ring.leased, ready = self.q.ring.ready, dead = self.q.ring.dead
        hdy_leave(&self.q, &self.q.ring.head)
        return leased - ready - dead, ready, dead

    def _join(self, timeout):
        """Whether every message was acknowledged, or is a dead letter, in time."""
        cdef long long deadline = deadline_ns(timeout)
        cdef int turn = 0
        cdef unsigned int seen, deaths
        cdef bint over
        cdef hdy_ring *r = self.q.ring
        self.segment.check()
        while True:
            deaths = count_deaths()
            if self._enter(&r.head, True, deadline):
                return False
            if turn:
                hdy_lease_sweep(&self.q)
            over = r.leased == r.dead and hdy_unread(r) == 0
            seen = hdy_ask(&self.q, HDY_DONE)
            hdy_leave(&self.q, &self.q.ring.head)
            if over or hdy_now_ns() >= deadline:
                return bool(over)
            self._sleep(HDY_DONE, seen, deaths, deadline, turn)
            turn += 1
