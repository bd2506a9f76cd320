"""CPython's own tests of `multiprocessing` and `ProcessPoolExecutor`, for one start method; children can import it.

With CONFORMANCE_SIDE=hardy, hardy is in multiprocessing's place. Run by `cpython_worker.py`.
"""

from __future__ import annotations

import importlib.util
import os
import pkgutil

if os.environ["CONFORMANCE_SIDE"] == "hardy":
    import hardy

    # Before the tests are imported: they bind names of multiprocessing.
    hardy.install()

from test import _test_multiprocessing

_METHOD = os.environ["CONFORMANCE_METHOD"]
_test_multiprocessing.install_tests_in_module_dict(globals(), _METHOD)

# One module up to Python 3.11, a package since; not every distribution has it. Classes bear the start method's name.
if importlib.util.find_spec("test.test_concurrent_futures") is not None:
    _futures = importlib.import_module("test.test_concurrent_futures")
    _parts = [each.name for each in pkgutil.iter_modules(getattr(_futures, "__path__", ()), f"{_futures.__name__}.")]
    for _module in [_futures, *map(importlib.import_module, _parts)]:
        for _name, _kind in vars(_module).items():
            # The class of fork begins as that of forkserver does.
            if _name.startswith(f"ProcessPool{_METHOD.capitalize()}") and _name.endswith("Test"):
                if _METHOD == "fork" and _name.startswith("ProcessPoolForkserver"):
                    continue
                globals()[_name] = _kind
