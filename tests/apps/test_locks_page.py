"""The catalogue's page in a real browser: it sorts, filters, searches, unfolds, and speaks two languages."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from helpers.browser import browser

from hardy.apps.locks import catalogue, pages

if TYPE_CHECKING:
    from pathlib import Path

    from selenium.webdriver import Chrome

ENTRIES = catalogue.entries()


def rows(page: Chrome) -> list[str]:
    shown: list[str] = page.execute_script(
        "return [...document.querySelectorAll('tr.entry')].map(row => row.id)"  # as a reader sees them
    )
    return shown


def say(page: Chrome, id: str, value: str) -> None:
    """What a reader does with a field of the form."""
    page.execute_script(
        "const field = document.getElementById(arguments[0]); field.value = arguments[1];"
        "field.dispatchEvent(new Event('input', {bubbles: true}))",
        id,
        value,
    )


@pytest.mark.timeout(120)
def test_page_sorts_filters_and_unfolds_in_a_browser(tmp_path: Path) -> None:
    """Each control does what it says, alone and together; the browser has no error to report."""
    file = tmp_path / "locks.html"
    file.write_text(pages.html_page())
    ids = [entry.id for entry in ENTRIES]
    with browser() as page:
        page.get(f"{file.as_uri()}#{quote('read-write')}")
        if page.execute_script("return document.documentElement.lang") == "zh":
            page.find_element("id", "language").click()

        assert rows(page) == ids
        assert "RWLock" in page.find_element("css selector", "tr.more").text

        say(page, "kind", "ills")
        ills = [entry.id for entry in ENTRIES if entry.kind == "ills"]
        assert rows(page) == ills
        assert page.find_element("id", "count").text == f"{len(ills)} of {len(ids)}"
        say(page, "text", "THUNDER")
        assert rows(page) == ["thundering-herd"]
        say(page, "text", "no such lock")
        assert rows(page) == []

        say(page, "text", "")
        say(page, "kind", "")
        say(page, "whom", "machines")
        assert rows(page) == [entry.id for entry in ENTRIES if "machines" in entry.between]
        page.find_element("id", "ours").click()
        assert rows(page) == [entry.id for entry in ENTRIES if "machines" in entry.between and entry.classes]
        say(page, "whom", "")
        assert rows(page) == [entry.id for entry in ENTRIES if entry.classes]
        page.find_element("id", "ours").click()

        heads = "thead button"
        page.find_elements("css selector", heads)[0].click()
        by_name = rows(page)
        assert by_name.index("barrier") < by_name.index("mutex") < by_name.index("spinlock")
        assert sorted(by_name) == sorted(ids)
        page.find_elements("css selector", heads)[0].click()
        assert rows(page) == by_name[::-1]
        page.find_elements("css selector", heads)[3].click()
        prices = {entry.id: ("-", "ns", "µs", "ms").index(entry.price) for entry in ENTRIES}
        by_price = [prices[each] for each in rows(page)]
        assert by_price == sorted(by_price)

        page.find_element("css selector", "tr#mutex button").click()
        assert "with lock" in page.find_element("css selector", "tr#mutex + tr.more pre").text
        page.find_element("css selector", "tr#mutex button").click()
        assert page.execute_script("return document.querySelector('tr#mutex + tr.more')") is None

        page.find_element("id", "language").click()
        assert "互斥锁" in page.find_element("css selector", "tr#mutex").text
        assert [each for each in page.get_log("browser") if each["level"] == "SEVERE"] == []
