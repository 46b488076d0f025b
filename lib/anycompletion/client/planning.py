"""Planning: from a model's name and options to the plan by which such calls are made."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence

from ..calls import CallPlan, KeySource, ProviderState
from ..dialects.base import EncodingReport, Target, TargetExtras
from ..errors import ConfigurationError
from ..options import EnvKey, Key, OptionValues
from ..params import NATIVE, ParamTable
from ..providers import DIALECTS, Provider, ProviderVariant, api_base_url, fill_placeholders, resolve_model
from ..redaction import secret_values
from .key_binding import Homes, is_same_origin, key_for, wrong_origin
from .state import ClientState, environment_key, masked

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
    client_state: ClientState,
    model_name: str,
    options: OptionValues,
    defaults: OptionValues,
    homes: Homes,
    *,
    stream: bool,
) -> CallPlan:
    """The plan of calls to the model `model_name` with `options`; `defaults` are those of the client or view.

    `homes`: what the credentials among `defaults` were given for.

    Raises:
        InvalidRequestError: no such provider.
        ConfigurationError: no key, no base URL, or a base URL that the key is not for.
    """
    provider, asked_model = resolve_model(model_name, options.get("provider"), client_state.providers)
    variant_name, model = provider.variant_of(asked_model)
    variant = provider.variants.get(variant_name)
    provider_state = client_state.provider_state(provider)
    report = EncodingReport(options["on_unsupported"])
    given = options.get("api_key")
    given_key = key_for(given, provider.name, client_state.providers)
    own_url = provider_state.base_url_for(provider_state.key if given_key is None else given_key)
    if not own_url and options.get("base_url") is None:
        own_url = fill_placeholders(provider, os.environ, model)  # raises where a placeholder is the reason
    base_url = _base_url(provider, own_url, options)
    for option, home in homes.items():
        is_used = given_key is not None if option == "api_key" else option in options
        # The same object: the credential is the view's and not the call's, and may only go where it was given for.
        if is_used and options.get(option) is defaults.get(option):
            home.check(option, provider, base_url, own_url)
    key = _key(client_state, provider_state, given_key, base_url, own_url)
    spoken: Provider | ProviderVariant = variant or provider
    if variant is not None and model == asked_model:
        report.warn(f"asked as {provider.name}/{variant_name}/{model}: the model has no other endpoint")
    headers = _provider_headers(provider_state, base_url, own_url)
    target = Target(
        provider=provider.name,
        model=model,
        base_url=base_url,
        path=spoken.path,
        api_version=options.get("api_version") or provider_state.api_version,
        stream=stream,
        quirks=spoken.quirks,
        time_limit=options["timeout"].total,
        on_unsupported=options["on_unsupported"],
        own_key=given_key is not None,
        extras=TargetExtras(options, headers, variant_name),
    )
    return CallPlan(
        provider_state,
        target,
        client_state.endpoint_state(provider_state, base_url, key),
        dialect=provider_state.dialect if variant is None else DIALECTS[variant.dialect],
        param_support=None if variant is None else _param_support(variant),
        model_by_error_phrase={} if variant is not None else _model_by_error_phrase(provider, model),
        key=key,
        timeout=options["timeout"],
        max_retries=options["max_retries"],
        headers=headers,
        extra_headers=_extra_headers(options, provider, report),
        query=options.get("extra_query"),
        extra_body=options.get("extra_body"),
        log_level=logging.INFO if options.get("verbose") else logging.DEBUG,
        tags=options.get("tags"),
        fill_choices=options.get("fill_choices") is not False,
        keep_text=options.get("keep_text") is not False,
        warnings=tuple(report.warnings),
        limits=None if client_state.limits is None else client_state.limits.for_model(provider.name, model),
    )


def _param_support(variant: ProviderVariant) -> ParamTable:
    return {name: support for name, support in variant.table.items() if support != NATIVE}


def _model_by_error_phrase(provider: Provider, model: str) -> Mapping[str, str]:
    """Phrase of the provider's errors → the name by which the model is asked in the format that the error asks for."""
    return {
        phrase: f"{provider.name}/{name}/{model}"
        for name, variant in provider.variants.items()
        for phrase in variant.error_phrases
    }


def _extra_headers(options: OptionValues, provider: Provider, report: EncodingReport) -> Mapping[str, str]:
    headers: dict[str, str] = {}
    for name, header in _OPTION_HEADERS.items():
        if name in options:
            if header in provider.headers_env:
                headers[header] = options[name]
            else:
                report.unsupported(name, f"{provider.name} has no such header")
    return masked({**headers, **(options.get("extra_headers") or {})})


def _provider_headers(provider_state: ProviderState, url: str, own_url: str) -> Mapping[str, str]:
    """The provider's headers; to another origin than the provider's, without those that may be secret."""
    if url == own_url or is_same_origin(url, own_url):
        return provider_state.headers
    from_environment = provider_state.provider.headers_env
    return {
        name: value
        for name, value in provider_state.headers.items()
        if name not in from_environment and not secret_values({name: value})
    }


def _base_url(provider: Provider, own_url: str, options: OptionValues) -> str:
    given = options.get("base_url")
    url = own_url if given is None else api_base_url(provider, given)
    if not url:
        raise _missing(provider, "base URL", provider.base_url_env, "base_urls")
    return url


def _key(
    client_state: ClientState, provider_state: ProviderState, given: Key | None, url: str, own_url: str
) -> KeySource:
    """The key of a call to `url`: that of the call or view, else the client's, which is for the provider's origin."""
    if given is not None:
        return environment_key(given, provider_state.provider.name) if isinstance(given, EnvKey) else given
    provider = provider_state.provider
    if url != own_url and not is_same_origin(url, own_url):
        if provider.key_optional:
            return None
        raise wrong_origin(provider, url, f"the key for {provider.name}")
    configured = client_state.config.api_keys.get(provider.name)
    if provider_state.key is None and isinstance(configured, EnvKey):
        return environment_key(configured, provider.name)
    if provider_state.key is None and not provider.key_optional:
        credentials = " and ".join(provider.auth.credentials_env[:2])
        variables = [*provider.token_env, *provider.key_env, *filter(None, [credentials])]
        raise _missing(provider, "API key", variables, "api_keys", _keyless(client_state, provider))
    return provider_state.key


def _keyless(client_state: ClientState, provider: Provider) -> str:
    """Clause for the error of a missing key: what answers without one, or why the client's fake does not."""
    for source in client_state.config.providers:
        if isinstance(source, Provider):
            continue
        if all(row.name != provider.name for row in source.rows(client_state.providers)):
            return f"; the {type(source).__name__} among providers= replaces other providers only"
    return f"{provider.key_hint}; to try it without a key, run `anycompletion simulate`"


def no_cache() -> ConfigurationError:
    """The error for the option `cache` of a call that reaches no cache."""
    return ConfigurationError("cache: this client has no cache of replies; pass middleware=[cached(...)]")


def _missing(
    provider: Provider, what: str, variables: Sequence[str], argument: str, hint: str = ""
) -> ConfigurationError:
    """The error for a key or URL that neither the environment nor the client's argument has."""
    set_one = f"set {' or '.join(variables)}, or " if variables else ""
    text = f"no {what} for {provider.name}: {set_one}pass {argument}={{{provider.name!r}: ...}}{hint}"
    return ConfigurationError(text, provider=provider.name)
