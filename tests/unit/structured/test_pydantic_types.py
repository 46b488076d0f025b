"""Tests of pydantic's types as types of replies, which are recognized by their methods."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypeVar

import attrs
import pydantic
import pytest

from anycompletion.structured.types import ValueMismatch, compile_type


class Step(pydantic.BaseModel):
    """A step."""

    text: str = pydantic.Field(max_length=10, description="What to do")
    minutes: int = 1


class Recipe(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    title: str = pydantic.Field(alias="Title")
    steps: list[Step] = []
    sub: list[Recipe] = []
    prices: dict[str, int] = {}

    @pydantic.field_validator("title")
    @classmethod
    def _is_not_empty(cls, title: str) -> str:
        if title.startswith("sesame"):
            raise ValueError(f"{title} is no title")
        return title


class Cat(pydantic.BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Bird(pydantic.BaseModel):
    kind: Literal["bird"] = "bird"


T = TypeVar("T")


class Page(pydantic.BaseModel, Generic[T]):
    items: list[T]


@attrs.frozen
class Dog:
    kind: Literal["dog"]


@dataclass
class Soup:
    name: str


class Numbers(pydantic.RootModel[list[int]]):
    pass


@pydantic.dataclasses.dataclass
class Point:
    x: Annotated[int, pydantic.Field(ge=0)]


@attrs.define
class Dinner:
    first: Recipe
    steps: dict[str, Step]
    point: Point | None = None


VALUES: dict[str, tuple[Any, Any]] = {
    "model": (Step, Step(text="a")),
    "recursive model with an alias": (Recipe, Recipe(Title="a", sub=[Recipe(Title="b", steps=[Step(text="c")])])),
    "list of models": (list[Recipe], [Recipe(Title="a")]),
    "inside an attrs class": (Dinner, Dinner(Recipe(Title="a"), {"x": Step(text="b")}, Point(1))),
    "dataclass": (Point, Point(2)),
    "root model": (Numbers, Numbers([1, 2])),
    "adapter": (pydantic.TypeAdapter(list[Step]), [Step(text="a")]),
    "adapter of a union": (pydantic.TypeAdapter(Step | Cat | int), Cat(lives=3)),
    "union of models": (Step | Cat, Cat()),
    "union with a dataclass": (Soup | Step, Step(text="a")),
    "tag of its own": (Cat | Dog, Cat(lives=1)),
    "optional": (Step | None, None),
    "class of its own": (list[pydantic.HttpUrl], [pydantic.HttpUrl("https://example.com/")]),
    "class of its own in a union": (Soup | pydantic.HttpUrl, Soup("x")),
    "list and class": (Soup | Numbers, Numbers([1])),
    "generic model in a union": (Page[int] | Soup, Page[int](items=[1])),
    "discriminator": (Annotated[Cat | Bird, pydantic.Field(discriminator="kind")], Bird()),
    "described model and dict": (Annotated[Step, "one"] | dict[str, int], {"a": 1}),
    "model and dict": (Step | dict[str, int], {"a": 1}),
}
"""Case → type and value."""


@pytest.mark.parametrize("case", VALUES)
def test_a_value_of_a_pydantic_type_is_read_from_its_json(case: str) -> None:
    """A reply for a pydantic model would be read as another value, or not at all."""
    into, value = VALUES[case]
    plan = compile_type(into)
    found = plan.decode(plan.encode(value))
    assert found == value
    assert type(found) is type(value)


def test_definitions_are_lifted_to_the_root() -> None:
    """References would lead nowhere, or a root be a reference, which providers refuse."""
    schema = compile_type(Dinner).schema
    assert sorted(schema["$defs"]) == ["Recipe", "Step"]
    assert schema["properties"]["first"] == {"$ref": "#/$defs/Recipe"}
    recipe = compile_type(Recipe).schema
    assert recipe["type"] == "object"
    assert recipe["additionalProperties"] is False
    assert recipe["properties"]["sub"]["items"] == {"$ref": "#/$defs/Recipe"}
    assert recipe["properties"]["Title"] == {"type": "string"}


def test_a_union_of_models_gets_tags_that_pydantic_does_not_see() -> None:
    """Models without fields of their own could not be distinguished, or a strict one refuse the tag."""
    plan = compile_type(Recipe | Step)
    assert plan.encode(Step(text="a")) == b'{"value":{"type":"Step","text":"a","minutes":1}}'
    assert plan.decode(b'{"value":{"type":"Recipe","Title":"x"}}') == Recipe(Title="x")
    members = plan.schema["properties"]["value"]["anyOf"]
    assert [each.get("required") for each in members] == [["type", "Title"], ["type", "text"]]


def test_a_tag_of_a_model_is_required_although_it_has_a_default() -> None:
    """A model would leave out the tag, without which the reply cannot be read."""
    bird = compile_type(Cat | Bird).schema["properties"]["value"]["anyOf"][1]
    assert bird["required"] == ["kind"]
    assert bird["properties"]["kind"] == {"type": "string", "const": "bird"}


WRONG: dict[str, tuple[str, str, str, str]] = {
    "type": ('{"Title":1}', "$.Title", "schema", "a valid string"),
    "limit": ('{"Title":"a","steps":[{"text":"sesame sesame"}]}', "$.steps[0].text", "schema", "String should have"),
    "missing": ('{"Title":"a","sub":[{}]}', "$.sub[0].Title", "schema", "a member, which is missing"),
    "unknown member": ('{"Title":"a","sesame":1}', "$", "schema", "no members besides those of the schema"),
    "key of a dict": ('{"Title":"a","prices":{"sesame":"x"}}', "$.prices[...]", "schema", "a valid integer"),
    "validator": ('{"Title":"sesame x"}', "$.Title", "value", "Value error, sesame x is no title"),
    "no object": ("[]", "$", "schema", "an object"),
}
"""Case → JSON, path, kind, and the begin of what was expected."""


@pytest.mark.parametrize("case", WRONG)
def test_an_error_of_pydantic_is_a_mismatch_with_its_path(case: str) -> None:
    """Errors of pydantic would have paths of another form, or quote what the model wrote."""
    text, path, kind, expected = WRONG[case]
    with pytest.raises(ValueMismatch) as caught:
        compile_type(Recipe).decode(text.encode())
    assert (caught.value.path, caught.value.kind) == (path, kind)
    assert caught.value.expected.startswith(expected)
    assert "sesame" not in str(caught.value)
    assert isinstance(caught.value.__cause__, pydantic.ValidationError)


def test_an_error_has_no_characters_of_the_text() -> None:
    """Pydantic's own words quote a character of what the model wrote."""
    with pytest.raises(ValueError, match="valid UUID") as caught:
        compile_type(pydantic.TypeAdapter(uuid.UUID)).decode(b'{"value":"sesame"}')
    assert str(caught.value) == "$: expected a valid UUID"


