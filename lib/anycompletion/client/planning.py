"""From options to plans: how calls of one kind are made, with which key and where to."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from urllib.parse import urlsplit

from ..calls import CallPlan, KeySource
from ..dialects.base import EncodingReport, Target
from ..errors import ConfigurationError
from ..options import ResolvedOptions
from ..providers import Provider, check_base_url, origin, resolve_model
from .state import ClientState, ProviderState, masked

_KINDS_OF_CALLS = 256


class PlanCache(dict["tuple[str, bool]", "tuple[CallPlan, ProviderState]"]):
    """Model and whether it streams → how such calls are made. It shows nothing: there are keys in it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} kinds of calls>"

    def keep(self, named: str, stream: bool, plan: CallPlan, lane: ProviderState) -> None:
        """Keeps a plan, and not more than there is room for."""
        if len(self) >= _KINDS_OF_CALLS:
            self.clear()
        self[named, stream] = plan, lane


_HEADER_OPTIONS: Mapping[str, str] = {"organization": "OpenAI-Organization", "project": "OpenAI-Project"}


def plan_call(
    core: ClientState, named: str, settings: ResolvedOptions, defaults: ResolvedOptions, stream: bool
) -> tuple[CallPlan, ProviderState]:
    """How calls of this kind are made; `defaults` are those of the client, or of its view.

    Raises:
        ConfigurationError: no key, no base URL, or a base URL that the key is not for.
    """
    row, model = resolve_model(named, settings.get("provider"), core.providers)
    lane = core.provider_state(row)
    report = EncodingReport(settings["on_unsupported"])
    key, base_url = _key_and_url(lane, settings, defaults)
    target = Target(
        provider=row.name,
        model=model,
        base_url=base_url,
        path=row.path,
        api_version=settings.get("api_version") or lane.api_version,
        stream=stream,
        quirks=row.quirks,
        time_limit=settings["timeout"].total,
        on_unsupported=settings["on_unsupported"],
    )
    plan = CallPlan(
        dialect=lane.dialect,
        target=target,
        pool=lane.pool,
        road=core.endpoint_state(lane, base_url, key),
        auth=row.auth,
        key=key,
        key_source=lane.key_source if key is lane.key else "",
        headers=lane.headers,
        extra_headers=_extra_headers(settings, row, report),
        query=settings.get("extra_query"),
        request_id_header=row.request_id_header,
        retry_safe=row.retry_safe,
        idempotency_header=row.idempotency_header,
        timeout=settings["timeout"],
        max_retries=settings["max_retries"],
        known=lane.cache,
        keep=core.track_cancel_request,
        log_level=logging.INFO if settings.get("verbose") else logging.DEBUG,
        observer=settings.get("logger_fn"),
        extra_body=settings.get("extra_body"),
        warnings=tuple(report.warnings),
        limits=None if core.limits is None else core.limits.for_model(row.name, model),
    )
    return plan, lane


def _extra_headers(settings: ResolvedOptions, row: Provider, report: EncodingReport) -> Mapping[str, str]:
    named: dict[str, str] = {}
    for name, header in _HEADER_OPTIONS.items():
        if name in settings:
            if header in row.headers_env:
                named[header] = settings[name]
            else:
                report.unsupported(name, f"{row.name} has no such header")
    return masked({**named, **(settings.get("extra_headers") or {})})


def _key_and_url(lane: ProviderState, settings: ResolvedOptions, defaults: ResolvedOptions) -> tuple[KeySource, str]:
    """The key and where it goes: another origin than the lane's needs a key of its own."""
    row = lane.provider
    key: KeySource = settings.get("api_key")
    given = settings.get("base_url")
    url = lane.base_url if given is None else check_base_url(given, allow_http=row.allow_http)
    if not url:
        looked = " or ".join(row.base_url_env) or "base_urls"
        raise ConfigurationError(
            f"no base URL for {row.name}: set {looked}, or pass base_urls={{{row.name!r}: ...}}", provider=row.name
        )
    if key is not None and key is not defaults.get("api_key"):
        return key, url
    if key is not None:
        # A view's key belongs to where the view points.
        home = defaults.get("base_url") or lane.base_url
        if not given or (home and origin(url) == origin(home)):
            return key, url
        raise ConfigurationError(
            f"base_url points to {urlsplit(url).hostname}, and the view's key was not configured for it; "
            "pass api_key= with it",
            provider=row.name,
        )
    if given is not None and not (lane.base_url and origin(url) == origin(lane.base_url)):
        if row.key_optional:
            return None, url
        raise ConfigurationError(
            f"base_url points to {urlsplit(url).hostname}, and the key for {row.name} was not configured for it; "
            "pass api_key= with it",
            provider=row.name,
        )
    if lane.key is None and not row.key_optional:
        looked = " or ".join((*row.token_env, *row.key_env))
        raise ConfigurationError(
            f"no API key for {row.name}: set {looked or 'one'}, or pass api_keys={{{row.name!r}: ...}}",
            provider=row.name,
        )
    return lane.key, url
