# The board of a program: its processes by name, its dead by status (layout_board.h), who waits for what (wait.h).
from hardy._core.label cimport hdy_label

cdef extern from "wait.h":
    ctypedef struct hdy_wait_row:
        unsigned long long identity, turn, thread
        unsigned int tid, what
        unsigned long long segment, place
        long long since_ns
        unsigned long long holder, holder_thread
        long long seen_ns
        unsigned int how, stack_bytes
        hdy_label label
        char *stack
    ctypedef struct hdy_waiting:
        hdy_wait_row *row
        unsigned long long turn
        unsigned int traced
    const unsigned int HDY_WAITS
    const unsigned int HDY_WAIT_STACK
    enum:
        HDY_WAITS_LOCK
        HDY_WAITS_RLOCK
        HDY_WAITS_READ
        HDY_WAITS_WRITE
        HDY_WAITS_SEMAPHORE
        HDY_WAITS_EVENT
        HDY_WAITS_CONDITION
        HDY_WAITS_BARRIER
        HDY_WAITS_ITEMS
        HDY_WAITS_SPACE
        HDY_WAITS_DONE
        HDY_WAITS_END
        HDY_WAITS_NAMED
        HDY_WAITS_TIMED

cdef extern from "board.h":
    ctypedef struct hdy_board:
        unsigned int deaths
        hdy_wait_row *wait
    ctypedef struct hdy_row:
        unsigned long long ticket
        unsigned long long identity
        unsigned long long parent
        int status
        unsigned int outlives
        unsigned int flags
        unsigned int restarts
        unsigned int name_bytes
        char name[92]
    const unsigned int HDY_SLOT_DAEMON
    const int HDY_STATUS_NONE
    const int HDY_STATUS_UNKNOWN
    int hdy_board_read(hdy_board *b, unsigned int i, hdy_row *row) noexcept nogil
    unsigned int hdy_board_used(hdy_board *b) noexcept nogil
    int hdy_board_claim(hdy_board *b, unsigned long long parent, unsigned int outlives,
                        unsigned int flags, unsigned int restarts,
                        const char *name, unsigned int name_bytes) noexcept nogil
    void hdy_board_set_identity(hdy_board *b, int slot, unsigned long long identity) noexcept nogil
    unsigned long long hdy_board_identity(hdy_board *b, int slot) noexcept nogil
    void hdy_board_give_back(hdy_board *b, int slot) noexcept nogil

# This process's board; NULL until the first process of the program is started.
cdef hdy_board *current() noexcept nogil

# Counts the deaths of the program's processes; a futex that every reaper wakes. NULL as above.
cdef unsigned int *deaths() noexcept nogil

cdef extern from "wait.h":
    void hdy_wait_begin(hdy_waiting *w, hdy_board *b, unsigned int what, unsigned long long segment,
                        unsigned long long place, const hdy_label *label, int on) noexcept nogil
    void hdy_wait_end(hdy_waiting *w) noexcept nogil
    void hdy_wait_sees(hdy_waiting *w, unsigned long long holder, unsigned long long thread, unsigned int how,
                       long long seen_ns) noexcept nogil
    void hdy_wait_leave_stack(hdy_waiting *w, const char *text, unsigned int bytes) noexcept nogil
    int hdy_wait_read(const hdy_board *b, unsigned int i, hdy_wait_row *out) noexcept nogil

# This process's board, made if there is none yet, to show a wait on; NULL when none can be made.
cdef hdy_board *for_waits() except? NULL

# Which row that is.
cdef unsigned int row_number(hdy_waiting *w) noexcept

# Shows the stack of this thread, once, when it has waited long; the caller holds the GIL.
cdef int leave_stack(hdy_waiting *w) except -1
