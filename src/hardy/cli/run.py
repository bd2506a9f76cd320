"""`hardy run`: a program that imports `multiprocessing`, unchanged, on hardy."""

from __future__ import annotations

import importlib.util
import os
import sys
from types import CodeType, ModuleType

from hardy import install

__all__ = ["main"]

_USAGE = """\
usage: hardy run SCRIPT [ARGUMENTS ...]
       hardy run -m MODULE [ARGUMENTS ...]

Run a Python program with hardy in the place of multiprocessing, in it and in all the processes that it starts through
multiprocessing. Apart from that it is run as `python SCRIPT` and `python -m MODULE` run it.
"""


def main(argv: list[str]) -> int:
    """Run the program in this process.

    Returns:
        The exit status, unless the program itself ends the process with another.
    """
    if argv[:1] in (["-h"], ["--help"]):
        print(_USAGE, end="")
        return 0
    if not argv or argv == ["-m"] or (argv[0].startswith("-") and argv[0] != "-m"):
        print(_USAGE, end="", file=sys.stderr)
        return 2
    install()
    try:
        module, code = _load_module(argv[1]) if argv[0] == "-m" else _load_script(argv[0])
    except (ImportError, OSError) as error:
        print(f"hardy run: {error}", file=sys.stderr)
        return 2
    sys.argv = [str(module.__file__), *argv[2 if argv[0] == "-m" else 1 :]]
    # For good, not for the time of the run: what the program leaves to atexit and to threads still needs it, and spawn
    # finds the program's file and name in it.
    sys.modules["__main__"] = module
    exec(code, module.__dict__)
    return 0


def _load_script(path: str) -> tuple[ModuleType, CodeType]:
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec")
    # In the place of the folder of the command `hardy`.
    sys.path[0] = os.path.dirname(os.path.realpath(path))
    module = ModuleType("__main__")
    module.__file__ = path
    return module, code


def _load_module(name: str) -> tuple[ModuleType, CodeType]:
    sys.path[0] = os.getcwd()
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.submodule_search_locations is not None:
        name += ".__main__"
        spec = importlib.util.find_spec(name)
    get_code = getattr(spec.loader, "get_code", None) if spec is not None else None
    code = get_code(name) if get_code is not None else None
    if spec is None or code is None:
        raise ImportError(f"there is no module {name} that could be run")
    module = ModuleType("__main__")
    module.__file__ = spec.origin
    module.__spec__ = spec
    module.__package__ = spec.parent
    module.__loader__ = spec.loader
    return module, code
