"""The page of `hardy transfer serve`, in a real browser; and tus-js-client where node has it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helpers.browser import browser
from helpers.servers import serving
from helpers.waiting import wait_until

READY = r"serving .* at (https?://\S+)"


@pytest.mark.timeout(120)
def test_page_uploads_pauses_resumes_and_lists(tmp_path: Path) -> None:
    """A file that is chosen is uploaded, also after a pause, and then stands in the list."""
    served = tmp_path / "served"
    served.mkdir()
    body = os.urandom(30 << 20)
    (tmp_path / "a b.bin").write_bytes(body)
    command = ("hardy", "transfer", "serve", str(served), "--port", "0", "--workers", "1")
    with serving(*command, ready=READY, folder=tmp_path) as server, browser() as page:
        page.get(server.url)
        # The pause comes with the first progress, before the page can send another piece.
        page.execute_script(
            "new MutationObserver((_, watch) => { const button = document.querySelector('#uploads button');"
            "if (button) { watch.disconnect(); button.click(); window.paused = true; } })"
            ".observe(document.querySelector('#uploads'), {childList: true, subtree: true});"
        )
        page.find_element("id", "choose").send_keys(str(tmp_path / "a b.bin"))
        assert wait_until(lambda: page.execute_script("return window.paused"), 20)
        button = page.find_element("css selector", "#uploads button")
        assert wait_until(lambda: button.text == "Resume", 20)
        assert not (served / "a b.bin").exists()

        button.click()

        assert wait_until(lambda: (served / "a b.bin").exists(), 30)
        assert wait_until(lambda: "a b.bin" in page.find_element("id", "files").text, 20)
    assert (served / "a b.bin").read_bytes() == body
