"""Tests of limits and descriptions of types: what is sent of them, and that they are always checked."""

from __future__ import annotations

import datetime
import decimal
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import Annotated, Any, NewType

import annotated_types as at
import attrs
import pydantic
import pytest
import typing_extensions
from msgspec import Meta

from anycompletion.structured.types import ValueMismatch, compile_type

NOON = datetime.datetime(2024, 1, 1, 12, tzinfo=datetime.UTC)
Score = NewType("Score", int)

LIMITS: dict[str, tuple[Any, dict[str, Any], str, str]] = {
    "Meta": (Annotated[int, Meta(ge=1, lt=9)], {"minimum": 1, "exclusiveMaximum": 9}, "8", "9"),
    "Ge and Lt": (Annotated[int, at.Ge(1), at.Lt(9)], {"minimum": 1, "exclusiveMaximum": 9}, "1", "0"),
    "Interval": (Annotated[float, at.Interval(gt=0, le=1)], {"exclusiveMinimum": 0, "maximum": 1}, "1", "0"),
    "Field": (Annotated[int, pydantic.Field(gt=0, multiple_of=5)], {"exclusiveMinimum": 0, "multipleOf": 5}, "5", "6"),
    "two lower bounds": (Annotated[int, at.Ge(1), at.Gt(1)], {"minimum": 1, "exclusiveMinimum": 1}, "2", "1"),
    "bound with a fraction": (Annotated[int, at.Ge(0.5)], {"minimum": 0.5}, "1", "0"),
    "bound that is no 64-bit integer": (Annotated[int, at.Le(2**70)], {"maximum": 2**70}, str(2**70), str(2**70 + 1)),
    "large integer": (Annotated[int, Meta(ge=0)], {"minimum": 0}, str(10**40), f"-{10**40}"),
    "multiple of a fraction": (Annotated[float, at.MultipleOf(0.01)], {"multipleOf": 0.01}, "1.15", "1.155"),
    "MinLen": (Annotated[str, at.MinLen(2), at.MaxLen(3)], {"minLength": 2, "maxLength": 3}, '"äö"', '"ä"'),
    "pattern": (Annotated[str, pydantic.Field(pattern="^a+$")], {"pattern": "^a+$"}, '"aa"', '"b"'),
    "compiled pattern": (Annotated[str, Meta(pattern="b")], {"pattern": "b"}, '"abc"', '"ac"'),
    "list": (Annotated[list[int], at.Len(1, 2)], {"minItems": 1, "maxItems": 2}, "[1,2]", "[]"),
    "set": (Annotated[set[int], Meta(min_length=2)], {"minItems": 2}, "[1,2]", "[1,1]"),
    "dict": (Annotated[dict[str, int], Meta(max_length=1)], {"maxProperties": 1}, '{"a":1}', '{"a":1,"b":2}'),
    "bytes": (Annotated[bytes, Meta(min_length=2)], {"minLength": 4}, '"YWI="', '"YQ=="'),
    "decimal": (Annotated[decimal.Decimal, at.Ge(1)], {"description": "minimum 1"}, '"1.0"', "0.99"),
    "time zone": (
        Annotated[datetime.datetime, Meta(tz=True)],
        {"description": "with a time zone"},
        f'"{NOON.isoformat()}"',
        '"2024-01-01T00:00:00"',
    ),
    "date": (
        Annotated[datetime.date, at.Gt(datetime.date(2024, 1, 1))],
        {"description": "greater than 2024-01-01"},
        '"2024-01-02"',
        '"2024-01-01"',
    ),
    "times with and without a zone": (
        Annotated[datetime.datetime, at.Ge(NOON)],
        {"description": f"minimum {NOON}"},
        f'"{NOON.isoformat()}"',
        '"2025-01-01T00:00:00"',
    ),
    "predicate": (
        Annotated[str, at.Predicate(str.islower)],
        {"description": "for which islower is true"},
        '"a"',
        '"A"',
    ),
    "NewType": (Annotated[Score, at.Ge(1)], {"minimum": 1}, "1", "0"),
    "limits of limits": (
        Annotated[Annotated[str, at.MinLen(1)], at.MaxLen(2)],
        {"minLength": 1, "maxLength": 2},
        '"a"',
        '""',
    ),
}
"""Case → type, members of its schema, JSON within the limits and beyond them."""


@pytest.mark.parametrize("case", LIMITS)
def test_limits_are_sent_and_checked(case: str) -> None:
    """A limit would not be sent, or a value beyond it be returned, as providers do not check all of them."""
    into, members, right, wrong = LIMITS[case]
    plan = compile_type(dict[str, into])
    schema = plan.schema["additionalProperties"]
    assert members.items() <= schema.items()
    plan.decode(b'{"a":%b}' % right.encode())
    with pytest.raises(ValueError, match=r"\$\[\.\.\.\]: expected ") as caught:
        plan.decode(b'{"a":%b}' % wrong.encode())
    assert vars(caught.value)["kind"] == "schema"


