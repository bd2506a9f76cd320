"""A trace has what each process did until its last instant, whatever it died of."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from helpers.browser import browser

import hardy
from hardy._core import runtime, tracer
from hardy.observe.timeline.read import Timeline, read

PROGRAM = """
import os, signal, sys
import hardy

def make(queue, lock):
    with hardy.span("make"), lock:
        queue.put("one")

def take(queue, done):
    with hardy.span("take both"):
        queue.get()
        done.set()
        queue.get()

def square(x):
    return x * x

if __name__ == "__main__":
    context = hardy.get_context(sys.argv[1])
    queue, lock, done = context.Queue(name="jobs"), context.Lock(name="stock"), context.Event(name="done")
    taker = context.Process(target=take, args=(queue, done), name="taker")
    maker = context.Process(target=make, args=(queue, lock), name="maker")
    taker.start()
    maker.start()
    maker.join()
    done.wait()
    with context.Pool(1) as pool:
        pool.apply(square, (7,))
    taker.join(0.01)
    taker.kill()
    taker.join()
    if "die" in sys.argv:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def trace_program(tmp_path: Path, *arguments: str, form: str = "json") -> tuple[Path, int]:
    """The traced program's picture, and the exit status of `hardy trace`."""
    script, out = tmp_path / "program.py", tmp_path / f"out.{form}"
    script.write_text(PROGRAM)
    command = [sys.executable, "-m", "hardy", "trace", "-o", str(out), "--", str(script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert out.exists(), done.stderr
    return out, done.returncode


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_trace_has_all_that_the_processes_did_when_one_is_killed(method: str, tmp_path: Path) -> None:
    """Every start method: processes, the kill, waits, spans, locks, tasks, and the message from maker to taker."""
    out, status = trace_program(tmp_path, method)

    events = json.loads(out.read_text())["traceEvents"]
    assert status == 0
    pid_of = {e["args"]["name"].partition(" ")[0]: e["pid"] for e in events if e["name"] == "process_name"}
    labels = {e["args"]["name"] for e in events if e["name"] == "process_name"}
    assert {"MainProcess (exit 0)", "maker (exit 0)", "taker (SIGKILL)"} <= labels
    assert any(e["name"] == "killed: SIGKILL" and e["pid"] == pid_of["taker"] for e in events)
    did = {(e["pid"], e.get("cat"), e["name"]) for e in events}
    assert {
        (pid_of["maker"], "span", "make"),
        (pid_of["maker"], "hold", "stock"),
        (pid_of["maker"], "put", "jobs"),
        (pid_of["taker"], "get", "jobs"),
        (pid_of["taker"], "span", "take both"),
        (pid_of["MainProcess"], "wait", "waits for the end of taker"),
    } <= did
    assert any(kind == "task" and name.startswith("square") for _, kind, name in did)
    arrows: dict[int, dict[str, int]] = {}
    for event in events:
        if event["ph"] in "sf" and event["name"] == "jobs":
            arrows.setdefault(event["id"], {})[event["ph"]] = event["pid"]
    assert list(arrows.values()) == [{"s": pid_of["maker"], "f": pid_of["taker"]}]


def test_trace_is_drawn_when_the_program_itself_is_killed(tmp_path: Path) -> None:
    """SIGKILL of the first process: the picture is there, and the status says what happened."""
    out, status = trace_program(tmp_path, "fork", "die", form="svg")

    assert status == 128 + signal.SIGKILL
    text = "".join(ElementTree.parse(out).getroot().itertext())
    assert "MainProcess killed: SIGKILL" in text
    assert "span: make" in text


def traced(tmp_path: Path, work: Any, memory_bytes: int = 1 << 20) -> Timeline:
    """What a trace of `work` has, which runs in this process."""
    segment = tracer.create(memory_bytes)
    tracer.adopt(segment)
    try:
        tracer.started("test", 0)
        work()
    finally:
        tracer.stop()
    return read(segment)


@pytest.mark.skipif(not runtime.has_failpoints(), reason="needs the build with failpoints")
@pytest.mark.parametrize(("point", "spans"), [("trace.event.before_commit", 1), ("trace.chunk.after_take", 0)])
def test_trace_loses_one_event_at_most_when_its_writer_is_killed(point: str, spans: int, tmp_path: Path) -> None:
    """SIGKILL between an event and its commit, and inside the taking of a chunk: all before it is there."""

    def work() -> None:
        process = hardy.get_context("fork").Process(target=die_while_recording, args=(point,), name="dies")
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL

    timeline = traced(tmp_path, work)

    dead = next(life for life in timeline.lives if life.name == "dies")
    assert (dead.killed, dead.ending) == (True, "SIGKILL")
    assert [each.name for each in dead.intervals if each.kind == "span"] == ["kept"] * spans


def die_while_recording(point: str) -> None:
    if point == "trace.event.before_commit":
        with hardy.span("kept"):
            pass
        runtime.arm(f"{point}=kill")
        with hardy.span("kept"):
            os._exit(9)
    runtime.arm(f"{point}=kill")
    while True:
        tracer.mark(tracer.FINISH, "never begun")


def test_trace_counts_what_has_no_room(tmp_path: Path) -> None:
    """When the memory for events is full, what is missing is counted, and said in the picture."""

    def work() -> None:
        queue = hardy.SimpleQueue()
        for number in range(2_000):
            queue.put(number)
            queue.get()
        queue.close()

    timeline = traced(tmp_path, work, memory_bytes=1 << 16)

    kept = sum(len(life.intervals) for life in timeline.lives)
    assert timeline.dropped > 0
    assert kept + timeline.dropped >= 4_000


def test_trace_has_holds_of_each_kind_and_counts_ends_that_had_no_room(tmp_path: Path) -> None:
    """Readers, writers and permits as locks; a permit twice at a time is two. Deaths beyond the table are counted."""

    def work() -> None:
        shelf, tills = hardy.RWLock(name="shelf"), hardy.Semaphore(2, name="tills")
        with shelf.read(), shelf.read(), tills, tills:
            assert tills.acquire(block=False) is False
        with shelf.write():
            pass

    segment = tracer.create(1 << 20)
    tracer.adopt(segment)
    work()
    tracer.stop()
    os.pwrite(segment.fd, (tracer.MOST_DEATHS + 7).to_bytes(8, sys.byteorder), 144)
    timeline = read(segment)

    holds = [each for each in timeline.lives[0].intervals if each.kind == "hold"]
    assert [each.name for each in holds] == ["shelf (read)"] * 2 + ["tills (permit)"] * 2 + ["shelf (write)"]
    assert not any(each.cut for each in holds)
    assert timeline.missing == "how 7 processes ended had no room and are missing"


def test_trace_context_writes_each_form(tmp_path: Path) -> None:
    """`with hardy.trace(...)` writes what the paths ask for, and this process records no more."""
    paths = [tmp_path / f"out.{form}" for form in ("html", "json", "svg", "png")]

    with hardy.trace(*paths), hardy.span("parse & </script>"):
        pass

    assert not tracer.active()
    html, perfetto, svg, png = (path.read_bytes() for path in paths)
    assert html.count(b"</script>") == 2
    assert any(event["name"] == "parse & </script>" for event in json.loads(perfetto)["traceEvents"])
    assert b"parse &amp; &lt;/script&gt;" in svg
    assert png.startswith(b"\x89PNG")


def test_trace_refuses_a_path_that_says_no_form() -> None:
    """At the call, with the forms that there are."""
    with pytest.raises(ValueError, match=r"out\.txt.*\.html"):
        hardy.trace("out.txt")


def test_page_logic_zooms_and_finds() -> None:
    """The page's own arithmetic, without a browser: zooming stays inside of the trace; search counts what it finds."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node.js: apt-get install nodejs (or see the test of the page in a browser)")
    page = (Path(hardy.__file__).parent / "observe/timeline/page.html").read_text()
    script = page.rpartition("<script>")[2].partition("</script>")[0]
    check = """
    const page = module.exports, assert = require("assert");
    const half = page.zoomed({begin: 0, end: 1000}, 0.5, 500, 1000);
    assert.deepStrictEqual(half, {begin: 250, end: 750});
    assert.deepStrictEqual(page.zoomed(half, 9, 300, 1000), {begin: 0, end: 1000});
    assert.deepStrictEqual(page.moved(half, 900, 1000), {begin: 500, end: 1000});
    const data = {names: ["parse", "jobs"], lives: [{did: [["span", 0, 1, 2, 0], ["put", 1, 3, 3, 0]]}]};
    assert.strictEqual(page.countFound(data, page.matching(data, " PAR")), 1);
    assert.strictEqual(page.matching(data, " "), null);
    assert.strictEqual(page.firstFrom(data.lives[0].did, 2), 1);
    """

    done = subprocess.run([node, "-e", script + check], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


def test_page_is_drawn_and_used_in_a_browser(tmp_path: Path) -> None:
    """Chromium opens the file: rows and arrows are drawn, wheel zooms, hover tells, search finds; no error."""
    out, _ = trace_program(tmp_path, "fork", form="html")

    with browser() as chromium:
        from selenium.webdriver.common.action_chains import ActionChains

        chromium.get(out.as_uri())
        canvas = chromium.find_element("id", "picture")
        assert chromium.execute_script("return hardyTrace.data.lives.length") == 4
        assert chromium.execute_script("return hardyTrace.arrows()") >= 1
        box = chromium.execute_script("""
            const life = hardyTrace.data.lives.findIndex(life => life.name === "taker");
            const span = hardyTrace.data.lives[life].did.find(each => each[0] === "span");
            const rect = document.getElementById("picture").getBoundingClientRect();
            return [hardyTrace.x((span[2] + span[3]) / 2), hardyTrace.rowAt(life) + 13, rect.width, rect.height]""")
        ActionChains(chromium).move_to_element_with_offset(
            canvas, int(box[0] - box[2] / 2), int(box[1] - box[3] / 2)
        ).perform()
        tip = chromium.find_element("id", "tip").text
        before = chromium.execute_script("return hardyTrace.view()")
        chromium.execute_script("""document.getElementById("picture").dispatchEvent(
            new WheelEvent("wheel", {deltaY: -400, clientX: 400, clientY: 120, cancelable: true}))""")
        after = chromium.execute_script("return hardyTrace.view()")
        chromium.find_element("id", "search").send_keys("take bo")
        found = chromium.find_element("id", "found").text
        complaints = [entry for entry in chromium.get_log("browser") if "favicon" not in entry["message"]]

    assert tip
    assert after["end"] - after["begin"] < before["end"] - before["begin"]
    assert found == "1 found"
    assert complaints == []
