# Condition and Barrier: waiting for others.
from libc.errno cimport EAGAIN, EINPROGRESS, ENOSPC, EPIPE, ETIMEDOUT
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from threading import BrokenBarrierError

from hardy._core cimport runtime
from hardy._core.board cimport HDY_WAITS_BARRIER, HDY_WAITS_CONDITION, hdy_wait_end, hdy_waiting
from hardy._core.memory cimport Cell
from hardy._core.runtime cimport HDY_FOREVER, deadline_ns, hdy_now_ns, hdy_rt, hdy_self
from hardy._core.runtime import _declare
from hardy._core.sync cimport FIRST_SLICE_NS, HDY_SYNC_BARRIER, HDY_SYNC_CONDITION, LockCell, sleep_slice
from hardy._core.sync_party cimport PartyCell, hdy_call, hdy_party

cdef extern from "sync_cond.h":
    """
    static inline void hdy_cond_released(void) { HDY_FAILPOINT("cond.wait.after_release"); }
    static inline void hdy_cond_slept(void) { HDY_FAILPOINT("cond.wait.after_sleep"); }
    static inline void hdy_cond_retaken(void) { HDY_FAILPOINT("cond.wait.after_reacquire"); }
    """
    ctypedef struct hdy_cond_row:
        uint32_t state
    ctypedef struct hdy_cond:
        hdy_cond_row row[1]
    const uint32_t HDY_COND_ROWS
    const uint32_t HDY_COND_WAITING
    const uint32_t HDY_COND_NOTIFIED
    bint hdy_party_should_sweep(hdy_party *p) noexcept nogil
    int hdy_cond_start(hdy_cond *c) noexcept nogil
    void hdy_cond_repair(void *object) noexcept nogil
    int hdy_cond_enlist(void *object, hdy_call *call) noexcept nogil
    int hdy_cond_leave(void *object, hdy_call *call) noexcept nogil
    int hdy_cond_drop(void *object, hdy_call *call) noexcept nogil
    int hdy_cond_notify(void *object, hdy_call *call) noexcept nogil
    int hdy_cond_count(void *object, hdy_call *call) noexcept nogil
    int hdy_cond_find_dead(hdy_cond *c, uint32_t first, uint32_t state, uint64_t *identity) noexcept nogil
    uint32_t hdy_load(uint32_t *p) noexcept nogil
    void hdy_cond_released() noexcept nogil
    void hdy_cond_slept() noexcept nogil
    void hdy_cond_retaken() noexcept nogil
    size_t hdy_fp_count() noexcept nogil
    const char *hdy_fp_name(size_t i) noexcept nogil

cdef extern from "sync_barrier.h":
    """
    static inline void hdy_barrier_acts(void) { HDY_FAILPOINT("barrier.action.before_call"); }
    static inline void hdy_barrier_has_acted(void) { HDY_FAILPOINT("barrier.action.after_call"); }
    static inline void hdy_barrier_sleeps(void) { HDY_FAILPOINT("barrier.wait.before_sleep"); }
    static inline void hdy_barrier_slept(void) { HDY_FAILPOINT("barrier.wait.after_sleep"); }
    """
    ctypedef struct hdy_barrier_row:
        uint32_t outcome
    ctypedef struct hdy_barrier:
        uint32_t parties
    const uint32_t HDY_BARRIER_MOST_PARTIES
    const uint32_t HDY_BARRIER_SPARE_ROWS
    const int HDY_BARRIER_DONE
    const int HDY_BARRIER_ACT
    int hdy_barrier_start(hdy_barrier *b, uint32_t parties) noexcept nogil
    void hdy_barrier_repair(void *object) noexcept nogil
    int hdy_barrier_arrive(void *object, hdy_call *call) noexcept nogil
    int hdy_barrier_leave(void *object, hdy_call *call) noexcept nogil
    int hdy_barrier_give_up(void *object, hdy_call *call) noexcept nogil
    int hdy_barrier_acted(void *object, hdy_call *call) noexcept nogil
    int hdy_barrier_abort(void *object, hdy_call *call) noexcept nogil
    int hdy_barrier_reset(void *object, hdy_call *call) noexcept nogil
    int hdy_barrier_read(void *object, hdy_call *call) noexcept nogil
    int hdy_barrier_bury(void *object, hdy_call *call) noexcept nogil
    int hdy_barrier_find_dead(hdy_barrier *b, uint32_t first, uint64_t *identity) noexcept nogil
    void hdy_barrier_acts() noexcept nogil
    void hdy_barrier_has_acted() noexcept nogil
    void hdy_barrier_sleeps() noexcept nogil
    void hdy_barrier_slept() noexcept nogil

