# What hardy's shared memory says, read from outside: by a process that has only mapped it, to read.
#
# Nothing is written and no guard is taken, so nobody is held up and a stopped program can be read as well. What is
# counted at one instant (the length of a queue, one wait) is so; two objects are read one after the other.
from libc.stdint cimport int32_t, uint32_t, uint64_t

from hardy._core cimport board, runtime
from hardy._core.board cimport (HDY_SLOT_DAEMON, HDY_STATUS_NONE, HDY_STATUS_UNKNOWN, HDY_WAITS, hdy_board,
                                hdy_board_read, hdy_board_used, hdy_row, hdy_wait_read, hdy_wait_row)
from hardy._core.label cimport hdy_label, read_label
from hardy._core.memory cimport HDY_KIND_BOARD, HDY_KIND_RING, HDY_KIND_SLAB, hdy_head
from hardy._core.runtime cimport hdy_rt

cdef extern from "<string.h>":
    size_t strnlen(const char *text, size_t most) noexcept nogil

cdef extern from "layout_board.h":
    const uint64_t HDY_MAGIC
    const uint32_t HDY_LAYOUT_VERSION

cdef extern from "sync_lock.h":
    ctypedef struct hdy_lock:
        uint32_t kind, depth
        uint64_t owner, thread, recovered
        uint32_t habits
    ctypedef struct hdy_event:
        uint32_t word
    ctypedef struct hdy_party:
        uint32_t rows
    ctypedef struct hdy_sem_row:
        uint64_t identity
        uint32_t held
    ctypedef struct hdy_sem:
        hdy_party party
        uint64_t count
        int32_t bound
        hdy_sem_row row[1]
    ctypedef struct hdy_cond_row:
        uint64_t identity
        uint32_t state
    ctypedef struct hdy_cond:
        hdy_party party
        hdy_cond_row row[1]
    ctypedef struct hdy_barrier:
        uint32_t parties, state, arrived
    ctypedef struct hdy_barrier_row:
        pass
    ctypedef struct hdy_rw_row:
        uint64_t identity
        uint32_t reading, queued
    ctypedef struct hdy_rw:
        hdy_party party
        uint64_t writer, thread, recovered
        hdy_rw_row row[1]
    enum:
        HDY_SYNC_LOCK
        HDY_SYNC_RLOCK
        HDY_SYNC_EVENT
        HDY_SYNC_SEMAPHORE
        HDY_SYNC_CONDITION
        HDY_SYNC_BARRIER
        HDY_SYNC_RWLOCK
        HDY_SEM_ROWS
        HDY_COND_ROWS
        HDY_COND_FREE
        HDY_RW_ROWS
        HDY_BARRIER_SPARE_ROWS
        HDY_BARRIER_MOST_PARTIES
        HDY_TAKEN_WITH
        HDY_EVENT_SET
    const uint64_t HDY_THREAD_FLAGS
    uint64_t hdy_owner_identity(uint64_t word) noexcept nogil
    int32_t hdy_sem_value(uint64_t count) noexcept nogil
    uint64_t hdy_load_64 "hdy_load"(const uint64_t *p) noexcept nogil
    uint32_t hdy_load_32 "hdy_load"(const uint32_t *p) noexcept nogil

cdef extern from "users.h":
    """
    /* The two ends at one instant: of a view, whose difference is the length. */
    static inline void hdy_look_at(hdy_ring *r, hdy_end *head, hdy_end *tail)
    {
        for (;;) {
            uint64_t at_head = hdy_peek(&r->head, head);
            hdy_peek(&r->tail, tail);
            if (hdy_load(&r->head.commits) == at_head)
                return;
        }
    }
    """
    ctypedef struct hdy_end:
        uint64_t seq, bytes
    ctypedef struct hdy_progress:
        uint64_t done
    ctypedef struct hdy_ring:
        hdy_progress progress[2]
        uint64_t maxsize, maxbytes
        uint32_t max_deliveries, joinable, ended, closes, leased, ready, dead
    ctypedef struct hdy_user:
        uint64_t identity
        uint32_t flags, waiting
    ctypedef struct hdy_sign:
        hdy_label label
        char kind[32]
    enum:
        HDY_USERS
        HDY_USERS_OFFSET
        HDY_TABLE_OFFSET
        HDY_USER_PUT
        HDY_USER_CLOSED
    hdy_sign *hdy_sign_of(hdy_ring *r) noexcept nogil
    hdy_user *hdy_users(hdy_ring *r) noexcept nogil
    hdy_progress *hdy_progress_now(hdy_ring *r) noexcept nogil
    void hdy_look_at(hdy_ring *r, hdy_end *head, hdy_end *tail) noexcept nogil

hdy_rt = runtime.shared()

