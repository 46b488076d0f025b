"""Key binding: a credential goes with the provider and origin that it was given for.

The client's keys are named by provider. A call's or a view's own key is not, so what it was given for is noted: for a
view when the view is made (`CredentialHome`), for a call when middleware may change where it goes (`ReceivedOptions`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast
from urllib.parse import urlsplit

import msgspec

from ..errors import ConfigurationError, printable
from ..options import Key, OptionValues, Secret
from ..providers import Provider, canonical_names, known_providers, origin
from ..records import ChatRequest
from ..redaction import is_credential, secret_values

_CREDENTIALS = ("api_key", "extra_headers", "extra_query")
"""Options that are, or may contain, credentials."""

BOUND_OPTIONS = ("api_key", "base_url", "api_version", "organization", "project", "extra_headers", "extra_query")
"""Options that are for one provider, or may contain something that is."""

_MAPPINGS = ("extra_headers", "extra_query")
"""Options that map names to values, some of which may be credentials."""

_MIN_SEARCHED = 8
"""Characters of the shortest credential that is searched for; a shorter one may occur in other values by chance."""

_UNKNOWN = "?"
"""Before the model in place of a provider's name that is not known."""


class CredentialHome:
    """What a view's credential was given for: an origin, a provider, or the provider that it is first used for."""

    __slots__ = ("_by_name", "_provider", "_url")

    def __init__(self, url: str | None, provider: str | None, *, by_name: bool = False) -> None:
        self._url = url
        self._provider = provider
        self._by_name = by_name

    def check(self, option: str, provider: Provider, url: str, own_url: str) -> None:
        """Raises unless the credential was given for `url`.

        Args:
            option: the option that holds it.
            provider: the provider of the call.
            url: the base URL of the call.
            own_url: the provider's base URL; "" where it has none.

        Raises:
            ConfigurationError: it was given for something else; the text names the fix.
        """
        if not is_same_origin(url, self._url or own_url):
            raise wrong_origin(provider, url, "the view's key" if option == "api_key" else f"the view's {option}")
        if self._url or self._by_name:
            return
        if self._provider is None:
            self._provider = provider.name
        elif self._provider != provider.name:
            fix = f"api_key={{{provider.name!r}: ...}} names the provider of a key" if option == "api_key" else ""
            raise ConfigurationError(
                f"the {option} of this view was given for {self._provider} and not for {provider.name}; "
                f"{fix or 'use another view for it'}",
                provider=provider.name,
            )


Homes: TypeAlias = Mapping[str, CredentialHome]
"""Option of a view that holds a credential → what the credential was given for."""


def homes_of_view(
    given: OptionValues, merged: OptionValues, inherited: Homes, providers: Mapping[str, Provider]
) -> Homes:
    """The homes of the credentials of a view.

    Args:
        given: the options that the view adds.
        merged: all options of the view.
        inherited: the homes of the client or view that it was made from.
        providers: the client's providers by name.

    Raises:
        ConfigurationError: keys are given for an unknown provider.
    """
    homes = {option: home for option, home in inherited.items() if option not in given}
    provider = merged.get("provider")
    for option in _CREDENTIALS:
        value = given.get(option)
        if not _holds_credential(option, value):
            continue
        by_name = option == "api_key" and isinstance(value, Mapping)
        if by_name:
            key_for(cast("Mapping[str, Key]", value), "", providers)
        names = () if provider is None else canonical_names(provider, providers)
        # A name of several providers is for the one that the view is used for first.
        name = names[0] if len(names) == 1 else None
        homes[option] = CredentialHome(merged.get("base_url"), name, by_name=by_name)
    return homes


def key_for(given: Key | Mapping[str, Key] | None, name: str, providers: Mapping[str, Provider]) -> Key | None:
    """The key among an `api_key` option for the provider with this name; None if there is none for it.

    Raises:
        ConfigurationError: a key is given for an unknown provider.
    """
    if not isinstance(given, Mapping):
        return given
    found: Key | None = None
    for provider, key in cast("Mapping[str, Key]", given).items():
        known = canonical_names(provider, providers)
        if known[0] not in providers and known[0] not in known_providers():
            raise ConfigurationError(f"unknown provider {printable(provider)!r} in api_key")
        if name in known:
            found = key
    return found


def is_same_origin(url: str, other: str) -> bool:
    """Whether two base URLs have one origin; False where one is empty or invalid."""
    try:
        return bool(url and other) and origin(url) == origin(other)
    except ValueError:
        return False


def wrong_origin(provider: Provider, url: str, key: str) -> ConfigurationError:
    """The error of a call that would send `key` to an origin that it was not given for."""
    return ConfigurationError(
        f"base_url points to {urlsplit(url).hostname}, and {key} was not configured for it; pass api_key= with it",
        provider=provider.name,
    )


# --- middleware ---


