# Lock, RLock and Event over the words of sync_lock.h: waiting, signals, errors.
#
# Every compare-and-swap is made with the GIL held, only the sleep is not: a lock is never owned by a
# thread that still has to queue for the GIL.
from libc.errno cimport EPERM, ETIMEDOUT
from libc.stdint cimport int64_t, uint32_t, uint64_t

from hardy._core cimport board, runtime
from hardy._core.board cimport (HDY_WAITS_EVENT, HDY_WAITS_LOCK, HDY_WAITS_RLOCK, hdy_board, hdy_wait_begin,
                                hdy_wait_end, hdy_waiting)
from hardy._core.label cimport hdy_label, write_label
from hardy._core.tracer cimport HDY_EVENT_HOLD, HDY_EVENT_LET_GO, trace_at, tracing
from hardy._core.runtime import _declare
from hardy._core.memory cimport Cell, allocate_cell
from hardy._core.runtime cimport HDY_FOREVER, deadline_ns, hdy_now_ns, hdy_rt, hdy_self
from hardy.errors import AttachError, ForeignHandle, OwnerDied

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1

cdef extern from "sync_lock.h":
    """
    static inline void hdy_lock_slept(void) { HDY_FAILPOINT("lock.wait.after_sleep"); }
    static inline void hdy_event_slept(void) { HDY_FAILPOINT("event.wait.after_sleep"); }
    """
    const uint64_t HDY_CONTENDED
    const uint32_t HDY_EVENT_SET
    uint64_t hdy_owner_identity(uint64_t word) noexcept nogil
    bint hdy_alive_still(uint64_t identity, hdy_known *known) noexcept nogil
    uint32_t *hdy_low_half(uint64_t *word) noexcept nogil
    bint hdy_lock_take(hdy_lock *l, uint64_t contended, uint64_t how) noexcept nogil
    bint hdy_lock_mark(hdy_lock *l, uint64_t *seen) noexcept nogil
    bint hdy_lock_take_over(hdy_lock *l, uint64_t dead, uint64_t how) noexcept nogil
    bint hdy_lock_give_back(hdy_lock *l, uint64_t dead) noexcept nogil
    int hdy_lock_release(hdy_lock *l) noexcept nogil
    void hdy_lock_show_holder(hdy_lock *l, hdy_waiting *w) noexcept nogil
    bint hdy_lock_held_here(hdy_lock *l) noexcept nogil
    bint hdy_lock_is_mine(hdy_lock *l) noexcept nogil
    bint hdy_rlock_enter(hdy_lock *l, uint32_t depth) noexcept nogil
    int hdy_rlock_release(hdy_lock *l) noexcept nogil
    void hdy_event_set(hdy_event *e) noexcept nogil
    void hdy_event_clear(hdy_event *e) noexcept nogil
    bint hdy_event_passed(hdy_event *e, uint32_t since, uint32_t *seen) noexcept nogil
    void hdy_lock_slept() noexcept nogil
    void hdy_event_slept() noexcept nogil
    int hdy_futex_wait_either(uint32_t *word, uint32_t seen, uint32_t *too, uint32_t its, int64_t until) noexcept nogil
    uint64_t hdy_load(uint64_t *p) noexcept nogil
    uint32_t hdy_load_32 "hdy_load"(uint32_t *p) noexcept nogil
    size_t hdy_fp_count() noexcept nogil
    const char *hdy_fp_name(size_t i) noexcept nogil


hdy_rt = runtime.shared()

cdef enum:
    _LONGEST_SLICE_NS = 100_000_000
    _NEVER = 0xFFFFFFFF
    # In what let_go returns: the depth is above the flag.
    _DEPTH_SHIFT = 1

_RELEASED_TOO_OFTEN = "semaphore or lock released too many times"
_NOT_OWNED = "attempt to release recursive lock not owned by thread"
_NOT_YOURS = 'attempt to release a Lock that another thread holds: deadlock="raise" keeps it for its holder'


