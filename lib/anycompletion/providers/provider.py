"""Provider: one API as a row of data (its address, its format, its differences), and the dialects that rows can name.

The rows themselves are in `builtin`. A new dialect is registered in `_REGISTERED_DIALECTS`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Literal, Protocol, SupportsIndex, cast

import attrs

from .._boundary import hides_constructor_frames
from .._value import Declaration
from ..auth import BEARER, Auth
from ..dialects.base import Dialect, DialectQuirks
from ..errors import ConfigurationError, InvalidRequestError
from ..options import is_variable
from ..params import ParamSupport, ParamTable
from ..redaction import may_be_secret
from ..validation import check_headers, is_provider_name
from .base_url import AllowHttp, check_base_url, intended_base_url
from .placeholders import Placeholder, filled, placeholder_problem, sample_urls, variables_of
from .structured_support import StructuredSupport, as_structured_support

_REGISTERED_DIALECTS: Mapping[str, str] = {
    "openai_chat": "quirks.Quirks",
    "openai_responses": "responses_quirks.OpenAIResponsesQuirks",
    "anthropic_messages": "anthropic_quirks.AnthropicQuirks",
    "cohere_chat": "",
    "ollama_chat": "",
    "replicate_predictions": "",
    "gemini_generate": "gemini_quirks.GeminiQuirks",
    "bedrock_converse": "",
}
"""Folder of `dialects` → module and name of its `quirks_type`, so that a row is checked without importing its dialect;
"" for `DialectQuirks`.

A new dialect is registered here; `DIALECTS` is made from this table.
"""


@cache
def _quirks_type(dialect: str) -> type[DialectQuirks]:
    """The `quirks_type` of a registered dialect."""
    module, _, name = _REGISTERED_DIALECTS[dialect].partition(".")
    if not module:
        return DialectQuirks
    found = importlib.import_module(f"..dialects.{dialect}.{module}", __package__)
    return cast("type[DialectQuirks]", getattr(found, name))


class _Dialects(Mapping[str, Dialect]):
    """The dialects by name; each is imported at its first use (1 ms), because most programs need one or two."""

    def __getitem__(self, name: str) -> Dialect:
        if name not in _REGISTERED_DIALECTS:
            raise KeyError(name)
        module = importlib.import_module(f"..dialects.{name}.dialect", __package__)
        return cast("Dialect", module.DIALECT)

    def __contains__(self, name: object) -> bool:
        return name in _REGISTERED_DIALECTS  # the inherited method would import it

    def __iter__(self) -> Iterator[str]:
        return iter(_REGISTERED_DIALECTS)

    def __len__(self) -> int:
        return len(_REGISTERED_DIALECTS)


DIALECTS: Mapping[str, Dialect] = _Dialects()


class ProviderSource(Protocol):
    """Source of providers that are derived from others; accepted among a client's providers.

    It may also have ``transport(provider, open_pool) -> Transport``, which the client calls when it opens a provider
    that went through the source; ``open_pool(**overrides)`` opens the client's own pool. The transport may have
    ``for_call(request, *, model, stream, base_url) -> Transport``, which is called for each logical call.
    """

    def rows(self, known: Mapping[str, Provider]) -> Iterable[Provider]:
        """The providers that replace those of the same names."""
        ...


_VALUES: Mapping[str, tuple[tuple[object, ...], str]] = {
    "rate_limit_scope": (("model", "key"), "'model' or 'key'"),
    "allow_http": ((True, False, "private"), "True, False or 'private'"),
    "key_optional": ((True, False), "True or False"),
    "retry_safe": ((True, False), "True or False"),
}
"""Field of `Provider` → its values, and how an error names them."""

_TUPLES = ("key_env", "token_env", "base_url_env", "api_version_env", "prefixes", "own_models")
"""Fields of `Provider` that are tuples of texts."""
_NOT_VARIABLES = ("prefixes", "own_models")
"""Those that are not names of environment variables."""


def _default_quirks(provider: Provider | ProviderVariant) -> DialectQuirks:
    return _quirks_type(provider.dialect)() if provider.dialect in _REGISTERED_DIALECTS else DialectQuirks()


def _variant_support(variant: ProviderVariant) -> StructuredSupport:
    is_responses = variant.dialect == "openai_responses"
    return StructuredSupport("schema", strict=True, strict_tools=True) if is_responses else StructuredSupport()


@attrs.frozen(eq=False, repr=False)
class ProviderVariant(Declaration):
    """A further wire format that a provider speaks: ``openai/responses/gpt-5`` asks for OpenAI's variant "responses".

    Keys, base URL, connections and limits are the provider's.
    """

    dialect: str
    """The wire format: a key of `DIALECTS`."""
    path: str | None = attrs.field(default=None, kw_only=True)
    """Replaces the dialect's path below the base URL."""
    quirks: DialectQuirks = attrs.field(factory=DialectQuirks, kw_only=True)
    """Differences from the dialect, of the dialect's own class. Default: no differences."""
    params: ParamTable = attrs.field(factory=dict[str, ParamSupport], kw_only=True)
    """Support for parameters, where it differs from the dialect's."""
    structured: StructuredSupport = attrs.field(
        default=attrs.Factory(_variant_support, takes_self=True), kw_only=True, converter=as_structured_support
    )
    """How typed replies are asked for: a mode, or a `StructuredSupport`.

    Default: the mode schema, strict, in OpenAI's Responses API, else the mode prompt."""
    only_models: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    """Models that the provider serves in this format alone, so that they need not be asked for by its name. "o1-pro" is
    also its dated versions; "gpt-*-law" are all that begin and end so."""
    error_phrases: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    """Parts of the error messages with which the provider's own format refuses a request that this format serves; the
    error then names the model to ask for."""

    def __attrs_post_init__(self) -> None:
        for field in ("only_models", "error_phrases"):
            names: object = getattr(self, field)
            if isinstance(names, str) or not all(cast("tuple[str, ...]", names)):
                raise ConfigurationError(
                    f"variant of {self.dialect}: {field}: expected a tuple of texts, none of them empty"
                )

    @property
    def table(self) -> ParamTable:
        """Parameter name → support: the dialect's, with this variant's differences."""
        return {**DIALECTS[self.dialect].params, **self.quirks.param_support(), **self.params}

    def serves_only(self, model: str) -> bool:
        """Whether the provider serves a model in this format alone."""
        return any(_is_named(model, name) for name in self.only_models)


