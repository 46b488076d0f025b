"""Tests of `compile_type`: values out of JSON, errors with their paths, and how long compiled types are kept."""

from __future__ import annotations

import dataclasses
import enum
import gc
import json
import pickle
import sys
import types
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pydantic
import pytest

from anycompletion.structured.types import TypePlan, ValueMismatch, compile_type


@dataclass
class Step:
    """A step of a recipe."""

    text: str
    minutes: int = 1

    def __post_init__(self) -> None:
        if self.minutes > 600:
            raise ValueError(f"{self.text!r} takes too long")


@dataclass
class Recipe:
    """A recipe."""

    title: str
    steps: list[Step]
    prices: dict[str, float] = field(default_factory=dict)


@dataclass
class Node:
    """A node of a tree."""

    value: int
    child: Node | None = None
    more: list[Node] = field(default_factory=list)


TOAST = Recipe("Toast", [Step("Cut", 1), Step("Toast", 3)])


def mismatch(into: Any, text: str | bytes) -> ValueMismatch:
    """The error of JSON text."""
    with pytest.raises(ValueMismatch) as caught:
        compile_type(into).decode(text if isinstance(text, bytes) else text.encode())
    return caught.value


def test_a_value_survives_encoding_and_decoding() -> None:
    """A reply would be read as another value than the provider sent."""
    plan = compile_type(Recipe)
    assert plan.decode(plan.encode(TOAST)) == TOAST
    assert (plan.name, plan.wrapped, plan.into) == ("Recipe", False, Recipe)


def test_a_list_is_wrapped_and_its_items_are_not() -> None:
    """A root that is no object would be sent as it is, which most providers refuse."""
    plan = compile_type(list[Recipe])
    element = plan.element()
    assert plan.schema["required"] == ["value"]
    assert plan.encode([]) == b'{"value":[]}'
    assert plan.decode(plan.encode([TOAST])) == [TOAST]
    assert element is not None
    assert element.decode(element.encode(TOAST)) == TOAST
    assert (element.name, element.schema) == ("Recipe", compile_type(Recipe).schema)
    assert not element.wrapped


def test_only_lists_have_elements() -> None:
    """Items of a stream would be read where the type has none."""
    assert compile_type(Recipe).element() is None
    assert compile_type(dict[str, Recipe]).element() is None
    element = compile_type(list[int]).element()
    assert element is not None
    assert element.decode(b"7") == 7


def test_a_root_without_its_object_is_read() -> None:
    """A model that leaves out the object around a list, which only we need, would have to be asked again."""
    assert compile_type(list[Step]).decode(b'[{"text":"x"}]') == [Step("x")]
    assert mismatch(list[Step], '[{"text":1}]').path == "$[0].text"


WRONG: dict[str, tuple[str, str, str]] = {
    "type": ('{"title":"x","steps":[{"text":"x","minutes":"3"}]}', "$.steps[0].minutes", "integer"),
    "boolean for a number": ('{"title":"x","steps":[{"text":"x","minutes":true}]}', "$.steps[0].minutes", "integer"),
    "fraction": ('{"title":"x","steps":[{"text":"x","minutes":1.5}]}', "$.steps[0].minutes", "integer"),
    "missing": ('{"title":"x","steps":[{},{}]}', "$.steps[0].text", "string, which is missing"),
    "second item": ('{"title":"x","steps":[{"text":"x"},7]}', "$.steps[1]", "object"),
    "null": ('{"title":null,"steps":[]}', "$.title", "string"),
    "no array": ('{"title":"x","steps":{}}', "$.steps", "array"),
    "value of a dict": ('{"title":"x","steps":[],"prices":{"se cret":"x"}}', "$.prices[...]", "number"),
    "root": ("[]", "$", "object"),
}
"""Case → JSON, path and what was expected."""


@pytest.mark.parametrize("case", WRONG)
def test_a_mismatch_has_the_path_of_the_value(case: str) -> None:
    """Users could not find the wrong value, nor a re-ask name it."""
    text, path, expected = WRONG[case]
    error = mismatch(Recipe, text)
    assert (error.path, error.expected, error.kind) == (path, expected, "schema")
    assert str(error) == f"{path}: expected {expected}"


def test_an_exception_of_a_constructor_is_a_mismatch_at_its_object() -> None:
    """A check of the user's class would end the call with an error without a path."""
    error = mismatch(Recipe, '{"title":"x","steps":[{"text":"x"},{"text":"tea","minutes":601}]}')
    assert (error.path, error.kind, error.expected) == ("$.steps[1]", "value", "'tea' takes too long")
    assert isinstance(error.__cause__, ValueError)


