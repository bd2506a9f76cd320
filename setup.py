"""The native part: each `src/hardy/_core/<name>.pyx` is one extension, `hardy._core.<name>`.

Read from the environment:
    HARDY_FAILPOINTS=1: compile the failpoints in (the tests' build; never a release).
    HARDY_BLIND=1: leave out what shows to others what a process does (for `make bench`, which compares).
    HARDY_ONLY=sync,runtime: build these extensions only (for development).
    CFLAGS: further compiler flags, after hardy's own, so that `-O0 -g` wins.
"""

from __future__ import annotations

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

PACKAGE = Path("src/hardy")
CORE = PACKAGE / "_core"
WITH_FAILPOINTS = os.environ.get("HARDY_FAILPOINTS") == "1"
BLIND = os.environ.get("HARDY_BLIND") == "1"
FLAVOUR = ("failpoints" if WITH_FAILPOINTS else "release") + ("-blind" if BLIND else "")
# The flavours never share an object file: setuptools compares times only and would mix them.
BUILD_BASE = Path("build") / FLAVOUR


def extensions() -> list[Extension]:
    """One extension for each .pyx; each is rebuilt when a header or a .pxd changes."""
    sources = sorted(CORE.glob("*.pyx"))
    only = {name for name in os.environ.get("HARDY_ONLY", "").split(",") if name}
    unknown = only - {source.stem for source in sources}
    if unknown:
        raise SystemExit(f"HARDY_ONLY: no such extension in {CORE}: {', '.join(sorted(unknown))}")
    depends = sorted(str(path) for pattern in ("*.h", "*.pxd") for path in CORE.glob(pattern))
    return [
        Extension(
            f"hardy._core.{source.stem}",
            [str(source)],
            include_dirs=[str(CORE)],
            depends=depends,
            define_macros=[
                (name, "1") for name, on in (("HARDY_FAILPOINTS", WITH_FAILPOINTS), ("HARDY_BLIND", BLIND)) if on
            ],
            extra_compile_args=[
                "-std=gnu11",
                "-O2",
                "-pthread",
                "-Wall",
                *os.environ.get("CFLAGS", "").split(),
            ],
            # Bound at once, for what is bound late is bound anew in each forked child; and in few mappings, each of
            # which a fork copies.
            extra_link_args=["-pthread", "-Wl,-z,now,-z,noseparate-code"],
        )
        for source in sources
        if not only or source.stem in only
    ]


def forget_removed_sources() -> None:
    """Drop from the build tree what has no source any more: setuptools would put it into the wheel."""
    for lib in BUILD_BASE.glob("lib*"):
        for built in (lib / "hardy").rglob("*"):
            source = PACKAGE / built.relative_to(lib / "hardy")
            if built.suffix == ".so":
                source = source.with_name(built.name.partition(".")[0] + ".pyx")
            if built.is_file() and not source.exists():
                built.unlink()


class BuildExt(build_ext):
    """build_ext that rebuilds in-place extensions when they are of the other flavour."""

    def run(self) -> None:
        if not self.inplace:
            super().run()
            return
        note = Path("build/inplace")
        wanted = f"{FLAVOUR} {os.environ.get('CFLAGS', '')}\n"
        if not note.exists() or note.read_text() != wanted:
            self.force = True
        super().run()
        note.parent.mkdir(exist_ok=True)
        note.write_text(wanted)


forget_removed_sources()
setup(
    ext_modules=cythonize(
        extensions(),
        build_dir=str(BUILD_BASE / "cython"),
        compiler_directives={"language_level": 3, "embedsignature": True, "auto_pickle": False},
    ),
    cmdclass={"build_ext": BuildExt},
    options={
        "build": {"build_base": str(BUILD_BASE)},
        "build_ext": {"parallel": os.cpu_count() or 1},
    },
)
