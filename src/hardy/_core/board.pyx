# The board seen from Python: created by the first process that starts another, inherited by all.
from hardy._core cimport memory, runtime
from hardy._core.label cimport HDY_LABEL_TEXT, hdy_label, write_text
from hardy._core.memory cimport Segment
from hardy._core.runtime cimport hdy_rt, hdy_self, hdy_pid_of, hdy_alive, hdy_now_ns

import os as _os

from hardy._core import runtime as _runtime
from hardy.errors import ForeignHandle

cdef extern from "board.h":
    ctypedef struct hdy_stat:
        char state
        unsigned long long start
        int exit_status
    int hdy_read_stat(unsigned int pid, hdy_stat *out) noexcept nogil
    unsigned long long hdy_make_identity(unsigned int pid, unsigned long long start) noexcept nogil
    size_t hdy_fp_count() noexcept nogil
    const char *hdy_fp_name(size_t i) noexcept nogil

cdef extern from *:
    """
    static hdy_board *hdy_the_board;
    """
    hdy_board *hdy_the_board
    const size_t BOARD_BYTES "sizeof(hdy_board)"

hdy_rt = runtime.shared()

# After this time a waiting thread shows its stack.
cdef long long _long_ns = 1_000_000_000

_BEGINS = "multiprocessing/process.py"
_PACKAGE = _os.path.dirname(_os.path.dirname(_os.path.abspath(__file__))) + _os.sep
_STDLIB = _os.path.dirname(_os.path.abspath(_os.__file__)) + _os.sep
# Nobody made his mistake there.
_NOT_THE_USERS = (
    _STDLIB + "multiprocessing" + _os.sep,
    _STDLIB + "concurrent" + _os.sep,
    _STDLIB + "threading.py",
    _STDLIB + "contextlib.py",
)

# Keeps the mapping for as long as the process lives: other extensions hold pointers into it.
cdef Segment _segment = None


cdef hdy_board *current() noexcept nogil:
    return hdy_the_board


cdef unsigned int *deaths() noexcept nogil:
    return &hdy_the_board.deaths if hdy_the_board != NULL else NULL


cdef int _use(Segment s) except -1:
    global _segment, hdy_the_board
    _segment = s
    hdy_the_board = <hdy_board *>s.base
    return 0


def ensure(name: str) -> Segment:
    """The program's board, made now if there is none yet.

    Args:
        name: what the calling process is called; used when it is the program's first.

    Raises:
        ForeignHandle: this process has moved to another pid namespace than its board.
        MemoryError, OSError: it cannot be made.
    """
    cdef bytes encoded
    cdef int slot
    cdef Segment made
    if _segment is not None:
        _segment.check()
        return _segment
    made = memory.create_segment("hardy-board", memory.HDY_KIND_BOARD, BOARD_BYTES, BOARD_BYTES)
    if _segment is not None:
        # Another thread was quicker, while this one made its own; it has pointers into that already.
        return _segment
    _use(made)
    encoded = name.encode("utf-8", "replace")
    slot = hdy_board_claim(hdy_the_board, 0, 0, 0, 0, encoded, len(encoded))
    hdy_board_set_identity(hdy_the_board, slot, hdy_self())
    return _segment


cdef hdy_board *for_waits() except? NULL:
    if hdy_the_board == NULL:
        from multiprocessing.process import current_process
        try:
            ensure(current_process().name)
        except (ForeignHandle, MemoryError, OSError):
            return NULL
    return hdy_the_board


cdef int leave_stack(hdy_waiting *w) except -1:
    cdef bytes text
    if w.row != NULL and w.row.stack_bytes == 0 and hdy_now_ns() - w.row.since_ns > _long_ns:
        text = _stack_text().encode("utf-8", "replace")
        hdy_wait_leave_stack(w, text, len(text))
    return 0


cdef unsigned int row_number(hdy_waiting *w) noexcept:
    return <unsigned int>(w.row - hdy_the_board.wait)


def show_stacks_after(seconds: float) -> None:
    """Have threads of this process that wait for so long show their stacks."""
    global _long_ns
    _long_ns = <long long>(seconds * 1e9)


def frames_of_program(frames):
    """A stack without how hardy came to call the program's code, and without what it does inside of its calls."""
    frames = [each for each in frames if not each.filename.startswith(_PACKAGE)]
    # What is above the begin of a process's work is how it was started; in a forked child, how its parent came to.
    began = max((at for at, each in enumerate(frames[:-1], 1) if each.filename.endswith(_BEGINS)), default=0)
    return frames[began:]


def _stack_text() -> str:
    """The user's own part of the stack of this thread, the innermost call last, as far as it has room."""
    from traceback import extract_stack, format_list

    frames = frames_of_program(extract_stack())
    # A thread whose target is a method of a lock has none of its user's.
    frames = [each for each in frames if not each.filename.startswith(_NOT_THE_USERS)] or frames
    text, room = "", <int>HDY_WAIT_STACK
    for line in reversed(format_list(frames)):
        room -= len(line.encode("utf-8", "replace"))
        if room < 0 and text:
            break
        text = line + text
    return text or "(no Python frame)"


