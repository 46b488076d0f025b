"""Tests of unions as types of replies: tags, and how members without tags are distinguished."""

from __future__ import annotations

import datetime
import typing
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, Optional, TypedDict, TypeVar

import annotated_types
import attrs
import msgspec
import pytest
import typing_extensions

from anycompletion.structured.types import ValueMismatch, compile_type

T = TypeVar("T")


@dataclass
class Soup:
    name: str


@attrs.frozen
class Recipe:
    title: str
    parts: list[Soup | Recipe] = attrs.field(factory=list)


@dataclass
class Typed:
    type: int
    kind: str


class Row(TypedDict):
    columns: list[int]


@dataclass
class Cat:
    kind: Literal["cat"]
    lives: int = 9


@attrs.frozen
class Dog:
    name: str
    kind: Literal["dog"] = "dog"


class Tagged(msgspec.Struct, tag="t", tag_field="sort"):
    value: int


class OtherTag(msgspec.Struct, tag=2):
    value: int


class Untagged(msgspec.Struct):
    value: int


class Loose(msgspec.Struct):
    kind: Literal["loose"]


@dataclass
class Box(Generic[T]):
    item: T


def _members(into: Any) -> list[dict[str, Any]]:
    """The schemas of the members of a union."""
    members: list[dict[str, Any]] = compile_type(into).schema["properties"]["value"]["anyOf"]
    return members


def _tags(into: Any) -> list[str]:
    """The tags of the members of a union."""
    return [each["properties"]["type"]["const"] for each in _members(into)]


def test_classes_of_a_union_get_a_tag_with_their_names() -> None:
    """Two classes with fields of the same names could not be distinguished."""
    plan = compile_type(Recipe | Soup)
    for value in (Soup("x"), Recipe("a", [Soup("b"), Recipe("c")])):
        assert plan.decode(plan.encode(value)) == value
    assert plan.encode(Soup("x")) == b'{"value":{"type":"Soup","name":"x"}}'
    soup = _members(Soup | Typed | None)[0]
    assert list(soup["properties"]) == ["_type", "name"]
    assert soup["properties"]["_type"] == {"type": "string", "const": "Soup"}
    assert soup["required"] == ["_type", "name"]


def test_a_tag_is_the_whole_name_of_the_class() -> None:
    """`ParsedReply` with a value of a private class would be a reply that fits no member."""

    @dataclass
    class _Soup:
        name: str

    assert compile_type(_Soup | Recipe).encode(_Soup("x")) == b'{"value":{"type":"_Soup","name":"x"}}'
    assert _tags(_Soup | Soup) == ["_Soup", "Soup"]
    assert _tags(Box[int] | Soup) == ["Box", "Soup"]
    assert _tags(Box[int] | Box[Soup]) == ["Box_int", "Box_Soup"]


def test_a_class_has_no_tag_outside_of_unions() -> None:
    """A class that is also a member of a union would be sent with a tag wherever it is used."""

    @dataclass
    class Dinner:
        first: Soup
        any: Soup | Recipe

    plan = compile_type(Dinner)
    value = Dinner(Soup("a"), Soup("b"))
    assert plan.encode(value) == b'{"first":{"name":"a"},"any":{"type":"Soup","name":"b"}}'
    assert plan.decode(plan.encode(value)) == value


def test_a_field_with_a_literal_of_its_own_is_the_tag() -> None:
    """Users' own tags would be doubled by a second one."""
    plan = compile_type(list[Cat | Dog])
    assert plan.encode([Dog("x")]) == b'{"value":[{"kind":"dog","name":"x"}]}'
    assert plan.decode(b'{"value":[{"lives":3,"kind":"cat"},{"kind":"dog","name":"y"}]}') == [Cat("cat", 3), Dog("y")]
    assert [each["required"] for each in _members(Cat | Dog | None)[:2]] == [["kind"], ["kind", "name"]]


def test_structs_keep_their_tags_and_give_others_the_same_field() -> None:
    """The tags of Structs would be replaced, or a class beside them have another tag."""
    plan = compile_type(Tagged | Soup)
    assert plan.encode(Tagged(1)) == b'{"value":{"sort":"t","value":1}}'
    assert plan.encode(Soup("x")) == b'{"value":{"sort":"Soup","name":"x"}}'
    assert plan.decode(b'{"value":{"sort":"t","value":1}}') == Tagged(1)
    assert compile_type(Tagged).encode(Tagged(1)) == b'{"sort":"t","value":1}'
    assert compile_type(Loose | Cat).decode(b'{"value":{"kind":"loose"}}') == Loose("loose")


REFUSED: dict[str, tuple[Any, str]] = {
    "Struct without a tag": (Untagged | Tagged, "Structs in a union need `tag=True`"),
    "Struct without a tag beside a class": (Soup | Untagged, "Structs in a union need `tag=True`"),
    "different fields": (Tagged | OtherTag, "the Structs of a union need the same `tag_field`"),
    "limit of one member": (Annotated[str, annotated_types.Ge(1)] | int, "string cannot have the limit ge"),
    "text and number": (OtherTag | Soup, "the tags of a union must differ, and be all texts or all integers"),
}
"""Case → a union that cannot be read, and a part of the error."""


