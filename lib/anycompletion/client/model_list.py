"""Lists the models of a provider, by the provider's own list, page by page."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs, urlencode, urlsplit

import attrs

from .._value import FrozenValue
from ..calls import Call
from ..codecs.json import NotJSONError, loads
from ..codecs.lenient import optional_int, optional_list, optional_object, optional_str
from ..errors import APIResponseError, CompletionError
from ..http import MAX_RESPONSE_BYTES, HttpRequest
from ..records import ChatRequest, JsonObject, ReplyInfo

if TYPE_CHECKING:
    from ..calls import CallPlan
    from ..dialects.base import ModelListing

_MAX_PAGES = 200


@attrs.frozen(eq=False, repr=False)
class ModelInfo(FrozenValue):
    """One model of a provider's own list."""

    id: str
    """The provider's own name, which follows ``provider/`` in calls."""
    created: int | None
    """Unix seconds."""
    owner: str | None
    """Who offers the model, where the provider lists it."""
    raw: Any = attrs.field(repr=False)
    """The provider's JSON for the model."""


async def list_models(plan: CallPlan) -> list[ModelInfo]:
    """The models that the provider of `plan` lists, in its order; all pages within the time and size of one call.

    Raises:
        APIError: what a call raises; also a list that is none, or that does not end.
    """
    plan = copy.copy(plan)
    plan.target = target = attrs.evolve(plan.target, model="")  # errors name the provider only
    models = plan.provider_state.dialect.models
    listing = models(target) if callable(models) else models
    url, found, cursor = listing.url(target), dict[str, ModelInfo](), None
    started, size, pages = asyncio.get_running_loop().time(), 0, 0
    while True:
        query = dict(listing.query) if cursor is None else {**listing.query, listing.cursor[1]: cursor}
        call = Call(plan, ChatRequest(target.model, []), ReplyInfo(target.provider, target.model), started)
        call.start()
        response = await call.fetch(HttpRequest(_with_query(url, query), method="GET", headers=listing.headers))
        size += len(response.body)
        if size > MAX_RESPONSE_BYTES:
            raise _unreadable(call, f"has more than {MAX_RESPONSE_BYTES >> 20} MiB")
        page: object = _json(call, response.body)
        items = optional_list(cast("JsonObject", page).get(listing.items) if isinstance(page, dict) else page)
        if items is None:
            raise _unreadable(call, "has no items")
        listed = [_model(item, listing) for entry in items if (item := optional_object(entry)) is not None]
        found.update((model.id, model) for model in listed if model.id)
        following = _cursor(cast("object", page), listing)
        if following is None or following == cursor:
            return list(found.values())
        cursor, pages = following, pages + 1
        if pages == _MAX_PAGES:
            raise _unreadable(call, f"has more than {_MAX_PAGES} pages")


def _json(call: Call, body: bytes) -> Any:
    try:
        return loads(body)
    except NotJSONError:
        pass
    raise _unreadable(call, "is not JSON")


def _unreadable(call: Call, problem: str) -> CompletionError:
    return call.with_details(APIResponseError(f"the list of models {problem}"))


def _with_query(url: str, query: Mapping[str, str]) -> str:
    return url if not query else f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"


def _model(item: JsonObject, listing: ModelListing) -> ModelInfo:
    names = [optional_str(item.get(name)) or "" for name in listing.name]
    return ModelInfo(
        "/".join(names).strip("/").removeprefix(listing.name_prefix),
        _unix_time(next((item[name] for name in ("created", "created_at") if item.get(name) is not None), None)),
        optional_str(item.get("owned_by")) or optional_str(item.get("owner")),
        item,
    )


def _unix_time(value: object) -> int | None:
    """A time as Unix seconds, where it is a number or a date in ISO format."""
    if not isinstance(value, str):
        return optional_int(value)
    try:
        return int(datetime.fromisoformat(value).timestamp())
    except (ValueError, OverflowError):
        return optional_int(value)


def _cursor(page: object, listing: ModelListing) -> str | None:
    """The cursor of the next page, which may be in the URL of that page; None at the end."""
    fields = optional_object(page)
    if fields is None or not listing.cursor[0] or fields.get("has_more") is False:
        return None
    field, parameter = listing.cursor
    found = optional_str(fields.get(field))
    if found and "://" in found:
        found = parse_qs(urlsplit(found).query).get(parameter, [None])[0]
    return found or None
