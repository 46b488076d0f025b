"""Property tests of compiled types: any value of any type is read from its own JSON, and has a valid JSON Schema."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import jsonschema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anycompletion.structured.types import ValueMismatch, compile_type
from support.json_texts import VALUES
from support.random_types import random_types, typed_values

SOME = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@given(typed_values())
@SOME
def test_a_value_is_read_from_its_own_json(case: tuple[Any, Any]) -> None:
    """A reply would be read as another value, or a valid one refused."""
    into, value = case
    plan = compile_type(into)
    found = plan.decode(plan.encode(value))
    assert found == value
    assert type(found) is type(value)


@given(typed_values())
@SOME
def test_what_msgspec_refuses_is_read_as_the_same_value(case: tuple[Any, Any]) -> None:
    """JSON that only the tolerant reader accepts would be read as another value."""
    into, value = case
    plan = compile_type(into)
    data = plan.encode(value)
    odd = b'{"odd \\ud800":0,' + data[1:] if data != b"{}" else b'{"odd \\ud800":0}'
    if plan.schema.get("additionalProperties") is None:
        assert plan.decode(odd) == value


@given(typed_values())
@SOME
def test_schemas_are_valid_and_allow_the_values(case: tuple[Any, Any]) -> None:
    """Providers would refuse a schema, or a model could not write a value of the type."""
    into, value = case
    plan = compile_type(into)
    jsonschema.Draft202012Validator.check_schema(plan.schema)
    jsonschema.Draft202012Validator(plan.schema).validate(json.loads(plan.encode(value)))


@given(typed_values())
@SOME
def test_null_is_an_optional_member_that_is_left_out(case: tuple[Any, Any]) -> None:
    """A provider whose schemas make every member required would have replies refused, or read as other values."""
    into, value = case
    plan = compile_type(into)
    schema, data = plan.schema, json.loads(plan.encode(value))
    optional = [
        name
        for name, member in schema.get("properties", {}).items()
        if name not in schema.get("required", ())
        and not jsonschema.Draft202012Validator({**member, "$defs": schema.get("$defs", {})}).is_valid(None)
    ]
    without = {name: item for name, item in data.items() if name not in optional}
    nulls = json.dumps(without | dict.fromkeys(optional)).encode()
    assert plan.decode(nulls) == plan.decode(json.dumps(without).encode())


@given(random_types(), VALUES)
@SOME
def test_any_json_is_a_value_or_a_mismatch(found: Any, data: Any) -> None:
    """A reply of a wrong shape would end a call with an error that no caller expects."""
    plan = compile_type(found.hint)
    for text in (data, {"value": data}):
        with contextlib.suppress(ValueMismatch):
            plan.decode(json.dumps(text).encode())


@given(st.binary(max_size=30), random_types(1))
@SOME
def test_any_bytes_are_a_value_or_a_mismatch(data: bytes, found: Any) -> None:
    """A reply that is no JSON would end a call with an error that no caller expects."""
    with contextlib.suppress(ValueMismatch):
        compile_type(found.hint).decode(data)