cdef int sleep_slice(
    hdy_waiting *w, uint32_t *word, uint32_t seen, int64_t deadline, int64_t *slice_ns, bint watch_deaths=True
) except -1:
    cdef int64_t until = hdy_now_ns() + slice_ns[0]
    cdef uint32_t *deaths = NULL
    cdef uint32_t counted = 0
    cdef int r
    if until > deadline:
        until = deadline
    # Most waits are short, and a wait on two words costs more than one on one.
    if watch_deaths and slice_ns[0] > FIRST_SLICE_NS:
        deaths = <uint32_t *>board.deaths()
        counted = deaths[0] if deaths != NULL else 0
    with nogil:
        r = hdy_futex_wait_either(word, seen, deaths, counted, until)
    PyErr_CheckSignals()
    if r == -ETIMEDOUT:
        slice_ns[0] = min(2 * slice_ns[0], _LONGEST_SLICE_NS)
        board.leave_stack(w)
        return 1
    # Whoever died may have held what is waited for.
    return deaths != NULL and deaths[0] != counted


cdef class SyncCell:
    """A handle of one shared object.

    Attributes:
        cell: where the object lies.
        name: what messages call the object, or None.
    """

    def __cinit__(self, *args, **kwargs):
        self.forks = _NEVER

    cdef int make(self, uint32_t kind, uint32_t nbytes) except -1:
        cdef Cell cell = allocate_cell(nbytes + sizeof(hdy_label))
        (<uint32_t *>cell.at)[0] = kind
        self.take(cell, kind, nbytes)
        return 0

    cdef hdy_label *label(self) noexcept:
        return <hdy_label *>(self.cell.at + self.cell.nbytes - sizeof(hdy_label))

    cdef int call(self, object name) except -1:
        self.name = name
        write_label(self.label(), type(self).__name__, name)
        return 0

    cdef void trace(self, uint32_t event, uint32_t what=0) noexcept:
        trace_at(event, self.cell.segment.number(), self.cell.offset, self.label(), 0, what)

    cdef int show(self, hdy_waiting *w, uint32_t what, int64_t deadline) except -1:
        cdef hdy_board *b = board.for_waits()
        if deadline != HDY_FOREVER:
            what |= board.HDY_WAITS_TIMED
        hdy_wait_begin(w, b, what, self.cell.segment.number(), self.cell.offset, self.label(), False)
        return 0

    cdef int take(self, Cell cell, uint32_t kind, uint32_t least_bytes) except -1:
        if cell.nbytes < least_bytes or (<uint32_t *>cell.at)[0] != kind:
            raise AttachError(f"the handle does not lead to a {type(self).__name__}: its memory holds something else")
        self.cell = cell
        return 0

    cdef int recheck(self) except -1:
        if self.cell is None:
            raise ForeignHandle(
                f"this {type(self).__name__} has no shared memory: its __init__ was not called. "
                "A subclass must call super().__init__()"
            )
        self.cell.segment.check()
        if hdy_self() == 0:
            raise OSError("hardy cannot read /proc/self/stat, and cannot say who holds a lock without it")
        self.forks = hdy_rt.forks
        return 0


