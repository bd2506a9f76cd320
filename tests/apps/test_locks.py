"""The catalogue of locks: whole in both languages, its programs run, its page sorts and filters."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from helpers.procs import run_script

import hardy
from hardy.apps.locks import catalogue, main, pages

ENTRIES = catalogue.entries()
WITH_SNIPPET = [entry for entry in ENTRIES if entry.snippet]
# What the trade names; each must be an entry of its own.
TRADE = (
    "mutex spinlock ticket-lock mcs-clh futex adaptive recursive read-write seqlock rcu semaphore monitor condition "
    "barrier latch rendezvous event optimistic pessimistic intention table-lock row-lock gap-lock next-key advisory "
    "mandatory flock fcntl ofd lease fencing-token distributed redlock zookeeper etcd chubby gil striping elision "
    "biased lock-free wait-free obstruction-free cas aba hazard-pointers deadlock livelock starvation "
    "priority-inversion convoy thundering-herd lost-wakeup owner-death"
)


def test_catalogue_has_what_the_trade_names() -> None:
    """Each once."""
    assert sorted(entry.id for entry in ENTRIES) == sorted(TRADE.split())


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_entry_is_whole_in_both_languages(entry: catalogue.Entry) -> None:
    """Every question has an answer, in English and in Chinese; the classes are hardy's."""
    assert sum(re.search("[\u4e00-\u9fff]", text) is not None for text in entry.texts["zh"]) >= 4
    assert not any(re.search("[\u4e00-\u9fff]", text) for text in entry.texts["en"])
    assert all(hasattr(hardy, name) for name in entry.classes)


@pytest.mark.parametrize("entry", WITH_SNIPPET, ids=lambda entry: entry.id)
def test_snippet_runs(entry: catalogue.Entry) -> None:
    """As it stands, and says nothing."""
    done = run_script(entry.snippet)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_snippets_have_entries() -> None:
    """No program is left behind by a name that changed."""
    folder = Path(catalogue.__file__).parent / "snippets"

    assert {path.stem for path in folder.glob("*.py")} == {entry.id for entry in WITH_SNIPPET}


def test_locks_shows_one_and_suggests_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    """By its name in either language, or that of a class; a misspelt one is met with those like it."""
    for name, shown in (("mutex", "互斥锁"), ("读写锁", "RWLock"), ("Barrier", "屏障"), ("GIL", "全局解释器锁")):
        assert main([name, "--lang", "zh"]) == 0
        assert shown in capsys.readouterr().out

    assert main(["mutxe", "--lang", "en"]) == 2
    assert "mutex" in capsys.readouterr().err


def test_locks_lists_a_kind(capsys: pytest.CaptureFixture[str]) -> None:
    """All of them, or only those of a kind."""
    assert main(["--lang", "en"]) == 0
    shown = capsys.readouterr().out
    assert all(entry.id in shown for entry in ENTRIES)

    assert main(["--lang", "en", "--kind", "ills"]) == 0
    shown = capsys.readouterr().out
    assert "convoy" in shown
    assert "mutex " not in shown


def test_page_stands_alone_and_holds_all() -> None:
    """One file, no other is loaded, and its data are the catalogue's."""
    page = pages.html_page()

    assert not re.search(r"""(src|href)=["']|@import|url\(|fetch\(""", page)
    found = re.search(r"const ENTRIES = (.*), KINDS = ", page)
    assert found is not None
    assert [each["id"] for each in json.loads(found[1].replace("<\\/", "</"))] == [entry.id for entry in ENTRIES]


def test_a_broken_catalogue_is_refused() -> None:
    """With the entry's name."""
    with pytest.raises(ValueError, match=r"mutex: nothing is said of"):
        catalogue._parse("mutex | exclusion | threads | ns | Lock\nn= Mutex\n")
    with pytest.raises(ValueError, match=r"mutex: .* is no line"):
        catalogue._parse("mutex | exclusion | threads | ns | Lock\nhello\n")