hdy_rt = runtime.shared()

MOST_PARTIES = HDY_BARRIER_MOST_PARTIES


cdef class ConditionCell(PartyCell):
    """Waiting for a notification, with a lock given up meanwhile."""

    cdef hdy_cond *at
    cdef LockCell _held

    def _create(self, lock: LockCell, name: str | None) -> None:
        """Make a new condition over `lock` in shared memory."""
        self.make(HDY_SYNC_CONDITION, sizeof(hdy_cond))
        self._bind(lock)
        if hdy_cond_start(self.at) != 0:
            raise MemoryError("creating a condition: pthread_mutex_init failed")
        self.call(name)

    def _adopt(self, cell: Cell, name: str | None, lock: LockCell) -> None:
        """Become a handle of the condition in `cell`."""
        self.take(cell, HDY_SYNC_CONDITION, sizeof(hdy_cond))
        self._bind(lock)
        self.name = name

    cdef int _bind(self, LockCell lock) except -1:
        self.at = <hdy_cond *>self.cell.at
        self.party = <hdy_party *>self.cell.at
        self.repair = hdy_cond_repair
        self._held = lock
        return 0

    @property
    def _lock(self) -> LockCell:
        """The lock of the condition."""
        return self._held

    def wait(self, timeout=None) -> bool:
        """True once notified; gives the lock up meanwhile, and holds it again on return.

        Args:
            timeout: seconds to wait for the notification at the most; None waits without end.

        Returns:
            False when the time was over first.

        Raises:
            AssertionError: this thread does not hold the lock.
            RuntimeError: as many processes and threads wait already as the condition has room for.

        If a process dies here: it is no longer among those who wait; a notification that it had got
        and not yet returned with goes to the next.
        """
        cdef int64_t deadline = HDY_FOREVER if timeout is None else deadline_ns(timeout)
        cdef hdy_call call
        cdef uint32_t depth
        cdef bint back = False
        if not self._held._is_mine():
            raise AssertionError("must acquire() condition before using wait()")
        if self.run(hdy_cond_enlist, &call, HDY_FOREVER) == -ENOSPC:
            self._sweep(0)
            if self.run(hdy_cond_enlist, &call, HDY_FOREVER) == -ENOSPC:
                raise RuntimeError(f"{HDY_COND_ROWS} processes and threads wait for this condition, its limit; "
                                   "the lock is still held and nothing was changed")
        call.identity = hdy_self()
        try:
            depth = self._held.let_go()
            hdy_cond_released()
            try:
                self._sleep(call.row, deadline)
            finally:
                # Whatever ended the sleep: `with condition:` will release the lock.
                self._held.take_back(depth)
                hdy_cond_retaken()
            back = True
        finally:
            # Who is interrupted does not go on with what it was notified of.
            self.finish(hdy_cond_leave if back else hdy_cond_drop, &call)
        return call.number != 0

    cdef int _sleep(self, uint32_t row, int64_t deadline) except -1:
        cdef int64_t slice_ns = FIRST_SLICE_NS
        cdef hdy_waiting w
        cdef uint32_t *state = &self.at.row[row].state
        self.show(&w, HDY_WAITS_CONDITION, deadline)
        try:
            while hdy_load(state) == HDY_COND_WAITING:
                if deadline != HDY_FOREVER and hdy_now_ns() >= deadline:
                    return 0
                if sleep_slice(&w, state, HDY_COND_WAITING, deadline, &slice_ns, watch_deaths=False):
                    self._sweep(HDY_COND_NOTIFIED)
                hdy_cond_slept()
        finally:
            hdy_wait_end(&w)
        return 0

    cdef int _sweep(self, uint32_t state) except -1:
        """Drops the dead in that state (0: in any); what they were notified of is passed on."""
        cdef hdy_call call
        cdef uint64_t dead = 0
        cdef int row = -1
        while True:
            with nogil:
                row = hdy_cond_find_dead(self.at, <uint32_t>(row + 1), state, &dead)
            if row < 0:
                return 0
            call.row = <uint32_t>row
            call.identity = dead
            self.run(hdy_cond_drop, &call, HDY_FOREVER)

    def notify(self, n: int = 1) -> None:
        """Let the `n` go on that have waited longest, of those who live.

        Returns at once: it does not wait until they run.

        Raises:
            AssertionError: this thread does not hold the lock.
        """
        cdef hdy_call call
        if not self._held._is_mine():
            raise AssertionError("lock is not owned")
        if n <= 0:
            return
        self.run(hdy_cond_count, &call, HDY_FOREVER)
        if call.number > n:
            # Not to spend it on the dead. Where all are notified, that makes no difference.
            self._sweep(0)
        call.number = <int32_t>min(n, HDY_COND_ROWS)
        call.lock = self._held.at
        self.run(hdy_cond_notify, &call, HDY_FOREVER)

    def notify_all(self) -> None:
        """Let everyone go on who waits.

        Raises:
            AssertionError: this thread does not hold the lock.
        """
        self.notify(HDY_COND_ROWS)

    def _waiting(self) -> int:
        """How many wait and have not been notified; the dead not counted."""
        cdef hdy_call call
        if self.forks != hdy_rt.forks:
            self.recheck()
        self._sweep(0)
        self.run(hdy_cond_count, &call, HDY_FOREVER)
        return call.number


