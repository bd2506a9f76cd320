"""What `hardy learn` and the pages say around the lessons, in both languages."""

from __future__ import annotations

import os

__all__ = ["language_of_locale", "say"]

_WORDS = {
    "lessons": ("Lessons", "课程"),
    "lesson": ("Lesson", "第几课"),
    "title": ("What it is about", "讲什么"),
    "solved": ("solved", "已做完"),
    "seen": ("read", "已读"),
    "hint_read": (
        "hardy learn NAME shows a lesson and runs its scripts.",
        "hardy learn NAME 打开一课并运行其中的脚本。",
    ),
    "hint_save": ("hardy learn NAME --save DIR gives you its files.", "hardy learn NAME --save DIR 把脚本存到目录里。"),
    "hint_check": (
        "hardy learn check NAME FILE checks your solution.",
        "hardy learn check NAME FILE 检查你的答案。",
    ),
    "unknown": ("There is no lesson {name!r}.", "没有名叫 {name!r} 的课。"),
    "nearest": ("Did you mean {names}?", "是不是想找 {names}？"),
    "all": ("The lessons are: {names}.", "所有的课：{names}。"),
    "no_file": ("There is no file {file}.", "没有文件 {file}。"),
    "get_file": (
        "`hardy learn {name} --save .` writes the exercise into this folder.",
        "`hardy learn {name} --save .` 会把练习存到当前目录。",
    ),
    "right": ("Right: {file} prints what it should.", "正确：{file} 的输出符合要求。"),
    "wrong": (
        "Not yet: {file} prints something else. (- is missing, + is too much)",
        "还差一点：{file} 的输出与要求不同。（- 少了的行，+ 多出的行）",
    ),
    "hung": (
        "{file} had not ended after {seconds:g} s, and was ended with all that it had started.",
        "{file} 过了 {seconds:g} 秒还没有结束，已连同它启动的一切被终止。",
    ),
    "crashed": ("{file} ended with exit status {status}.", "{file} 以退出码 {status} 结束。"),
    "killed": ("{file} was killed by {signal}.", "{file} 被信号 {signal} 杀死。"),
    "silent": ("{file} printed nothing.", "{file} 什么也没有打印。"),
    "endless": ("{file} wrote more than 1 MiB, and was ended.", "{file} 的输出超过 1 MiB，已被终止。"),
    "printed": ("It printed:", "它打印的是："),
    "expected": ("What was expected:", "应当打印："),
    "left": (
        "It left running, and hardy learn ended it: {left}",
        "它留下了还在运行的进程，已由 hardy learn 终止：{left}",
    ),
    "cannot_save": ("Your progress could not be saved: {why}", "学习进度无法保存：{why}"),
    "saved": ("Written: {files}", "已写入：{files}"),
    "exists": ("{file} exists already, and was left as it is.", "{file} 已经存在，没有改动。"),
    "question": ("Predict", "先猜再看"),
    "answer": ("Answer", "答案"),
    "answers": ("Answers", "答案"),
    "exercise": ("Exercise", "练习"),
    "begin_with": ("Begin with this", "从这里开始"),
    "check_with": ("and check it", "写完后检查"),
    "must_print": ("It should print", "应当打印"),
    "a_solution": ("A solution", "参考答案"),
    "prints": ("It prints", "输出"),
    "terminal": ("In a terminal", "在终端里"),
    "no_command": (
        "This needs a command that is not here: install the package {package}.",
        "这里要用的命令没有装：请安装软件包 {package}。",
    ),
    "recorded": ("Recorded elsewhere, this is what it printed:", "别处录下的输出是这样的："),
    "picture": ("What ran when, drawn by `hardy trace`", "谁在什么时候运行（由 `hardy trace` 画出）"),
    "any_order": ("the order of the lines may differ", "行的先后可能不同"),
    "next": ("Next", "下一课"),
    "previous": ("Previous", "上一课"),
    "made": (
        "<!-- Made by tools/learn_docs.py from {source}: change it there. -->",
        "<!-- 由 tools/learn_docs.py 根据 {source} 生成：请改那里。 -->",
    ),
}


def say(word: str, language: str, **values: object) -> str:
    """That text in that language, with the values in their places."""
    return _WORDS[word][language == "zh"].format(**values)


def language_of_locale() -> str:
    """The language that the environment asks for: "zh", or else "en"."""
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(variable)
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"