def test_texts_of_a_mismatch_do_not_quote_the_value() -> None:
    """What a model wrote would be logged with the error."""
    error = mismatch(Recipe, '{"title":"x","steps":[{"text":"sesame","minutes":601}]}')
    assert "sesame" not in str(error)
    assert "sesame" not in repr(error)
    assert "sesame" not in str(mismatch(dict[str, int], '{"sesame":"x"}'))


def test_other_exceptions_of_a_constructor_are_raised_as_they_are() -> None:
    """A defect in the user's class would look like a wrong reply."""

    @dataclass
    class Broken:
        value: int

        def __post_init__(self) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        compile_type(Broken).decode(b'{"value":1}')


def test_a_mismatch_pickles() -> None:
    """A worker process could not send the error to its caller."""
    error = mismatch(Recipe, '{"title":"x","steps":[{"text":1}]}')
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 (our own bytes)
    assert (copy.path, copy.expected, copy.kind) == (error.path, error.expected, error.kind)


# --- JSON as models write it ---

TOLERATED: dict[str, tuple[Any, str, Any]] = {
    "integral float": (list[int], '{"value":[1.0,1e3,-0.0]}', [1, 1000, 0]),
    "integral float in a union": (int | str, '{"value":1.0}', 1),
    "large integer": (int, f'{{"value":{10**60}}}', 10**60),
    "lone surrogate": (str, '{"value":"a\\ud800b"}', "a\ufffdb"),
    "pair of surrogates": (str, '{"value":"\\ud83d\\ude00"}', "😀"),
    "last of two members": (int, '{"value":"x","value":2}', 2),
    "first of two members is wrong": (Step, '{"text":1,"text":"x"}', Step("x")),
    "unknown member": (Step, '{"text":"x","other":[1,{"a":null}]}', Step("x")),
    "byte-order mark": (Step, '\ufeff{"text":"x"}', Step("x")),
    "line break in a text": (Step, '{"text":"a\nb"}', Step("a\nb")),
    "integer for a float": (float, '{"value":1}', 1.0),
    "null for a member with a default": (Step, '{"text":"x","minutes":null}', Step("x")),
    "null for an optional member": (Node, '{"value":1,"child":null}', Node(1)),
}
"""Case → type, JSON and its value."""


@pytest.mark.parametrize("case", TOLERATED)
def test_json_whose_meaning_is_clear_is_read(case: str) -> None:
    """A paid reply would be refused although its meaning is clear."""
    into, text, value = TOLERATED[case]
    found = compile_type(into).decode(text.encode("utf-8", "surrogatepass"))
    assert found == value
    assert type(found) is type(value)


def test_floats_stay_floats_where_integers_are_tolerated() -> None:
    """A float of an untyped value would become an integer because another member has an integral float."""

    @dataclass
    class Mixed:
        number: int
        other: Any
        either: int | float

    found = compile_type(Mixed).decode(b'{"number":1.0,"other":2.0,"either":3.0}')
    assert (repr(found.number), repr(found.other), repr(found.either)) == ("1", "2.0", "3.0")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "{",
        '{"value":1',
        '{"value":NaN}',
        '{"value":-Infinity}',
        '{"value":1e999}',
        '{"value":1}}',
        "{'value':1}",
    ],
)
def test_what_is_no_json_is_a_mismatch_of_its_own_kind(text: str) -> None:
    """Text that is no JSON could not be distinguished from JSON of a wrong shape."""
    error = mismatch(float, text)
    assert (error.kind, error.path) == ("json", "$")


def _nested(levels: int) -> str:
    """A node of that many levels of JSON."""
    return '{"value":1,"child":' * (levels - 1) + '{"value":1}' + "}" * (levels - 1)


def test_nesting_is_limited() -> None:
    """A reply with thousands of brackets would exceed Python's stack."""
    found: Node | None = compile_type(Node).decode(_nested(200).encode())
    depth = 0
    while found is not None:
        found, depth = found.child, depth + 1
    assert depth == 200
    assert mismatch(Node, _nested(201)).kind == "json"
    assert mismatch(Any, '{"value":' + "[" * 100_000).kind == "json"


def test_deep_json_is_read_tolerantly_as_well() -> None:
    """A deep reply with an integral float would exceed Python's stack."""
    assert compile_type(Node).decode(_nested(150).replace("1", "1.0").encode()).value == 1


def _in_a_deep_stack(levels: int, work: Callable[[], object]) -> object:
    return work() if levels == 0 else _in_a_deep_stack(levels - 1, work)


