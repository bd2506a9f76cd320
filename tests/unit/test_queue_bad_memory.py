"""A queue whose memory was overwritten, or is not what it should be; and one that meets a limit."""

from __future__ import annotations

import faulthandler
import os
import random
import resource
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.crew import Crew, Line, new_crew
from helpers.procs import run_script
from helpers.ring_view import (
    COMMITS,
    COUNTERS,
    ENDS,
    HEAD,
    LEASES,
    RARE,
    SEEN,
    TABLE,
    TAIL,
    UNIT,
    USERS,
    WAITS,
    holding_end,
    poke,
)

from hardy import AttachError, ForeignHandle, JoinableQueue, Queue, QueueCorrupt, TaskQueue
from hardy._core import memory

GO_ON_S = 2.0
# Offsets in the head of a segment (layout.h).
MAGIC, VERSION, KIND, PIDNS, MAP_BYTES = 0, 8, 12, 32, 48
# What a call on corrupt memory may raise; nothing else, and it must not hang.
ALLOWED = (Exception,)


@pytest.fixture
def crew() -> Iterator[Crew]:
    with new_crew() as crew:
        yield crew


def in_child(crew: Crew, queue: Any, act: Any) -> list[Any]:
    """What `act(line, queue)` says in a process that maps the queue anew."""
    actor = crew.start(act, queue)
    assert actor.ends_well(), crew.report()
    return actor.hear()


@pytest.mark.parametrize(
    ("offset", "data", "error", "text"),
    [
        (MAGIC, b"notmagic", AttachError, "not of the queue"),
        (KIND, struct.pack("<I", 2), AttachError, "not of the queue"),
        (VERSION, struct.pack("<I", 999), ForeignHandle, "layout 999"),
        (PIDNS, struct.pack("<Q", 1), ForeignHandle, "pid namespace"),
        (MAP_BYTES, struct.pack("<Q", 1 << 60), AttachError, "corrupt"),
        (MAP_BYTES, struct.pack("<Q", 0), AttachError, "corrupt"),
    ],
)
def test_attach_refuses_a_wrong_head(offset: int, data: bytes, error: type[Exception], text: str) -> None:
    """Another magic, kind, version or pid namespace is refused by name, and no descriptor is left."""
    queue: Queue[int] = Queue()
    fd = os.memfd_create("hardy-ring")
    os.truncate(fd, 16 << 20)
    os.pwrite(fd, os.pread(queue.segment.fd, 65536, 0), 0)
    os.pwrite(fd, b"an-uid-that-none", 16)
    os.pwrite(fd, data, offset)

    with pytest.raises(error, match=text):
        memory.attach(fd, b"an-uid-that-none", 1)

    with pytest.raises(OSError, match="Bad file"):
        os.fstat(fd)


def test_attach_refuses_a_descriptor_of_something_else() -> None:
    """A descriptor that was closed and opened again is no queue."""
    read_end, write_end = os.pipe()

    with pytest.raises(OSError, match="seek"):
        memory.attach(read_end, b"an-uid-that-none", 1)
    with pytest.raises(AttachError, match="no hardy object"):
        memory.attach(os.memfd_create("other"), b"an-uid-that-none", 1)
    os.close(write_end)


@pytest.mark.parametrize("kind", [Queue, JoinableQueue, TaskQueue])
def test_queue_of_another_pid_namespace_is_refused_at_every_call(crew: Crew, kind: Any) -> None:
    """In another namespace a living holder would be taken for dead: put and get refuse, by name."""
    queue = kind()
    queue.put(1)
    home = os.pread(queue.segment.fd, 8, PIDNS)

    poke(queue, PIDNS, struct.pack("<Q", 12345))
    for call in (lambda: queue.put(2), queue.get, queue.get_many, queue.qsize):
        with pytest.raises(ForeignHandle, match="pid namespace"):
            call()
    poke(queue, PIDNS, home)

    assert queue.get() == 1


def _use(queue: Any) -> None:
    for size in (10, 3_000, 30_000, 200_000):
        queue.put(bytes(size), timeout=0.001)
    queue.put_many([b"1", bytes(50_000)], timeout=0.001)
    for _ in range(30):
        queue.get(False)
    queue.get_many(10, False)


