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
#
# Before the desks lies the pool's own tally: how many calls it has in hand and what became of the others, for those who
# look from outside. The parent alone writes it, with the GIL held; nothing depends on it.
cimport cython
from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from libc.stdint cimport int64_t, uint32_t, uint64_t

from hardy._core cimport runtime
from hardy._core.label cimport hdy_label, read_label, write_label, write_text
from hardy._core.runtime cimport hdy_now_ns, hdy_rt, hdy_self

cdef extern from "layout_board.h":
    """
    #define HDY_TASK_NAME 56u
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
        char name[HDY_TASK_NAME]; /* of the task's function, UTF-8, ended by 0; written before RUNNING */
    } hdy_desk;
    _Static_assert(sizeof(hdy_desk) == 128, "a desk has two cache lines, none of them another's");
    typedef struct {
        hdy_label label;
        uint64_t maker;    /* identity of the pool's process; the commit of what is above */
        uint64_t open;     /* calls that were given to the pool and have not ended; an item of a map is one */
        uint64_t done, failed; /* of the ended: returned, raised or lost; what was cancelled is in neither */
        char kind[32];     /* "Pool", ended by 0 */
    } hdy_pool;
    _Static_assert(sizeof(hdy_pool) == 128, "a tally has two cache lines, as a desk");
    enum { HDY_DESK_IDLE = 0, HDY_DESK_TAKEN = 1, HDY_DESK_RUNNING = 2 };

    /* For those who look, and for nothing else: a build that leaves that out has none of it (trace.h). */
    #ifdef HARDY_BLIND
    #define HDY_DESK_SHOWS 0
    #else
    #define HDY_DESK_SHOWS 1
    #endif
    static inline void hdy_tally(uint64_t *p, uint64_t v)
    {
        if (HDY_DESK_SHOWS)
            __atomic_store_n(p, v, __ATOMIC_RELAXED);
    }
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
        char name[56]
    ctypedef struct hdy_pool:
        hdy_label label
        uint64_t maker, open, done, failed
        char kind[32]
    enum:
        HDY_TASK_NAME
        HDY_DESK_IDLE
        HDY_DESK_TAKEN
        HDY_DESK_RUNNING
    const bint HDY_DESK_SHOWS
    void hdy_tally(uint64_t *, uint64_t) noexcept nogil
    void hdy_desk_set_u64(uint64_t *, uint64_t) noexcept nogil
    uint64_t hdy_desk_get_u64(uint64_t *) noexcept nogil
    void hdy_desk_set_state(hdy_desk *, uint32_t) noexcept nogil
    uint32_t hdy_desk_state(hdy_desk *) noexcept nogil
    void hdy_desk_doom(hdy_desk *, uint32_t) noexcept nogil
    uint32_t hdy_desk_doomed(hdy_desk *) noexcept nogil

cdef extern from "<string.h>":
    size_t strnlen(const char *text, size_t most) noexcept nogil

hdy_rt = runtime.shared()

DESK_BYTES = sizeof(hdy_desk)
TALLY_BYTES = sizeof(hdy_pool)


cdef str _text(const char *text, size_t room):
    return text[:strnlen(text, room)].decode("utf-8", "replace")


# The counts of pools that have let go. (Not in an object of Python: those are not aligned to a cache line.)
cdef hdy_pool _nobodys


@cython.auto_pickle(False)
cdef class Tally:
    """What became of a pool's calls, where others can read it.

    Args:
        memory: a writable buffer that begins with the tally.
        kind: the class of the pool.
    """
    cdef Py_buffer view
    cdef bint held
    cdef hdy_pool *at

    def __init__(self, memory, str kind):
        if self.held:
            raise ValueError("a tally is set up once")
        PyObject_GetBuffer(memory, &self.view, PyBUF_WRITABLE)
        self.held = True
        if self.view.len < <Py_ssize_t>sizeof(hdy_pool):
            raise ValueError(f"there is no tally in {self.view.len} bytes")
        self.at = <hdy_pool *>self.view.buf
        write_label(&self.at.label, kind, None)
        self.at.kind[write_text(self.at.kind, kind, sizeof(self.at.kind) - 1)] = 0
        hdy_desk_set_u64(&self.at.maker, hdy_self())

    def __dealloc__(self):
        if self.held:
            PyBuffer_Release(&self.view)

    def let_go(self):
        """Give the memory back; what is counted later is counted for nobody."""
        if self.held:
            self.at = &_nobodys
            self.held = False
            PyBuffer_Release(&self.view)

    def given(self, uint64_t calls):
        """The pool has taken so many calls."""
        hdy_tally(&self.at.open, self.at.open + calls)

    def done(self, uint64_t calls):
        """So many returned."""
        hdy_tally(&self.at.done, self.at.done + calls)
        self.cancelled(calls)

    def failed(self, uint64_t calls):
        """So many raised, or were lost."""
        hdy_tally(&self.at.failed, self.at.failed + calls)
        self.cancelled(calls)

    def cancelled(self, uint64_t calls):
        """So many are no longer wanted."""
        hdy_tally(&self.at.open, self.at.open - min(calls, self.at.open))


@cython.auto_pickle(False)
cdef class Desk:
    """The desk of one worker, in a piece of shared memory.

    Args:
        memory: a writable buffer that the worker and its parent share; it begins with the tally.
        index: which desk of it.

    Raises:
        ValueError: the memory is too small.
    """
    cdef Py_buffer view
    cdef bint held
    cdef hdy_desk *at
    cdef object shown
    cdef char first

    def __init__(self, memory, Py_ssize_t index):
        if self.held:
            raise ValueError("a desk is set up once")
        PyObject_GetBuffer(memory, &self.view, PyBUF_WRITABLE)
        self.held = True
        if index < 0 or <Py_ssize_t>sizeof(hdy_pool) + (index + 1) * <Py_ssize_t>sizeof(hdy_desk) > self.view.len:
            raise ValueError(f"there is no desk {index} in {self.view.len} bytes")
        self.at = <hdy_desk *>(<hdy_pool *>self.view.buf + 1) + index

    def __dealloc__(self):
        if self.held:
            PyBuffer_Release(&self.view)

    # ---- by the worker ----

    def take(self, uint64_t task):
        """A task was taken, and is not begun."""
        hdy_desk_set_u64(&self.at.item, 0)
        hdy_desk_set_u64(&self.at.done, 0)
        hdy_desk_set_u64(&self.at.total, 0)
        self.at.name[0] = 0
        hdy_desk_set_u64(&self.at.task, task)
        hdy_desk_set_state(self.at, HDY_DESK_TAKEN)

    def show(self, function):
        """Which function the task calls."""
        if not HDY_DESK_SHOWS:
            return
        name = getattr(function, "__qualname__", None) or type(function).__name__
        if name is not self.shown:
            self.shown = name
            self.at.name[write_text(self.at.name, name, HDY_TASK_NAME - 1)] = 0
            self.first = self.at.name[0]
        else:
            self.at.name[0] = self.first  # `take` has hidden it

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
        self.at.name[0] = 0
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


cdef dict _desk(hdy_desk *at):
    cdef uint64_t task = hdy_desk_get_u64(&at.task)
    cdef uint32_t state = hdy_desk_state(at) % 3
    name = _text(at.name, HDY_TASK_NAME) if state == HDY_DESK_RUNNING else ""
    if hdy_desk_get_u64(&at.task) != task or hdy_desk_state(at) != state:
        name = ""  # it has gone on to another meanwhile
    return {
        "worker": hdy_desk_get_u64(&at.worker),
        "state": ("idle", "taken", "running")[state],
        "task": task,
        "item": hdy_desk_get_u64(&at.item),
        "function": name,
        "began_ns": at.began_ns,
        "reported": (hdy_desk_get_u64(&at.done), hdy_desk_get_u64(&at.total)),
        "ended": hdy_desk_get_u64(&at.ended),
    }


def read_pool(const unsigned char[::1] memory) -> dict | None:
    """A pool's tally and what its workers have in hand, read from outside; None when it is only just being made.

    Workers that are not ready are left out.
    """
    cdef hdy_pool *pool = <hdy_pool *>&memory[0]
    cdef hdy_desk *at
    cdef list desks = []
    if memory.shape[0] < <Py_ssize_t>sizeof(hdy_pool) or not hdy_desk_get_u64(&pool.maker):
        return None
    for i in range((memory.shape[0] - <Py_ssize_t>sizeof(hdy_pool)) // <Py_ssize_t>sizeof(hdy_desk)):
        at = <hdy_desk *>&memory[sizeof(hdy_pool) + i * <Py_ssize_t>sizeof(hdy_desk)]
        if hdy_desk_get_u64(&at.worker):
            desks.append(_desk(at))
    return {
        "kind": _text(pool.kind, sizeof(pool.kind)),
        "label": read_label(&pool.label),
        "maker": hdy_desk_get_u64(&pool.maker),
        "open": hdy_desk_get_u64(&pool.open),
        "done": hdy_desk_get_u64(&pool.done),
        "failed": hdy_desk_get_u64(&pool.failed),
        "desks": desks,
    }