LAYOUT_VERSION = HDY_LAYOUT_VERSION
BOARD, RING, SLAB = HDY_KIND_BOARD, HDY_KIND_RING, HDY_KIND_SLAB
BOARD_BYTES = sizeof(hdy_board)
RING_BYTES = <int>HDY_TABLE_OFFSET
HEAD_BYTES = sizeof(hdy_head)


cdef str _text(const char *text, Py_ssize_t n):
    return text[:n].decode("utf-8", "replace")


def read_head(const unsigned char[::1] memory) -> dict | None:
    """What a segment says of itself; None when it is none of hardy's."""
    cdef const hdy_head *head = <const hdy_head *>&memory[0]
    if memory.shape[0] < <Py_ssize_t>sizeof(hdy_head) or head.magic != HDY_MAGIC:
        return None
    return {
        "version": head.version,
        "kind": head.kind,
        "number": head.uid[0],
        "pidns": head.pidns,
        "creator": head.creator,
    }


cdef int _check(const unsigned char[::1] memory, Py_ssize_t least) except -1:
    if memory.shape[0] < least:
        raise ValueError(f"{memory.shape[0]} bytes are too few: {least} are needed")
    return 0


def read_board(const unsigned char[::1] memory) -> list[dict]:
    """The processes on a board, oldest first."""
    _check(memory, sizeof(hdy_board))
    cdef hdy_board *b = <hdy_board *>&memory[0]
    cdef hdy_row row
    cdef list found = []
    for i in range(hdy_board_used(b)):
        if not hdy_board_read(b, i, &row) or row.identity == 0:
            continue
        found.append({
            "age": row.ticket >> 22,
            "identity": row.identity,
            "parent": row.parent,
            "status": row.status if row.status != HDY_STATUS_NONE and row.status != HDY_STATUS_UNKNOWN else None,
            "has_ended": row.status != HDY_STATUS_NONE,
            "outlives": row.outlives != 0,
            "daemon": (row.flags & HDY_SLOT_DAEMON) != 0,
            "restarts": row.restarts,
            "name": _text(row.name, row.name_bytes),
        })
    found.sort(key=lambda row: row["age"])
    return found


cdef dict _wait(uint32_t i, const hdy_wait_row *row):
    return {
        "row": i,
        "turn": row.turn,
        "identity": row.identity,
        "thread": row.thread,
        "tid": row.tid,
        "what": row.what & 0xff,
        "is_timed": (row.what & 0x100) != 0,
        "segment": row.segment,
        "place": row.place,
        "since_ns": row.since_ns,
        "holder": row.holder,
        "holder_thread": row.holder_thread,
        "seen_ns": row.seen_ns,
        "how": row.how,
        "label": read_label(&row.label),
        "stack": _text(<const char *>row.stack, row.stack_bytes),
    }


def read_waits(const unsigned char[::1] memory) -> list[dict]:
    """The threads of a board's processes that wait in hardy now."""
    _check(memory, sizeof(hdy_board))
    cdef const hdy_board *b = <const hdy_board *>&memory[0]
    cdef hdy_wait_row row
    cdef list found = []
    for i in range(HDY_WAITS):
        if hdy_wait_read(b, i, &row):
            found.append(_wait(i, &row))
    return found


def read_ring(const unsigned char[::1] memory) -> dict:
    """A queue: what is in it, and who uses it."""
    _check(memory, HDY_TABLE_OFFSET)
    cdef hdy_ring *r = <hdy_ring *>&memory[0]
    cdef hdy_sign *sign = hdy_sign_of(r)
    cdef hdy_user *users = hdy_users(r)
    cdef const hdy_user *user
    cdef hdy_end head, tail
    cdef list known = []
    hdy_look_at(r, &head, &tail)
    for i in range(HDY_USERS):
        user = &users[i]
        if user.identity:
            known.append((user.identity, bool(user.flags & HDY_USER_PUT), bool(user.flags & HDY_USER_CLOSED)))
    return {
        "kind": _text(sign.kind, strnlen(sign.kind, sizeof(sign.kind))),
        "label": read_label(&sign.label),
        "count": tail.seq - head.seq,
        "nbytes": tail.bytes - head.bytes,
        "put": tail.seq,
        "got": head.seq,
        "maxsize": r.maxsize,
        "maxbytes": r.maxbytes,
        "unfinished": tail.seq - hdy_progress_now(r).done if r.joinable else None,
        "leased": r.leased,
        "ready": r.ready,
        "dead": r.dead,
        "closes": r.closes,
        "has_ended": r.ended != 0,
        "users": known,
    }