def _is_named(model: str, name: str) -> bool:
    """Whether a model has one of the names of `ProviderVariant.only_models`."""
    start, star, end = name.partition("*")
    if star:
        return len(model) > len(start + end) and model.startswith(start) and model.endswith(end)
    return model == name or model.startswith(f"{name}-")


@hides_constructor_frames
@attrs.frozen(eq=False, repr=False)
class Provider(Declaration):
    """Provider of an API, as one row of data. A provider with a known format needs nothing else.

    ``AsyncCompletion(providers=[Provider("acme", "https://api.acme.ai/v1", key_env=("ACME_API_KEY",))])`` makes
    ``acme/any-model`` work. Most need no more than `key_env`, `base_url_env`, `key_optional` (for one without keys)
    and `allow_http` (for one without TLS).

    Raises:
        ConfigurationError: the name, the dialect or a placeholder is invalid, or a text is given for a tuple of texts.
        InvalidRequestError: the base URL or a header is invalid; `.param` names which.
    """

    name: str
    """The text before the slash in a model."""
    base_url: str
    """In the form of the vendor's own SDK: OpenAI-compatible ones with the version path, no slash at the end.

    "" where every customer has a different one, which then comes from `base_urls` or the environment. It may hold
    `placeholders`.
    """
    dialect: str = "openai_chat"
    """The wire format: a key of `DIALECTS`."""
    key_env: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    """Environment variables for the key; the first one that is set counts."""
    token_env: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    """Environment variables for a bearer token, which is used instead of a key."""
    base_url_env: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    """Environment variables that replace the base URL."""
    placeholders: Mapping[str, Placeholder] = attrs.field(factory=dict[str, Placeholder], kw_only=True)
    """Placeholder in the base URL → environment variables for its value, which is read at the provider's first use:
    ``{"region": ("AWS_REGION", "AWS_DEFAULT_REGION")}`` for ``https://bedrock-runtime.{region}.amazonaws.com``. One
    with a default is an `EnvPlaceholder`, one that depends on another a `DependentPlaceholder`."""
    api_key_base_url: str = attrs.field(default="", kw_only=True)
    """Base URL of calls with a plain key, where those with a token have `base_url` (Vertex AI's express mode)."""
    key_hint: str = attrs.field(default="", kw_only=True)
    """Where a key comes from besides the environment, as a clause of the error of a missing key."""
    key_optional: bool = attrs.field(default=False, kw_only=True)
    """True for servers that need no key."""
    auth: Auth = attrs.field(default=BEARER, kw_only=True)
    """How the key is sent. Default: ``Authorization: Bearer``."""
    path: str | None = attrs.field(default=None, kw_only=True)
    """Replaces the dialect's path below the base URL."""
    api_version: str | None = attrs.field(default=None, kw_only=True)
    """API version; a call may name another."""
    api_version_env: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    """Environment variables for the API version."""
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], kw_only=True, repr=False)
    """Sent with every request."""
    headers_env: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict[str, "tuple[str, ...]"], kw_only=True)
    """Header name → environment variables for its value (OpenAI's organization and project)."""
    request_id_header: str = attrs.field(default="x-request-id", kw_only=True)
    """Response header with the id of a request."""
    quirks: DialectQuirks = attrs.field(default=attrs.Factory(_default_quirks, takes_self=True), kw_only=True)
    """Differences from the dialect, of the dialect's own class: `Quirks` for openai_chat."""
    params: ParamTable = attrs.field(factory=dict[str, ParamSupport], kw_only=True)
    """Support for parameters, where it differs from the dialect's."""
    structured: StructuredSupport = attrs.field(
        default=StructuredSupport(), kw_only=True, converter=as_structured_support
    )
    """How typed replies are asked for: a mode (schema, tool, json or prompt), or a `StructuredSupport`."""
    variants: Mapping[str, ProviderVariant] = attrs.field(factory=dict[str, "ProviderVariant"], kw_only=True)
    """Name → a further wire format that the provider speaks, which is asked for by that name before the model's."""
    prefixes: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    """Prefixes of bare model names that select this provider."""
    own_models: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    """Models whose own names begin with the provider's name: "auto" stands for OpenRouter's ``openrouter/auto``."""
    docs: str = attrs.field(default="", kw_only=True)
    """The provider's documentation of this API."""
    unverified: str = attrs.field(default="", kw_only=True)
    """What of this row neither recorded traffic nor the provider's documentation confirms."""
    rate_limit_scope: Literal["model", "key"] = attrs.field(default="model", kw_only=True)
    """What a 429 with a wait hint delays: the calls to its model, or all calls with its key, where the provider counts
    them together."""
    retry_safe: bool = attrs.field(default=True, kw_only=True)
    """False where a request starts work that continues without a connection: it is only sent again if that work cannot
    have started."""
    idempotency_header: str = attrs.field(default="", kw_only=True)
    """The header for a key that is the same in all attempts of one call; "" where the provider is not known to accept
    one. No built-in row has any: no vendor documents one for chat completions."""
    allow_http: AllowHttp = attrs.field(default=False, kw_only=True)
    """Whether plain http may go further than to this machine. True: anywhere; "private": to private addresses (10/8,
    172.16/12, 192.168/16, fc00::/7) and hosts without a dot, as the built-in rows of one's own servers."""

    def __attrs_post_init__(self) -> None:
        self._refuse_texts()
        self._check_quirks(self, "quirks")
        for name, variant in self.variants.items():
            self._check_quirks(variant, f"variants[{name!r}].quirks")
            if not is_provider_name(name):
                raise ConfigurationError(
                    f"provider {self.name!r}: variants: the name {name!r} is not of the form of a provider's"
                )
        if not is_provider_name(self.name):
            raise ConfigurationError(
                f"provider {self.name!r}: a name is at most 64 lower-case letters, digits, '-', '_' and '.'"
            )
        self._refuse_values()
        problem = placeholder_problem(self.base_url, self.placeholders)
        if problem is not None:
            raise ConfigurationError(f"provider {self.name!r}: {problem}")
        for url in (*sample_urls(self.base_url, self.placeholders), self.api_key_base_url):
            if url:
                check_base_url(url, allow_http=self.allow_http)
        if self.headers or self.headers_env:
            check_headers({**dict.fromkeys(self.headers_env, "-"), **self.headers}, "headers")

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        if any(map(may_be_secret, self.headers, self.headers.values())):
            raise TypeError(f"the Provider {self.name!r} has a key in its headers and does not pickle; use key_env")
        return super().__reduce_ex__(protocol)

    def __copy__(self) -> Provider:
        return self  # it does not change, and copying would pickle it

    def __deepcopy__(self, memo: object) -> Provider:
        return self

    def _check_quirks(self, spoken: Provider | ProviderVariant, field: str) -> None:
        if spoken.dialect not in DIALECTS:
            known = ", ".join(DIALECTS)
            raise ConfigurationError(f"provider {self.name!r}: no dialect {spoken.dialect!r}, only {known}")
        if spoken is not self and type(spoken.quirks) is DialectQuirks:
            return  # a variant's default, for which no dialect need be loaded
        quirks_type = _quirks_type(spoken.dialect)
        if type(spoken.quirks) is not quirks_type:
            raise ConfigurationError(
                f"provider {self.name!r}: {field}: expected {quirks_type.__name__} for the dialect {spoken.dialect}, "
                f"found {type(spoken.quirks).__name__}"
            )

    def _refuse_values(self) -> None:
        """Raises where a field has a value that means nothing, which would count as one of those that do."""
        for name, (values, expected) in _VALUES.items():
            value = getattr(self, name)
            # 1 equals True, and would be no "private" either.
            if type(value) not in (bool, str) or value not in values:
                raise ConfigurationError(f"provider {self.name!r}: {name}: expected {expected}")

    def _refuse_texts(self) -> None:
        """Raises where a text is given for a tuple of texts: its letters would be the names.

        A key that was passed in place of its variable's name is not shown.
        """
        given = {name: getattr(self, name) for name in _TUPLES}
        given |= {f"headers_env[{name!r}]": names for name, names in self.headers_env.items()}
        given |= {f"placeholders[{name!r}]": names for name, names in self.placeholders.items()}
        for field, names in given.items():
            if isinstance(names, str):
                shown = repr(names) if is_variable(names) else "name"
                raise ConfigurationError(
                    f"provider {self.name!r}: {field}: expected a tuple of texts, found a text; write ({shown},)"
                )
        given |= {f"placeholders[{name!r}]": variables_of(each) for name, each in self.placeholders.items()}
        for field, names in given.items():
            if field not in _NOT_VARIABLES and not all(map(is_variable, names)):
                hint = "; a key itself goes into api_keys" if field in ("key_env", "token_env") else ""
                raise ConfigurationError(
                    f"provider {self.name!r}: {field}: expected names of environment variables in capitals{hint}"
                )

    @property
    def table(self) -> ParamTable:
        """Parameter name → support: the dialect's, with this provider's differences."""
        return {**DIALECTS[self.dialect].params, **self.quirks.param_support(), **self.params}

    def table_of(self, model: str) -> ParamTable:
        """The same for one model, by the provider's own name of it: the models of some formats differ."""
        dialect = DIALECTS[self.dialect]
        if dialect.model_params is None:
            return self.table
        return {**dialect.params, **self.quirks.param_support(), **dialect.model_params(model), **self.params}

    def variant_of(self, model: str) -> tuple[str, str]:
        """The name of the variant by which a model is asked, "" for the provider's own format, and the model's name."""
        name, slash, rest = model.partition("/")
        if slash and name in self.variants and rest.strip():
            return name, rest
        return next((name for name, variant in self.variants.items() if variant.serves_only(model)), ""), model

    def as_variant(self, name: str) -> Provider:
        """The provider with a variant as its own format, for programs that use nothing else.

        Raises:
            ConfigurationError: it has no such variant.
        """
        variant = self.variants.get(name)
        if variant is None:
            known = f"only {', '.join(self.variants)}" if self.variants else "and no other one"
            raise ConfigurationError(f"provider {self.name!r} has no variant {name!r}, {known}")
        return attrs.evolve(
            self,
            dialect=variant.dialect,
            path=variant.path,
            quirks=_default_quirks(variant) if type(variant.quirks) is DialectQuirks else variant.quirks,
            params=variant.params,
            structured=variant.structured,
            variants={},
        )

    def own_model(self, model: str) -> str:
        """The provider's own name of a model that callers write after the provider's name; see `own_models`."""
        return f"{self.name}/{model}" if self.own_models and model.partition(":")[0] in self.own_models else model


