# What a worker of a pool has in hand: told in shared memory, so that a death names its task.
#
# One desk a worker, written by the worker alone but for `doomed`, which its parent writes.
#
#   IDLE     nothing in hand
#   TAKEN    a task is taken from the ring and not begun: whoever finds it so may give it to another
#   RUNNING  the user's code runs; `item` is the place in the task, `began_ns` when that began
#
# The parent that wants to end exactly this task: dooms the desk, then looks. The worker: says RUNNING, then looks
# whether it is doomed. Both are sequentially consistent, so that one of them sees the other: a worker that has gone
# on to its next task meanwhile does not begin it, and no task dies for another.
cimport cython
from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from libc.stdint cimport int64_t, uint32_t, uint64_t

from hardy._core cimport runtime
from hardy._core.runtime cimport hdy_now_ns, hdy_rt, hdy_self

cdef extern from "base.h":
    """
    typedef struct {
        uint64_t task;     /* id of the task in hand; valid unless IDLE */
        uint64_t item;     /* which of its items */
        int64_t began_ns;  /* monotonic; when the item began, or the task where items are not timed */
        uint64_t done, total; /* as the task itself reports */
        uint64_t ended;    /* tasks that this worker has dealt with */
        uint32_t state;
        uint32_t doomed;   /* written by the parent */
        uint32_t ready;    /* the initializer is through */
        uint32_t unused;
        uint64_t worker;   /* identity of the worker, once it is ready */
        uint32_t more[14];
    } hdy_desk;
    _Static_assert(sizeof(hdy_desk) == 128, "a desk has two cache lines, none of them another's");
    enum { HDY_DESK_IDLE = 0, HDY_DESK_TAKEN = 1, HDY_DESK_RUNNING = 2 };

    static inline void hdy_desk_set_u64(uint64_t *p, uint64_t v) { __atomic_store_n(p, v, __ATOMIC_RELAXED); }
    static inline uint64_t hdy_desk_get_u64(uint64_t *p) { return __atomic_load_n(p, __ATOMIC_RELAXED); }
    static inline void hdy_desk_set_state(hdy_desk *d, uint32_t v) { hdy_store_seq(&d->state, v); }
    static inline uint32_t hdy_desk_state(hdy_desk *d) { return hdy_load_seq(&d->state); }
    static inline void hdy_desk_doom(hdy_desk *d, uint32_t v) { hdy_store_seq(&d->doomed, v); }
    static inline uint32_t hdy_desk_doomed(hdy_desk *d) { return hdy_load_seq(&d->doomed); }
    """
    ctypedef struct hdy_desk:
        uint64_t task, item, done, total, ended, worker
        int64_t began_ns
        uint32_t state, doomed, ready
    enum:
        HDY_DESK_IDLE
        HDY_DESK_TAKEN
        HDY_DESK_RUNNING
    void hdy_desk_set_u64(uint64_t *, uint64_t) noexcept nogil
    uint64_t hdy_desk_get_u64(uint64_t *) noexcept nogil
    void hdy_desk_set_state(hdy_desk *, uint32_t) noexcept nogil
    uint32_t hdy_desk_state(hdy_desk *) noexcept nogil
    void hdy_desk_doom(hdy_desk *, uint32_t) noexcept nogil
    uint32_t hdy_desk_doomed(hdy_desk *) noexcept nogil

hdy_rt = runtime.shared()

DESK_BYTES = sizeof(hdy_desk)