cdef class LockCell(SyncCell):
    """A lock that knows its owner and outlives it."""

    def _create(self, name: str | None) -> None:
        """Make a new lock in shared memory."""
        self.make(HDY_SYNC_LOCK, sizeof(hdy_lock))
        self._bind(HDY_WAITS_LOCK)
        self.call(name)

    def _adopt(self, cell: Cell, name: str | None) -> None:
        """Become a handle of the lock in `cell`."""
        self.take(cell, HDY_SYNC_LOCK, sizeof(hdy_lock))
        self._bind(HDY_WAITS_LOCK)
        self.name = name

    cdef int _bind(self, uint32_t waits) except -1:
        self.at = <hdy_lock *>self.cell.at
        self.waits = waits
        return 0

    def acquire(self, bint block=True, timeout=None) -> bool:
        """True once this process holds the lock.

        Args:
            block: whether to wait for it.
            timeout: seconds to wait at the most; None waits without end, a negative number not at all.

        Returns:
            Whether the lock is held now.

        If a process dies here: its lock goes to the next acquirer, who finds `recovered` set.
        """
        cdef int64_t deadline = HDY_FOREVER if timeout is None else deadline_ns(timeout)
        if self.forks != hdy_rt.forks:
            self.recheck()
        if hdy_lock_take(self.at, 0, 0):
            if tracing():
                self.trace(HDY_EVENT_HOLD)
            return True
        return self.contend(block, deadline, 0, 0)

    cdef bint contend(self, bint block, int64_t deadline, uint64_t contended, uint64_t how) except -1:
        cdef hdy_waiting w
        cdef bint held
        w.row = NULL
        w.traced = 0
        try:
            held = self.wait_for_it(block, deadline, contended, how, &w)
        finally:
            hdy_wait_end(&w)
        if tracing() and held:
            self.trace(HDY_EVENT_HOLD)
        return held

    cdef bint wait_for_it(
        self, bint block, int64_t deadline, uint64_t contended, uint64_t how, hdy_waiting *w
    ) except -1:
        cdef int64_t slice_ns = FIRST_SLICE_NS, stuck_ns = 0
        cdef uint64_t seen
        cdef bint last, look = False, shown = False, alive
        # A condition's wait must have its lock back, whatever comes.
        cdef bint may_raise = contended == 0
        while True:
            seen = hdy_load(&self.at.owner)
            if seen == 0:
                if hdy_lock_take(self.at, contended, how):
                    return True
                continue
            last = not block or (deadline != HDY_FOREVER and hdy_now_ns() >= deadline)
            if look or last:
                with nogil:
                    alive = hdy_alive_still(hdy_owner_identity(seen), &self.known)
                if not alive:
                    if not hdy_lock_take_over(self.at, seen, how):
                        continue
                    try:
                        self._owner_died(hdy_owner_identity(seen))
                    except OwnerDied:
                        raise
                    except BaseException:
                        # A filter made an error of the warning: the caller will not think that it
                        # holds the lock, and the next acquirer must be told in its place.
                        hdy_lock_give_back(self.at, hdy_owner_identity(seen))
                        raise
                    return True
                if last:
                    return False
            if not hdy_lock_mark(self.at, &seen):
                continue
            # Whoever has slept keeps the flag up: it cannot know who else sleeps.
            contended = HDY_CONTENDED
            if not shown:
                shown = True
                self.show(w, self.waits, deadline)
            hdy_lock_show_holder(self.at, w)
            look = sleep_slice(w, hdy_low_half(&self.at.owner), <uint32_t>seen, deadline, &slice_ns)
            hdy_lock_slept()
            if look and w.row != NULL and deadline == HDY_FOREVER and hdy_now_ns() >= stuck_ns:
                hdy_lock_show_holder(self.at, w)
                wait_s = self._stuck(board.row_number(w), w.turn, (hdy_now_ns() - w.row.since_ns) / 1e9, may_raise)
                stuck_ns = hdy_now_ns() + <int64_t>(wait_s * 1e9)

    def release(self) -> None:
        """Give the lock up; any thread or process may.

        Raises:
            ValueError: nobody held it.
            AssertionError: another thread holds it, and it was made with `deadlock="raise"`.
        """
        cdef int error
        if self.forks != hdy_rt.forks:
            self.recheck()
        # Before it: what the next holder does, it does later.
        if tracing():
            self.trace(HDY_EVENT_LET_GO)
        error = hdy_lock_release(self.at)
        if error != 0:
            raise AssertionError(_NOT_YOURS) if error == -EPERM else ValueError(_RELEASED_TOO_OFTEN)

    def __enter__(self) -> bool:
        if self.forks != hdy_rt.forks:
            self.recheck()
        if hdy_lock_take(self.at, 0, HDY_TAKEN_WITH):
            if tracing():
                self.trace(HDY_EVENT_HOLD)
            return True
        return self.contend(True, HDY_FOREVER, 0, HDY_TAKEN_WITH)

    def __exit__(self, *exc_info) -> None:
        LockCell.release(self)

    def locked(self) -> bool:
        """Whether somebody, dead or alive, holds the lock."""
        if self.forks != hdy_rt.forks:
            self.recheck()
        return hdy_load(&self.at.owner) != 0

    @property
    def recovered(self) -> bool:
        """Whether this process took the lock from a dead owner and has not released it since."""
        if self.forks != hdy_rt.forks:
            self.recheck()
        return hdy_load(&self.at.recovered) != 0 and hdy_lock_held_here(self.at)

    @property
    def owner(self) -> int:
        """Identity of the process that holds the lock, 0 when none does."""
        if self.forks != hdy_rt.forks:
            self.recheck()
        return hdy_owner_identity(hdy_load(&self.at.owner))

    def _owner_died(self, identity: int) -> None:
        """Called when the lock was taken from a dead process; the lock is held."""

    def _stuck(self, row: int, turn: int, waited_s: float, may_raise: bool) -> float:
        """Called while the lock is waited for, without a time-out; after how many seconds to call again.

        Args:
            row, turn: how the wait is shown to others.
            waited_s: for how long, in seconds.
            may_raise: whether what is raised here may end the wait.
        """
        return 3600.0

    def _is_mine(self) -> bool:
        """Whether this thread holds the lock."""
        if self.forks != hdy_rt.forks:
            self.recheck()
        return hdy_lock_is_mine(self.at)

    def _keep_for_holders(self) -> None:
        """Before anybody else has it: say that nobody but its holder may release it."""
        self.at.habits = HDY_HOLDERS_OWN

    def _count(self) -> int:
        """How often this process holds the lock."""
        if self.forks != hdy_rt.forks:
            self.recheck()
        return 1 if hdy_lock_held_here(self.at) else 0

    def _get_value(self) -> int:
        """1 when the lock is free, 0 when it is held."""
        return 0 if self.locked() else 1

    def _is_zero(self) -> bool:
        """Whether the lock is held."""
        return self.locked()

    cdef uint32_t let_go(self) except? 0:
        cdef uint32_t depth = 1 << _DEPTH_SHIFT | (self.at.thread & HDY_TAKEN_WITH)
        LockCell.release(self)
        return depth

    cdef int take_back(self, uint32_t depth) except -1:
        # With the flag up: others may have been sent to sleep on this lock by the same notify.
        if not hdy_lock_take(self.at, HDY_CONTENDED, depth & HDY_TAKEN_WITH):
            LockCell.contend(self, True, HDY_FOREVER, HDY_CONTENDED, depth & HDY_TAKEN_WITH)
        elif tracing():
            self.trace(HDY_EVENT_HOLD)
        return 0


