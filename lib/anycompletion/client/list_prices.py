"""Prices of targets that have none of their own, for routes that pick the cheapest: those of the extra ``prices``."""

from __future__ import annotations

import importlib
from collections.abc import Callable, MutableMapping
from typing import TypeAlias, cast

from ..errors import InvalidRequestError
from ..providers import Provider, resolve_model
from ..routing.flat_route import FlatTarget, RouteGroup

_EXTRA = "anycompletion.integrations.prices"

ListPrice: TypeAlias = Callable[[str, str], "tuple[float, float] | None"]
"""Function from a provider and its own name of a model to US dollars per million tokens in and out."""


def add_list_prices(group: RouteGroup, providers: MutableMapping[str, Provider]) -> None:
    """Gives the targets among which the cheapest is picked the prices of their lists, where they have none.

    Without the extra, and for models that no list has, they stay unknown.
    """
    unknown = [target for target in _compared(group) if target.price is None]
    if not unknown:
        return
    try:
        list_price = cast("ListPrice", importlib.import_module(_EXTRA).list_price)
    except ImportError:
        return
    for target in unknown:
        try:
            provider, model = resolve_model(target.model, None, providers)
        except InvalidRequestError:  # raised again where the target is called
            continue
        target.price = list_price(provider.name, provider.own_model(model))


def _compared(group: RouteGroup) -> list[FlatTarget]:
    """The targets whose prices some strategy compares."""
    if group.route.strategy == "cheapest":
        return list(group.targets)
    return [target for member in group.members if isinstance(member, RouteGroup) for target in _compared(member)]
