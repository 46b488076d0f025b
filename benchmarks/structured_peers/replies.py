"""Replies that are not what a schema guarantees, as models without such a guarantee write them."""

from __future__ import annotations

import json
from typing import Literal

from pydantic import BaseModel

from benchmarks.structured_peers.cases import Case


class Animal(BaseModel):
    name: str
    kind: Literal["cat", "dog"]
    weight: float


class Leaf(BaseModel):
    text: str


class Group(BaseModel):
    items: list[Leaf | list[Leaf | int]]


class Chain(BaseModel):
    number: int
    next: Chain | None = None


class Count(BaseModel):
    value: int


class Optionals(BaseModel):
    nickname: str | None = "A"
    note: str = "none"


class Tags(BaseModel):
    tags: list[str]


class Name(BaseModel):
    name: str


_ANIMAL = '{"name": "Tom", "kind": "cat", "weight": 4.5}'
_TOM = Animal(name="Tom", kind="cat", weight=4.5)
_DEPTH = 60


def _chain() -> Chain:
    found = None
    for number in range(_DEPTH, 0, -1):
        found = Chain(number=number, next=found)
    assert found is not None
    return found


REPLIES = (
    Case("a code fence around the JSON", Animal, _TOM, text=f"```json\n{_ANIMAL}\n```"),
    Case("prose around the JSON", Animal, _TOM, text=f"Sure! Here it is:\n\n{_ANIMAL}\n\nAnything else?"),
    Case("`NaN` for a number", Animal, None, text='{"name": "Tom", "kind": "cat", "weight": NaN}'),
    Case("cut at the token limit", Animal, None, text='{"name": "Tom", "kind": "c', finish_reason="length"),
    Case("a value that the enum lacks", Animal, None, text='{"name": "Tom", "kind": "cow", "weight": 4.5}'),
    Case("members that the type lacks", Animal, _TOM, text='{"id": 7, "name": "Tom", "kind": "cat", "weight": 4.5}'),
    Case(
        "unions in unions",
        Group,
        Group(items=[Leaf(text="a"), [1, Leaf(text="b")]]),
        text='{"items": [{"text": "a"}, [1, {"text": "b"}]]}',
    ),
    Case(f"recursion, {_DEPTH} levels", Chain, _chain(), text=_chain().model_dump_json()),
    Case("an integer of 22 digits", Count, Count(value=2**70), text=json.dumps({"value": 2**70})),
    Case(
        "`null` for optional fields",
        Optionals,
        Optionals(nickname=None, note="none"),
        text='{"nickname": null, "note": null}',
    ),
    Case("an empty list", Tags, Tags(tags=[]), text='{"tags": []}'),
    Case(
        "a lone surrogate, an emoji, U+0000",
        Name,
        Name(name="\ufffd☕\U0001f600\x00"),
        text='{"name": "\\ud83d☕\\ud83d\\ude00\\u0000"}',
    ),
)
