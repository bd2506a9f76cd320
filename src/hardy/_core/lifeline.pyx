# The lifeline seen from Python: children that are watched and reaped, and the watch on the parent.
import errno as _errno
import os as _os

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from posix.unistd cimport close

from hardy._core cimport board, runtime
from hardy._core.board cimport (HDY_STATUS_NONE, HDY_STATUS_UNKNOWN, HDY_WAITS_END, HDY_WAITS_TIMED, hdy_board,
                                hdy_wait_begin, hdy_wait_end, hdy_waiting)
from hardy._core.runtime cimport HDY_CLOCK_UNKNOWN, HDY_FOREVER, hdy_rt, hdy_identity_of, hdy_now_ns, raise_errno

from hardy._core import runtime as _runtime

cdef extern from "lifeline.h":
    """
    #include <pthread.h>
    #include <sys/eventfd.h>
    static int hdy_line_begin(hdy_board *(*current)(void))
    {
        hdy_line.board = current;
        return pthread_atfork(hdy_line_before_fork, hdy_line_after_fork_in_parent, hdy_line_after_fork);
    }
    static int hdy_in_main_thread(void)
    {
        return (pid_t)syscall(SYS_gettid) == getpid();
    }
    /* The number beside `name` in a file of lines `name number`, as the control groups have; -1: there is none.
     * Here, for it is asked at each start: what is no object of Python's is nothing to copy after the fork. */
    static long long hdy_count_in(const char *path, const char *name)
    {
        char text[4096];
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return -1;
        ssize_t n = read(fd, text, sizeof text - 1);
        close(fd);
        text[n < 0 ? 0 : n] = 0;
        size_t length = strlen(name);
        for (char *line = text; *line; line++) {
            if (strncmp(line, name, length) == 0 && line[length] == ' ')
                return strtoll(line + length, NULL, 10);
            line = strchr(line, '\\n');
            if (!line)
                break;
        }
        return -1;
    }

    /* How many threads the lifeline accounts for. */
    static int hdy_line_threads(void)
    {
        pthread_mutex_lock(&hdy_line.mutex);
        hdy_line_join_ended();
        int n = hdy_line.running;
        pthread_mutex_unlock(&hdy_line.mutex);
        return n;
    }

    /* Before a fork that is not hardy's: a thread with nothing left to watch is sent away, and waited for. */
    static void hdy_line_let_go(void)
    {
        struct timespec pause = {0, 20000};
        for (int i = 0, leaving = !hdy_forking.hardy; leaving && i < 500; i++) {
            pthread_mutex_lock(&hdy_line.mutex);
            leaving = hdy_line.running && hdy_line.watched == 0 && !hdy_line.watch_parent;
            if (!leaving)
                hdy_line_join_ended();
            else if (i == 0)
                hdy_line_ring(1);
            pthread_mutex_unlock(&hdy_line.mutex);
            if (leaving)
                nanosleep(&pause, NULL);
        }
    }

    static int hdy_poll_slice(int fd, int64_t deadline_ns)
    {
        struct pollfd p = {fd, POLLIN, 0};
        int64_t left_ms = 1000;
        if (deadline_ns != HDY_FOREVER)
            left_ms = (deadline_ns - hdy_now_ns() + HDY_NS_PER_MS - 1) / HDY_NS_PER_MS;
        int r = poll(&p, 1, left_ms > 1000 ? 1000 : left_ms < 0 ? 0 : (int)left_ms);
        return r < 0 ? (errno == EINTR ? 0 : -errno) : r;
    }
    """
    ctypedef struct hdy_forking_struct:
        long long before_ns
        int hardy
        int outlives
        int slot
        int main_thread
    ctypedef struct hdy_line_view:
        int parent_fd
        int arm_error
    hdy_forking_struct hdy_forking
    hdy_line_view hdy_line
    int hdy_line_begin(hdy_board *(*current)() noexcept nogil) noexcept nogil
    int hdy_in_main_thread() noexcept nogil
    int hdy_poll_slice(int fd, long long deadline_ns) noexcept nogil
    int hdy_pidfd_open(unsigned int pid) noexcept nogil
    int hdy_line_self() noexcept nogil
    int hdy_line_add(int pidfd, unsigned long long identity, int channel, int slot, int ours,
                     unsigned long long *token) noexcept nogil
    int hdy_line_status(unsigned long long token) noexcept nogil
    int hdy_line_await(unsigned long long token) noexcept nogil
    void hdy_line_await_end(unsigned long long token) noexcept nogil
    long long hdy_boot_ns() noexcept nogil
    unsigned long long hdy_identity_by_clock(unsigned int pid, long long before_ns, long long after_ns) noexcept nogil
    void hdy_clock_compare(unsigned long long identity, long long before_ns, long long after_ns) noexcept nogil
    int hdy_raise_fd(int fd) noexcept nogil
    int eventfd(unsigned int count, int flags) noexcept nogil
    const int EFD_CLOEXEC
    unsigned long long hdy_line_peak_bytes(unsigned long long token) noexcept nogil
    int hdy_line_drop(unsigned long long token) noexcept nogil
    int hdy_line_arm(int parent_fd, int outlives, int by_thread) noexcept nogil
    int hdy_line_threads() noexcept nogil
    void hdy_line_let_go() noexcept nogil
    long long hdy_count_in(const char *path, const char *name) noexcept nogil
    const int SYS_pidfd_send_signal
    long syscall(long number, ...) noexcept nogil
    int errno
    size_t hdy_fp_count() noexcept nogil
    const char *hdy_fp_name(size_t i) noexcept nogil

