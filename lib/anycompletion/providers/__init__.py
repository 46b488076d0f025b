"""Providers as data: where each API is, which dialect it has, and which parameters it supports."""

from .aliases import canonical_name, canonical_names
from .base_url import check_base_url, origin
from .param_support import apply_param_support
from .placeholders import DependentPlaceholder, EnvPlaceholder, Placeholder, variables_of
from .provider import DIALECTS, Provider, ProviderSource, ProviderVariant, api_base_url, fill_placeholders
from .registry import (
    PROVIDERS,
    all_providers,
    find,
    known_providers,
    resolve_model,
    supported_params,
    unknown_provider,
    with_sources,
)

__all__ = [
    "DIALECTS",
    "PROVIDERS",
    "DependentPlaceholder",
    "EnvPlaceholder",
    "Placeholder",
    "Provider",
    "ProviderSource",
    "ProviderVariant",
    "all_providers",
    "api_base_url",
    "apply_param_support",
    "canonical_name",
    "canonical_names",
    "check_base_url",
    "fill_placeholders",
    "find",
    "known_providers",
    "origin",
    "resolve_model",
    "supported_params",
    "unknown_provider",
    "variables_of",
    "with_sources",
]
