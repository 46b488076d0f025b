"""Records → wire values, by cattrs: the general case of `to_wire`.

Loaded by the first record that is more than a role and a text: cattrs costs an import several milliseconds.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import attrs
from cattrs import Converter
from cattrs.gen import make_dict_unstructure_fn, override

from ..records import ImageUrl, Record, ToolCall


def unstructure(value: Any) -> Any:
    """Records (and lists of them) as dicts in OpenAI's shape."""
    return _converter().unstructure(value)


@functools.cache
def _converter() -> Converter:
    converter = Converter()
    converter.register_unstructure_hook_factory(
        _is_record,
        lambda cls: _record_hook(converter, cls),  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    )
    # What was checked as JSON is plain already: a copy would cost as much as the check, and one more recursion.
    converter.register_unstructure_hook_func(lambda shape: shape in _JSON, _itself)
    plain_call = _record_hook(converter, ToolCall)

    def unstructure_call(call: ToolCall) -> dict[str, Any]:
        out = plain_call(call)
        if call.custom is not None:
            del out["function"]  # only there so that readers need not check for None
        return out

    converter.register_unstructure_hook(ToolCall, unstructure_call)
    plain_url = _record_hook(converter, ImageUrl)
    converter.register_unstructure_hook(ImageUrl, lambda url: url.url if url.bare else plain_url(url))
    return converter


_JSON = (dict[str, Any], Mapping[str, Any])


def _itself(value: Any) -> Any:
    return value


def _is_record(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, Record)


def _record_hook(converter: Converter, cls: type[Any]) -> Callable[[Any], dict[str, Any]]:
    """Fields without a value are left out, `extra` is merged in: what the caller wrote, and no more."""
    overrides: dict[str, Any] = {"extra": override(omit=True)}
    for attribute in attrs.fields(cls):
        if attribute.metadata.get("hidden"):
            overrides[attribute.name] = override(omit=True)
        elif attribute.default is None:
            overrides[attribute.name] = override(omit_if_default=True)
    unstructure = make_dict_unstructure_fn(cls, converter, **overrides)

    def hook(record: Any) -> dict[str, Any]:
        out = unstructure(record)
        if record.extra:
            out.update(record.extra)
        return out

    return hook
