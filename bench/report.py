"""The document: docs/en/benchmarks.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from bench import crowd, locks, one_way, pools, round_trip, serve, tickets, transfer
from bench.cells import Cell
from bench.tables import Rates, aims_table, as_rate, as_time, behind_table, family_table, peers_table, table

__all__ = ["write_report"]

_HEAD = """\
# Benchmarks

Written by `make bench`; do not edit. It measures the release build (no failpoints) on the machine below.

**Read the ratios, not the rates.** The machine is shared with other work, and a rate may change several times
over between two rounds. Therefore all contenders of a cell are measured one right after the other, in random
order, and the ratio is taken round by round. A ratio is shown as its median with the range of the rounds in
brackets; where the range spans 1, the rounds do not agree on who is faster, and it says *undecided*.
"""

_AIMS = """\
Ratios to the baseline of each table: the standard library's, where there is one. The last column is what the prototype
of hardy's core reached, on another machine; a ratio moves with the machine and its load. "Reached" compares medians.
What bounds those that are not reached: [design/0014-speed.md](design/0014-speed.md), for starts
[design/0015-start.md](design/0015-start.md), for pools [design/0007-pools.md](design/0007-pools.md)."""

_AHEAD = "Hardy is ahead of every peer in every cell, in every round."

_HOW = """\
## How it is measured

- Producer and consumer are processes of their own, forked from a small runner. Each opens its end, one message
  goes through to warm up, and both report that they are ready. They are then let go together; the clock runs from
  the producer's first call until the consumer has the last object in hand.
- What arrives is checked: the last object differs from all others, comes once, and is compared by its checksum
  after the consumer has counted all. A queue that loses, doubles or reorders fails the bench.
- Counts are found by short pilot runs, so that a measurement takes about 0.3 s on any machine.
- The objects: numbers from 0 up; 100 bytes; a dict of an int, a string and a float; 1 MiB of bytes; a numpy array
  of 8 MiB. "many" is 100 objects in one call, `put_many` and `get_many`.
- **Bounds.** Small objects go through queues without a bound, as `Queue()` makes them; faster-fifo, which has none,
  has a ring of 64 MiB. 1 MiB and 8 MiB objects go through queues of 16 and 2: without a bound a producer that runs
  ahead fills the memory. pyzmq's two high-water marks are half of the bound each. `SimpleQueue` and `Pipe` cannot be
  bounded but by their pipe of 64 KiB.
- `Pipe` has no locks: it serves one producer and one consumer, where the others serve any number.
- pyzmq sends with `send_pyobj` over an abstract `ipc://` socket (PUSH to PULL).
- "plain C" is bench/plain_c.c: the same messages through the same ring by the core's own C functions, without
  Python, codec and GIL. It is no peer, but a bound: what is between it and hardy is the interpreter's and the codec's.
- In the cell "copy=False" hardy's reader calls `get(copy=False)`, and lets each array go with the next.
- Several producers and consumers share one queue; what arrives is counted. `Pipe` serves one of each only, and a
  PULL socket of pyzmq is one consumer's own: neither is in that table.
- A round trip is an int through one queue and back through another: one right after the other ("busy"; a peer that
  spins need not sleep), and each after a pause of 1 ms, which is not counted ("parked"; both sides sleep).
- Locks: acquire, add 1 to a number in shared memory, release. The number proves the exclusion, and its cost
  (some 50 ns) is in every figure. With two processes, the time is from the first start to the last end.
- "Looked at by nobody" runs the release and a build of the same source that leaves out what shows to others what a
  process does (`HARDY_BLIND=1`): the hooks of a trace, the rows of who waits, the habits by which deadlocks are proved,
  the tally of a pool's calls and the names of what its workers run.
  Each measurement is an interpreter of its own. "again" is that same build once more: what a build differs from itself.
- The main job is that of `hardy demo`, one round, without kills. A trace is drawn when the job is over, uncounted.
- Pools have two workers, forked (loky has a way of its own), in a fresh interpreter; all results are checked. The time
  is that of one task, or one item. `submit` is that of hardy's executor, beside it the peers' own way to give one task;
  map uses each pool's own chunks, and an eighth of the items where it has none; four arrays are on their way at a time.
- Starts run in a fresh, small interpreter, one after the other; the first, which also starts the server of
  forkserver, is not counted. "Touched" has 512 MiB of memory in use in the parent, whose pages a fork must copy the
  table of. `os.fork` is the bare call, with `os._exit` in the child and `os.waitpid`: what a warm start is measured
  against, no peer. "Warm" is hardy's forkserver, whose server has loaded the program's modules.
- Servers are asked by wrk, over 32 connections that stay open, from one thread on the same machine, which takes a part
  of it. All but gunicorn (gthread, 16 threads, a trivial app) run the same few lines of HTTP. `hardy` has a worker for
  each processor; asyncio is one process.
- Files: nginx and `hardy transfer serve` have the same folder and two workers each (one on one core); wrk asks from one
  thread, and its bytes are counted. "No sendfile" is nginx with two buffers of 1 MiB instead: large files come faster
  so over the loopback of one machine, which says nothing of a network. Uploads go to one process, `@tus/server` with
  its FileStore or one worker of `hardy transfer serve`, by one and the same client: tus, a file of 128 MiB in pieces of
  8 MiB, one connection a file; what came is compared. `@tus/server` never waits for the disk: `hardy` is started with
  `--no-fsync` beside it, and "hardy, fsync", its default, does before the file gets its name.
- Tickets: a buyer is a process that orders one after the other; the store is on the disk of the machine.
- The import is timed inside a fresh interpreter, by its own clock. `import hardy` puts off everything until it is asked
  for, `multiprocessing` a part; so there is a second cell, with a process, a queue and a lock made. What hardy then
  imports of `multiprocessing` is in its figure.
"""

# The families whose table is followed by one of hardy over each peer.
_WITH_PEERS = (one_way.FAMILY, crowd.FAMILY, round_trip.FAMILY, pools.FAMILY, serve.FAMILY, transfer.FAMILY)


def _sections(results: Sequence[tuple[Cell, Rates]]) -> Iterator[str]:
    families: dict[str, list[tuple[Cell, Rates]]] = {}
    for cell, rates in results:
        families.setdefault(cell.family, []).append((cell, rates))
    yield "## Aims"
    yield _AIMS
    yield aims_table(results)
    yield "## Where hardy is not ahead"
    yield behind_table(results) or _AHEAD
    shows: dict[str, Callable[[float], str]] = dict.fromkeys(
        (one_way.FAMILY, crowd.FAMILY, tickets.FAMILY, serve.FAMILY, transfer.FAMILY), as_rate
    )
    for family, pairs in families.items():
        yield f"## {family}"
        yield family_table(pairs, shows.get(family, as_time))
        if family in _WITH_PEERS:
            yield "Hardy over each of them, paired:"
            yield peers_table(pairs)
        if family == locks.FAMILY:
            yield "The time is that of one acquire with its release."


def write_report(machine: dict[str, str], rounds: int, seed: int, results: Sequence[tuple[Cell, Rates]]) -> str:
    """The whole document in Markdown.

    Args:
        machine: what to say of it.
        rounds: how many were measured.
        seed: of their order.
        results: the rates of each cell, by contender, one a round.
    """
    facts = {**machine, "rounds": f"{rounds}, in random order (seed {seed})"}
    parts = [_HEAD.rstrip(), table(("", ""), facts.items()), *_sections(results), _HOW.rstrip()]
    return "\n\n".join(parts) + "\n"
