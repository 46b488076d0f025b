"""Providers as data: where each API is, which wire format it speaks, and which parameters it takes."""

from .provider import DIALECTS, Provider, ProviderSource, TransportOverride, check_base_url, origin
from .registry import (
    PROVIDERS,
    all_providers,
    apply_param_support,
    find,
    known_providers,
    resolve_model,
    supported_params,
)

__all__ = [
    "DIALECTS",
    "PROVIDERS",
    "Provider",
    "ProviderSource",
    "TransportOverride",
    "all_providers",
    "apply_param_support",
    "check_base_url",
    "find",
    "known_providers",
    "origin",
    "resolve_model",
    "supported_params",
]
