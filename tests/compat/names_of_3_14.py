"""What the documentation of Python 3.14 names of `multiprocessing`: each with the module or class that has it."""

from __future__ import annotations

# Of the package, and of each context.
EVERYWHERE = (
    "Array AuthenticationError Barrier BoundedSemaphore BufferTooShort Condition Event JoinableQueue Lock "
    "Manager Pipe Pool Process ProcessError Queue RLock RawArray RawValue Semaphore SimpleQueue "
    "TimeoutError Value active_children allow_connection_pickling cpu_count current_process "
    "freeze_support get_all_start_methods get_context get_logger get_start_method log_to_stderr "
    "parent_process reducer set_executable set_forkserver_preload set_start_method"
)

MODULES = {
    "connection": "AuthenticationError Client Connection Listener answer_challenge deliver_challenge wait",
    "dummy": "Pool Process Queue",
    "managers": (
        "BaseManager BaseProxy DictProxy ListProxy Namespace SetProxy SharedMemoryManager SyncManager ValueProxy"
    ),
    "pool": "AsyncResult Pool ThreadPool",
    "process": "BaseProcess active_children current_process parent_process",
    "queues": "Empty Full JoinableQueue Queue SimpleQueue",
    "reduction": "ForkingPickler register",
    "shared_memory": "ShareableList SharedMemory",
    "sharedctypes": "Array RawArray RawValue Value copy synchronized",
    "synchronize": "Barrier BoundedSemaphore Condition Event Lock RLock Semaphore",
    "util": (
        "SUBDEBUG SUBWARNING Finalize ForkAwareLocal ForkAwareThreadLock close_all_fds_except debug get_logger "
        "get_temp_dir info is_exiting log_to_stderr register_after_fork sub_debug sub_warning warn"
    ),
}

CLASSES = {
    "Process": "authkey close daemon exitcode ident interrupt is_alive join kill name pid run sentinel start terminate",
    "connection.Connection": "close fileno poll recv recv_bytes recv_bytes_into send send_bytes",
    "connection.Listener": "accept address close last_accepted",
    "managers.BaseManager": "address connect get_server register shutdown start",
    "managers.SharedMemoryManager": "ShareableList SharedMemory",
    "managers.SyncManager": (
        "Array Barrier BoundedSemaphore Condition Event Lock Namespace Queue RLock Semaphore Value dict list set"
    ),
    "pool.AsyncResult": "get ready successful wait",
    "pool.Pool": "apply apply_async close imap imap_unordered join map map_async starmap starmap_async terminate",
    "queues.JoinableQueue": "join task_done",
    "queues.Queue": "cancel_join_thread close empty full get get_nowait join_thread put put_nowait qsize",
    "queues.SimpleQueue": "close empty get put",
    "shared_memory.ShareableList": "count format index shm",
    "shared_memory.SharedMemory": "buf close name size unlink",
    "synchronize.Barrier": "abort broken n_waiting parties reset wait",
    "synchronize.BoundedSemaphore": "acquire get_value locked release",
    "synchronize.Condition": "acquire notify notify_all release wait wait_for",
    "synchronize.Event": "clear is_set set wait",
    "synchronize.Lock": "acquire locked release",
    "synchronize.RLock": "acquire locked release",
    "synchronize.Semaphore": "acquire get_value locked release",
}

# Those that may be written `Queue[int]`.
GENERIC = "managers.DictProxy managers.ListProxy managers.SetProxy queues.Queue queues.SimpleQueue"

PROXIES = {
    "Barrier": "abort broken n_waiting parties reset wait",
    "Condition": "acquire locked notify notify_all release wait wait_for",
    "Event": "clear is_set set wait",
    "Lock": "acquire locked release",
    "RLock": "acquire locked release",
    "Semaphore": "acquire locked release",
    "dict": (
        "__contains__ __delitem__ __getitem__ __ior__ __iter__ __len__ __or__ __reversed__ __ror__ __setitem__ clear "
        "copy fromkeys get items keys pop popitem setdefault update values"
    ),
    "list": (
        "__add__ __contains__ __delitem__ __getitem__ __iadd__ __imul__ __len__ __mul__ __reversed__ __rmul__ "
        "__setitem__ append clear copy count extend index insert pop remove reverse sort"
    ),
    "set": (
        "__and__ __contains__ __ge__ __gt__ __iand__ __ior__ __isub__ __iter__ __ixor__ __le__ __len__ __lt__ __or__ "
        "__rand__ __ror__ __rsub__ __rxor__ __sub__ __xor__ add clear copy difference difference_update discard "
        "intersection intersection_update isdisjoint issubset issuperset pop remove symmetric_difference "
        "symmetric_difference_update union update"
    ),
}