@cython.auto_pickle(False)
cdef class Desk:
    """The desk of one worker, in a piece of shared memory.

    Args:
        memory: a writable buffer that the worker and its parent share.
        index: which desk of it.

    Raises:
        ValueError: the memory is too small.
    """
    cdef Py_buffer view
    cdef bint held
    cdef hdy_desk *at

    def __init__(self, memory, Py_ssize_t index):
        if self.held:
            raise ValueError("a desk is set up once")
        PyObject_GetBuffer(memory, &self.view, PyBUF_WRITABLE)
        self.held = True
        if index < 0 or (index + 1) * <Py_ssize_t>sizeof(hdy_desk) > self.view.len:
            raise ValueError(f"there is no desk {index} in {self.view.len} bytes")
        self.at = <hdy_desk *>self.view.buf + index

    def __dealloc__(self):
        if self.held:
            PyBuffer_Release(&self.view)

    # ---- by the worker ----

    def take(self, uint64_t task):
        """A task was taken, and is not begun."""
        hdy_desk_set_u64(&self.at.item, 0)
        hdy_desk_set_u64(&self.at.done, 0)
        hdy_desk_set_u64(&self.at.total, 0)
        hdy_desk_set_u64(&self.at.task, task)
        hdy_desk_set_state(self.at, HDY_DESK_TAKEN)

    def begin(self):
        """Whether the task that was taken may run; if not, the parent is about to kill this worker."""
        self.at.began_ns = hdy_now_ns()
        hdy_desk_set_state(self.at, HDY_DESK_RUNNING)
        if hdy_desk_doomed(self.at):
            hdy_desk_set_state(self.at, HDY_DESK_TAKEN)
            return False
        return True

    def end(self):
        """Nothing is in hand any more; how many tasks this worker has dealt with."""
        hdy_desk_set_u64(&self.at.ended, self.at.ended + 1)
        hdy_desk_set_state(self.at, HDY_DESK_IDLE)
        return self.at.ended

    def report(self, uint64_t done, uint64_t total):
        """How far the task is, by its own count."""
        hdy_desk_set_u64(&self.at.total, total)
        hdy_desk_set_u64(&self.at.done, done)

    def say_ready(self):
        """The worker can take tasks."""
        hdy_desk_set_u64(&self.at.worker, hdy_self())
        self.at.ready = 1

    # ---- by the parent ----

    def clear(self):
        """Make it ready for the next worker."""
        self.at.ended = 0
        self.at.ready = 0
        hdy_desk_set_u64(&self.at.worker, 0)
        hdy_desk_set_state(self.at, HDY_DESK_IDLE)
        hdy_desk_doom(self.at, 0)

    def is_ready(self):
        """Whether the worker has come so far as to take tasks."""
        return bool(self.at.ready)

    def ended(self):
        """How many tasks its worker has dealt with."""
        return hdy_desk_get_u64(&self.at.ended)

    def running(self):
        """(task, item, when it began in monotonic ns), or None when nothing runs."""
        if hdy_desk_state(self.at) != HDY_DESK_RUNNING:
            return None
        return hdy_desk_get_u64(&self.at.task), hdy_desk_get_u64(&self.at.item), self.at.began_ns

    def doom(self, uint64_t task, uint64_t item):
        """Whether that item of that task runs, and will until the worker is killed or spared.

        Only the end of the item itself can come first; its result is then in the ring.
        """
        hdy_desk_doom(self.at, 1)
        if (hdy_desk_state(self.at) == HDY_DESK_RUNNING and hdy_desk_get_u64(&self.at.task) == task
                and hdy_desk_get_u64(&self.at.item) == item):
            return True
        hdy_desk_doom(self.at, 0)
        return False

    def doomed(self):
        """Whether the parent has doomed it."""
        return bool(hdy_desk_doomed(self.at))

    def progress(self):
        """(done, total) as the task reports it; (0, 0) when it does not."""
        return hdy_desk_get_u64(&self.at.done), hdy_desk_get_u64(&self.at.total)


@cython.auto_pickle(False)
cdef class Walk:
    """An iterator over a part of a list that tells the desk where it is.

    Attributes:
        given: how many items it has given.
        stop: where it ends; may be moved on.

    Args:
        desk: the desk to tell.
        items: the list.
        timed: whether each item's begin is noted.
    """
    cdef Desk desk
    cdef list items
    cdef bint timed
    cdef readonly Py_ssize_t given
    cdef public Py_ssize_t stop

    def __init__(self, Desk desk, list items, bint timed):
        self.desk = desk
        self.items = items
        self.timed = timed

    def __iter__(self):
        return self

    def __next__(self):
        cdef Py_ssize_t i = self.given
        if i >= self.stop or i >= PyList_GET_SIZE(self.items):
            raise StopIteration
        self.given = i + 1
        hdy_desk_set_u64(&self.desk.at.item, i)
        if self.timed:
            self.desk.at.began_ns = hdy_now_ns()
            # Orders the item before the look: see above.
            hdy_desk_set_state(self.desk.at, HDY_DESK_RUNNING)
            if hdy_desk_doomed(self.desk.at):
                # The parent doomed the item before this one, and ends this process.
                self.given = i
                hdy_desk_set_state(self.desk.at, HDY_DESK_TAKEN)
                raise Doomed
        item = <object>PyList_GET_ITEM(self.items, i)
        return item


class Doomed(BaseException):
    """The parent is about to kill this worker, and the next item must not begin."""


def read_desks(const unsigned char[::1] memory) -> list[dict]:
    """What the workers of a pool have in hand, read from outside; those that are not ready are left out."""
    cdef hdy_desk *at
    cdef list found = []
    for i in range(memory.shape[0] // <Py_ssize_t>sizeof(hdy_desk)):
        at = <hdy_desk *>&memory[i * <Py_ssize_t>sizeof(hdy_desk)]
        if hdy_desk_get_u64(&at.worker):
            found.append({
                "worker": hdy_desk_get_u64(&at.worker),
                "state": ("idle", "taken", "running")[hdy_desk_state(at) % 3],
                "task": hdy_desk_get_u64(&at.task),
                "item": hdy_desk_get_u64(&at.item),
                "began_ns": at.began_ns,
                "reported": (hdy_desk_get_u64(&at.done), hdy_desk_get_u64(&at.total)),
                "ended": hdy_desk_get_u64(&at.ended),
            })
    return found
