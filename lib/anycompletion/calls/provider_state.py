"""What all calls of one client to one provider share; made by the client at the first of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakSet

from ..dialects.base import Dialect
from ..options import BearerToken, Secret
from ..params import NATIVE, ParamTable
from ..providers import Provider
from ..records import ChatCompletion
from .endpoint_state import EndpointState

if TYPE_CHECKING:
    from ..records.chunks import ChatCompletionChunk
    from ..transport import Transport

KeySource: TypeAlias = "str | Secret | Callable[[], str | Secret | Awaitable[str | Secret]] | None"
"""A key, or the function that is asked for one before each attempt."""


_MAX_TABLES = 256
"""Models whose parameter support is kept."""


class ProviderState:
    """One provider as one client uses it: connections, key, headers, and what was learned so far."""

    def __init__(
        self,
        provider: Provider,
        dialect: Dialect,
        transport: Transport,
        *,
        base_url: str,
        api_key_base_url: str,
        api_version: str | None,
        key: KeySource,
        key_source_note: str,
        headers: Mapping[str, str],
        region: str | None,
        start_call: Callable[[], Coroutine[Any, Any, float]],
        track_cancel_request: Callable[[asyncio.Task[None]], None],
        accumulate: Callable[[Iterable[ChatCompletionChunk]], ChatCompletion],
    ) -> None:
        self.provider = provider
        self.dialect = dialect
        self.transport: Transport = transport
        self.for_call: Callable[..., Transport] | None = getattr(transport, "for_call", None)
        """Gives each logical call a transport of its own; only fakes have this, see `ProviderSource`."""
        self.base_url = base_url
        """"" where each call must bring its own."""
        self._api_key_base_url = api_key_base_url
        self.api_version = api_version
        self.key: KeySource = key
        self.key_source_note = key_source_note
        """Clause for errors: which environment variable the key is from; "" for a key that was passed."""
        self.headers = headers
        """Headers of every request with the key."""
        self.region = region
        """The region of signatures, where neither the base URL nor the credentials name one."""
        self.start_call = start_call
        """Passes the client's start gate; returns when the call began, on the loop's clock."""
        self.track_cancel_request = track_cancel_request
        """Keeps a strong reference to a task that cancels work at the provider; closing the client waits for it."""
        self.accumulate = accumulate
        """Makes one completion of a stream's chunks."""
        self._param_support: dict[str, ParamTable] = {}
        """Model → parameters that are not simply native; "" for all models, where they do not differ."""
        self.retries = 0
        """Attempts after the first, of all calls so far."""
        self.endpoint = EndpointState()
        """The endpoint state of calls with this base URL and key."""
        self.other_endpoints: WeakSet[EndpointState] = WeakSet()
        """Those of calls with keys or base URLs of their own, as long as some call uses them."""

    def base_url_for(self, key: object) -> str:
        """The base URL of calls with this key: where the provider has one for plain keys, it is not that of tokens."""
        is_token = key is None or callable(key) or isinstance(key, BearerToken)
        return self.base_url if is_token else self._api_key_base_url or self.base_url

    def param_support(self, model: str) -> ParamTable:
        """Parameters that are not simply native, for a model."""
        known = model if self.dialect.model_params is not None else ""
        support = self._param_support.get(known)
        if support is None:
            if len(self._param_support) >= _MAX_TABLES:
                self._param_support.clear()
            table = self.provider.table_of(model)
            support = {name: each for name, each in table.items() if each != NATIVE}
            self._param_support[known] = support
        return support