cdef class RLockCell(LockCell):
    """A lock that its thread may acquire again; the same word, and a depth that the owner keeps."""

    def _create(self, name: str | None) -> None:
        """Make a new lock in shared memory."""
        self.make(HDY_SYNC_RLOCK, sizeof(hdy_lock))
        self._bind(HDY_WAITS_RLOCK)
        self.call(name)

    def _adopt(self, cell: Cell, name: str | None) -> None:
        """Become a handle of the lock in `cell`."""
        self.take(cell, HDY_SYNC_RLOCK, sizeof(hdy_lock))
        self._bind(HDY_WAITS_RLOCK)
        self.name = name

    def acquire(self, bint block=True, timeout=None) -> bool:
        """True once this thread holds the lock, once more if it did already.

        Args:
            block: whether to wait for it.
            timeout: seconds to wait at the most; None waits without end, a negative number not at all.

        Returns:
            Whether the lock is held now.

        If a process dies here: its lock goes to the next acquirer, who finds `recovered` set.
        """
        cdef int64_t deadline = HDY_FOREVER if timeout is None else deadline_ns(timeout)
        if self.forks != hdy_rt.forks:
            self.recheck()
        return self.enter(block, deadline, 0)

    cdef bint enter(self, bint block, int64_t deadline, uint64_t how) except -1:
        if hdy_lock_take(self.at, 0, how):
            if tracing():
                self.trace(HDY_EVENT_HOLD)
            return hdy_rlock_enter(self.at, 1)
        if hdy_lock_is_mine(self.at):
            return hdy_rlock_enter(self.at, self.at.depth + 1)
        return self.contend(block, deadline, 0, how)

    cdef bint contend(self, bint block, int64_t deadline, uint64_t contended, uint64_t how) except -1:
        try:
            if not LockCell.contend(self, block, deadline, contended, how):
                return False
        except BaseException:
            # OwnerDied: raised while the lock is held, hence with a depth.
            if hdy_lock_is_mine(self.at):
                hdy_rlock_enter(self.at, 1)
            raise
        return hdy_rlock_enter(self.at, 1)

    def release(self) -> None:
        """Give the lock up once; free when as often as it was acquired.

        Raises:
            AssertionError: this thread does not hold it.
        """
        if self.forks != hdy_rt.forks:
            self.recheck()
        if tracing() and self.at.depth == 1:
            self.trace(HDY_EVENT_LET_GO)
        if hdy_rlock_release(self.at) == -EPERM:
            raise AssertionError(_NOT_OWNED)

    def __enter__(self) -> bool:
        if self.forks != hdy_rt.forks:
            self.recheck()
        return self.enter(True, HDY_FOREVER, HDY_TAKEN_WITH)

    def __exit__(self, *exc_info) -> None:
        RLockCell.release(self)

    def _count(self) -> int:
        """How often this process holds the lock."""
        return self.at.depth if LockCell._count(self) else 0

    cdef uint32_t let_go(self) except? 0:
        cdef uint32_t depth = self.at.depth << _DEPTH_SHIFT | (self.at.thread & HDY_TAKEN_WITH)
        LockCell.release(self)
        return depth

    cdef int take_back(self, uint32_t depth) except -1:
        if not hdy_lock_take(self.at, HDY_CONTENDED, depth & HDY_TAKEN_WITH):
            self.contend(True, HDY_FOREVER, HDY_CONTENDED, depth & HDY_TAKEN_WITH)
        elif tracing():
            self.trace(HDY_EVENT_HOLD)
        hdy_rlock_enter(self.at, depth >> _DEPTH_SHIFT)
        return 0


