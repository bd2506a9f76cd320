"""`hardy run`: a program that imports `multiprocessing`, unchanged, on hardy."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import pkgutil
import sys
from collections.abc import Callable
from importlib.machinery import BuiltinImporter
from types import CodeType, ModuleType, TracebackType
from typing import Any

from hardy import install
from hardy.context import tell_children_their_name

__all__ = ["main"]

_USAGE = """\
usage: hardy run [--prefix] SCRIPT [ARGUMENTS ...]
       hardy run [--prefix] -m MODULE [ARGUMENTS ...]
       hardy run [--prefix] -c CODE [ARGUMENTS ...]
       hardy run [--prefix] - [ARGUMENTS ...]

Run a Python program with hardy in the place of multiprocessing, in it and in all the processes that it starts through
multiprocessing. Apart from that it is run as `python` runs it: a file, a folder or zip file with a __main__.py, a
module or package, the given code, or what is read from standard input.

  --prefix  put the name and pid of the process before each line of output: [worker-1 4711] ...
            Lines of several processes never mix.
"""


def main(argv: list[str]) -> int:
    """Run the program in this process.

    Returns:
        The exit status, unless the program itself ends the process with another.
    """
    if argv[:1] in (["-h"], ["--help"]):
        print(_USAGE, end="")
        return 0
    prefix = argv[:1] == ["--prefix"]
    arguments = argv[1:] if prefix else argv
    kind = arguments[0] if arguments else ""
    takes_one = kind in ("-m", "-c")
    if not kind or (takes_one and len(arguments) < 2) or (kind.startswith("-") and not takes_one and kind != "-"):
        print(_USAGE, end="", file=sys.stderr)
        return 2
    install()
    if prefix:
        from hardy._output.prefix import join, start

        tell_children_their_name("hardy_output", join, start())
    rest = arguments[2:] if takes_one else arguments[1:]
    load = {"-m": _load_module, "-c": _load_text, "-": _load_stdin}.get(kind, _load_path)
    sys.argv = [kind, *rest]
    try:
        name, module, code = load(arguments[1] if takes_one else kind)
    except (ImportError, OSError) as error:
        print(f"hardy run: {error}", file=sys.stderr)
        return 2
    sys.argv[0] = name
    _execute(module, code)
    return 0


def _execute(module: ModuleType, code: CodeType) -> None:
    # For good, not for the time of the run: what the program leaves to atexit and to threads still needs it, and spawn
    # finds the program's file and name in it. Under the second name, what its children send is found again.
    sys.modules["__main__"] = sys.modules["__mp_main__"] = module
    try:
        exec(code, module.__dict__)
    except SystemExit:
        raise
    except BaseException as error:
        # The traceback begins with the program's own line. Python ends the process as it does after any such error.
        error.__traceback__ = _without_our_frames(error.__traceback__)
        sys.excepthook(type(error), error, error.__traceback__)
        sys.excepthook = _say_nothing
        raise


def _without_our_frames(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return trace


def _say_nothing(*error: object) -> None:
    """What there is to say has been said."""


def _new_main(code_text: bytes | str, shown_as: str) -> tuple[ModuleType, CodeType]:
    # Not with the `from __future__` imports of this file.
    code = compile(code_text, shown_as, "exec", dont_inherit=True)
    module = ModuleType("__main__")
    module.__dict__.update(__builtins__=sys.modules["builtins"], __annotations__={}, __loader__=BuiltinImporter)
    return module, code


def _set_first_path(folder: str) -> None:
    """What Python puts before all other folders; the command `hardy` had its own there."""
    if getattr(sys.flags, "safe_path", False):
        return
    sys.path[0] = folder


def _load_path(path: str) -> tuple[str, ModuleType, CodeType]:
    # A folder, or a zip file.
    if not os.path.isfile(path) or pkgutil.get_importer(path) is not None:
        return _load_folder(path)
    full = os.path.abspath(path)
    with open(path, "rb") as file:
        module, code = _compile(file.read(), full)
    _set_first_path(os.path.dirname(os.path.realpath(path)))
    module.__file__ = full
    module.__loader__ = importlib.machinery.SourceFileLoader("__main__", full)
    module.__dict__["__cached__"] = None
    return path, module, code


def _compile(source: bytes, path: str) -> tuple[ModuleType, CodeType]:
    try:
        return _new_main(source, path)
    except (SyntaxError, ValueError) as error:
        # As Python says it: with the line, without a traceback through this file.
        error.__traceback__ = None
        sys.excepthook(type(error), error, None)
        raise SystemExit(1) from None


def _load_folder(path: str) -> tuple[str, ModuleType, CodeType]:
    if not os.path.exists(path):
        raise FileNotFoundError(2, "No such file or directory", path)
    shown, path = path, os.path.abspath(path)
    # Its importer is asked only for what lies there.
    finder: Any = pkgutil.get_importer(path)
    spec = finder.find_spec("__main__") if finder is not None else None
    if spec is None:
        raise ImportError(f"there is no __main__ module in {shown!r}")
    if getattr(sys.flags, "safe_path", False):
        sys.path.insert(0, path)
    else:
        sys.path[0] = path
    module, code = _of_spec(spec, "__main__")
    return shown, module, code


def _load_text(text: str) -> tuple[str, ModuleType, CodeType]:
    _set_first_path("")
    return "-c", *_compile(text.encode(), "<string>")


def _load_stdin(_: str) -> tuple[str, ModuleType, CodeType]:
    _set_first_path("")
    module, code = _compile(sys.stdin.buffer.read(), "<stdin>")
    module.__dict__.update(__file__="<stdin>", __cached__=None)
    return "-", module, code


def _load_module(name: str) -> tuple[str, ModuleType, CodeType]:
    _set_first_path(os.getcwd())
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.submodule_search_locations is not None:
        name += ".__main__"
        spec = importlib.util.find_spec(name)
    module, code = _of_spec(spec, name)
    return str(module.__file__), module, code


def _of_spec(spec: importlib.machinery.ModuleSpec | None, name: str) -> tuple[ModuleType, CodeType]:
    get_code: Callable[[str], CodeType | None] | None = getattr(spec.loader, "get_code", None) if spec else None
    code = get_code(name) if get_code is not None else None
    if spec is None or code is None:
        raise ImportError(f"there is no module {name} that could be run")
    module = ModuleType("__main__")
    module.__dict__.update(__builtins__=sys.modules["builtins"], __annotations__={}, __cached__=spec.cached)
    module.__file__ = spec.origin
    module.__spec__ = spec
    module.__package__ = spec.parent
    module.__loader__ = spec.loader
    return module, code
