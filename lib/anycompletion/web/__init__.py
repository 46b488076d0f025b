"""Relays for web services: streams to browsers, upstream closed when the client disconnects; never listens by itself.

Two frameworks, Starlette (and so FastAPI) and aiohttp.web. Each is imported when one of its functions is called, so
that a user of one does not need the other: ``pip install 'anycompletion[web]'`` brings Starlette.
"""

from .authorization import AllowedModels, Authorize
from .error_handlers import aiohttp_errors, starlette_errors
from .frameworks import aiohttp_sse, cancel_on_disconnect, chat_completions_app, starlette_sse
from .lifespan import aiohttp_client, starlette_lifespan
from .public_errors import PublicError, public_error

__all__ = [
    "AllowedModels",
    "Authorize",
    "PublicError",
    "aiohttp_client",
    "aiohttp_errors",
    "aiohttp_sse",
    "cancel_on_disconnect",
    "chat_completions_app",
    "public_error",
    "starlette_errors",
    "starlette_lifespan",
    "starlette_sse",
]
