"""The function that decides who may call the endpoint, and for which models; imports no framework."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from .refusals import refuse

if TYPE_CHECKING:
    from starlette.requests import Request

AllowedModels: TypeAlias = "bool | Collection[str] | None"
"""True: the models of the endpoint, by default any. False or None: none, which becomes a 401. Names: these models."""

Authorize: TypeAlias = "Callable[[Request], AllowedModels | Awaitable[AllowedModels]]"
"""Function of a request, async or not, that returns the models it may ask for."""


async def allowed_models(
    authorize: Authorize, request: Request, models: frozenset[str] | None
) -> frozenset[str] | None:
    """The models that `request` may ask for; None means any.

    Args:
        authorize: the service's function.
        request: the request.
        models: what True means.

    Raises:
        RequestRefused: 401, none.
        TypeError: `authorize` returned a value of another type than it should.
    """
    result = authorize(request)
    if inspect.isawaitable(result):
        result = await result
    if result is True:
        return models
    if result is False or result is None:
        refuse(401, "the key is missing, or was not accepted", None, "invalid_api_key", "WWW-Authenticate: Bearer")
    names: Any = result
    if isinstance(names, (str, bytes)) or not isinstance(names, Collection):
        # A string is a collection as well: it would allow every model whose name is one of its characters.
        raise TypeError(f"authorize must return a bool or a collection of models, not {type(names).__name__}")
    return frozenset(cast("Collection[str]", names))
