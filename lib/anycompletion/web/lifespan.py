"""Opens a client at an application's startup and closes it at shutdown; imports no framework."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

from .. import AsyncCompletion

if TYPE_CHECKING:
    from aiohttp import web


def starlette_lifespan(
    make: Callable[[], AsyncCompletion] = AsyncCompletion, *, state: str = "client"
) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """A lifespan for Starlette or FastAPI that opens a client at startup and closes it at shutdown.

    ::

        app = FastAPI(lifespan=starlette_lifespan())      # request.app.state.client

    A lifespan of your own can use it as a context manager: ``async with starlette_lifespan()(app):``.

    Args:
        make: returns the client; for a client that exists already, pass ``lambda: client``.
        state: the attribute of ``app.state`` that becomes the client.
    """

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncGenerator[None, None]:
        async with make() as client:
            setattr(app.state, state, client)
            yield

    return lifespan


def aiohttp_client(
    key: web.AppKey[AsyncCompletion], make: Callable[[], AsyncCompletion] = AsyncCompletion
) -> Callable[[web.Application], AsyncGenerator[None, None]]:
    """A cleanup context for aiohttp.web that opens a client at startup and closes it at shutdown.

    ::

        CLIENT = web.AppKey("client", AsyncCompletion)
        app.cleanup_ctx.append(aiohttp_client(CLIENT))    # request.app[CLIENT]

    Args:
        key: the application's key of the client.
        make: returns the client.
    """

    async def context(app: web.Application) -> AsyncGenerator[None, None]:
        async with make() as client:
            app[key] = client
            yield

    return context
