"""CPython's own tests of `multiprocessing`, for one start method; a module that spawned children can import.

With CONFORMANCE_SIDE=hardy, hardy is in multiprocessing's place. Run by `cpython_worker.py`.
"""

from __future__ import annotations

import os

if os.environ["CONFORMANCE_SIDE"] == "hardy":
    import hardy

    # Before the tests are imported: they bind names of multiprocessing.
    hardy.install()

from test import _test_multiprocessing

_test_multiprocessing.install_tests_in_module_dict(globals(), os.environ["CONFORMANCE_METHOD"])