cdef Py_ssize_t _cell_bytes(const unsigned char *at, Py_ssize_t left):
    # What a cell takes up, its label included; 0 where there is none.
    cdef uint32_t kind = hdy_load_32(<const uint32_t *>at)
    cdef Py_ssize_t n = 0
    if kind == HDY_SYNC_LOCK or kind == HDY_SYNC_RLOCK:
        n = sizeof(hdy_lock)
    elif kind == HDY_SYNC_EVENT:
        n = sizeof(hdy_event)
    elif kind == HDY_SYNC_SEMAPHORE:
        n = sizeof(hdy_sem)
    elif kind == HDY_SYNC_CONDITION:
        n = sizeof(hdy_cond)
    elif kind == HDY_SYNC_RWLOCK:
        n = sizeof(hdy_rw)
    elif kind == HDY_SYNC_BARRIER and left >= <Py_ssize_t>sizeof(hdy_barrier):
        n = (<const hdy_barrier *>at).parties
        if n > HDY_BARRIER_MOST_PARTIES:
            return 0
        n = sizeof(hdy_barrier) + (n + HDY_BARRIER_SPARE_ROWS) * sizeof(hdy_barrier_row)
    if n == 0:
        return 0
    n = (n + 63) // 64 * 64 + sizeof(hdy_label)
    return n if n <= left else 0


cdef dict _lock(const hdy_lock *lock):
    thread = hdy_load_64(&lock.thread)
    return {
        "kind": "RLock" if lock.kind == HDY_SYNC_RLOCK else "Lock",
        "holder": hdy_owner_identity(hdy_load_64(&lock.owner)),
        "holder_thread": thread & ~HDY_THREAD_FLAGS,
        "how": (thread & HDY_TAKEN_WITH) | lock.habits,
        "depth": lock.depth,
    }


cdef dict _semaphore(const hdy_sem *sem):
    cdef list holders = []
    for i in range(min(hdy_load_32(&sem.party.rows), <uint32_t>HDY_SEM_ROWS)):
        if sem.row[i].held:
            holders.append((sem.row[i].identity, sem.row[i].held))
    bounded = sem.bound != 0x7fffffff
    return {
        "kind": "BoundedSemaphore" if bounded else "Semaphore",
        "value": hdy_sem_value(hdy_load_64(&sem.count)),
        "bound": sem.bound if bounded else None,
        "holders": holders,
    }


cdef dict _rwlock(const hdy_rw *lock):
    cdef list readers = []
    for i in range(min(hdy_load_32(&lock.party.rows), <uint32_t>HDY_RW_ROWS)):
        if lock.row[i].identity and lock.row[i].reading:
            readers.append((lock.row[i].identity, lock.row[i].reading))
    return {"kind": "RWLock", "holder": lock.writer, "holder_thread": lock.thread, "holders": readers}


cdef dict _condition(const hdy_cond *cond):
    cdef int waiting = 0
    for i in range(min(hdy_load_32(&cond.party.rows), <uint32_t>HDY_COND_ROWS)):
        waiting += cond.row[i].state != HDY_COND_FREE
    return {"kind": "Condition", "value": waiting}


cdef dict _object(const unsigned char *at):
    cdef uint32_t kind = (<const uint32_t *>at)[0]
    cdef const hdy_barrier *barrier = <const hdy_barrier *>at
    if kind == HDY_SYNC_LOCK or kind == HDY_SYNC_RLOCK:
        return _lock(<const hdy_lock *>at)
    if kind == HDY_SYNC_SEMAPHORE:
        return _semaphore(<const hdy_sem *>at)
    if kind == HDY_SYNC_RWLOCK:
        return _rwlock(<const hdy_rw *>at)
    if kind == HDY_SYNC_CONDITION:
        return _condition(<const hdy_cond *>at)
    if kind == HDY_SYNC_EVENT:
        return {"kind": "Event", "value": (<const hdy_event *>at).word & HDY_EVENT_SET}
    return {"kind": "Barrier", "value": barrier.arrived, "bound": barrier.parties, "is_broken": bool(barrier.state & 1)}


def read_slab(const unsigned char[::1] memory) -> list[dict]:
    """The locks and their like in a slab; those included that nobody has a handle of any more."""
    cdef Py_ssize_t offset = sizeof(hdy_head), end = memory.shape[0], n
    cdef list found = []
    while offset + 64 <= end:
        n = _cell_bytes(&memory[offset], end - offset)
        if n:
            each = _object(&memory[offset])
            each["place"] = offset
            each["label"] = read_label(<const hdy_label *>&memory[offset + n - sizeof(hdy_label)])
            found.append(each)
        offset += max(n, 64)
    return found


def own_waits() -> list[dict]:
    """As `read_waits`, of the program that this process belongs to."""
    cdef hdy_board *b = board.current()
    cdef hdy_wait_row row
    cdef list found = []
    if b != NULL:
        for i in range(HDY_WAITS):
            if hdy_wait_read(b, i, &row):
                found.append(_wait(i, &row))
    return found


def own_board() -> list[dict]:
    """As `read_board`, of the program that this process belongs to."""
    cdef hdy_board *b = board.current()
    return [] if b == NULL else read_board(<const unsigned char[:sizeof(hdy_board)]><unsigned char *>b)
