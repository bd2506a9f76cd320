"""What holds for every test: the right build, and nothing left behind (see README.md)."""

from __future__ import annotations

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


def pytest_report_header() -> str:
    from hardy._core import runtime

    return f"hardy: {runtime.__file__} (with failpoints)"
