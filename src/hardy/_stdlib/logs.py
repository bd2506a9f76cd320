"""The logger of `multiprocessing.util`, where an older Python's lacks what newer ones have."""

from __future__ import annotations

import logging
from multiprocessing import util as _util

__all__ = ["warn"]


def warn(msg: str, *args: object) -> None:
    """Log a warning, if `get_logger` or `log_to_stderr` has been called. Of Python 3.14's `multiprocessing.util`."""
    logger: logging.Logger | None = _util._logger  # type: ignore[attr-defined]
    if logger is not None:
        logger.log(logging.WARNING, msg, *args, stacklevel=2)