cdef class BarrierCell(PartyCell):
    """Waiting until a number of parties have come."""

    cdef hdy_barrier *at

    def _create(self, uint32_t parties, name: str | None) -> None:
        """Make a new barrier in shared memory."""
        self.make(
            HDY_SYNC_BARRIER,
            sizeof(hdy_barrier) + (parties + HDY_BARRIER_SPARE_ROWS) * sizeof(hdy_barrier_row),
        )
        self._bind()
        if hdy_barrier_start(self.at, parties) != 0:
            raise MemoryError("creating a barrier: pthread_mutex_init failed")
        self.call(name)

    def _adopt(self, cell: Cell, name: str | None) -> None:
        """Become a handle of the barrier in `cell`."""
        self.take(cell, HDY_SYNC_BARRIER, sizeof(hdy_barrier))
        self._bind()
        rows = self.at.parties + HDY_BARRIER_SPARE_ROWS
        self.take(cell, HDY_SYNC_BARRIER, sizeof(hdy_barrier) + rows * sizeof(hdy_barrier_row))
        self.name = name

    cdef int _bind(self) except -1:
        self.at = <hdy_barrier *>self.cell.at
        self.party = <hdy_party *>self.cell.at
        self.repair = hdy_barrier_repair
        return 0

    def _wait(self, action, timeout) -> int:
        """Arrive and wait for the others; the index of arrival."""
        cdef int64_t deadline = HDY_FOREVER if timeout is None else deadline_ns(timeout)
        cdef int64_t slice_ns = FIRST_SLICE_NS
        cdef hdy_waiting w
        cdef hdy_call call
        cdef int r, index
        call.identity = 0
        call.ticket = 0
        while True:
            call.number = action is not None
            r = self.run(hdy_barrier_arrive, &call, HDY_FOREVER)
            if r == -EINPROGRESS:
                # The last to come must not meet the dead as if they were there.
                self._sweep()
                call.ticket = 1
                continue
            if r != -EAGAIN:
                break
            if deadline != HDY_FOREVER and hdy_now_ns() >= deadline:
                raise BrokenBarrierError("the time was over before the barrier took this party in; it is not broken")
            self.show(&w, HDY_WAITS_BARRIER, deadline)
            try:
                if sleep_slice(&w, &self.party.turn, call.turn, deadline, &slice_ns):
                    self._sweep()
            finally:
                hdy_wait_end(&w)
            call.ticket = 0
        if r == -EPIPE:
            self._raise_broken(call.identity)
        index = call.number
        if r == HDY_BARRIER_DONE:
            return index
        try:
            if r == HDY_BARRIER_ACT:
                hdy_barrier_acts()
                action()
                hdy_barrier_has_acted()
                r = self.run(hdy_barrier_acted, &call, HDY_FOREVER)
            else:
                r = self._sleep(&call, deadline)
        except BaseException:
            self.finish(hdy_barrier_give_up, &call)
            raise
        if r == -ETIMEDOUT:
            r = self.finish(hdy_barrier_give_up, &call)
            if r == -EPIPE and call.identity == 0:
                raise BrokenBarrierError("timed out before all parties had come; the barrier is broken until reset()")
        if r == -EPIPE:
            self._raise_broken(call.identity)
        return index

    cdef int _sleep(self, hdy_call *call, int64_t deadline) except -1:
        cdef int64_t slice_ns = FIRST_SLICE_NS
        cdef hdy_waiting w
        cdef int r = -EAGAIN
        self.show(&w, HDY_WAITS_BARRIER, deadline)
        try:
            while r == -EAGAIN:
                if deadline != HDY_FOREVER and hdy_now_ns() >= deadline:
                    return -ETIMEDOUT
                hdy_barrier_sleeps()
                if (sleep_slice(&w, &self.party.turn, call.turn, deadline, &slice_ns)
                        and hdy_party_should_sweep(self.party)):
                    self._sweep()
                hdy_barrier_slept()
                r = self.run(hdy_barrier_leave, call, HDY_FOREVER)
        finally:
            hdy_wait_end(&w)
        return r

    cdef int _sweep(self) except -1:
        """Breaks the barrier if a party has died that had arrived."""
        cdef hdy_call call
        cdef uint64_t dead = 0
        cdef int row = -1
        while True:
            with nogil:
                row = hdy_barrier_find_dead(self.at, <uint32_t>(row + 1), &dead)
            if row < 0:
                return 0
            call.row = <uint32_t>row
            call.identity = dead
            self.run(hdy_barrier_bury, &call, HDY_FOREVER)

    def _raise_broken(self, identity: int) -> None:
        """Raise what says that the barrier is broken, and by whose death if it was one."""
        raise BrokenBarrierError

    def reset(self) -> None:
        """Make the barrier whole and empty; whoever waits gets `BrokenBarrierError`."""
        cdef hdy_call call
        self.run(hdy_barrier_reset, &call, HDY_FOREVER)

    def abort(self) -> None:
        """Break the barrier: whoever waits, or comes until `reset`, gets `BrokenBarrierError`."""
        cdef hdy_call call
        self.run(hdy_barrier_abort, &call, HDY_FOREVER)

    @property
    def parties(self) -> int:
        """How many must come."""
        if self.forks != hdy_rt.forks:
            self.recheck()
        return self.at.parties

    @property
    def n_waiting(self) -> int:
        """How many have come."""
        return self._read()[0]

    @property
    def broken(self) -> bool:
        """Whether the barrier is broken, also by the death of a party that waited."""
        return self._read()[1]

    def _read(self) -> tuple[int, bool]:
        cdef hdy_call call
        if self.forks != hdy_rt.forks:
            self.recheck()
        self._sweep()
        self.run(hdy_barrier_read, &call, HDY_FOREVER)
        return call.number, call.turn != 0


_declare(*[hdy_fp_name(i).decode() for i in range(hdy_fp_count())])
