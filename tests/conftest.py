"""What holds for every test: the right build, and nothing left behind (see README.md)."""

from __future__ import annotations

import importlib
import pkgutil

import hypothesis
import pytest

pytest_plugins = ["pytester", "helpers.leftovers"]


# How long an example takes says nothing on a shared machine; the blob repeats a failure anywhere.
hypothesis.settings.register_profile("hardy", deadline=None, print_blob=True)
hypothesis.settings.load_profile("hardy")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to run on a build that the crash tests would silently pass on."""
    from hardy._core import runtime

    if not runtime.has_failpoints():
        raise pytest.UsageError(
            f"the hardy at {runtime.__file__} is a release build, without failpoints. "
            "Run `make test`, or build with HARDY_FAILPOINTS=1."
        )
    load_all_failpoints()


def load_all_failpoints() -> None:
    """Import every part that has failpoints: the crash tests are made from the list of those that are known.

    A program imports only what it uses, and so would the tests.
    """
    for part in ("_core", "_events", "_exec", "_ipc", "_proc", "_sync"):
        try:
            package = importlib.import_module(f"hardy.{part}")
        except ModuleNotFoundError:
            continue
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)


def pytest_report_header() -> str:
    from hardy._core import runtime

    return f"hardy: {runtime.__file__} (with failpoints)"
