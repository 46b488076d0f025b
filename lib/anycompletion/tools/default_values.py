"""Defaults of parameters, as far as schemas state them: plain data always, objects where their type is declared."""

from __future__ import annotations

import datetime
import decimal
import enum
import typing
import uuid
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, cast

from ..structured.types import ABSENT

_PLAIN = (
    *(str, int, float, bool, bytes, type(None), enum.Enum),
    *(datetime.date, datetime.time, datetime.timedelta, decimal.Decimal, uuid.UUID),
)


def stated_default(hint: Any, default: Any) -> Any:
    """The default that a schema states; `ABSENT` for one that it leaves out.

    An object in a parameter of any type is left out: its fields were never meant for a model.
    """
    return default if _is_plain(default) or not _takes_anything(hint) else ABSENT


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_plain, cast("Mapping[Any, Any]", value).values()))
    if isinstance(value, (list, tuple, AbstractSet)):
        is_named = hasattr(cast("object", value), "_fields")
        return not is_named and all(map(_is_plain, cast("list[Any]", value)))
    return isinstance(value, _PLAIN)


def _takes_anything(hint: Any) -> bool:
    """Whether a type, or a part of it, allows any value."""
    if hint is Any or hint is object or hint in (list, dict, tuple, set, frozenset):
        return True
    return any(map(_takes_anything, typing.get_args(hint)))
