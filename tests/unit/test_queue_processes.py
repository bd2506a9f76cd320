"""Queues between processes and threads."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from queue import Empty, Full
from typing import Any

import pytest
from helpers.crew import Crew, Line, new_crew
from helpers.procfs import memfds
from helpers.procs import run_script
from helpers.waiting import wait_until

from hardy import (
    AttachError,
    CannotUnpickle,
    Event,
    JoinableQueue,
    Lock,
    Process,
    Queue,
    SimpleQueue,
    TaskQueue,
    TasksLost,
)

GO_ON_S = 2.0


@pytest.fixture
def crew() -> Iterator[Crew]:
    with new_crew() as crew:
        yield crew


def put_numbers(line: Line, queue: Any, producer: int, count: int) -> None:
    for i in range(count):
        queue.put((producer, i, bytes(i * 37 % 40_000)))


def put_from_threads(line: Line, queue: Any, producer: int, count: int) -> None:
    threads = [threading.Thread(target=put_numbers, args=(line, queue, producer * 10 + k, count)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def get_numbers(line: Line, queue: Any, count: int) -> None:
    got = []
    for _ in range(count):
        producer, i, data = queue.get()
        assert len(data) == i * 37 % 40_000
        got.append((producer, i))
    line.say("got", got)


def in_order(got: list[tuple[int, int]]) -> bool:
    producers = {producer for producer, _ in got}
    each = {p: [i for producer, i in got if producer == p] for p in producers}
    return all(numbers == sorted(numbers) for numbers in each.values())


@pytest.mark.parametrize("maxsize", [0, 1, 7])
@pytest.mark.parametrize("put", [put_numbers, put_from_threads])
def test_queue_keeps_each_producers_order(crew: Crew, maxsize: int, put: Callable[..., None]) -> None:
    """Several producers and consumers, processes and threads: each message once, each producer's in order."""
    queue: Queue[Any] = Queue(maxsize)
    per_producer = 100
    threads = 3 if put is put_from_threads else 1
    total = per_producer * threads * 3

    producers = [crew.start(put, queue, p, per_producer) for p in range(1, 4)]
    consumers = [crew.start(get_numbers, queue, total // 3) for _ in range(2)]
    mine = [queue.get(timeout=10)[:2] for _ in range(total // 3)]

    assert all(actor.ends_well() for actor in producers + consumers), crew.report()
    taken = [mine, *(actor.hear()[-1][1] for actor in consumers)]
    assert all(map(in_order, taken))
    every = sorted(pair for got in taken for pair in got)
    assert len(every) == len(set(every)) == total
    assert queue.empty()


def test_queue_serves_threads_that_all_wait() -> None:
    """Threads of one process in get, and one that puts: each gets its share."""
    queue: Queue[int] = Queue(2)
    got: list[int] = []
    threads = [threading.Thread(target=lambda: got.append(queue.get(timeout=10))) for _ in range(8)]

    for thread in threads:
        thread.start()
    queue.put_many(range(8), timeout=10)
    for thread in threads:
        thread.join()

    assert sorted(got) == list(range(8))


@pytest.mark.parametrize(
    ("call", "arrange"),
    [
        (lambda q: q.get(), lambda q: None),
        (lambda q: q.get_many(), lambda q: None),
        (lambda q: q.put(1), lambda q: q.put(1)),
        (lambda q: q.put(bytes(100_000)), lambda q: q.put(1)),
        (lambda q: q.put_many([1, 2]), lambda q: q.put(1)),
        (lambda q: q.join(), lambda q: q.put(1)),
    ],
    ids=["get", "get_many", "put", "put_large", "put_many", "join"],
)
@pytest.mark.parametrize("kind", [JoinableQueue, TaskQueue])
def test_wait_ends_at_ctrl_c(crew: Crew, kind: Any, call: Any, arrange: Any) -> None:
    """I9: SIGINT raises KeyboardInterrupt out of every wait, and the queue goes on."""
    queue = kind(1)
    arrange(queue)

    def waits(line: Line, queue: Any) -> None:
        line.say("begins")
        try:
            call(queue)
        except KeyboardInterrupt:
            line.say("interrupted")

    actor = crew.start(waits, queue)
    assert actor.has_said("begins")
    actor.wait_asleep()
    actor.signal(signal.SIGINT)

    assert actor.ends_well(GO_ON_S)
    assert actor.hear()[-1] == ("interrupted",)
    if not queue.empty():
        assert queue.get() == 1
    queue.put(2)
    assert queue.get() == 2


def test_signal_handler_runs_while_a_get_waits_on(crew: Crew) -> None:
    """A handler that does not raise interrupts nothing: the wait goes on and gets its object."""
    queue: Queue[int] = Queue()

    def waits(line: Line, queue: Any) -> None:
        signal.signal(signal.SIGUSR1, lambda *_: line.say("handled"))
        line.say("begins")
        line.say("got", queue.get())

    actor = crew.start(waits, queue)
    assert actor.has_said("begins")
    actor.wait_asleep()
    actor.signal(signal.SIGUSR1)
    assert actor.has_said("handled")
    queue.put(7)

    assert actor.ends_well(GO_ON_S)
    assert actor.hear()[-1] == ("got", 7)


def test_queue_works_in_a_child_forked_while_a_thread_puts(crew: Crew) -> None:
    """A fork in the midst of another thread's put leaves no lock behind in the child."""
    queue: Queue[int] = Queue()
    side: Queue[int] = Queue()
    go_on = threading.Event()

    def put() -> None:
        while not go_on.is_set():
            queue.put(1)
            queue.get()

    def use(line: Line) -> None:
        queue.put(2)
        side.put(queue.qsize())
        pickle.loads(pickle.dumps(queue)).put(3)

    thread = threading.Thread(target=put)
    thread.start()
    try:
        actors = [crew.start(use) for _ in range(10)]
        ended = [actor.ends_well() for actor in actors]
    finally:
        go_on.set()
        thread.join()

    assert ended == [True] * 10, crew.report()
    assert side.qsize() == 10


def test_join_of_a_process_before_its_queue_is_drained_does_not_deadlock() -> None:
    """What the stdlib warns of: there is no feeder thread to wait for."""
    queue: Queue[Any] = Queue()
    process = Process(target=queue.put_many, args=([bytes(100_000)] * 100,))

    process.start()
    process.join(20)

    assert process.exitcode == 0
    assert queue.qsize() == 100


def test_queue_travels_through_a_queue(crew: Crew) -> None:
    """A queue that is sent to a process that never had it is the same queue there."""
    outer: Queue[Any] = Queue()

    def use(line: Line, outer: Any) -> None:
        inner = outer.get()
        inner.put(inner.get() + 1)

    actor = crew.start(use, outer)
    inners = [kind() for kind in (Queue, SimpleQueue, JoinableQueue, TaskQueue)]
    for inner in inners[:1]:
        inner.put(1)
        outer.put(inner)
    assert actor.ends_well(), crew.report()
    assert inners[0].get() == 2
    for inner in inners:
        again = pickle.loads(pickle.dumps(inner))
        again.put(3)
        assert type(again) is type(inner)
        assert inner.get() == 3


def test_queue_arrives_when_its_sender_has_died(crew: Crew) -> None:
    """`put` that returned has put: any other holder will do, and without one the error says so."""
    outer: Queue[Any] = Queue()

    def send_and_end(line: Line, outer: Any) -> None:
        outer.put(Queue())

    def send_and_leave_to_a_child(line: Line, outer: Any) -> None:
        inner: Queue[int] = Queue()
        inner.put(5)
        outer.put(inner)
        child = os.fork()
        if child:
            line.say("holder", child)
        signal.pause()

    lonely = crew.start(send_and_end, outer)
    assert lonely.ends_well()
    with pytest.raises(CannotUnpickle, match="gone") as caught:
        outer.get()
    assert isinstance(caught.value.__cause__, AttachError)
    assert caught.value.pid == lonely.pid

    sender = crew.start(send_and_leave_to_a_child, outer)
    assert wait_until(sender.hear)
    sender.signal(signal.SIGKILL)
    assert sender.ended(GO_ON_S) == signal.SIGKILL
    try:
        assert outer.get().get() == 5
    finally:
        os.kill(sender.hear()[0][1], signal.SIGKILL)


def test_lock_and_event_travel_through_a_queue(crew: Crew) -> None:
    """What is sent is the same lock, the same event."""
    outer: Queue[Any] = Queue()
    lock, event = Lock(), Event()

    def use(line: Line) -> None:
        a_lock, an_event = outer.get()
        line.say("free", a_lock.acquire(timeout=0))
        an_event.set()

    lock.acquire()
    actor = crew.start(use)
    outer.put((lock, event))

    assert event.wait(GO_ON_S)
    assert actor.ends_well()
    assert actor.hear() == [("free", False)]
    lock.release()


def test_queue_costs_one_descriptor() -> None:
    """A queue of any kind has one descriptor, also when it was sent around, and none once it is gone."""
    before = memfds()
    queues = [kind() for kind in (Queue, SimpleQueue, JoinableQueue, TaskQueue)]
    copies = [pickle.loads(pickle.dumps(queue)) for queue in queues]
    for queue in queues:
        queue.put(bytes(100_000))
        queue.get()

    assert len(memfds()) - len(before) == len(queues)
    del queues, copies, queue

    assert memfds() == before


def test_joinable_queue_counts_what_is_done() -> None:
    """`join` waits for as many task_done as there were puts; one too many is a ValueError."""
    queue: JoinableQueue[int] = JoinableQueue()
    queue.put_many(range(3))

    with pytest.raises(TimeoutError):
        queue.join(0.05)
    for i in range(3):
        assert queue.get() == i
        with pytest.raises(TimeoutError):
            queue.join(0)
        queue.task_done()
    queue.join(0)

    with pytest.raises(ValueError, match="too many"):
        queue.task_done()


def test_join_tells_of_what_a_dead_process_never_finished(crew: Crew) -> None:
    """TasksLost names the process, its signal's worth and how many; the next join waits for the rest."""
    queue: JoinableQueue[int] = JoinableQueue()

    def die(line: Line, queue: Any) -> None:
        for _ in range(3):
            queue.get()
        queue.task_done()
        os.kill(os.getpid(), signal.SIGKILL)

    queue.put_many(range(5))
    actor = crew.start(die, queue)
    assert actor.ended(5) == signal.SIGKILL
    assert [queue.get(), queue.get()] == [3, 4]

    with pytest.raises(TasksLost, match=str(actor.pid)) as caught:
        queue.join(5)
    assert (caught.value.items, caught.value.pid) == (2, actor.pid)
    assert pickle.loads(pickle.dumps(caught.value)).items == 2
    with pytest.raises(TimeoutError):
        queue.join(0.05)
    queue.task_done()
    queue.task_done()

    queue.join(1)


def test_join_names_the_dead_hardy_process() -> None:
    """A process that hardy started is named, with its signal."""
    queue: JoinableQueue[int] = JoinableQueue()
    queue.put(1)

    def die() -> None:
        queue.get()
        os.kill(os.getpid(), signal.SIGKILL)

    process = Process(target=die, name="eater-1")
    process.start()
    process.join(10)

    with pytest.raises(TasksLost, match=r"'eater-1'.*SIGKILL") as caught:
        queue.join(5)
    assert (caught.value.name, caught.value.signal) == ("eater-1", signal.SIGKILL)


def test_forked_child_gets_and_puts_as_itself(crew: Crew) -> None:
    """A handle works on in the child, whose messages bear its own pid."""
    queue: Queue[Any] = Queue()

    class Unbuildable:
        def __reduce__(self) -> tuple[Any, ...]:
            return int, ("no number",)

    def put(line: Line) -> None:
        queue.put(Unbuildable())

    queue.put(1)
    actor = crew.start(put)
    assert actor.ends_well()

    assert queue.get() == 1
    with pytest.raises(CannotUnpickle) as caught:
        queue.get()
    assert caught.value.pid == actor.pid
    with pytest.raises((Empty, Full)):
        queue.get_nowait()


def test_subclass_that_is_not_set_up_is_refused() -> None:
    """A subclass whose __init__ forgets super().__init__() gets an error, no crash."""

    class Forgetful(Queue[int]):
        def __init__(self) -> None:
            self.name = "mine"

    queue = Forgetful()

    assert "never set up" in repr(queue)
    for call in (
        lambda: queue.put(1),
        queue.get,
        queue.get_many,
        queue.qsize,
        queue.full,
        queue.close,
        lambda: queue.maxsize,
        lambda: queue._wait_items(0),
    ):
        with pytest.raises(ValueError, match=r"super\(\).__init__"):
            call()


def test_threads_may_be_the_first_of_a_program_to_wait() -> None:
    """All at once: the memory that they share is made once, and none of them falls over another's."""
    source = """
        import os, sys, threading
        from queue import Empty
        from hardy import Queue

        def wait(queue, together):
            together.wait()
            try:
                queue.get(timeout=0.01)
            except Empty:
                pass

        def program():
            together = threading.Barrier(16)
            threads = [threading.Thread(target=wait, args=(Queue(), together)) for _ in range(16)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        if __name__ == "__main__":
            sys.setswitchinterval(1e-6)
            for _ in range(20):
                if not (pid := os.fork()):
                    program()
                    os._exit(0)
                assert os.waitpid(pid, 0)[1] == 0
        """

    done = run_script(source)

    assert done.returncode == 0, done.stderr
