"""`python -m helpers.transfer_steps FOLDER AIM`: serve FOLDER, and die at the step of an upload that AIM names.

AIM is a file, removed by who dies: the process that takes its place lives.
"""

from __future__ import annotations

import os
import signal
import sys

from hardy.apps._web import Site, address_of, keep_serving, listen
from hardy.apps.transfer import Access, Limits, make_app

_HOST = "127.0.0.1"


def main() -> int:
    folder, aim = sys.argv[1:3]

    def die(done: str) -> None:
        try:
            with open(aim) as file:
                if file.read() != done:
                    return
            os.unlink(aim)
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.SIGKILL)

    with listen(_HOST, 0) as listener:
        print(f"serving {folder} at {address_of(listener, _HOST)}", flush=True)
        args = (folder, Access(), Limits(), 86400.0, True, (), die)
        return keep_serving(Site("transfer_steps", "transfer", make_app, args, "the test goes on"), listener, 2)


if __name__ == "__main__":
    sys.exit(main())