cdef class NamedWait:
    """Shows, until `end`, that this thread waits for a lock that is a name and lies in no memory of hardy's.

    Args:
        name: of the lock.
        number: what tells it from other names; not 0.
        timed: whether the wait ends by itself.
    """
    cdef hdy_waiting w

    def __init__(self, str name, unsigned long long number, bint timed):
        cdef hdy_label label
        label.bytes = write_text(label.text, name, HDY_LABEL_TEXT)
        label.is_name = 1
        label.number = 1
        hdy_wait_begin(&self.w, for_waits(), HDY_WAITS_NAMED | (HDY_WAITS_TIMED if timed else 0), number, 0, &label,
                       False)

    def sees(self, unsigned long long holder, long long seen_ns):
        """Which process holds it; which of its threads is not known."""
        hdy_wait_sees(&self.w, holder, 0, 0, seen_ns)

    def leave_stack(self):
        """Show the stack of this thread, when it has waited long."""
        leave_stack(&self.w)

    def end(self):
        """The wait is over."""
        hdy_wait_end(&self.w)


def adopt(segment: Segment) -> None:
    """Use the board that the parent handed to this process.

    Raises:
        ValueError: this process already has another board.
    """
    if _segment is not None and _segment.uid != segment.uid:
        raise ValueError("this process already belongs to another program's board of processes")
    _use(segment)


def claim(name: str, outlives: bool, daemon: bool = False, restarts: int = 0) -> int:
    """Give a child that is about to start its place on the board, before it exists.

    Args:
        name: what it is called.
        outlives: whether it was told to outlive its parent.
        daemon: whether it ends when its parent exits.
        restarts: how many processes had its place in a supervisor or a pool before it.

    Returns:
        the slot, or -1 when the board is full: the child is then nameless to others.
    """
    cdef bytes encoded = name.encode("utf-8", "replace")
    cdef int slot = -1
    if hdy_the_board != NULL:
        slot = hdy_board_claim(hdy_the_board, hdy_self(), outlives, HDY_SLOT_DAEMON if daemon else 0, restarts, encoded,
                               len(encoded))
    return max(slot, -1)


def give_back(slot: int) -> None:
    """Say that the start failed for which that slot was claimed."""
    hdy_board_give_back(hdy_the_board, slot)


cdef object _exitcode(hdy_row *row):
    cdef hdy_stat st
    cdef int status = row.status
    if status == HDY_STATUS_NONE:
        # Not reaped yet, or its reaper is dead too: while it is a zombie the kernel still knows.
        if hdy_read_stat(hdy_pid_of(row.identity), &st) < 0 or st.state != c'Z':
            return None
        if hdy_make_identity(hdy_pid_of(row.identity), st.start) != row.identity:
            return None
        status = st.exit_status
    if status == HDY_STATUS_UNKNOWN:
        return None
    return _os.waitstatus_to_exitcode(status)


cdef object _description(hdy_row *row):
    name = row.name[:row.name_bytes].decode("utf-8", "replace")
    return name, <int>hdy_pid_of(row.identity), _exitcode(row)


cdef object _find(unsigned long long identity, unsigned int pid):
    """The newest row of that identity, or of that pid when identity is 0."""
    cdef hdy_row row, best
    cdef unsigned int i
    best.ticket = 0
    if hdy_the_board == NULL:
        return None
    for i in range(hdy_board_used(hdy_the_board)):
        if not hdy_board_read(hdy_the_board, i, &row) or row.identity == 0:
            continue
        if row.identity == identity if identity else hdy_pid_of(row.identity) == pid:
            # The number that counts up is above the claimer's pid.
            if best.ticket >> 22 < row.ticket >> 22:
                best = row
    return _description(&best) if best.ticket else None


def describe(identity: int) -> tuple[str, int, int | None] | None:
    """Who that is, living or dead.

    Returns:
        name, pid, and the exit code as `Process.exitcode` gives it (None: it lives, or it is not known how it
        ended). None for a process that hardy did not start, or whose place was needed by a later one.
    """
    return _find(identity & ((1ull << 63) - 1), 0) if identity else None


def describe_pid(pid: int) -> tuple[str, int, int | None] | None:
    """As `describe`, for the newest process that had that pid."""
    return _find(0, pid) if pid > 0 else None


cdef list _rows():
    """(age, identity, parent, name, whether it may live) of every row, oldest first."""
    cdef hdy_row row
    cdef unsigned int i
    cdef list found = []
    if hdy_the_board != NULL:
        for i in range(hdy_board_used(hdy_the_board)):
            if hdy_board_read(hdy_the_board, i, &row) and row.identity != 0:
                name = row.name[:row.name_bytes].decode("utf-8", "replace")
                ended = row.status != HDY_STATUS_NONE
                found.append((row.ticket >> 22, row.identity, row.parent, name, not ended))
    found.sort()
    return found


def live() -> list[tuple[int, int, str]]:
    """Identity, parent's identity (0: the program's first process), name of each living process, by age."""
    return [row[1:4] for row in _rows() if row[4] and hdy_alive(row[1])]


def descendants(identity: int) -> list[tuple[int, int, str]]:
    """Those of `live` that come from that process, at any distance, also through the dead."""
    rows = _rows()
    found = []
    generation = {identity}
    while generation:
        below = [row for row in rows if row[2] in generation]
        found += [row[1:4] for row in below if row[4] and hdy_alive(row[1])]
        generation = {row[1] for row in below}
    return found


def death_count() -> int:
    """How many deaths of this program's processes were recorded."""
    return hdy_the_board.deaths if hdy_the_board != NULL else 0


_runtime._declare(*[hdy_fp_name(i).decode() for i in range(hdy_fp_count())])