def test_an_error_in_a_model_inside_a_class_has_the_whole_path() -> None:
    """The path of an error in a pydantic model would begin at the model."""
    with pytest.raises(ValueError, match=r"^\$\.steps\[\.\.\.\]\.minutes: expected a valid integer"):
        compile_type(Dinner).decode(b'{"first":{"Title":"a"},"steps":{"x":{"text":"a","minutes":"z"}}}')


class Trip(pydantic.BaseModel):
    start: Step
    note: str | None = "none"
    stops: list[Step] = []
    by_day: dict[str, Step] = {}
    any: Any = 1
    or_cat: Step | Cat = Cat()
    choice: Literal["a", None] = "a"
    letter: Literal["x", "y"] = "x"
    step: Step = Step(text="default")


def test_null_is_a_member_that_is_left_out() -> None:
    """A member with a default, which a model can only write as null, would be refused."""
    text = (
        '{"start":{"text":"a","minutes":null},"note":null,"stops":[{"text":"b","minutes":null}],"any":null,'
        '"by_day":{"x":{"text":"c","minutes":null}},"or_cat":{"kind":"cat","lives":null},"choice":null,"letter":null,'
        '"step":null}'
    )
    found = compile_type(list[Trip]).decode(f'{{"value":[{text}]}}'.encode())
    steps = [Step(text=each) for each in "abc"]
    assert found == [
        Trip(start=steps[0], note=None, stops=[steps[1]], by_day={"x": steps[2]}, any=None, choice=None, or_cat=Cat())
    ]
    for wrong, path in ((text.replace('"text":"a"', '"text":null'), "$.start.text"), ('{"start":null}', "$.start")):
        with pytest.raises(ValueMismatch) as caught:
            compile_type(Trip).decode(wrong.encode())
        assert caught.value.path == path


