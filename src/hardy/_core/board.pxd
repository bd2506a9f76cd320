# The board of a program: its processes by name, its dead by status (layout_board.h).
cdef extern from "board.h":
    ctypedef struct hdy_board:
        unsigned int deaths
    ctypedef struct hdy_row:
        unsigned long long ticket
        unsigned long long identity
        unsigned long long parent
        int status
        unsigned int outlives
        unsigned int name_bytes
        char name[92]
    const int HDY_STATUS_NONE
    const int HDY_STATUS_UNKNOWN
    int hdy_board_read(hdy_board *b, unsigned int i, hdy_row *row) noexcept nogil
    unsigned int hdy_board_used(hdy_board *b) noexcept nogil
    int hdy_board_claim(hdy_board *b, unsigned long long parent, unsigned int outlives,
                        const char *name, unsigned int name_bytes) noexcept nogil
    void hdy_board_set_identity(hdy_board *b, int slot, unsigned long long identity) noexcept nogil
    void hdy_board_give_back(hdy_board *b, int slot) noexcept nogil

# This process's board; NULL until the first process of the program is started.
cdef hdy_board *current() noexcept nogil

# Counts the deaths of the program's processes; a futex that every reaper wakes. NULL as above.
cdef unsigned int *deaths() noexcept nogil
