# Shared memory that nobody needs to delete: memfds, mapped once per process.
#
# A *segment* is one memfd with one mapping. Queues have one each. Small objects (locks and their
# like) are *cells* of shared slabs, so that ten thousand locks cost a handful of descriptors.
#
# Who may free a cell? A process that holds a handle may be killed, so no count of handles can be
# trusted. Hence: only the process that created a slab cuts cells from it; a cell is used again only
# when its handle was never shared (not sent anywhere, no fork since it was made); every other cell
# lives as long as its slab, and the slab as long as somebody maps it. A stale handle to somebody
# else's lock cannot exist. Rejected: reference counts by process (a fork would have to update one
# row per slab before the child runs, and a failed fork cannot be told from a slow one).
cimport cython
import os as _os
from libc.errno cimport errno
from libc.string cimport memset, memcpy
from posix.mman cimport mmap, munmap, MAP_SHARED, MAP_FAILED, PROT_READ, PROT_WRITE
from posix.unistd cimport ftruncate, close
import threading as _threading
import weakref as _weakref
import fcntl as _fcntl

from hardy._core cimport runtime
from hardy._core.runtime cimport hdy_rt, hdy_self, raise_errno
from hardy.errors import AttachError, ForeignHandle

cdef extern from "layout.h":
    """
    #include <sys/mman.h>
    #ifndef MAP_NORESERVE
    #define MAP_NORESERVE 0
    #endif
    """
    const unsigned long long HDY_MAGIC
    const unsigned int HDY_LAYOUT_VERSION
    int memfd_create(const char *name, unsigned int flags) nogil
    const unsigned int MFD_CLOEXEC
    const int MAP_NORESERVE

hdy_rt = runtime.shared()

_KIND_NAMES = {HDY_KIND_RING: "queue", HDY_KIND_SLAB: "slab of locks", HDY_KIND_BOARD: "board of processes",
               HDY_KIND_TRACE: "trace"}

# uid -> Segment, for the one mapping per process
_mapped = _weakref.WeakValueDictionary()
_mapped_lock = _threading.Lock()
cdef unsigned int _lock_forks = hdy_rt.forks


cdef object _lock():
    # Another thread of the parent may have been inside `attach`; it is not in the child to leave it. Rejected: a hook
    # after each fork, which costs a child that attaches nothing ten copied pages.
    global _mapped_lock, _lock_forks
    fresh = None if _lock_forks == hdy_rt.forks else _threading.Lock()
    if fresh is not None and _lock_forks != hdy_rt.forks:
        _mapped_lock = fresh
        _lock_forks = hdy_rt.forks
    return _mapped_lock


cdef class Segment:
    """One shared segment, mapped into this process.

    Attributes:
        fd: the memfd.
        kind: what is inside (see layout.h).
        uid: 16 random bytes that name it.
    """

    def __cinit__(self):
        self.fd = -1
        self.base = NULL

    def __dealloc__(self):
        if self.base != NULL:
            munmap(self.base, self.map_bytes)
        if self.fd >= 0:
            close(self.fd)

    cdef int check(self) except -1:
        if self.base == NULL:
            raise ValueError("this object was never set up: a subclass with an __init__ of its own must call "
                             "super().__init__()")
        if (<hdy_head *>self.base).pidns != hdy_rt.pidns:
            raise ForeignHandle(
                f"this {_KIND_NAMES.get(self.kind, 'object')} belongs to another pid namespace, where process "
                "ids mean other processes; hardy refuses, for a living holder would be taken for dead. "
                "Create it inside the namespace where it is used"
            )
        return 0

    cdef unsigned long long number(self) noexcept:
        return (<hdy_head *>self.base).uid[0] if self.base != NULL else 0

    def allocated_bytes(self) -> int:
        """Memory that the kernel holds for this segment now, in bytes."""
        return _os.fstat(self.fd).st_blocks * 512


cdef Segment _map(int fd, size_t map_bytes):
    cdef Segment s = Segment.__new__(Segment)
    cdef void *p = mmap(NULL, map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0)
    if p == MAP_FAILED:
        raise_errno(-errno, f"mapping {map_bytes} bytes of shared memory")
    s.base = <char *>p
    s.map_bytes = map_bytes
    return s


cdef Segment create_segment(str name, unsigned int kind, size_t map_bytes, size_t file_bytes):
    cdef int fd = memfd_create(name.encode(), MFD_CLOEXEC)
    if fd < 0:
        raise_errno(-errno, f"creating shared memory for a {_KIND_NAMES[kind]}")
    cdef Segment s
    try:
        if fd < 3:
            # A program may close or redirect 0, 1 and 2 without asking who lives there.
            moved = _fcntl.fcntl(fd, _fcntl.F_DUPFD_CLOEXEC, 3)
            close(fd)
            fd = moved
        if ftruncate(fd, file_bytes) < 0:
            raise_errno(-errno, f"reserving {file_bytes} bytes of shared memory for a {_KIND_NAMES[kind]}")
        s = _map(fd, map_bytes)
    except BaseException:
        close(fd)
        raise
    s.fd = fd
    s.kind = kind
    s.uid = _os.urandom(16)
    cdef hdy_head *head = <hdy_head *>s.base
    cdef const char *uid = s.uid
    memcpy(<char *>head.uid, uid, 16)
    head.magic = HDY_MAGIC
    head.version = HDY_LAYOUT_VERSION
    head.kind = kind
    head.pidns = hdy_rt.pidns
    head.creator = hdy_self()
    head.map_bytes = map_bytes
    _mapped[s.uid] = s
    return s