def test_json_that_is_too_deep_for_the_stack_is_a_mismatch() -> None:
    """A caller that is deep in its own stack would get a RecursionError for a reply."""
    plan = compile_type(Node)
    limit = sys.getrecursionlimit()
    with pytest.raises(ValueMismatch, match="levels"):
        _in_a_deep_stack(limit - 250, lambda: plan.decode(_nested(190).encode()))


def test_an_endless_recursion_of_a_constructor_is_raised_as_it_is() -> None:
    """A defect in the user's class would look like a wrong reply."""

    @dataclass
    class Endless:
        value: int

        def __post_init__(self) -> None:
            self.__post_init__()

    with pytest.raises(RecursionError):
        compile_type(Endless).decode(b'{"value":1}')


def test_a_large_reply_is_read() -> None:
    """The limit of nesting would refuse replies that are only long."""
    data = json.dumps({"value": [{"text": "x" * 10, "minutes": 1}] * 20_000}).encode()
    assert len(compile_type(list[Step]).decode(data)) == 20_000


# --- how long types are kept ---


def test_a_type_is_compiled_once() -> None:
    """Each call would compile its type anew."""
    assert compile_type(Recipe).identity is compile_type(Recipe).identity
    assert compile_type(list[Recipe]).identity is compile_type(list[Recipe]).identity
    assert compile_type(Recipe | Node).identity is compile_type(Recipe | Node).identity
    assert compile_type(list[Recipe]).identity is not compile_type(list[Node]).identity
    assert compile_type(list[bool]).identity is not compile_type(list[int]).identity


def test_a_type_that_is_not_hashable_is_compiled() -> None:
    """A type whose metadata is not hashable would be refused."""
    assert compile_type(Annotated[int, ["notes"]]).decode(b'{"value":1}') == 1


def _made_types() -> list[weakref.ref[Any]]:
    mood = enum.Enum("mood", {"GOOD": "good"})
    inner = dataclasses.make_dataclass("Inner", [("mood", mood)])
    outer = dataclasses.make_dataclass("Outer", [("inner", list[inner])])
    model = pydantic.create_model("Model", text=(str, ...))
    adapter = pydantic.TypeAdapter(list[model])
    compile_type(outer).decode(b'{"inner":[{"mood":"good"}]}')
    compile_type(dict[str, outer | inner]).decode(b"{}")
    compile_type(list[mood]).decode(b'{"value":["good"]}')
    compile_type(model | inner).decode(b'{"value":{"type":"Model","text":"x"}}')
    compile_type(adapter).decode(b'{"value":[]}')
    return [weakref.ref(each) for each in (mood, inner, outer, model, adapter)]


def test_a_type_made_in_a_loop_is_collected() -> None:
    """A program that makes types all the time would grow without end."""
    made = [ref for _ in range(3) for ref in _made_types()]
    gc.collect()
    assert [ref() for ref in made if ref() is not None] == []


def test_types_without_classes_are_kept_in_bounded_number() -> None:
    """A program that makes literals all the time would grow without end."""
    first = compile_type(Literal[10_000]).identity
    kept = weakref.ref(first)
    del first
    for number in range(1_100):
        compile_type(Literal[number])
    gc.collect()
    assert kept() is None


def test_a_plan_keeps_its_classes() -> None:
    """A stream would fail when its type was made by the caller and is referred to nowhere else."""

    def plan() -> TypePlan[Any]:
        return compile_type(list[dataclasses.make_dataclass("Made", [("value", int)])])

    made = plan()
    element = made.element()
    del made
    gc.collect()
    assert element is not None
    assert element.decode(b'{"value":1}').value == 1


def test_a_class_that_was_replaced_is_found_anew() -> None:
    """A notebook that runs a cell again would get values of a class that is gone."""
    names: dict[str, Any] = {"__name__": __name__, "dataclass": dataclass}
    exec("@dataclass\nclass Part:\n    a: int\n@dataclass\nclass Whole:\n    part: 'Part'", names)
    whole = names["Whole"]
    whole.__module__ = "replaced_module"
    module = types.ModuleType("replaced_module")
    module.__dict__.update(names)
    sys.modules["replaced_module"] = module
    try:
        compile_type(whole).decode(b'{"part":{"a":1}}')
        exec("@dataclass\nclass Part:\n    b: int", module.__dict__)
        names.clear()
        gc.collect()
        assert compile_type(whole).decode(b'{"part":{"b":1}}').part.b == 1
    finally:
        del sys.modules["replaced_module"]
