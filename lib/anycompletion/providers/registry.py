"""Registry of providers: finds the provider of a model among built-in, installed and a client's own ones."""

from __future__ import annotations

import importlib
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import cast

from ..errors import InvalidRequestError
from ..params import ParamSupport
from ..redaction import may_be_secret
from .aliases import NOT_SUPPORTED_YET, canonical_name
from .builtin.names import NAMES
from .provider import Provider, ProviderSource


class _BuiltinProviders(Mapping[str, Provider]):
    """The built-in providers by name; the row of one is made at its first use, with those of the same module."""

    def __init__(self) -> None:
        self._rows: dict[str, Provider] = {}

    def __getitem__(self, name: str) -> Provider:
        row = self._rows.get(name)
        if row is None:
            module = importlib.import_module(f".builtin.{_MODULES[name]}", __package__)
            self._rows |= {each.name: each for each in cast("tuple[Provider, ...]", module.ROWS)}
            row = self._rows[name]
        return row

    def __contains__(self, name: object) -> bool:
        return name in _MODULES  # the inherited method would make the row

    def __iter__(self) -> Iterator[str]:
        return iter(_MODULES)

    def __len__(self) -> int:
        return len(_MODULES)

    def __repr__(self) -> str:
        return f"<built-in providers: {', '.join(self)}>"


_MODULES: Mapping[str, str] = {name: module for module, names in NAMES.items() for name in names}
"""Built-in provider → module of `builtin` that has its row."""

PROVIDERS: Mapping[str, Provider] = _BuiltinProviders()
"""The built-in providers by name."""

_MAX_SHOWN = 40
"""Characters of a caller's text that an error shows."""

_SIMILAR = 0.65
"""Ratio of equal characters from which on a name may be a misspelling of another."""


def all_providers(own: Iterable[Provider | ProviderSource] = ()) -> MutableMapping[str, Provider]:
    """The built-in providers and a client's own, which win; a `ProviderSource` gets all of them."""
    return with_sources(own)[0]


def with_sources(
    own: Iterable[Provider | ProviderSource],
) -> tuple[MutableMapping[str, Provider], dict[str, tuple[ProviderSource, ...]]]:
    """All providers by name, and for those that went through sources these sources, the innermost first."""
    given = tuple(own)
    # The built-in ones are only read.
    builtin = cast("MutableMapping[str, Provider]", PROVIDERS)
    rows = ChainMap({row.name: row for row in given if isinstance(row, Provider)}, builtin)
    sources: dict[str, tuple[ProviderSource, ...]] = {}
    for source in given:
        if not isinstance(source, Provider):
            made = {row.name: row for row in source.rows(rows)}
            rows.update(made)
            sources |= {name: (*sources.get(name, ()), source) for name in made}
    return rows, sources


def known_providers() -> dict[str, Provider]:
    """All providers by name: the built-in ones, and those of installed packages.

    Raises:
        ConfigurationError: a provider of an installed package cannot be loaded.
    """
    from .plugins import installed  # noqa: PLC0415 (most programs use built-in providers only)

    return {**installed(), **PROVIDERS}


def resolve_model(model: str, provider: str | None, rows: MutableMapping[str, Provider]) -> tuple[Provider, str]:
    """Like `find`, but searches installed packages as well, whose providers are then added to `rows`.

    Raises:
        InvalidRequestError: the provider is unknown; the text names similar ones.
        ConfigurationError: a provider of an installed package cannot be loaded.
    """
    try:
        return find(model, provider, rows)
    except InvalidRequestError as exc:
        error = exc
    from .plugins import installed  # noqa: PLC0415 (most programs use built-in providers only)

    more = {name: row for name, row in installed().items() if name not in rows}
    if not more:
        raise error
    rows.update(more)
    return find(model, provider, rows)


def find(model: str, provider: str | None, rows: Mapping[str, Provider]) -> tuple[Provider, str]:
    """The provider of a model that a caller wrote, and the provider's own name of the model.

    ``provider/model`` is split at the first slash (or colon) if its left side is a known provider or an alias of one; a
    bare name needs `provider`, or one of the well-known prefixes.

    Raises:
        InvalidRequestError: the provider is unknown; the text names similar ones.
    """
    if provider is not None:
        own = model.removeprefix(f"{provider}/")
        row = _row(provider, rows, own)
        if row is None:
            raise InvalidRequestError(f"provider: {unknown_provider(provider, rows)}", param="provider")
        return row, row.own_model(_not_blank(own))
    for separator in "/:":
        left, found, right = model.partition(separator)
        row = _row(left, rows, right)
        if found and row is not None:
            return row, row.own_model(_not_blank(right))
    for row in rows.values():
        if row.prefixes and model.startswith(row.prefixes) and "/" not in model:
            return row, model
    name, slash, _ = model.partition("/")
    if not slash and model.partition(":")[0] in NOT_SUPPORTED_YET:
        name, slash, _ = model.partition(":")
    if _row(model, rows) is not None:
        text = f"{model!r} is a provider and names no model; write {model}/model"
    elif model != model.strip() and _row(name.strip(), rows) is not None:
        text = "begins or ends with white space; write it without"
    elif slash and name:
        text = unknown_provider(name, rows)
    else:
        text = f"{_shown(model)} names no provider; write provider/model, such as openai/gpt-4o, or pass provider="
    raise InvalidRequestError(f"model: {text}", param="model")


def _row(name: str, rows: Mapping[str, Provider], model: str = "") -> Provider | None:
    return rows.get(name) or rows.get(canonical_name(name, rows, model))


def _not_blank(model: str) -> str:
    if not model.strip():
        raise InvalidRequestError("model: names a provider and no model", param="model")
    return model


def _shown(text: str) -> str:
    """A caller's text for a name, as an error shows it; it may be a prompt or a key by mistake, which is not shown."""
    if " " in text:
        return "a text with spaces"
    if may_be_secret("", text):
        return "a text that may be a key"
    return repr(text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…")


def unknown_provider(name: str, rows: Mapping[str, Provider]) -> str:
    """The error text for the name of a provider that is none of `rows`, with similar ones."""
    import difflib  # noqa: PLC0415 (only for an error; it costs an import 1 ms)

    if name in NOT_SUPPORTED_YET:
        hint = NOT_SUPPORTED_YET[name]
        return f"the provider {name!r} is not supported yet" + (f"; {hint}" if hint else "")
    close = difflib.get_close_matches(name[:_MAX_SHOWN].lower(), rows, 3, _SIMILAR)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join(sorted(rows))}"
    shown = _shown(name)
    found = f"unknown provider{', ' if shown.startswith('a text') else ' '}{shown}"
    return f"{found}; {hint}"


def supported_params(
    model: str, provider: str | None = None, providers: Iterable[Provider | ProviderSource] = ()
) -> dict[str, ParamSupport]:
    """Support for every parameter by the provider of `model`: native, mapped, fanned out or unsupported, with ranges.

    Raises:
        InvalidRequestError: the provider is unknown.
    """
    row, own_name = resolve_model(model, provider, all_providers(providers))
    variant, _ = row.variant_of(own_name)
    return dict(row.variants[variant].table if variant else row.table_of(own_name))
