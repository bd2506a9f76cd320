# Semaphore and RWLock, and what all objects with a table of processes share.
from libc.errno cimport EBUSY, EPERM, ERANGE, ETIMEDOUT
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from threading import get_ident

from hardy._core cimport runtime
from hardy._core.board cimport (HDY_WAITS_READ, HDY_WAITS_SEMAPHORE, HDY_WAITS_WRITE, hdy_wait_end,
                                hdy_waiting)
from hardy._core.memory cimport Cell
from hardy._core.runtime cimport HDY_FOREVER, deadline_ns, hdy_now_ns, hdy_rt
from hardy._core.runtime import _declare
from hardy._core.tracer cimport HDY_EVENT_HOLD, HDY_EVENT_LET_GO, tracing
from hardy._core.sync cimport FIRST_SLICE_NS, HDY_SYNC_RWLOCK, HDY_SYNC_SEMAPHORE, SyncCell, sleep_slice
from hardy.errors import AttachError, OwnerDied

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1

cdef extern from "<errno.h>":
    const int ENOTRECOVERABLE

cdef extern from "sync_sem.h":
    """
    static inline void hdy_sem_slept(void) { HDY_FAILPOINT("sem.wait.after_sleep"); }
    static inline void hdy_sem_sleeps(void) { HDY_FAILPOINT("sem.wait.before_sleep"); }
    """
    ctypedef struct hdy_sem:
        int32_t bound
    bint hdy_party_should_sweep(hdy_party *p) noexcept nogil
    int hdy_party_run(hdy_party *p, hdy_repair repair, hdy_op op, hdy_call *call, bint patient) noexcept nogil
    const uint64_t HDY_SEM_BARE
    int hdy_sem_start(hdy_sem *s, int32_t value, int32_t bound) noexcept nogil
    bint hdy_sem_try(hdy_sem *s, uint64_t permit) noexcept nogil
    int hdy_sem_give(hdy_sem *s, bint in_guard) noexcept nogil
    void hdy_sem_repair(void *object) noexcept nogil
    int hdy_sem_acquire(void *object, hdy_call *call) noexcept nogil
    int hdy_sem_hold(void *object, hdy_call *call) noexcept nogil
    int hdy_sem_release(void *object, hdy_call *call) noexcept nogil
    int hdy_sem_give_back(void *object, hdy_call *call) noexcept nogil
    int hdy_sem_read(void *object, hdy_call *call) noexcept nogil
    int hdy_sem_drop(void *object, hdy_call *call) noexcept nogil
    int hdy_sem_find_dead(hdy_sem *s, uint32_t first, uint64_t *identity) noexcept nogil
    void hdy_sem_sleeps() noexcept nogil
    void hdy_sem_slept() noexcept nogil
    size_t hdy_fp_count() noexcept nogil
    const char *hdy_fp_name(size_t i) noexcept nogil

cdef extern from "sync_rw.h":
    """
    static inline void hdy_rw_slept(void) { HDY_FAILPOINT("rwlock.wait.after_sleep"); }
    static inline void hdy_rw_sleeps(void) { HDY_FAILPOINT("rwlock.wait.before_sleep"); }
    """
    ctypedef struct hdy_rw:
        uint64_t recovered
    const uint32_t HDY_RW_ROWS
    int hdy_rw_start(hdy_rw *w) noexcept nogil
    void hdy_rw_repair(void *object) noexcept nogil
    int hdy_rw_read(void *object, hdy_call *call) noexcept nogil
    int hdy_rw_read_end(void *object, hdy_call *call) noexcept nogil
    int hdy_rw_write(void *object, hdy_call *call) noexcept nogil
    int hdy_rw_write_end(void *object, hdy_call *call) noexcept nogil
    int hdy_rw_give_up(void *object, hdy_call *call) noexcept nogil
    int hdy_rw_bury(void *object, hdy_call *call) noexcept nogil
    int hdy_rw_look(void *object, hdy_call *call) noexcept nogil
    bint hdy_rw_find_dead(hdy_rw *w, hdy_call *call) noexcept nogil
    void hdy_rw_sleeps() noexcept nogil
    void hdy_rw_slept() noexcept nogil

hdy_rt = runtime.shared()

_RELEASED_TOO_OFTEN = "semaphore or lock released too many times"