def test_a_lone_surrogate_is_read() -> None:
    """pydantic would refuse text that other types of replies accept."""
    assert compile_type(Step).decode(b'{"text":"\\ud800","minutes":2.0}') == Step(text="\ufffd", minutes=2)


class Optionals(pydantic.BaseModel):
    nickname: str | None = "A"
    note: str = "none"
    count: int = pydantic.Field(default=3, alias="Count", ge=1)
    of: Cat | Bird = pydantic.Field(default=Cat(), discriminator="kind")
    inner: list[Optionals] = []
    totals: dict[str, int] = {}


NULLS = {
    "of the model": ('{"note":null,"nickname":null,"Count":null,"of":null}', Optionals(nickname=None)),
    "inside lists and unions": (
        '{"inner":[{"note":"b"},{"note":null,"inner":[{"Count":null}]}],"of":{"kind":"cat","lives":null}}',
        Optionals(inner=[Optionals(note="b"), Optionals(inner=[Optionals()])]),
    ),
}


@pytest.mark.parametrize("case", NULLS)
def test_null_stands_for_an_optional_member_that_was_left_out(case: str) -> None:
    """Strict schemas demand all members, so that replies with null for a member with a default would be refused."""
    text, value = NULLS[case]
    assert compile_type(Optionals).decode(text.encode()) == value
    assert compile_type(pydantic.TypeAdapter(list[Optionals])).decode(f'{{"value":[{text}]}}'.encode()) == [value]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('{"totals":{"note":null}}', "$.totals.note"),
        ('{"note":null,"Count":0}', "$.Count"),
        ('{"note":null,"inner":[{"Count":0}]}', "$.inner[0].Count"),
        ('{"inner":[null]}', "$.inner[0]"),
    ],
)
def test_null_is_refused_where_a_value_is_needed(text: str, path: str) -> None:
    """A null would be dropped out of a dict or a list, or hide what is wrong beside it."""
    with pytest.raises(ValueMismatch) as caught:
        compile_type(Optionals).decode(text.encode())
    assert caught.value.path == path


def test_null_for_a_required_member_or_refused_by_a_check_is_no_missing_one() -> None:
    """The error would name a member as missing that is there, or a check of the class would be passed over."""

    class Checked(pydantic.BaseModel):
        name: str
        size: int | None = 3

        @pydantic.field_validator("size")
        @classmethod
        def _is_given(cls, size: int | None) -> int | None:
            if size is None:
                raise ValueError("give a size")
            return size

    with pytest.raises(ValueMismatch, match=r"^\$\.name: expected a valid string"):
        compile_type(Checked).decode(b'{"name":null}')
    with pytest.raises(ValueMismatch) as caught:
        compile_type(Checked).decode(b'{"name":"a","size":null}')
    assert (caught.value.path, caught.value.kind) == ("$.size", "value")


class Even:
    """A type of even numbers, with no more methods than `SupportsValidateJSON` has."""

    def validate_json(self, data: str | bytes, /) -> int:
        """The number."""
        if int(data) % 2:
            raise ValueError("odd")
        return int(data)

    def json_schema(self) -> dict[str, Any]:
        """Its schema."""
        return {"type": "integer"}


def test_a_type_needs_the_methods_of_the_protocol_only() -> None:
    """What type checkers accept would be refused when it runs."""
    plan = compile_type(Even())
    assert plan.schema["properties"]["value"] == {"type": "integer"}
    assert plan.decode(b'{"value":4}') == 4
    with pytest.raises(ValueError, match="the value was refused"):
        plan.decode(b'{"value":3}')


def test_a_model_without_a_schema_is_refused() -> None:
    """A model that no JSON Schema can describe would end with an error of pydantic."""

    class Odd(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)
        thing: Callable[[int], int]

    with pytest.raises(ValueError, match=r"^into: \$\[\]: the annotations of .*Odd cannot be read") as caught:
        compile_type(list[Odd])
    assert vars(caught.value)["param"] == "into"


def test_pydantic_is_not_imported() -> None:
    """Programs without pydantic could not use `parse`, and those with it would import it for a dataclass."""
    program = (
        "import sys, dataclasses\n"
        "from anycompletion.structured.types import compile_type\n"
        "cls = dataclasses.make_dataclass('A', [('a', int | None)])\n"
        "assert compile_type(list[cls]).decode(b'[{\"a\":1}]')\n"
        "assert not {'pydantic', 'annotated_types'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
