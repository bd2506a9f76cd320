"""The sale over HTTP, and a page that shows what is left as it changes.

| request | answer |
| --- | --- |
| `GET /events` | all events |
| `GET /events/{name}` | one: `{name, tickets, sold, held, remaining}` |
| `GET /events/{name}/live` | the same as server-sent events: now, and after each change |
| `POST /events/{name}/orders` | an order: `{buyer, quantity=1, hold_s=null}`, header `Idempotency-Key` |
| `GET /orders/{id}` | an order |
| `POST /orders/{id}/confirm` | a held order is bought |
| `DELETE /orders/{id}` | a held order is given back |

201 for a new order, 200 for the answer to a retry; an error is `{error, detail}` with its status.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from hardy.apps.tickets.model import BadOrder, Order, TicketError
from hardy.apps.tickets.sale import STEPS, Sale
from hardy.apps.tickets.stores import open_store

__all__ = ["make_app"]

T = TypeVar("T")

_PAGE = Path(__file__).with_name("page.html")
# How old what a page shows may be. Any process may have sold, this one need not know of it: so it is looked at.
_LOOK_S = 0.1
# A line now and then, so that a connection whose other end is gone is noticed, and a hold that has expired is seen.
_BEAT_S = 15.0
_MOST_BODY_BYTES = 10_000


class _Desk:
    """One sale for all requests of this process: its store is asked by one thread at a time."""

    def __init__(self, where: str) -> None:
        self._store = open_store(where)
        self._sale = Sale(self._store, on_step=self._note)
        self._one_at_a_time = asyncio.Lock()
        self._last_step = ""
        self._version: object = None
        self._changed = asyncio.Event()
        self._watchers = 0

    def _note(self, step: str) -> None:
        self._last_step = step

    async def ask(self, question: Callable[[Sale], T]) -> T:
        """What the sale answers; asked in a thread, for it may have to wait for its turn."""
        async with self._one_at_a_time:
            return await run_in_threadpool(question, self._sale)

    async def order(self, question: Callable[[Sale], Order]) -> tuple[Order, bool]:
        """The order, and whether it is new; False for the answer to a retry."""
        async with self._one_at_a_time:
            order = await run_in_threadpool(question, self._sale)
            return order, self._last_step == STEPS[-1]

    async def watch(self) -> AsyncGenerator[None, None]:
        """Comes now, after each change of the store, and now and then."""
        self._watchers += 1
        if self._watchers == 1:
            self._looker = asyncio.create_task(self._look())
        try:
            while True:
                yield
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), _BEAT_S)
        finally:
            self._watchers -= 1
            if not self._watchers:
                self._looker.cancel()

    async def _look(self) -> None:
        """For all who watch: one look at the store."""
        while True:
            async with self._one_at_a_time:
                version = await run_in_threadpool(self._store.version)
            if version != self._version:
                self._version = version
                changed, self._changed = self._changed, asyncio.Event()
                changed.set()
            await asyncio.sleep(_LOOK_S)

    def close(self) -> None:
        self._sale.close()


async def _body(request: Request) -> dict[str, Any]:
    raw = b""
    async for part in request.stream():
        raw += part
        if len(raw) > _MOST_BODY_BYTES:
            raise BadOrder(f"an order has at most {_MOST_BODY_BYTES} bytes")
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise BadOrder(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise BadOrder('the body must be an object, as in {"buyer": "ada"}')
    if unknown := sorted(body.keys() - {"buyer", "quantity", "hold_s"}):
        raise BadOrder(f"an order has no {', '.join(map(repr, unknown))}; it has buyer, quantity and hold_s")
    return body


async def _page(request: Request) -> Response:
    return HTMLResponse(_PAGE.read_text(encoding="utf-8"))


async def _events(request: Request) -> Response:
    events = await request.app.state.desk.ask(lambda sale: sale.events())
    return JSONResponse([event.as_dict() for event in events])


async def _event(request: Request) -> Response:
    name = request.path_params["name"]
    return JSONResponse((await request.app.state.desk.ask(lambda sale: sale.event(name))).as_dict())


async def _live(request: Request) -> Response:
    name = request.path_params["name"]
    desk: _Desk = request.app.state.desk
    # An unknown event is an answer of its own, not a stream that breaks.
    await desk.ask(lambda sale: sale.event(name))

    async def stream() -> AsyncIterator[str]:
        shown = ""
        async with aclosing(desk.watch()) as news:
            async for _ in news:
                text = json.dumps((await desk.ask(lambda sale: sale.event(name))).as_dict())
                yield f"data: {text}\n\n" if text != shown else ": still here\n\n"
                shown = text

    return StreamingResponse(stream(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def _order_tickets(request: Request) -> Response:
    name = request.path_params["name"]
    key = request.headers.get("Idempotency-Key", "")
    if not key:
        raise BadOrder("an order needs the header Idempotency-Key: one key for each purchase, the same in a retry")
    body = await _body(request)
    # The sale says what is wrong with them.
    buyer: Any = body.get("buyer")
    quantity: Any = body.get("quantity", 1)
    hold_s: Any = body.get("hold_s")

    def order(sale: Sale) -> Order:
        if hold_s is None:
            return sale.buy(name, buyer, key, quantity)
        return sale.hold(name, buyer, key, quantity, hold_s=hold_s)

    made, is_new = await request.app.state.desk.order(order)
    return JSONResponse(made.as_dict(), 201 if is_new else 200)


async def _order(request: Request) -> Response:
    order_id = request.path_params["id"]
    desk: _Desk = request.app.state.desk
    if request.method == "DELETE":
        return JSONResponse((await desk.ask(lambda sale: sale.cancel(order_id))).as_dict())
    return JSONResponse((await desk.ask(lambda sale: sale.order(order_id))).as_dict())


async def _confirm(request: Request) -> Response:
    order_id = request.path_params["id"]
    return JSONResponse((await request.app.state.desk.ask(lambda sale: sale.confirm(order_id))).as_dict())


async def _refuse(request: Request, error: Exception) -> Response:
    if isinstance(error, TicketError):
        return JSONResponse({"error": type(error).__name__, "detail": str(error)}, error.status)
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": "HTTPException", "detail": error.detail}, error.status_code, error.headers)


def make_app(where: str) -> Starlette:
    """The ASGI application.

    Args:
        where: of the store, as `open_store` takes it. It is opened when the application starts.
    """

    @asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        app.state.desk = _Desk(where)
        try:
            yield
        finally:
            app.state.desk.close()

    routes = [
        Route("/", _page),
        Route("/events", _events),
        Route("/events/{name}", _event),
        Route("/events/{name}/live", _live),
        Route("/events/{name}/orders", _order_tickets, methods=["POST"]),
        Route("/orders/{id}", _order, methods=["GET", "DELETE"]),
        Route("/orders/{id}/confirm", _confirm, methods=["POST"]),
    ]
    return Starlette(routes=routes, lifespan=life, exception_handlers={TicketError: _refuse, HTTPException: _refuse})
