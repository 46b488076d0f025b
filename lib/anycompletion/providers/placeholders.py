"""Placeholders in base URLs: where their values come from, and their replacement; sends nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import TypeAlias, assert_never, cast

import msgspec

from ..errors import ConfigurationError

_LETTERS_AND_DIGITS = "A-Za-z0-9"


class EnvPlaceholder(msgspec.Struct, frozen=True):
    """Placeholder with a value from the environment, or a default: ``EnvPlaceholder(("AWS_REGION",), "us-east-1")``.

    Without variables, the default is its value: ``attrs.evolve(row, placeholders={**row.placeholders, "location":
    EnvPlaceholder(default="europe-west4")})``.
    """

    env: tuple[str, ...] = ()
    """Environment variables; the first one that is set counts."""
    default: str | None = None
    """The value where none of them is set; None: it is required."""
    characters: str = "._-"
    """What a value may contain besides letters and digits, with which it begins. A slash would change the host."""
    model_pattern: str = ""
    """Pattern with one group, for providers whose models may name the value (ARNs, a region): where no variable is set
    and a model's name begins like it, the group is the value."""


class DependentPlaceholder(msgspec.Struct, frozen=True):
    """Placeholder with a text that another placeholder's value selects: the domain of a region, the host of a location.

    ``DependentPlaceholder("location", {"global": "x.example", "*": "{location}.x.example"})``.
    """

    of: str
    """The other placeholder, an `EnvPlaceholder`."""
    texts: Mapping[str, str]
    """Its value, or the beginning of its value and ``*``, → the text, which may contain placeholders that come from the
    environment. The first entry that fits counts."""


Placeholder: TypeAlias = "tuple[str, ...] | EnvPlaceholder | DependentPlaceholder"
"""Where a placeholder's value comes from. A tuple has the variables of a required value."""


def variables_of(placeholder: Placeholder) -> tuple[str, ...]:
    """The environment variables of a placeholder."""
    match placeholder:
        case tuple():
            return placeholder
        case EnvPlaceholder():
            return placeholder.env
        case DependentPlaceholder():
            return ()
        case _:
            assert_never(placeholder)


def placeholder_problem(url: str, placeholders: Mapping[str, Placeholder]) -> str | None:
    """What is wrong with the placeholders of a base URL; None if nothing is."""
    from_environment, dependent = _by_kind(placeholders)
    texts = "".join([url, *(text for each in dependent.values() for text in each.texts.values())])
    for name, each in from_environment.items():
        if isinstance(cast("object", each.env), str):  # its letters would be the names
            return f"the placeholder {name!r}: expected a tuple of environment variables, found a text"
        if not each.env and each.default is None:
            return f"the placeholder {name!r} names no environment variable"
        if f"{{{name}}}" not in texts and all(name != other.of for other in dependent.values()):
            return f"the placeholder {name!r} is not in base_url"
    for name, other in dependent.items():
        if f"{{{name}}}" not in url:
            return f"the placeholder {name!r} is not in base_url"
        if other.of not in from_environment:
            return f"the placeholder {name!r} depends on {other.of!r}, which is no placeholder from the environment"
        if "*" not in other.texts:
            return f"the placeholder {name!r} has no text for '*', which stands for all other values"
    return None


def sample_urls(url: str, placeholders: Mapping[str, Placeholder]) -> Iterator[str]:
    """A base URL with each text of its dependent placeholders, and an ``x`` for each value from the environment."""
    from_environment, dependent = _by_kind(placeholders)
    for texts in product(*(each.texts.values() for each in dependent.values())):
        yield _replaced(_replaced(url, dict(zip(dependent, texts, strict=True))), dict.fromkeys(from_environment, "x"))


def filled(
    provider: str, url: str, placeholders: Mapping[str, Placeholder], environ: Mapping[str, str], model: str = ""
) -> str:
    """A base URL with the values of its placeholders, for calls to `model`.

    Raises:
        ConfigurationError: a placeholder has no value, or one that a URL cannot contain; the text names the variables.
    """
    from_environment, dependent = _by_kind(placeholders)
    values = {name: _value(provider, name, each, environ, model) for name, each in from_environment.items()}
    return _replaced(_replaced(url, {name: _text(each, values[each.of]) for name, each in dependent.items()}), values)


def _by_kind(
    placeholders: Mapping[str, Placeholder],
) -> tuple[dict[str, EnvPlaceholder], dict[str, DependentPlaceholder]]:
    from_environment, dependent = dict[str, EnvPlaceholder](), dict[str, DependentPlaceholder]()
    for name, each in placeholders.items():
        if isinstance(each, DependentPlaceholder):
            dependent[name] = each
        else:
            from_environment[name] = each if isinstance(each, EnvPlaceholder) else EnvPlaceholder(tuple(each))
    return from_environment, dependent


def _replaced(url: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        url = url.replace(f"{{{name}}}", value)
    return url


def _value(provider: str, name: str, placeholder: EnvPlaceholder, environ: Mapping[str, str], model: str) -> str:
    variable = next((each for each in placeholder.env if environ.get(each)), None)
    if variable is not None:
        value: str | None = environ[variable].strip()
    else:
        named = re.match(placeholder.model_pattern, model) if placeholder.model_pattern else None
        value = placeholder.default if named is None else named[1]
    source = variable or "the default"
    if value is None:
        raise ConfigurationError(
            f"the base URL of {provider} needs a value for {{{name}}}: set {' or '.join(placeholder.env)}, "
            "or pass base_url",
            provider=provider,
        )
    # A slash, '@' or '#' would send the key to another host.
    allowed = placeholder.characters
    if not re.fullmatch(f"[{_LETTERS_AND_DIGITS}][{_LETTERS_AND_DIGITS}{re.escape(allowed)}]*", value):
        raise ConfigurationError(
            f"the base URL of {provider} needs another value for {{{name}}}: {source} must be letters, digits and "
            f"{' '.join(allowed)} only",
            provider=provider,
        )
    return value


def _text(placeholder: DependentPlaceholder, value: str) -> str:
    return next(
        text
        for pattern, text in placeholder.texts.items()
        if value == pattern or (pattern.endswith("*") and value.startswith(pattern[:-1]))
    )
