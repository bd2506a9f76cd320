# What a shared object is called: by its user, or after the line that made it.
import os as _os
import sys as _sys

from libc.string cimport memcpy

from hardy._core cimport runtime
from hardy._core.runtime cimport hdy_rt

cdef extern from "board.h":
    unsigned int hdy_cut(const char *text, unsigned int bytes, unsigned int most) noexcept nogil

hdy_rt = runtime.shared()

_PACKAGE = _os.path.dirname(_os.path.dirname(_os.path.abspath(__file__))) + _os.sep
_STDLIB = _os.path.dirname(_os.path.abspath(_os.__file__)) + _os.sep + "multiprocessing" + _os.sep

# kind -> how many this process has made
cdef dict _made = {}


cdef str _site():
    frame = _sys._getframe(0)
    while frame is not None:
        path = frame.f_code.co_filename
        if not path.startswith(_PACKAGE) and not path.startswith(_STDLIB):
            return f"{path[path.rfind('/') + 1:]}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


cdef int write_text(char *to, object text, unsigned int most) except -1:
    cdef bytes encoded = text.encode("utf-8", "replace")
    cdef unsigned int n = hdy_cut(encoded, len(encoded), most)
    memcpy(to, <const char *>encoded, n)
    return n


cdef int write_label(hdy_label *label, object kind, object name) except -1:
    count = _made[kind] = _made.get(kind, 0) + 1
    label.bytes = write_text(label.text, _site() if name is None else name, HDY_LABEL_TEXT)
    label.is_name = name is not None
    label.number = count & 0xFFFFFFFF
    return 0


cdef dict read_label(const hdy_label *label):
    cdef unsigned int n = min(label.bytes, HDY_LABEL_TEXT)
    return {"number": label.number, "is_named": label.is_name != 0, "text": label.text[:n].decode("utf-8", "replace")}
