"""`python -m hardy`: the same as the command `hardy`."""

from __future__ import annotations

import sys

from hardy.cli import main

if __name__ == "__main__":
    sys.exit(main())
