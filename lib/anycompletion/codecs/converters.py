"""Records → dicts in OpenAI's format, by cattrs: the general case of `to_wire`.

Imported for the first record that is more than a role and a text, because importing cattrs takes several milliseconds.
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
    """Records, and lists of them, as dicts in OpenAI's format."""
    return _converter().unstructure(value)


@functools.cache
def _converter() -> Converter:
    converter = Converter()
    converter.register_unstructure_hook_factory(
        _is_record,
        lambda cls: _record_hook(converter, cls),  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    )
    # Checked JSON is plain already: a copy would take as long as the check, and one more recursion.
    converter.register_unstructure_hook_func(lambda shape: shape in _JSON, _unchanged)
    plain_call = _record_hook(converter, ToolCall)

    def unstructure_call(call: ToolCall) -> dict[str, Any]:
        out = plain_call(call)
        if call.custom is not None:
            del out["function"]  # an empty one exists so that users need not check for None
        return out

    converter.register_unstructure_hook(ToolCall, unstructure_call)
    plain_url = _record_hook(converter, ImageUrl)
    converter.register_unstructure_hook(ImageUrl, lambda url: url.url if url.bare else plain_url(url))
    return converter


_JSON = (dict[str, Any], Mapping[str, Any])


def _unchanged(value: Any) -> Any:
    return value


def _is_record(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, Record)


def _record_hook(converter: Converter, cls: type[Any]) -> Callable[[Any], dict[str, Any]]:
    """Leaves out fields that are not set and merges `extra` in: exactly what the caller wrote."""
    overrides: dict[str, Any] = {"extra": override(omit=True)}
    for attribute in attrs.fields(cls):
        if attribute.metadata.get("hidden"):
            overrides[attribute.name] = override(omit=True)
        elif attribute.default is None or attribute.default is False:
            overrides[attribute.name] = override(omit_if_default=True)
    unstructure = make_dict_unstructure_fn(cls, converter, **overrides)

    def hook(record: Any) -> dict[str, Any]:
        out = unstructure(record)
        if record.extra:
            out.update(record.extra)
        return out

    return hook