cdef class EventCell(SyncCell):
    """A flag that processes wait for."""

    def _create(self, name: str | None) -> None:
        """Make a new event in shared memory."""
        self.make(HDY_SYNC_EVENT, sizeof(hdy_event))
        self.at = <hdy_event *>self.cell.at
        self.call(name)

    def _adopt(self, cell: Cell, name: str | None) -> None:
        """Become a handle of the event in `cell`."""
        self.take(cell, HDY_SYNC_EVENT, sizeof(hdy_event))
        self.at = <hdy_event *>self.cell.at
        self.name = name

    def is_set(self) -> bool:
        """Whether the flag is up."""
        if self.forks != hdy_rt.forks:
            self.recheck()
        return (hdy_load_32(&self.at.word) & HDY_EVENT_SET) != 0

    def set(self) -> None:
        """Raise the flag: everyone who waits goes on, also when `clear` follows at once."""
        if self.forks != hdy_rt.forks:
            self.recheck()
        hdy_event_set(self.at)

    def clear(self) -> None:
        """Lower the flag."""
        if self.forks != hdy_rt.forks:
            self.recheck()
        hdy_event_clear(self.at)

    def wait(self, timeout=None) -> bool:
        """True once the flag is up, or was up at some time since the call.

        Args:
            timeout: seconds to wait at the most; None waits without end.

        Returns:
            False when the time was over first.
        """
        cdef int64_t deadline = HDY_FOREVER if timeout is None else deadline_ns(timeout)
        cdef int64_t slice_ns = FIRST_SLICE_NS
        cdef hdy_waiting w
        cdef uint32_t since, seen
        if self.forks != hdy_rt.forks:
            self.recheck()
        since = hdy_load_32(&self.at.word)
        if hdy_event_passed(self.at, since, &seen):
            return True
        self.show(&w, HDY_WAITS_EVENT, deadline)
        try:
            while not hdy_event_passed(self.at, since, &seen):
                if deadline != HDY_FOREVER and hdy_now_ns() >= deadline:
                    return False
                sleep_slice(&w, &self.at.word, seen, deadline, &slice_ns)
                hdy_event_slept()
        finally:
            hdy_wait_end(&w)
        return True


_declare(*[hdy_fp_name(i).decode() for i in range(hdy_fp_count())])