@pytest.mark.parametrize("case", LIMITS)
def test_limits_are_checked_in_json_that_is_read_tolerantly(case: str) -> None:
    """A value beyond a limit would be returned where another member is of a kind that msgspec refuses."""
    into, _, right, wrong = LIMITS[case]
    plan = compile_type(Annotated[tuple[int, into], "pair"])
    plan.decode(b'{"value":[1.0,%b]}' % right.encode())
    with pytest.raises(ValueError, match=r"\$\[1\]: expected "):
        plan.decode(b'{"value":[1.0,%b]}' % wrong.encode())


def test_limits_in_a_union_survive_garbage_collection() -> None:
    """The process would crash: msgspec loses the place of the types of a tuple beside a type with limits."""
    program = (
        "import gc\n"
        "from typing import Annotated\n"
        "from msgspec import Meta\n"
        "from anycompletion.structured.types import compile_type\n"
        "for item in (list[int], dict[str, int], tuple[int, ...], tuple[int, str]):\n"
        "    for limited in (Annotated[str, Meta(pattern='^7', max_length=3)], Annotated[float, Meta(ge=-1)]):\n"
        "        plan = compile_type(limited | item)\n"
        "        gc.collect()\n"
        "        plan.decode(b'{\"value\":\"7\"}' if 'str' in str(limited) else b'{\"value\":7}')\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_limits_of_a_union_are_those_of_the_members_that_can_have_them() -> None:
    """A limit of an optional number would be refused, or not be checked."""
    schema = compile_type(Annotated[int | str | None, at.Ge(1)]).schema["properties"]["value"]
    assert schema == {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string"}, {"type": "null"}]}
    with pytest.raises(ValueError, match="expected integer, minimum 1"):
        compile_type(Annotated[int | str | None, at.Ge(1)]).decode(b'{"value":0}')


REFUSED: dict[str, tuple[Any, str]] = {
    "number of a text": (Annotated[str, at.Ge(1)], "into: $: string cannot have the limit ge"),
    "length of a number": (Annotated[int, at.MinLen(1)], "into: $: integer cannot have the limit min_length"),
    "pattern of a list": (Annotated[list[str], Meta(pattern="x")], "into: $: array cannot have the limit pattern"),
    "none of a union": (Annotated[str | None, at.Lt(1)], "into: $: no member of the union can have the limit lt"),
    "multiple of zero": (Annotated[int, at.MultipleOf(0)], "into: $: multiple_of must be a positive number"),
    "pattern": (
        Annotated[str, pydantic.Field(pattern="(")],
        "into: $: missing ), unterminated subpattern at position 0",
    ),
}
"""Case → a type with a limit that no value can have, and the error."""


@pytest.mark.parametrize("case", REFUSED)
def test_limits_that_no_value_can_have_are_refused(case: str) -> None:
    """A limit on the wrong type would be without effect, unnoticed."""
    into, text = REFUSED[case]
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        compile_type(into)


@dataclass
class Part:
    """What is in it."""

    name: Annotated[str, "How it is called"]
    size: Annotated[int, Meta(description="In cm", title="Size", examples=[3], ge=1)]
    color: Annotated[str, typing_extensions.Doc("Of its surface")]
    price: Annotated[float, pydantic.Field(description="In euros")]
    codes: list[Annotated[str, "One code"]]
    extra: Annotated[str, Meta(extra_json_schema={"format": "email"})]


@attrs.define
class Machine:
    first: Annotated[Part, "The first part"]
    others: list[Part]
    last: Annotated[Part | None, "The last part"] = None


def test_descriptions_of_all_notations_are_sent() -> None:
    """The model would not see a description."""
    properties = compile_type(Part).schema["properties"]
    assert properties == {
        "name": {"type": "string", "description": "How it is called"},
        "size": {"type": "integer", "minimum": 1, "description": "In cm", "title": "Size", "examples": [3]},
        "color": {"type": "string", "description": "Of its surface"},
        "price": {"type": "number", "description": "In euros"},
        "codes": {"type": "array", "items": {"type": "string", "description": "One code"}},
        "extra": {"type": "string", "format": "email"},
    }


def test_the_description_of_a_field_stands_beside_that_of_its_class() -> None:
    """The description of a field would be lost where its type has one of its own."""
    schema = compile_type(Machine).schema
    assert schema["properties"]["first"] == {"$ref": "#/$defs/Part", "description": "The first part"}
    assert schema["properties"]["last"]["description"] == "The last part"
    assert schema["$defs"]["Part"]["description"] == "What is in it."

    @dataclass
    class Once:
        part: Annotated[Part, "The only part"]

    assert compile_type(Once).schema["properties"]["part"]["description"] == "The only part"


def test_a_description_of_the_root_is_sent() -> None:
    """A description of the type that is asked for would be lost."""
    assert compile_type(Annotated[Part, "The part"]).schema["description"] == "The part"
    wrapped = compile_type(Annotated[list[int], "Numbers"]).schema["properties"]["value"]
    assert wrapped["description"] == "Numbers"


def test_a_mismatch_of_a_limit_is_at_its_value() -> None:
    """The path of a value beyond a limit would be that of the object around it."""
    with pytest.raises(ValueMismatch) as caught:
        compile_type(list[Part]).decode(
            b'[{"name":"a","size":0,"color":"b","price":1,"codes":[],"extra":"c"}]',
        )
    assert caught.value.path == "$[0].size"
    assert caught.value.expected == "integer, minimum 1"