hdy_rt = runtime.shared()
if hdy_line_begin(board.current) != 0:
    raise ImportError("hardy: pthread_atfork failed; no memory?")


cdef int _raise_pidfd(int negative_errno, str doing) except -1:
    if -negative_errno in (_errno.ENOSYS, _errno.EPERM):
        raise OSError(
            -negative_errno,
            f"{doing}: this system has no pidfd_open(2), or forbids it ({_os.strerror(-negative_errno)}). "
            "hardy judges life and death by pidfds only: it needs Linux 5.4, and a seccomp profile that "
            "allows pidfd_open, pidfd_send_signal and waitid (Docker: 20.10 and later). No process was started"
        )
    return raise_errno(negative_errno, doing)


@cython.auto_pickle(False)
cdef class Child:
    """A child process that the lifeline watches.

    Attributes:
        pid: its process id.
        identity: pid and start time in one integer; 0 when it was gone before it could be read.
        pidfd: readable once it has ended, also after it was reaped. Closed with this object. Of a child that was gone
            before it could be watched it is another descriptor, which is readable too.
    """

    def __cinit__(self):
        self.pidfd = -1

    def __dealloc__(self):
        self._release()

    cdef void _release(self) noexcept:
        cdef int fd = self.pidfd
        self.pidfd = -1
        if fd >= 0 and (not self._added or self._forks != hdy_rt.forks or hdy_line_drop(self._token)):
            close(fd)

    def close(self) -> None:
        """Give the pidfd back. A child that still runs is reaped all the same."""
        self._release()

    def status(self) -> int | None:
        """As from `os.waitpid`; None while it runs, or in a process that is not its parent.

        Raises:
            ChildProcessError: it has ended, and nobody knows how.
        """
        cdef int status
        if self._forks != hdy_rt.forks:
            return None
        with nogil:
            status = hdy_line_status(self._token)
        if status == HDY_STATUS_NONE:
            return None
        if status == HDY_STATUS_UNKNOWN:
            raise ChildProcessError(_errno.ECHILD, f"how process {self.pid} ended was told to somebody else")
        return status

    def peak_bytes(self) -> int:
        """The most resident memory that it had, as the kernel counts it; 0 while it runs, or when nobody knows."""
        if self._forks != hdy_rt.forks:
            return 0
        return hdy_line_peak_bytes(self._token)

    def send_signal(self, number: int) -> None:
        """Send a signal to exactly this process; nothing happens when it has ended."""
        if self.pidfd < 0 or self._gone:
            return
        if syscall(SYS_pidfd_send_signal, self.pidfd, <int>number, NULL, 0) < 0 and errno != _errno.ESRCH:
            raise OSError(errno, f"sending signal {number} to process {self.pid}: {_os.strerror(errno)}")

    def wait(self, timeout_s: float | None) -> bool:
        """Wait for its end, without the GIL; signals interrupt it. Its status is taken before the caller goes on.

        Args:
            timeout_s: seconds; None waits for ever, 0 or less only looks.
        """
        cdef long long deadline = runtime.deadline_ns(timeout_s)
        cdef int r = 1
        cdef bint shown = False
        cdef hdy_waiting w
        if self.pidfd < 0 or self._forks != hdy_rt.forks:
            return wait_readable(self.pidfd, timeout_s)
        w.row = NULL
        w.traced = 0
        try:
            while True:
                with nogil:
                    if hdy_line_await(self._token):
                        if not shown:
                            hdy_wait_begin(&w, board.current(),
                                           HDY_WAITS_END | (0 if deadline == HDY_FOREVER else HDY_WAITS_TIMED),
                                           0, self.identity, NULL, False)
                            shown = True
                        r = hdy_poll_slice(self.pidfd, deadline)
                        # Before a handler of a signal runs, which may take its time.
                        hdy_line_await_end(self._token)
                    else:
                        r = 1
                if r < 0:
                    raise_errno(r, "waiting for a process")
                PyErr_CheckSignals()
                if r > 0:
                    return True
                if hdy_now_ns() >= deadline:
                    return False
                board.leave_stack(&w)
        finally:
            hdy_wait_end(&w)


def self_pidfd() -> int:
    """The pidfd of this process that its children watch; opened once, kept until it ends.

    Raises:
        OSError: the system has no pidfds or forbids them, or all descriptors are in use.
    """
    cdef int fd = hdy_line_self()
    if fd < 0:
        _raise_pidfd(fd, "starting a process")
    return fd


