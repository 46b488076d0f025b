"""Work that ends when its peer leaves; knows how either framework tells, and imports neither."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from aiohttp import web
    from starlette.requests import Request

T = TypeVar("T")

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
"""How an ASGI server tells an application what its peer does."""

POLL = 0.05
"""Seconds between looks at the connection of an aiohttp.web request: aiohttp tells handlers only by cancelling them,
and that only where an application asks for it."""


class ClientDisconnected(Exception):
    """Nobody is there to answer to."""


async def run_until_disconnect(work: Awaitable[T], *signs: Coroutine[Any, Any, object]) -> T:
    """The result of `work`; if one of `signs` ends first, `work` is cancelled and has ended when this raises.

    Raises:
        PeerLeft: one of `signs` ended first.
    """
    task = asyncio.ensure_future(work)
    watchers = [asyncio.ensure_future(sign) for sign in signs]
    try:
        await asyncio.wait((task, *watchers), return_when=asyncio.FIRST_COMPLETED)
    finally:
        # Also where this task is cancelled itself: what it had begun must not outlive it.
        left = not task.done()
        for each in (task, *watchers):
            each.cancel()
        await asyncio.wait((task, *watchers))
        faults = [fault for each in (task, *watchers) if not each.cancelled() and (fault := each.exception())]
    if not left:
        return task.result()
    raise faults[-1] if faults else ClientDisconnected


async def asgi_peer_left(receive: Receive) -> None:
    """Returns when an ASGI server says that the peer has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def aiohttp_peer_left(request: web.Request) -> None:
    """Returns when the connection of an aiohttp.web request is closed."""
    loop = asyncio.get_running_loop()
    left: asyncio.Future[None] = loop.create_future()
    timer: asyncio.TimerHandle | None = None

    def look() -> None:
        # A timer, as it costs a quarter of what a task that sleeps does, twenty times a second and peer.
        nonlocal timer
        transport = request.transport
        if transport is not None and not transport.is_closing():
            timer = loop.call_later(POLL, look)
        elif not left.done():
            left.set_result(None)

    look()
    try:
        await left
    finally:
        if timer is not None:
            timer.cancel()


async def on_disconnect(request: Request | web.Request, awaitable: Awaitable[T]) -> T:
    """`cancel_on_disconnect` of either framework."""
    if isinstance(getattr(request, "scope", None), MutableMapping):
        from . import starlette as on_starlette  # noqa: PLC0415 (whose request it is, its framework is there)

        return await on_starlette.unless_disconnected(cast("Request", request), awaitable)
    if hasattr(request, "transport"):
        from . import aiohttp as on_aiohttp  # noqa: PLC0415 (likewise)

        return await on_aiohttp.unless_disconnected(cast("web.Request", request), awaitable)
    if asyncio.iscoroutine(awaitable):
        awaitable.close()
    raise TypeError(f"expected a request of Starlette's or aiohttp's, found {type(request).__name__}")
