# What a shared object is called, for those who look from outside; see layout_board.h.
from libc.stdint cimport uint8_t, uint32_t

cdef extern from "layout_board.h":
    ctypedef struct hdy_label:
        uint32_t number
        uint8_t bytes, is_name
        char text[56]
    const unsigned int HDY_LABEL_TEXT

# Copies a text in UTF-8, as much of it as `most` bytes hold, cut at a character; how many bytes.
cdef int write_text(char *to, object text, unsigned int most) except -1

# Writes the label of a new object: the user's name for it, or where it was made. `kind`: objects of one are numbered.
cdef int write_label(hdy_label *label, object kind, object name) except -1

# What a label says, as Python values.
cdef dict read_label(const hdy_label *label)
