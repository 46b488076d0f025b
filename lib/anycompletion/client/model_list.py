"""Lists the models of a provider, by the provider's own list, page by page."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs, urlencode, urlsplit

import attrs

from ..calls import Call
from ..codecs.json import NotJSONError, loads
from ..codecs.lenient import optional_int, optional_list, optional_object, optional_str
from ..dialects.base import ModelInfo
from ..errors import APIResponseError
from ..http import HttpRequest
from ..records import ChatRequest, JsonObject, ReplyInfo

if TYPE_CHECKING:
    from ..calls import CallPlan
    from ..dialects.base import ModelListing

_MAX_PAGES = 200


async def list_models(plan: CallPlan) -> list[ModelInfo]:
    """The models that the provider of `plan` lists, in its order.

    Raises:
        APIError: what a call raises; also a list that is none, or that does not end.
    """
    plan = copy.copy(plan)
    plan.target = target = attrs.evolve(plan.target, model="")  # errors name the provider only
    listing = plan.provider_state.dialect.models
    url, models, cursor = listing.url(target), dict[str, ModelInfo](), None
    for _ in range(_MAX_PAGES):
        query = dict(listing.query) if cursor is None else {**listing.query, listing.cursor[1]: cursor}
        page: object = await _fetch(plan, _with_query(url, query), listing.headers)
        items = optional_list(cast("JsonObject", page).get(listing.items) if isinstance(page, dict) else page)
        if items is None:
            raise _unreadable(plan, "has no items")
        found = [_model(item, listing) for entry in items if (item := optional_object(entry)) is not None]
        models.update((model.id, model) for model in found if model.id)
        following = _cursor(cast("object", page), listing)
        if following is None or following == cursor:
            return list(models.values())
        cursor = following
    raise _unreadable(plan, f"has more than {_MAX_PAGES} pages")


async def _fetch(plan: CallPlan, url: str, headers: Mapping[str, str]) -> Any:
    target = plan.target
    call = Call(plan, ChatRequest(target.model, []), ReplyInfo(target.provider, target.model))
    call.start()
    response = await call.fetch(HttpRequest(url, method="GET", headers=headers))
    try:
        return loads(response.body)
    except NotJSONError:
        pass
    raise call.with_details(APIResponseError("the list of models is not JSON"))


def _unreadable(plan: CallPlan, problem: str) -> APIResponseError:
    return APIResponseError(f"the list of models {problem}", provider=plan.target.provider)


def _with_query(url: str, query: Mapping[str, str]) -> str:
    return url if not query else f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"


def _model(item: JsonObject, listing: ModelListing) -> ModelInfo:
    names = [optional_str(item.get(name)) or "" for name in listing.name]
    return ModelInfo(
        "/".join(names).strip("/"),
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
