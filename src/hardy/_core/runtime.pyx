# What this process knows of itself: its identity, its pid namespace, and the armed failpoint.
import errno as _errno
import os as _os

cdef extern from *:
    """
    #include "base.h"
    #include <pthread.h>
    static hdy_runtime hdy_the_runtime;

    /* Runs in the child of every fork(), also of those that Python does not see. */
    static void hdy_forget_identity(void)
    {
        hdy_the_runtime.identity = 0;
        hdy_the_runtime.chunk = NULL;
        hdy_the_runtime.telling = 0;
        /* The namespace is the parent's unless that is nobody here; then, or when it has died, the kernel is asked. */
        if ((uint32_t)getppid() != hdy_the_runtime.pid)
            hdy_the_runtime.pidns = hdy_pidns();
        hdy_the_runtime.pid = (uint32_t)getpid();
        hdy_the_runtime.forks++;
        hdy_the_runtime.forked++;
    }
    static void hdy_note_fork(void)
    {
        hdy_the_runtime.forked++;
    }
    static int hdy_runtime_start(void)
    {
        hdy_the_runtime.pidns = hdy_pidns();
        hdy_the_runtime.pid = (uint32_t)getpid();
        return pthread_atfork(NULL, hdy_note_fork, hdy_forget_identity);
    }
    static void hdy_hit(const char *name)
    {
    #ifdef HARDY_FAILPOINTS
        if (hdy_rt->fp_action != HDY_FP_NONE)
            hdy_fp_hit(name);
    #endif
    }
    #ifdef HARDY_FAILPOINTS
    #define HDY_HAS_FAILPOINTS 1
    #else
    #define HDY_HAS_FAILPOINTS 0
    #endif
    """
    hdy_runtime hdy_the_runtime
    int hdy_runtime_start() noexcept nogil
    void hdy_hit(const char *name) noexcept nogil
    const int HDY_HAS_FAILPOINTS
    enum:
        HDY_FP_NONE
        HDY_FP_KILL
        HDY_FP_STOP


cdef hdy_runtime *shared() noexcept nogil:
    return &hdy_the_runtime


hdy_rt = &hdy_the_runtime
if hdy_runtime_start() != 0:
    raise ImportError("hardy: pthread_atfork failed; no memory?")
if hdy_self() == 0:
    raise ImportError(
        "hardy cannot read /proc/self/stat: it tells processes apart by pid and start time. "
        "Mount /proc (in a container: do not hide it)."
    )


cdef long long deadline_ns(object timeout_s) except -1:
    cdef double seconds
    if timeout_s is None:
        return HDY_FOREVER
    try:
        seconds = timeout_s
    except TypeError:
        raise TypeError(f"timeout must be a number of seconds or None, not {type(timeout_s).__name__}") from None
    if seconds != seconds:
        raise ValueError("timeout must be a number of seconds or None, not nan")
    if seconds < 0:
        seconds = 0
    if seconds > 4e9:
        return HDY_FOREVER
    return hdy_now_ns() + <long long>(seconds * 1e9)


cdef int raise_errno(int negative_errno, str doing) except -1:
    cdef int code = -negative_errno
    if code == _errno.ENOMEM or code == _errno.ENOSPC:
        raise MemoryError(f"{doing}: {_os.strerror(code)}; nothing was changed")
    if code == _errno.EMFILE:
        import resource
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        raise OSError(code, f"{doing}: this process has all of its {limit} descriptors in use; "
                            "nothing was changed. Raise the limit with `ulimit -n`")
    raise OSError(code, f"{doing}: {_os.strerror(code)}")


def self_identity() -> int:
    """This process, for ever: pid and start time in one integer (see base.h)."""
    return hdy_self()


def identity_of(pid: int) -> int:
    """The identity of the process that has `pid` now; 0 when there is none."""
    return hdy_identity_of(pid)


def pid_of(identity: int) -> int:
    """The pid inside an identity."""
    return hdy_pid_of(identity)


def is_alive(identity: int) -> bool:
    """Whether that process still runs. A zombie does not; a stopped process does."""
    return hdy_alive(identity)


def pid_namespace() -> int:
    """Inode of this process's pid namespace."""
    return hdy_the_runtime.pidns


def fork_count() -> int:
    """How many forks lie between this process and the one that first imported hardy."""
    return hdy_the_runtime.forks


# ---- failpoints ----

_names = set()


def has_failpoints() -> bool:
    """Whether this build has failpoints (the tests' build has, a release has not)."""
    return HDY_HAS_FAILPOINTS == 1


def _declare(*names: str) -> None:
    """Add names to the list that the crash tests are generated from."""
    _names.update(names)


def failpoints() -> list[str]:
    """Every failpoint of the extensions imported so far, sorted."""
    return sorted(_names)


def hit(name: str) -> None:
    """A failpoint in Python code; the name must have been declared."""
    if HDY_HAS_FAILPOINTS:
        hdy_hit(name.encode())


def arm(spec: str) -> None:
    """Arm one failpoint of this process and of the children it forks.

    Args:
        spec: `name=kill`, `name=stop`, or with a count `name=kill:3` (the third hit); "" disarms.

    Raises:
        ValueError: the spec is malformed, or this build has no failpoints.
    """
    if not spec:
        hdy_the_runtime.fp_action = HDY_FP_NONE
        return
    if not HDY_HAS_FAILPOINTS:
        raise ValueError("this build of hardy has no failpoints; build with HARDY_FAILPOINTS=1")
    name, _, action = spec.partition("=")
    action, _, hits = action.partition(":")
    encoded = name.encode()
    if action not in ("kill", "stop") or not 0 < len(encoded) < 64 or (hits and not hits.isdecimal()):
        raise ValueError(f"malformed failpoint {spec!r}; for example ring.put.after_commit=kill:3")
    hdy_the_runtime.fp_action = HDY_FP_NONE
    for i in range(len(encoded)):
        hdy_the_runtime.fp_name[i] = encoded[i]
    hdy_the_runtime.fp_name[len(encoded)] = 0
    hdy_the_runtime.fp_left = int(hits or 1) - 1
    hdy_the_runtime.fp_action = HDY_FP_KILL if action == "kill" else HDY_FP_STOP


_declare(*[hdy_fp_name(i).decode() for i in range(hdy_fp_count())])
arm(_os.environ.get("HARDY_FAILPOINT", ""))