cdef class PartyCell(SyncCell):
    """A handle of an object that keeps a table of processes under a guard."""

    cdef int run(self, hdy_op op, hdy_call *call, int64_t deadline) except? -1:
        cdef hdy_party *party = self.party
        cdef hdy_repair repair = self.repair
        cdef int r
        if self.forks != hdy_rt.forks:
            self.recheck()
        r = hdy_party_run(party, repair, op, call, False)
        while r == -EBUSY:
            with nogil:
                r = hdy_party_run(party, repair, op, call, True)
            if r != -EBUSY:
                break
            PyErr_CheckSignals()
            if deadline != HDY_FOREVER and hdy_now_ns() >= deadline:
                return -ETIMEDOUT
        if r == -ENOTRECOVERABLE:
            raise AttachError(f"this {type(self).__name__} is corrupt: its guard cannot be recovered")
        return r

    cdef int finish(self, hdy_op op, hdy_call *call) except? -1:
        interrupt = None
        cdef int r
        while True:
            try:
                r = self.run(op, call, HDY_FOREVER)
                break
            except AttachError:
                raise
            except BaseException as error:
                interrupt = error
        if interrupt is not None:
            raise interrupt
        return r


cdef class SemaphoreCell(PartyCell):
    """A counter of permits that knows who holds which, of those taken with `with`."""

    cdef hdy_sem *at
    # Where this process's row was last: a hint, so that handles in several threads may share it.
    cdef uint32_t row

    def _create(self, int32_t value, int32_t bound, name: str | None) -> None:
        """Make a new semaphore in shared memory."""
        self.make(HDY_SYNC_SEMAPHORE, sizeof(hdy_sem))
        self._bind()
        if hdy_sem_start(self.at, value, bound) != 0:
            raise MemoryError("creating a semaphore: pthread_mutex_init failed")
        self.call(name)

    def _adopt(self, cell: Cell, name: str | None) -> None:
        """Become a handle of the semaphore in `cell`."""
        self.take(cell, HDY_SYNC_SEMAPHORE, sizeof(hdy_sem))
        self._bind()
        self.name = name

    cdef int _bind(self) except -1:
        self.at = <hdy_sem *>self.cell.at
        self.party = <hdy_party *>self.cell.at
        self.repair = hdy_sem_repair
        return 0

    def acquire(self, bint block=True, timeout=None) -> bool:
        """True once a permit is taken.

        Args:
            block: whether to wait for one.
            timeout: seconds to wait at the most; None waits without end, a negative number not at all.

        Returns:
            Whether a permit was taken.

        If a process dies here: the permit stays taken, for a bare acquire may be meant as a signal.
        Take permits with `with` to have them come back.
        """
        cdef int64_t deadline = HDY_FOREVER if timeout is None else deadline_ns(timeout)
        if self.forks != hdy_rt.forks:
            self.recheck()
        return hdy_sem_try(self.at, HDY_SEM_BARE) or self._take(hdy_sem_acquire, block, deadline)

    cdef bint _take(self, hdy_op op, bint block, int64_t deadline) except -1:
        cdef hdy_waiting w
        w.row = NULL
        w.traced = 0
        try:
            return self._take_or_wait(op, block, deadline, &w)
        finally:
            hdy_wait_end(&w)

    cdef bint _take_or_wait(self, hdy_op op, bint block, int64_t deadline, hdy_waiting *w) except -1:
        cdef int64_t slice_ns = FIRST_SLICE_NS
        cdef hdy_call call
        cdef bint over, look = False
        cdef int r
        call.row = self.row
        while True:
            r = self.run(op, &call, deadline if block else 0)
            if r == 0:
                self.row = call.row
                return True
            if r == -ETIMEDOUT:
                return False
            over = not block or (deadline != HDY_FOREVER and hdy_now_ns() >= deadline)
            if (over or (look and hdy_party_should_sweep(self.party))) and self._sweep() > 0:
                continue
            if over:
                return False
            if w.row == NULL:
                self.show(w, HDY_WAITS_SEMAPHORE, deadline)
            hdy_sem_sleeps()
            look = sleep_slice(w, &self.party.turn, call.turn, deadline, &slice_ns)
            hdy_sem_slept()

    cdef int _sweep(self) except -1:
        """Takes back what the dead held; how many permits that were."""
        cdef hdy_call call
        cdef uint64_t dead = 0
        cdef int row = -1, back = 0
        while True:
            with nogil:
                row = hdy_sem_find_dead(self.at, <uint32_t>(row + 1), &dead)
            if row < 0:
                return back
            call.row = <uint32_t>row
            call.identity = dead
            self.run(hdy_sem_drop, &call, HDY_FOREVER)
            back += call.number

    def release(self) -> None:
        """Give a permit; any thread or process may.

        Raises:
            ValueError: there would be more permits than the semaphore may have.
        """
        cdef int given
        if self.forks != hdy_rt.forks:
            self.recheck()
        given = hdy_sem_give(self.at, False)
        if given < 0:
            raise ValueError(_RELEASED_TOO_OFTEN)
        if given == 0:
            self._give(hdy_sem_release)

    cdef int _give(self, hdy_op op) except -1:
        cdef hdy_call call
        call.row = self.row
        if self.run(op, &call, HDY_FOREVER) == -ERANGE:
            raise ValueError(_RELEASED_TOO_OFTEN)
        return 0

    def __enter__(self) -> bool:
        self._take(hdy_sem_hold, True, HDY_FOREVER)
        # Of a bare acquire() nobody knows whether it holds: it may be a signal.
        if tracing():
            self.trace(HDY_EVENT_HOLD, HDY_WAITS_SEMAPHORE)
        return True

    def __exit__(self, *exc_info) -> None:
        if tracing():
            self.trace(HDY_EVENT_LET_GO)
        self._give(hdy_sem_give_back)

    def get_value(self) -> int:
        """How many permits are free, those included whose holders have died."""
        cdef hdy_call call
        if self.forks != hdy_rt.forks:
            self.recheck()
        self._sweep()
        self.run(hdy_sem_read, &call, HDY_FOREVER)
        return call.number

    def locked(self) -> bool:
        """Whether no permit is free."""
        return self.get_value() == 0

    @property
    def maxvalue(self) -> int:
        """The number of permits that a release may not exceed."""
        if self.forks != hdy_rt.forks:
            self.recheck()
        return self.at.bound

    def _get_value(self) -> int:
        """How many permits are free."""
        return self.get_value()

    def _is_zero(self) -> bool:
        """Whether no permit is free."""
        return self.get_value() == 0


