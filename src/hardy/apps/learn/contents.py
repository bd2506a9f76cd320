"""Which lessons there are, in their order, and where their files lie.

A lesson is a folder of `lessons/`: `page.en.md` and `page.zh.md`, scripts (`NAME.py`) with what they printed when they
were last recorded (`NAME.txt`), and an exercise (`exercise.py`) with a solution (`solution.py`, `solution.txt`). Its
folder `zh/` has the same scripts with Chinese texts and comments; one that has neither is not there twice.
The pages under `docs/` are made of these by `tools/learn_docs.py`.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import NamedTuple

__all__ = ["LANGUAGES", "LESSONS", "Lesson", "find", "nearest"]

LANGUAGES = ("en", "zh")
_FOLDER = Path(__file__).parent / "lessons"


class Lesson(NamedTuple):
    """One idea.

    Attributes:
        name: what `hardy learn` calls it, and its folder.
        en: its title in English.
        zh: its title in Chinese.
    """

    name: str
    en: str
    zh: str

    @property
    def number(self) -> int:
        """Its place in the order, from 1."""
        return LESSONS.index(self) + 1

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return _FOLDER / self.name.replace("-", "_")

    @property
    def file_name(self) -> str:
        """Of its page under `docs/`."""
        return f"{self.number:02d}-{self.name}.md"

    def title(self, language: str) -> str:
        """Its title in that language."""
        return self.zh if language == "zh" else self.en

    def script(self, name: str, language: str) -> Path:
        """One of its files as a reader of that language has it."""
        own = self.folder / language / name
        return own if own.exists() else self.folder / name

    def page(self, language: str) -> str:
        """The source of its page in that language."""
        return (self.folder / f"page.{language}.md").read_text(encoding="utf-8")


LESSONS = (
    Lesson("process", "Program and process", "程序与进程"),
    Lesson("parent", "Parent and child", "父进程与子进程"),
    Lesson("waiting", "Four ways to wait: sync, async, blocking, non-blocking", "四种等法：同步、异步、阻塞、非阻塞"),
    Lesson("creating", "Creating processes", "创建进程"),
    Lesson("start", "Start methods, and the main guard", "启动方式，以及为什么要写 main 保护"),
    Lesson("join", "join: waiting for a child", "join：等子进程结束"),
    Lesson("isolation", "Each has memory of its own", "数据隔离：各有各的内存"),
    Lesson("queues", "Queues", "队列"),
    Lesson("talking", "Children that talk over a queue", "子进程之间用队列说话"),
    Lesson("producers", "Producers and consumers: the steamer shop", "生产者与消费者：包子铺"),
    Lesson("pids", "Process ids", "进程号 pid"),
    Lesson("terminate", "Ending a process, and asking whether it lives", "结束进程，以及它是否还活着"),
    Lesson("daemons", "Daemons", "守护进程"),
    Lesson("zombies", "Zombies", "僵尸进程"),
    Lesson("orphans", "Orphans", "孤儿进程"),
    Lesson("race", "The data race, and the mutex", "数据竞争与互斥锁"),
    Lesson("deadlock", "Deadlock", "死锁"),
    Lesson("pools", "Pools", "进程池"),
    Lesson("tcp", "A TCP server, and a chat", "TCP 服务器与聊天"),
    Lesson("transfer", "Upload and download", "上传与下载"),
    Lesson("machines", "From one machine to many", "从一台机器到许多台"),
)


def find(name: str) -> Lesson | None:
    """The lesson of that name or number; None when there is none."""
    for lesson in LESSONS:
        if name.lower() in (lesson.name, str(lesson.number), f"{lesson.number:02d}"):
            return lesson
    return None


def nearest(name: str) -> list[str]:
    """The names most like it, the likest first."""
    names = [lesson.name for lesson in LESSONS]
    return difflib.get_close_matches(name.lower(), names, 3, 0.4) or [each for each in names if name.lower() in each]
