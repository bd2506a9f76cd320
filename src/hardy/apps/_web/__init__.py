"""What the programs that speak HTTP share: uvicorn in processes of hardy."""

from __future__ import annotations

from hardy.apps._web.workers import Site, address_of, keep_serving, listen

__all__ = ["Site", "address_of", "keep_serving", "listen"]