cdef class RWLockCell(PartyCell):
    """Many readers or one writer."""

    cdef hdy_rw *at
    # thread -> read locks that it holds; of the process that counted `depth_forks`
    cdef dict depth
    cdef uint32_t depth_forks

    def _create(self, name: str | None) -> None:
        """Make a new lock in shared memory."""
        self.make(HDY_SYNC_RWLOCK, sizeof(hdy_rw))
        self._bind()
        if hdy_rw_start(self.at) != 0:
            raise MemoryError("creating an RWLock: pthread_mutex_init failed")
        self.call(name)

    def _adopt(self, cell: Cell, name: str | None) -> None:
        """Become a handle of the lock in `cell`."""
        self.take(cell, HDY_SYNC_RWLOCK, sizeof(hdy_rw))
        self._bind()
        self.name = name

    cdef int _bind(self) except -1:
        self.at = <hdy_rw *>self.cell.at
        self.party = <hdy_party *>self.cell.at
        self.repair = hdy_rw_repair
        self.depth = {}
        self.depth_forks = hdy_rt.forks
        return 0

    cdef dict _depths(self):
        # The child of a fork reads nothing, whatever its parent read.
        if self.depth_forks != hdy_rt.forks:
            self.depth = {}
            self.depth_forks = hdy_rt.forks
        return self.depth

    def acquire_read(self, bint block=True, timeout=None) -> bool:
        """True once this thread may read, together with other readers.

        Args:
            block: whether to wait while somebody writes, or waits to write.
            timeout: seconds to wait at the most; None waits without end, a negative number not at all.

        Returns:
            Whether the read lock is held now.

        If a process dies here: its read locks are given back.
        """
        cdef int64_t deadline = HDY_FOREVER if timeout is None else deadline_ns(timeout)
        cdef int depth = self._depths().get(get_ident(), 0)
        cdef hdy_call call
        call.ticket = 0
        call.number = 1 if depth else 0
        if not self._wait(hdy_rw_read, &call, block, deadline):
            return False
        self._depths()[get_ident()] = depth + 1
        if call.identity:
            self._writer_died(call.identity, False)
        if tracing():
            self.trace(HDY_EVENT_HOLD, HDY_WAITS_READ)
        return True

    def release_read(self) -> None:
        """Give one read lock back.

        Raises:
            ValueError: this process holds none.
        """
        cdef hdy_call call
        if tracing():
            self.trace(HDY_EVENT_LET_GO)
        if self.run(hdy_rw_read_end, &call, HDY_FOREVER) == -EPERM:
            raise ValueError("read lock released too many times: this process holds none")
        depths = self._depths()
        if depths.get(get_ident(), 0) > 1:
            depths[get_ident()] -= 1
        else:
            depths.pop(get_ident(), None)

    def acquire_write(self, bint block=True, timeout=None) -> bool:
        """True once this thread may write, and nobody else may read or write.

        Args:
            block: whether to wait for those who read or write now. New readers wait meanwhile.
            timeout: seconds to wait at the most; None waits without end, a negative number not at all.

        Returns:
            Whether the write lock is held now.

        Raises:
            RuntimeError: this thread reads or writes already, and would wait for itself.

        If a process dies here: the lock goes to the next acquirer, who finds `recovered` set.
        """
        cdef int64_t deadline = HDY_FOREVER if timeout is None else deadline_ns(timeout)
        cdef hdy_call call
        cdef bint held = False
        self.run(hdy_rw_look, &call, HDY_FOREVER)
        if call.ticket or self._depths().get(get_ident(), 0):
            raise RuntimeError(
                "this thread holds the lock already, and would wait for itself; release it before acquire_write()"
            )
        call.ticket = 0
        try:
            held = self._wait(hdy_rw_write, &call, block, deadline)
        finally:
            if not held and call.ticket:
                self.finish(hdy_rw_give_up, &call)
        if held and call.identity:
            self._writer_died(call.identity, True)
        if held and tracing():
            self.trace(HDY_EVENT_HOLD, HDY_WAITS_WRITE)
        return held

    def release_write(self) -> None:
        """Give the write lock up.

        Raises:
            ValueError: this process does not hold it.
        """
        self._end_write(False)

    cdef int _end_write(self, bint keep_recovered) except -1:
        cdef hdy_call call
        call.number = keep_recovered
        if tracing():
            self.trace(HDY_EVENT_LET_GO)
        if self.run(hdy_rw_write_end, &call, HDY_FOREVER) == -EPERM:
            raise ValueError("write lock released too many times: this process does not hold it")
        return 0

    cdef bint _wait(self, hdy_op op, hdy_call *call, bint block, int64_t deadline) except -1:
        cdef hdy_waiting w
        w.row = NULL
        w.traced = 0
        try:
            return self._run_or_wait(op, call, block, deadline, &w)
        finally:
            hdy_wait_end(&w)

    cdef bint _run_or_wait(self, hdy_op op, hdy_call *call, bint block, int64_t deadline, hdy_waiting *w) except -1:
        cdef int64_t slice_ns = FIRST_SLICE_NS
        cdef bint over, look = False
        cdef int number = call.number, r
        while True:
            call.number = number
            r = self.run(op, call, deadline if block else 0)
            if r == 0:
                return True
            if r == -ETIMEDOUT:
                return False
            over = not block or (deadline != HDY_FOREVER and hdy_now_ns() >= deadline)
            if (over or (look and hdy_party_should_sweep(self.party))) and self._sweep():
                continue
            if over:
                return False
            if w.row == NULL:
                self.show(w, HDY_WAITS_READ if op == hdy_rw_read else HDY_WAITS_WRITE, deadline)
            hdy_rw_sleeps()
            look = sleep_slice(w, &self.party.turn, call.turn, deadline, &slice_ns)
            hdy_rw_slept()

    cdef bint _sweep(self) except -1:
        """Takes back what the dead hold; whether there was anything."""
        cdef hdy_call call
        cdef bint dead, any_dead = False
        while True:
            with nogil:
                dead = hdy_rw_find_dead(self.at, &call)
            if not dead:
                return any_dead
            any_dead = True
            self.run(hdy_rw_bury, &call, HDY_FOREVER)

    def _writer_died(self, uint64_t identity, bint writing) -> None:
        try:
            self._owner_died(identity)
        except OwnerDied:
            raise
        except BaseException:
            # A filter made an error of the warning: the caller will not think that it holds the lock.
            if writing:
                self._end_write(True)
            else:
                self.release_read()
            raise

    def _owner_died(self, identity: int) -> None:
        """Called when a writer has died; the lock is held."""

    @property
    def recovered(self) -> bool:
        """Whether a writer died, and none has written since."""
        if self.forks != hdy_rt.forks:
            self.recheck()
        return self.at.recovered != 0

    def _state(self) -> tuple[int, int]:
        """Identity of the writer, or 0, and how many read locks are held; the dead not counted."""
        cdef hdy_call call
        if self.forks != hdy_rt.forks:
            self.recheck()
        self._sweep()
        self.run(hdy_rw_look, &call, HDY_FOREVER)
        return call.identity, call.number


_declare(*[hdy_fp_name(i).decode() for i in range(hdy_fp_count())])