@pytest.mark.parametrize("case", REFUSED)
def test_unions_whose_members_cannot_be_distinguished_are_refused(case: str) -> None:
    """A reply would be read as the wrong class."""
    into, text = REFUSED[case]
    with pytest.raises(ValueError, match=f"^into: \\$: {text}"):
        compile_type(into)


WRONG: dict[str, tuple[Any, str, str, str]] = {
    "no tag": (Cat | Dog, '{"value":{}}', "$.kind", 'one of "cat", "dog"'),
    "unknown tag": (Cat | Dog, '{"value":{"kind":"cow"}}', "$.kind", 'one of "cat", "dog"'),
    "tag that is no text": (Cat | Dog, '{"value":{"kind":[1]}}', "$.kind", 'one of "cat", "dog"'),
    "inside the member": (Cat | Dog, '{"value":{"kind":"cat","lives":"x"}}', "$.lives", "integer"),
    "no object": (Cat | Dog, '{"value":1}', "$", "object"),
    "inside a list": (list[int] | str, '{"value":[1,"x"]}', "$[1]", "integer"),
    "no member": (int | None, '{"value":"x"}', "$", "integer or null"),
    "closest of two": (list[int] | list[str], '{"value":[1,"x"]}', "$[1]", "integer"),
    "none of two texts": (datetime.date | Literal["never"], '{"value":"x"}', "$", 'string, format date or "never"'),
}
"""Case → type, JSON, path and what was expected."""


@pytest.mark.parametrize("case", WRONG)
def test_a_mismatch_in_a_union_has_its_path(case: str) -> None:
    """Users could not find the wrong value in a union."""
    into, text, path, expected = WRONG[case]
    with pytest.raises(ValueMismatch) as caught:
        compile_type(into).decode(text.encode())
    assert (caught.value.path, caught.value.expected) == (path, expected)


SAME: dict[str, tuple[Any, list[Any]]] = {
    "old notation": (Optional[Soup], [Soup("x"), None]),  # noqa: UP045
    "text and time": (str | datetime.datetime, ["x", datetime.datetime(2024, 1, 2)]),
    "text and literal": (str | Literal[1], ["x", 1]),
    "lists": (list[int] | list[str] | list[Soup], [[1], ["x"], [Soup("x")]]),
    "class and dict": (dict[str, int] | Soup, [{"a": 1}, Soup("x")]),
    "TypedDict and class": (Row | Soup, [{"columns": [1]}, Soup("x")]),
    "integer and float": (float | int, [1, 1.5]),
    "classes and others": (Recipe | Soup | list[Soup] | int | None, [Recipe("x"), [Soup("x")], 1, None]),
    "one class and literal": (Soup | Literal["none"], [Soup("x"), "none"]),
    "generic class twice": (Box[int] | Box[Soup], [Box(1), Box(Soup("x"))]),
    "any": (Any | None, [1, None, {"a": [1]}]),
    "nested": (typing.Union[int, Annotated[str | None, "text"]], [1, "x", None]),  # noqa: UP007
    "limited members": (Annotated[int | None, annotated_types.Ge(1)], [1, None]),
    "limited class": (Annotated[Soup | Recipe, "food"] | None, [Soup("x"), None]),
}
"""Case → type and values."""


@pytest.mark.parametrize("case", SAME)
def test_members_of_a_union_are_distinguished(case: str) -> None:
    """A reply would be read as a value of another member."""
    into, values = SAME[case]
    plan = compile_type(into)
    found = [plan.decode(plan.encode(value)) for value in values]
    assert found == values
    assert list(map(type, found)) == list(map(type, values))


Pets = typing_extensions.TypeAliasType("Pets", "Cat | Dog")
Json = typing_extensions.TypeAliasType("Json", "dict[str, Json] | list[Json] | str | int | None")
Maybe = typing_extensions.TypeAliasType("Maybe", Optional[T], type_params=(T,))  # noqa: UP045


def test_type_aliases_may_be_recursive_and_generic() -> None:
    """A type alias would be refused, or never end."""
    value = {"a": [1, {"b": None}], "c": "x"}
    plan = compile_type(Json)
    assert plan.decode(plan.encode(value)) == value
    assert list(plan.schema["$defs"]) == ["Json"]
    with pytest.raises(ValueError, match=r"\$\[\.\.\.\]"):
        plan.decode(b'{"value":{"a":1.5}}')
    assert compile_type(Maybe[Soup]).decode(b'{"value":{"name":"x"}}') == Soup("x")
    assert compile_type(Pets | Soup).decode(b'{"value":{"name":"x"}}') == Soup("x")
    assert compile_type(Pets | Soup).decode(b'{"value":{"kind":"dog","name":"x"}}') == Dog("x")
    assert compile_type(list[Maybe[int]]).decode(b'{"value":[1,null]}') == [1, None]