class Destination(msgspec.Struct, frozen=True):
    """Where a call would go."""

    provider: str
    """A provider's name, or "?" and the model if no provider is known for it."""
    url: str
    """The base URL; "" where there is none."""


class ReceivedOptions:
    """The options that a middleware function received, with which those that it passes on are compared."""

    __slots__ = ("_find", "_home", "_model", "_options")

    def __init__(
        self, find: Callable[[str, Mapping[str, Any]], Destination], request: ChatRequest, options: Mapping[str, Any]
    ) -> None:
        self._find = find
        # Copies, because middleware may change both in place.
        self._model: str = getattr(request, "model", "")  # validated later, where it may be anything
        self._options = dict(options)
        self._home: Destination | None = None

    def passed_on(self, request: ChatRequest, given: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """The options with which a request may go on, and what was dropped from them, as warnings.

        Where the provider changes, what is for one provider is dropped unless it was set anew.

        Raises:
            ConfigurationError: the provider is the same and the base URL is not, and a credential would go with it.
        """
        if not given or not any(given.get(name) is not None for name in BOUND_OPTIONS):
            return given, ()
        there = self._find(getattr(request, "model", ""), given)
        home = self._home
        if home is None:
            home = self._find(self._model, self._options)
            # A name that middleware gives a meaning is for the provider that it is used for first.
            self._home = home = there if home.provider.startswith(_UNKNOWN) else home
        if there.provider == home.provider:
            self._refuse_other_origin(given, there, home)
            return given, ()
        return self._without_bound(
            given, there.provider, f"was given for {_shown(home)}, and the call goes to {_shown(there)}"
        )

    def _refuse_other_origin(self, given: Mapping[str, Any], there: Destination, home: Destination) -> None:
        if there.url == home.url or is_same_origin(there.url, home.url):
            return
        keeps_key = given.get("api_key") is not None and self._is_unchanged("api_key", given["api_key"])
        if keeps_key or any(self._names_with_secret(option, given) for option in _MAPPINGS):
            raise ConfigurationError(
                "base_url: middleware changed it, and the call's key was not given for it; pass api_key= with it",
                provider=home.provider,
            )

    def _without_bound(
        self, given: Mapping[str, Any], provider: str, why: str
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        kept, dropped = dict(given), list[str]()
        for option in BOUND_OPTIONS:
            value = given.get(option)
            if value is None or (option == "api_key" and isinstance(value, Mapping)):
                continue
            if option in _MAPPINGS:
                lost = self._names_with_secret(option, given, provider)
                kept[option] = {name: text for name, text in value.items() if name not in lost} if lost else value
                dropped += [f"{option}.{name}" for name in lost]
            elif self._is_unchanged(option, value):
                del kept[option]
                dropped.append(option)
        return kept, tuple(f"{printable(name)} dropped: it {why}" for name in dropped)

    def _names_with_secret(self, option: str, given: Mapping[str, Any], provider: str = "") -> list[str]:
        """The names of those headers or parameters that contain a credential which was received.

        Under any name, because middleware may write names in another way, or put the key into another place.
        """
        before, received = _texts(self._options.get(option)), self._received_secrets(provider)
        return [
            name
            for name, value in _texts(given.get(option)).items()
            if (is_credential(name) and value == before.get(name)) or any(text in value for text in received)
        ]

    def _received_secrets(self, provider: str) -> list[str]:
        """The credentials among the options that were received, without a key that is named for `provider`."""
        given = self._options.get("api_key")
        named = cast("Mapping[str, object]", given) if isinstance(given, Mapping) else {"": given}
        keys = [key for name, key in named.items() if not provider or provider not in canonical_names(name, {})]
        found = [key for key in keys if isinstance(key, str)]
        found += [text for key in keys if isinstance(key, Secret) for text in key.reveal_all()]
        for option in _MAPPINGS:
            values = _texts(self._options.get(option))
            found += secret_values({name: value for name, value in values.items() if is_credential(name)})
        return [text for text in found if len(text) >= _MIN_SEARCHED]

    def _is_unchanged(self, option: str, value: object) -> bool:
        before = self._options.get(option)
        return value is before or (option in _CREDENTIALS and value == before)


def _texts(values: object) -> Mapping[str, str]:
    """The texts among headers or parameters, which are not checked yet."""
    items = cast("Mapping[object, object]", values).items() if isinstance(values, Mapping) else ()
    return {name: value for name, value in items if isinstance(name, str) and isinstance(value, str)}


def _holds_credential(option: str, value: object) -> bool:
    if option == "api_key" or not isinstance(value, Mapping):
        return value is not None and option == "api_key"
    return any(map(is_credential, cast("Mapping[str, str]", value)))


def _shown(destination: Destination) -> str:
    return "another model" if destination.provider.startswith(_UNKNOWN) else destination.provider