def api_base_url(provider: Provider, url: str, param: str = "base_url") -> str:
    """A base URL for the provider, checked and corrected; see `check_base_url` and `intended_base_url`.

    Raises:
        InvalidRequestError: no request may be sent there, or the URL cannot be corrected; `.param` is `param`.
    """
    dialect = DIALECTS[provider.dialect]
    endpoint = provider.path or dialect.path
    checked = check_base_url(url, allow_http=provider.allow_http, param=param)
    last = checked.rpartition("/")[2]
    if last in dialect.other_bases:
        raise InvalidRequestError(f"{param}: ends in /{last}, which {dialect.other_bases[last]}", param=param)
    return intended_base_url(checked, endpoint=endpoint, own=provider.base_url, param=param)


def fill_placeholders(provider: Provider, environ: Mapping[str, str], model: str = "") -> str:
    """The provider's base URL with the values of its placeholders; of each, the first variable that is set counts.

    `model` is the provider's own name of a model, which may name values that the environment has not.

    Raises:
        ConfigurationError: a placeholder has no value, or one that a URL cannot contain; the text names the variables.
        InvalidRequestError: the resulting URL is invalid.
    """
    if not provider.placeholders:
        return provider.base_url
    url = filled(provider.name, provider.base_url, provider.placeholders, environ, model)
    return check_base_url(url, allow_http=provider.allow_http)