def begin_fork(slot: int, outlives: bool) -> None:
    """Say that the next fork of this thread makes a hardy child: it arms its lifeline before any Python."""
    hdy_forking.slot = slot
    hdy_forking.outlives = outlives
    hdy_forking.main_thread = hdy_in_main_thread()
    hdy_forking.hardy = 1
    hdy_forking.before_ns = hdy_boot_ns()


def end_fork(pid: int) -> int:
    """In the parent, after that fork, or when it failed.

    Args:
        pid: of the child; 0: there is none.

    Returns:
        its identity; 0: it is not known yet.
    """
    cdef long long after_ns = hdy_boot_ns()
    hdy_forking.hardy = 0
    if pid == 0:
        return 0
    if hdy_rt.clock == HDY_CLOCK_UNKNOWN:
        hdy_clock_compare(hdy_identity_of(pid), hdy_forking.before_ns, after_ns)
    return hdy_identity_by_clock(pid, hdy_forking.before_ns, after_ns)


def in_main_thread() -> bool:
    """Whether this is the thread that ends with the process."""
    return hdy_in_main_thread()


def watch(pid: int, slot: int, channel: int = -1, ours: bool = True, identity: int = 0) -> Child:
    """Watch a process that was just started, and reap it when it ends.

    Args:
        pid: its process id; it must not have been waited for.
        slot: its place on the board, or -1.
        channel: where a forkserver will say how it ended, or -1; taken over.
        ours: whether it is a child of this process (else of the forkserver).
        identity: of that process, where it is known.

    Raises:
        OSError: no pidfd can be had. The child runs, unwatched, and `channel` is still the caller's.
    """
    cdef Child child = Child.__new__(Child)
    cdef int r = hdy_pidfd_open(pid)
    child.pid = pid
    if r == -_errno.ESRCH and ours:
        # It has ended, and is gone: SIGCHLD is ignored, or somebody waits for any child. What is readable is its end.
        child._gone = True
        r = hdy_raise_fd(eventfd(1, EFD_CLOEXEC))
    if r < 0:
        _raise_pidfd(r, f"watching process {pid}")
    child.pidfd = r
    child.identity = identity or (0 if child._gone else hdy_identity_of(pid))
    if child.identity == 0:
        # Then the child itself may have said so.
        child.identity = board.hdy_board_identity(board.current(), slot)
    board.hdy_board_set_identity(board.current(), slot, child.identity)
    child._forks = hdy_rt.forks
    r = hdy_line_add(child.pidfd, child.identity, channel, slot, ours, &child._token)
    if r < 0:
        raise_errno(r, f"watching process {pid}")
    child._added = True
    return child


def announce(slot: int) -> None:
    """In a new child: put itself into its place on the board, should the parent not have come to it."""
    board.hdy_board_set_identity(board.current(), slot, runtime.hdy_self())


def arm(parent_pidfd: int, outlives: bool, by_thread: bool) -> None:
    """In a new child that was not forked by hardy: end with the parent. Takes the pidfd over.

    Args:
        parent_pidfd: the parent's own pidfd.
        outlives: whether it was told to outlive its parent.
        by_thread: whether it was started by the parent's main thread.
    """
    cdef int r = hdy_line_arm(parent_pidfd, outlives, by_thread)
    if r < 0:
        raise_errno(r, "watching the parent process")


def check_armed() -> None:
    """In a child that hardy forked: raise what kept its lifeline from being armed, if anything did."""
    if hdy_line.arm_error < 0:
        raise_errno(hdy_line.arm_error, "watching the parent process")


def parent_pidfd() -> int:
    """The pidfd of the parent, which stays the lifeline's; -1 in a process that hardy did not start."""
    return hdy_line.parent_fd


def thread_count() -> int:
    """How many native threads the lifeline has: 1 while there is something to watch, else 0."""
    return hdy_line_threads()


def let_go() -> None:
    """Wait, some milliseconds at most, for the end of a native thread that has nothing left to watch."""
    hdy_line_let_go()


def count_in(path: bytes, name: bytes) -> int:
    """The number beside `name` in a file of lines `name number`; -1 when there is no such file or line."""
    return hdy_count_in(path, name)


def wait_readable(fd: int, timeout_s: float | None) -> bool:
    """Wait for a pidfd, without the GIL; signals interrupt it.

    Args:
        fd: the descriptor.
        timeout_s: seconds; None waits for ever, 0 or less only looks.
    """
    cdef long long deadline = runtime.deadline_ns(timeout_s)
    cdef int r
    cdef int c_fd = fd
    while True:
        with nogil:
            r = hdy_poll_slice(c_fd, deadline)
        if r < 0:
            raise_errno(r, "waiting for a process")
        PyErr_CheckSignals()
        if r > 0:
            return True
        if hdy_now_ns() >= deadline:
            return False


_runtime._declare(*[hdy_fp_name(i).decode() for i in range(hdy_fp_count())])
