"""Planning: from a model's name and options to the plan by which such calls are made."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from ..calls import CallPlan, KeySource, ProviderState
from ..dialects.base import EncodingReport, Target
from ..errors import ConfigurationError
from ..options import OptionValues
from ..providers import Provider, api_base_url, fill_placeholders, origin, resolve_model
from .state import ClientState, masked

_MAX_PLANS = 256

_OPTION_HEADERS: Mapping[str, str] = {"organization": "OpenAI-Organization", "project": "OpenAI-Project"}


class PlanCache(dict["tuple[str, bool]", CallPlan]):
    """Model and whether it streams → the plan. Its repr shows none of them, because there are keys in them."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} plans>"

    def keep(self, model: str, stream: bool, plan: CallPlan) -> CallPlan:
        """Adds a plan; a full cache is emptied first."""
        if len(self) >= _MAX_PLANS:
            self.clear()
        self[model, stream] = plan
        return plan


def plan_call(
    client: ClientState, named: str, options: OptionValues, defaults: OptionValues, *, stream: bool
) -> CallPlan:
    """The plan of calls to the model `named` with `options`; `defaults` are those of the client or view.

    Raises:
        InvalidRequestError: no such provider.
        ConfigurationError: no key, no base URL, or a base URL that the key is not for.
    """
    provider, model = resolve_model(named, options.get("provider"), client.providers)
    state = client.provider_state(provider)
    report = EncodingReport(options["on_unsupported"])
    key, base_url = _key_and_url(state, options, defaults)
    target = Target(
        provider=provider.name,
        model=model,
        base_url=base_url,
        path=provider.path,
        api_version=options.get("api_version") or state.api_version,
        stream=stream,
        quirks=provider.quirks,
        time_limit=options["timeout"].total,
        on_unsupported=options["on_unsupported"],
    )
    return CallPlan(
        state,
        target,
        client.endpoint_state(state, base_url, key),
        key=key,
        timeout=options["timeout"],
        max_retries=options["max_retries"],
        extra_headers=_extra_headers(options, provider, report),
        query=options.get("extra_query"),
        extra_body=options.get("extra_body"),
        log_level=logging.INFO if options.get("verbose") else logging.DEBUG,
        fill_choices=options.get("fill_choices") is not False,
        keep_text=options.get("keep_text") is not False,
        warnings=tuple(report.warnings),
        limits=None if client.limits is None else client.limits.for_model(provider.name, model),
    )


def _extra_headers(options: OptionValues, provider: Provider, report: EncodingReport) -> Mapping[str, str]:
    headers: dict[str, str] = {}
    for name, header in _OPTION_HEADERS.items():
        if name in options:
            if header in provider.headers_env:
                headers[header] = options[name]
            else:
                report.unsupported(name, f"{provider.name} has no such header")
    return masked({**headers, **(options.get("extra_headers") or {})})


def _key_and_url(state: ProviderState, options: OptionValues, defaults: OptionValues) -> tuple[KeySource, str]:
    """The key and the base URL of a call.

    A key goes only to the origin that it was given for: a call's own key to the call's base URL, a view's key to the
    view's base URL, the client's key to the provider's.
    """
    provider = state.provider
    given_url = options.get("base_url")
    url = state.base_url if given_url is None else api_base_url(provider, given_url)
    if not url:
        fill_placeholders(provider, os.environ)  # raises where a placeholder is the reason
        variables = " or ".join(provider.base_url_env) or "base_urls"
        raise ConfigurationError(
            f"no base URL for {provider.name}: set {variables}, or pass base_urls={{{provider.name!r}: ...}}",
            provider=provider.name,
        )
    key: KeySource = options.get("api_key")
    if key is None:
        return _client_key(state, url, is_own=given_url is None), url
    if key is defaults.get("api_key"):
        home = defaults.get("base_url") or state.base_url
        if given_url and not (home and origin(url) == origin(home)):
            raise _wrong_origin(provider, url, "the view's key")
    return key, url


def _client_key(state: ProviderState, url: str, *, is_own: bool) -> KeySource:
    provider = state.provider
    if not is_own and not (state.base_url and origin(url) == origin(state.base_url)):
        if provider.key_optional:
            return None
        raise _wrong_origin(provider, url, f"the key for {provider.name}")
    if state.key is None and not provider.key_optional:
        variables = " or ".join((*provider.token_env, *provider.key_env))
        raise ConfigurationError(
            f"no API key for {provider.name}: set {variables or 'one'}, or pass api_keys={{{provider.name!r}: ...}}",
            provider=provider.name,
        )
    return state.key


def _wrong_origin(provider: Provider, url: str, key: str) -> ConfigurationError:
    return ConfigurationError(
        f"base_url points to {urlsplit(url).hostname}, and {key} was not configured for it; pass api_key= with it",
        provider=provider.name,
    )