def fuzz(line: Line, seed: int) -> None:
    """Overwrites memory at random, and uses the queue; one round a seed."""
    faulthandler.disable()
    rng = random.Random(seed)
    queue = rng.choice([Queue, Queue, JoinableQueue, TaskQueue])()
    for _ in range(rng.randrange(12)):
        queue.put(bytes(rng.choice([8, 500, 20_000, 40_000, 300_000])))
    if isinstance(queue, TaskQueue) and not queue.empty():
        lease = queue.take()
        lease.nack()
    places = {
        "head": (HEAD + ENDS, 48),
        "tail": (TAIL + ENDS, 48),
        "head commits": (HEAD + COMMITS, 8),
        "tail commits": (TAIL + COMMITS, 8),
        "head sees": (HEAD + SEEN, 16),
        "tail sees": (TAIL + SEEN, 16),
        "counters": (COUNTERS, 20),
        "rare": (RARE, 20),
        "waits": (WAITS, 3 * 64),
        "leases": (LEASES, 32),
        "table": (TABLE + 16, 16 * 24),
        "users": (USERS, 64),
        "block": (UNIT, 64 + 600),
        "units": (UNIT, UNIT * 6),
    }
    name = rng.choice(list(places))
    start, length = places[name]
    said = []
    for _ in range(rng.choice([1, 1, 3])):
        size = rng.choice([1, 2, 4, 4, 8])
        offset = start + rng.randrange(length // size) * size
        data = rng.choice(
            [rng.randbytes(size), b"\xff" * size, b"\0" * size, rng.randrange(1, 200).to_bytes(4, "little")[:size]]
        )
        said.append((name, offset, data))
        poke(queue, offset, data)
    line.say("poked", seed, type(queue).__name__, said)
    for _ in range(2):
        for act in (_use, lambda q: q.get(timeout=0.005), lambda q: q.qsize(), lambda q: q.put(1, timeout=0.001)):
            try:
                act(queue)
            except ALLOWED:
                continue
    if isinstance(queue, TaskQueue):
        for act in (lambda q: q.dead_letters(), lambda q: q.join(0.005), lambda q: q.leased()):
            try:
                act(queue)
            except ALLOWED:
                continue


def fuzz_all(line: Line, seeds: range) -> None:
    for seed in seeds:
        fuzz(line, seed)


@pytest.mark.parametrize("batch", range(5))
def test_corrupt_memory_is_an_error_and_no_crash(crew: Crew, batch: int) -> None:
    """Bytes that a stray pointer wrote make calls raise; they neither crash nor hang."""
    actor = crew.start(fuzz_all, range(batch * 60, batch * 60 + 60))

    status = actor.ended(50)

    assert status == 0, f"status {status}, last: {actor.hear()[-1:]}"


def test_corrupt_head_record_is_told_as_such() -> None:
    """QueueCorrupt says what has happened."""
    queue: Queue[int] = Queue()
    queue.put(1)
    poke(queue, holding_end(queue, HEAD) + 20, struct.pack("<I", 70_000))

    with pytest.raises(QueueCorrupt, match="corrupt"):
        queue.get()


# ---- limits ----


def limit_memory(more: int) -> None:
    """Let this process map no more than that much more."""
    limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def test_put_raises_memory_error_at_the_address_limit(crew: Crew) -> None:
    """With RLIMIT_AS reached, put says so, and the queue is as it was."""

    def act(line: Line, queue: Any) -> None:
        limit_memory(24 << 20)
        data = bytes(3 << 20)
        count = 0
        try:
            while True:
                queue.put(data)
                count += 1
        except MemoryError as error:
            line.say("refused", str(error))
        line.say("put", count, queue.qsize(), queue.nbytes())
        queue.put(b"small")

    queue: Queue[bytes] = Queue()
    refused, put = in_child(crew, queue, act)

    assert "nothing was changed" in refused[1]
    _, count, size, nbytes = put
    assert count == size > 0
    assert nbytes == count * (3 << 20)
    assert [len(queue.get()) for _ in range(count)] == [3 << 20] * count
    assert queue.get() == b"small"


def test_get_raises_memory_error_at_the_address_limit() -> None:
    """A process that cannot map or hold a message leaves it to others."""
    # In a new interpreter: here the heap may have room from earlier tests that no limit takes away.
    done = run_script("""
        import os, resource
        from hardy import Queue
        queue = Queue()
        queue.put(bytes(40 << 20))
        if not os.fork():
            pages = int(open("/proc/self/statm").read().split()[0])
            limit = pages * resource.getpagesize() + (8 << 20)
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
            try:
                queue.get()
            except MemoryError:
                print("refused", queue.qsize(), flush=True)
            os._exit(0)
        os.wait()
        print(len(queue.get(timeout=5)))
        """)

    assert done.stdout.split() == ["refused", "1", str(40 << 20)], done.stderr


def test_queue_refuses_to_be_made_without_a_descriptor(crew: Crew) -> None:
    """With RLIMIT_NOFILE reached, the error has the limit and the remedy; queues that exist go on."""

    def act(line: Line, queue: Any) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
        queues = []
        try:
            for _ in range(100):
                queues.append(Queue())
        except OSError as error:
            line.say("refused", error.errno, str(error))
        queue.put(1)
        queues.pop()
        queues.append(Queue())
        line.say("made", queue.get())

    refused, made = in_child(crew, Queue(), act)

    assert "40" in refused[2]
    assert "ulimit -n" in refused[2]
    assert made == ("made", 1)


def test_put_raises_at_the_file_size_limit(crew: Crew) -> None:
    """RLIMIT_FSIZE bounds the queue's memory too: put raises, and the queue goes on."""

    def act(line: Line, queue: Any) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (32 << 20, 32 << 20))
        try:
            queue.put(bytes(40 << 20))
        except (OSError, MemoryError) as error:
            line.say("refused", type(error).__name__)
        queue.put(b"small")

    queue: Queue[bytes] = Queue()

    assert in_child(crew, queue, act)[0][0] == "refused"
    assert queue.get() == b"small"