def known(uid: bytes) -> Segment | None:
    """The segment of that uid, if this process has it mapped."""
    return _mapped.get(uid)


def attach(fd: int, uid: bytes, kind: int) -> Segment:
    """Map the segment behind a descriptor; takes over `fd`, also when it fails.

    Args:
        fd: a descriptor of the memfd.
        uid: the 16 bytes that name the segment; another segment behind `fd` is refused.
        kind: what must be inside.

    Raises:
        AttachError: the descriptor is of something else, or of a corrupt segment.
        ForeignHandle: of another layout version, or from another pid namespace.
        MemoryError: it cannot be mapped.
    """
    cdef Segment s
    cdef hdy_head head
    cdef char *raw
    cdef int owned = fd
    with _lock():
        try:
            existing = _mapped.get(uid)
            if existing is not None:
                return existing
            data = _os.pread(owned, sizeof(hdy_head), 0)
            if len(data) < <Py_ssize_t>sizeof(hdy_head):
                raise AttachError("the descriptor that came with the handle is of no hardy object")
            raw = data
            memcpy(&head, raw, sizeof(hdy_head))
            if head.magic != HDY_MAGIC or head.kind != <unsigned int>kind or data[16:32] != uid:
                raise AttachError(
                    f"the descriptor that came with the handle is not of the {_KIND_NAMES[kind]} it names"
                )
            if head.version != HDY_LAYOUT_VERSION:
                raise ForeignHandle(
                    f"this {_KIND_NAMES[kind]} was made by a hardy with memory layout {head.version}, this one has "
                    f"layout {HDY_LAYOUT_VERSION}; use one version of hardy for all processes of a program"
                )
            if head.map_bytes < sizeof(hdy_head) or head.map_bytes > _os.fstat(owned).st_size:
                raise AttachError(f"the {_KIND_NAMES[kind]} is corrupt: it claims {head.map_bytes} bytes")
            s = _map(owned, head.map_bytes)
            s.fd = owned
            owned = -1
            s.kind = kind
            s.uid = uid
            s.check()
            _mapped[uid] = s
            return s
        finally:
            if owned >= 0:
                close(owned)


# ---- cells ----

cdef enum:
    _LINE = 64
    _SLAB_BYTES = 1 << 20

cdef Segment _slab = None
cdef size_t _slab_next = 0
cdef unsigned int _slab_forks = 0
# nbytes -> offsets in the current slab, given back and never shared
cdef dict _free = {}


cdef Cell allocate_cell(unsigned int nbytes):
    global _slab, _slab_next, _slab_forks
    cdef Cell c = Cell.__new__(Cell)
    cdef list spare
    nbytes = (nbytes + _LINE - 1) & ~<unsigned int>(_LINE - 1)
    # A child must not cut from its parent's slab: both would cut the same cell.
    if _slab is None or _slab_forks != hdy_rt.forks or (not _free.get(nbytes) and _slab_next + nbytes > _SLAB_BYTES):
        _slab = create_segment("hardy-slab", HDY_KIND_SLAB, _SLAB_BYTES, _SLAB_BYTES)
        _slab_next = _LINE
        _slab_forks = hdy_rt.forks
        _free.clear()
    _slab.check()
    spare = _free.get(nbytes)
    if spare:
        c.offset = spare.pop()
    else:
        c.offset = _slab_next
        _slab_next += nbytes
    c.segment = _slab
    c.nbytes = nbytes
    c.at = _slab.base + c.offset
    c._forked = hdy_rt.forked
    memset(c.at, 0, nbytes)
    return c


@cython.no_gc
cdef class Cell:
    """A piece of a slab that holds one small shared object.

    Attributes:
        segment: the slab.
        offset: where in the slab, in bytes.
        nbytes: its size, a multiple of a cache line.
    """

    def __dealloc__(self):
        if self.segment is not None and self.segment is _slab and not self._shared and self._forked == hdy_rt.forked:
            # Its label, at the end, is that of no object from now on.
            memset(self.at + self.nbytes - _LINE, 0, _LINE)
            try:
                _free.setdefault(self.nbytes, []).append(self.offset)
            except MemoryError:
                pass  # it is not used again; nobody is there who could be told

    def mark_shared(self) -> None:
        """Say that another process may come to hold this cell: it will not be used again."""
        self._shared = True


def cell_at(segment: Segment, offset: int, nbytes: int) -> Cell:
    """The cell that another process cut, by its place in an attached slab.

    Raises:
        AttachError: there is no such place in the slab.
    """
    cdef Cell c = Cell.__new__(Cell)
    cdef Segment s = segment
    if s.kind != HDY_KIND_SLAB or offset < _LINE or nbytes <= 0 or offset % _LINE or offset + nbytes > s.map_bytes:
        raise AttachError(f"the handle names bytes {offset} to {offset + nbytes} of a slab that has {s.map_bytes}")
    s.check()
    c.segment = s
    c.offset = offset
    c.nbytes = nbytes
    c.at = s.base + c.offset
    c._shared = True
    return c
