"""The page of `hardy transfer serve`, in a real browser."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helpers.browser import browser
from helpers.servers import serving
from helpers.waiting import wait_until

READY = r"serving .* at (https?://\S+)"


# At the first progress that the page shows, its button is clicked: before it can send another piece.
PAUSE = """
new MutationObserver((_, watch) => {
  const bar = document.querySelector('#uploads progress');
  if (bar && bar.value > 0) {
    watch.disconnect();
    document.querySelector('#uploads button').click();
    window.paused = bar.value;
  }
}).observe(document.querySelector('#uploads'), {childList: true, subtree: true, attributes: true});
"""
DROP = """
const data = new DataTransfer();
for (const name of ['one.txt', 'two.txt']) data.items.add(new File([name.repeat(100000)], name));
const event = kind => new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true});
document.querySelector('#drop').dispatchEvent(event('dragover'));
window.over = document.querySelector('#drop').className;
document.querySelector('#drop').dispatchEvent(event('drop'));
"""


@pytest.mark.timeout(120)
def test_page_uploads_pauses_resumes_and_lists(tmp_path: Path) -> None:
    """Chosen or dropped, a file is uploaded, with progress; after a pause, also in a page opened anew, it goes on."""
    served = tmp_path / "served"
    served.mkdir()
    body = os.urandom(30 << 20)
    (tmp_path / "a b.bin").write_bytes(body)
    command = ("hardy", "transfer", "serve", str(served), "--port", "0", "--workers", "1")
    with serving(*command, ready=READY, folder=tmp_path) as server, browser() as page:

        def parts() -> list[Path]:
            return list((served / ".hardy-transfer").glob("*.part"))

        def choose_and_pause() -> int:
            page.execute_script(PAUSE)
            page.find_element("id", "choose").send_keys(str(tmp_path / "a b.bin"))
            paused = wait_until(lambda: page.execute_script("return window.paused"), 20)
            assert wait_until(lambda: page.find_element("css selector", "#uploads button").text == "Resume", 20)
            return int(paused)

        page.get(server.url)
        assert 0 < choose_and_pause() < len(body)
        (part,) = parts()
        before = part.stat().st_size
        page.refresh()
        assert choose_and_pause() >= before > 0
        assert parts() == [part]
        assert not (served / "a b.bin").exists()

        page.find_element("css selector", "#uploads button").click()
        assert wait_until(lambda: (served / "a b.bin").exists(), 30)
        page.execute_script(DROP)

        assert page.execute_script("return window.over") == "over"
        assert wait_until(lambda: (served / "one.txt").exists() and (served / "two.txt").exists(), 20)
        for name in ("a b.bin", "one.txt", "two.txt"):
            assert wait_until(lambda name=name: name in page.find_element("id", "files").text, 20)
        assert wait_until(lambda: page.find_element("id", "uploads").text.count("done") == 3, 20)
    assert (served / "a b.bin").read_bytes() == body
    assert (served / "two.txt").read_text() == "two.txt" * 100_000
