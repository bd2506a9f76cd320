"""The chat: one order for all, over any number of processes, whichever of them is killed.

    with make_server(workers=4) as server:
        host, port = server.address
        client = Client(host, port, "ada", on_event=print)

`hardy chat serve | join | bots` is the command.
"""

from __future__ import annotations

from hardy.apps.chat.bots import Report, run_bots
from hardy.apps.chat.client import ChatError, Client
from hardy.apps.chat.serve import make_server

__all__ = ["ChatError", "Client", "Report", "make_server", "run_bots"]
