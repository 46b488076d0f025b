"""What typed calls need of a dispatcher besides its calls: their provider, and further replies in the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

import attrs

from ..options import NO_OPTIONS, OptionValues, Timeout
from ..providers import Provider, resolve_model
from ..records import ChatCompletion, ChatRequest
from ..validation import check_option_values
from .state import ClientState

if TYPE_CHECKING:
    from ..middleware import Middleware
    from .routed_calls import Router

OnLoadRefusal: TypeAlias = Callable[[], None] | None

_MAX_PROVIDERS = 256
"""Models whose provider a dispatcher remembers."""

_SHORTEST = 1e-3
"""Seconds of a total timeout that has run out, because there are none of 0."""


class TypedCallMethods:
    """Base class of `CallDispatcher`: its methods for calls whose replies are values of a type."""

    __slots__ = ()

    if TYPE_CHECKING:
        state: ClientState
        defaults: OptionValues
        routes: Router | None
        _providers: dict[str, tuple[Provider, str, bool]]

        def complete(
            self, request: ChatRequest, options: OptionValues, started: float, on_load_refusal: OnLoadRefusal, /
        ) -> Awaitable[ChatCompletion]:
            """One whole reply."""
            ...

        def load_routes(self) -> Router:
            """The router."""
            ...

        def _chain(self, options: OptionValues) -> tuple[Middleware, ...]: ...

    def complete_again(
        self, request: ChatRequest, options: OptionValues, started: float, on_load_refusal: OnLoadRefusal = None
    ) -> Awaitable[ChatCompletion]:
        """One more reply of the call that began at `started`, on the loop's clock, within the same total timeout."""
        checked = check_option_values(options)
        timeout: Timeout = (self.defaults | checked)["timeout"]
        if self._chain(options) and timeout.total is not None:
            # Calls behind middleware have a time of their own, which here is what is left.
            left = max(started + timeout.total - asyncio.get_running_loop().time(), _SHORTEST)
            options = checked | OptionValues({"timeout": attrs.evolve(timeout, total=left)})
        return self.complete(request, options, started, on_load_refusal)

    def provider_of(self, model: str, options: OptionValues) -> tuple[Provider, str, bool]:
        """The provider of a model, the model as it is written after the provider's name, and whether that is a route.

        Of a route, they are those of its first target.

        Raises:
            InvalidRequestError: no such provider.
        """
        if self.routes is not None or (options is not NO_OPTIONS and "fallbacks" in options):
            first = self.load_routes().first_provider(model, options)
            if first is not None:
                return (*first, True)
        found = self._providers.get(model) if options is NO_OPTIONS else None
        if found is None:
            named = "azure" if options.get("azure") else options.get("provider") or self.defaults.get("provider")
            found = (*resolve_model(model, named, self.state.providers), False)
            if options is NO_OPTIONS and len(self._providers) < _MAX_PROVIDERS:
                self._providers[model] = found
        return found
