"""`hardy learn`: what a learner types, and what becomes of what he writes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.procfs import descendants, stat
from helpers.procs import alive, wait_dead
from helpers.waiting import wait_until

from hardy.apps.learn import contents, main, pages

JOIN = contents.LESSONS[5]


@pytest.fixture(autouse=True)
def state_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("LC_ALL", "C")
    return tmp_path / "state/hardy/learn.json"


def written(folder: Path, source: str) -> str:
    path = folder / "mine.py"
    path.write_text(source)
    return str(path)


def test_learn_lists_lessons_and_what_is_done(capsys: pytest.CaptureFixture[str], state_file: Path) -> None:
    """Each lesson with its state; a state file that is damaged is as none."""
    state_file.parent.mkdir(parents=True)
    state_file.write_text(json.dumps({"join": "solved", "parent": "seen"}))

    assert main([]) == 0

    shown = capsys.readouterr().out
    assert all(lesson.name in shown for lesson in contents.LESSONS)
    assert "✓ solved" in shown
    assert "read" in shown
    state_file.write_text("{")
    assert main([]) == 0


@pytest.mark.parametrize(("variable", "value"), [("LC_ALL", "zh_CN.UTF-8"), ("LANG", "zh_TW.UTF-8")])
def test_learn_speaks_the_language_of_the_locale(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """Chinese in a Chinese locale, and what --lang says in any."""
    monkeypatch.delenv("LC_ALL")
    monkeypatch.delenv("LC_MESSAGES", raising=False)
    monkeypatch.setenv(variable, value)

    main([])
    assert "父进程与子进程" in capsys.readouterr().out

    main(["--lang", "en"])
    assert "Parent and child" in capsys.readouterr().out


def test_learn_shows_a_lesson_and_runs_its_scripts(capfd: pytest.CaptureFixture[str], state_file: Path) -> None:
    """The page, with what the scripts print now."""
    assert main(["creating", "--lang", "zh"]) == 0

    shown = capfd.readouterr().out
    assert "创建进程" in shown
    assert "7 号桌：豆腐 2 份，要辣\n" in shown
    assert json.loads(state_file.read_text()) == {"creating": "seen"}


@pytest.mark.parametrize(("word", "meant"), [("jion", "join"), ("isolate", "isolation"), ("xyzzy", "process")])
def test_learn_suggests_the_nearest_lesson(capsys: pytest.CaptureFixture[str], word: str, meant: str) -> None:
    """A misspelt name is met with those like it, and with all where none is."""
    assert main([word]) == 2
    assert main(["check", word, "x.py"]) == 2

    assert capsys.readouterr().err.count(meant) == 2


def test_learn_says_what_is_wrong_with_a_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A file that is not there, a word too many, a time that is none."""
    assert main(["check", "join", str(tmp_path / "no.py")]) == 2
    for words in (["check", "join"], ["join", "parent"], ["check", "join", "x.py", "--timeout", "0"]):
        with pytest.raises(SystemExit) as caught:
            main(words)
        assert caught.value.code == 2

    assert "--save" in capsys.readouterr().err


def test_check_takes_the_solution(capsys: pytest.CaptureFixture[str], state_file: Path) -> None:
    """It may print either language; that it was right is remembered, also when the lesson is read again."""
    assert main(["check", "isolation", str(contents.LESSONS[6].folder / "solution.py"), "--lang", "zh"]) == 0
    from hardy.apps.learn import progress

    progress.mark("isolation", progress.SEEN)

    assert "正确" in capsys.readouterr().out
    assert json.loads(state_file.read_text()) == {"isolation": "solved"}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("print('rice is ready')", "prints something else"),
        ("import signal\nsignal.pause()", "had not ended after 0.5 s"),
        ("print('so far')\n1 / 0", "exit status 1"),
        ("import os\nos.abort()", "killed by SIGABRT"),
        ("pass", "printed nothing"),
        ("while True: print('x' * 1000)", "more than 1 MiB"),
    ],
    ids=["wrong", "hangs", "crashes", "killed", "silent", "endless"],
)
def test_check_says_what_is_wrong_and_what_was_expected(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, source: str, said: str
) -> None:
    """Also of a file that hangs, crashes or prints nothing."""
    limit = "0.5" if "signal.pause" in source else "30"

    assert main(["check", "join", written(tmp_path, source), "--timeout", limit]) == 1

    shown = capsys.readouterr().out
    assert said in shown
    assert "dinner" in shown


DAEMON = """
import os, signal, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        with open(sys.argv[0] + ".pid", "w") as file:
            print(os.getpid(), end=".", file=file)
        while True:
            signal.pause()
    os._exit(0)
os.wait()
"""


def daemon_pid(file: Path) -> int:
    """The pid that the script's daemon has written, once it has."""
    path = file.with_suffix(".py.pid")
    wait_until(lambda: path.exists() and path.read_text().endswith("."), 20)
    return int(path.read_text().rstrip("."))


def test_check_ends_what_a_script_leaves_running(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Also a daemon that has cut all ties, which is named."""
    file = written(tmp_path, DAEMON)

    main(["check", "join", file])

    assert "left running" in capsys.readouterr().out
    assert not alive(daemon_pid(Path(file)))


@pytest.mark.parametrize("victim", ["command", "keeper"])
def test_check_leaves_nothing_when_it_is_killed(tmp_path: Path, victim: str) -> None:
    """The command itself, or the process that keeps the script."""
    file = Path(written(tmp_path, DAEMON + "signal.pause()\n"))
    command = subprocess.Popen(
        [sys.executable, "-m", "hardy", "learn", "check", "join", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    daemon = daemon_pid(file)
    tree = descendants(command.pid)
    (keeper,) = [pid for pid in tree if stat(pid).ppid == command.pid]

    os.kill(command.pid if victim == "command" else keeper, signal.SIGKILL)

    command.communicate(timeout=20)
    assert daemon in tree
    assert all(wait_dead(pid, 10) for pid in tree)


def test_save_writes_the_files_and_spares_those_that_are_there(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The lesson's scripts and the exercise, without its solution."""
    (tmp_path / "one.py").write_text("mine")

    assert main(["join", "--save", str(tmp_path)]) == 0

    names = {path.name for path in tmp_path.glob("*.py")}
    assert names == {name for part in pages.runs(JOIN) for name in part.files} - {"solution.py"} | {"my_join.py"}
    assert (tmp_path / "one.py").read_text() == "mine"
    assert "one.py" in capsys.readouterr().err
