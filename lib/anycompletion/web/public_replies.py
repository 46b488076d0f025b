"""Replies for the endpoint's callers: without what is between the service and its provider, such as costs.

All else that providers add to OpenAI's format (citations, reasoning, images) is the caller's, and stays.
"""

from __future__ import annotations

from typing import cast

from ..records import JsonObject

_COST_WORDS = ("cost", "price", "billing", "charge")
"""Parts of the names of fields that are about what a call costs."""


def remove_service_fields(reply: JsonObject) -> None:
    """Removes from the JSON of a reply or chunk what is the service's.

    That is all of its usage but counts of tokens (costs, whose key was billed, times in queues), and the fields of the
    reply itself whose names say that they are about the provider's account or server: ``x_…`` and costs.
    """
    for name in [name for name in reply if name.startswith("x_") or _is_cost(name)]:
        del reply[name]
    usage: object = reply.get("usage")
    if isinstance(usage, dict):
        found = cast("JsonObject", usage)
        reply["usage"] = {name: value for name, value in found.items() if "token" in name and not _is_cost(name)}


def _is_cost(name: str) -> bool:
    return any(word in name for word in _COST_WORDS)
