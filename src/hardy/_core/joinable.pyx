# A queue that counts what is not yet done with.
cimport cython
from libc.errno cimport ERANGE
from libc.stdint cimport uint64_t

from hardy._core cimport runtime
from hardy._core.channel cimport Channel
from hardy._core.ring cimport *
from hardy._core.ring cimport count_deaths
from hardy._core.runtime cimport deadline_ns, hdy_fp_count, hdy_fp_name, hdy_now_ns, hdy_rt
from hardy._core.runtime import _declare

hdy_rt = runtime.shared()
_declare(*[hdy_fp_name(i).decode() for i in range(hdy_fp_count())])


@cython.auto_pickle(False)  # how a queue travels is said above the core
cdef class JoinableRing(Channel):
    """A queue whose messages are each to be followed by a `task_done`."""

    def _task_done(self):
        self.segment.check()
        self._enter_head()
        cdef int rc = hdy_ring_task_done(&self.q)
        hdy_leave(&self.q, &self.q.ring.head)
        if rc == -ERANGE:
            raise ValueError("task_done() called too many times")

    def _join(self, timeout):
        """Waits until all is done.

        Returns:
            None: all is done; False: not in time; (identity, items): a dead process never finished these, and they
            are written off.
        """
        cdef long long deadline = deadline_ns(timeout)
        cdef int turn = 0
        cdef unsigned int seen, deaths, lost = 0
        cdef uint64_t identity = 0
        cdef bint over
        cdef hdy_ring *r = self.q.ring
        self.segment.check()
        while True:
            deaths = count_deaths()
            if self._enter(&r.head, True, deadline):
                return False
            over = hdy_unfinished(r) == 0
            if not over and turn and hdy_unread(r) == 0:
                lost = hdy_ring_write_off(&self.q, &identity)
            seen = hdy_ask(&self.q, HDY_DONE)
            hdy_leave(&self.q, &r.head)
            if lost:
                return (identity, lost)
            if over:
                return None
            if hdy_now_ns() >= deadline:
                return False
            self._sleep(HDY_DONE, seen, deaths, deadline, turn)
            turn += 1
