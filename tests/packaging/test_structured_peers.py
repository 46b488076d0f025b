"""Tests of the command that compares the typed replies of clients, whose tables docs/structured.md has."""

import re

import pytest
from benchmarks.structured_peers.__main__ import CLIENTS, found_of
from benchmarks.structured_peers.cases import NAME, Case
from benchmarks.structured_peers.replies import REPLIES
from benchmarks.structured_peers.types import TYPES
from benchmarks.structured_peers.written import written

from support.pages import DOCS


async def test_this_package_is_right_in_all_cases() -> None:
    """A type could not be asked for, a reply would be read wrongly, or the page would claim what is not so."""
    found = await found_of("anycompletion")
    assert found is not None
    assert (len(TYPES), len(REPLIES)) == (40, 12)
    assert {case.name: found.text(case) for case in (*TYPES, *REPLIES) if not found.text(case).startswith("**")} == {}
    assert found.refused == {}
    assert set(found.asked.values()) == {1}


def test_the_page_has_all_cases() -> None:
    """A case would be missing from the tables, or be there under another name."""
    text = (DOCS / "structured.md").read_text("utf-8").partition("## Comparison")[2]
    names = [row[2:].partition(" | ")[0] for row in re.findall(r"^\| .*", text, re.MULTILINE)]
    expected = [case.name.replace("|", "\\|") for case in (*TYPES, *REPLIES)]
    assert [name for name in names if name in expected] == expected
    assert [client for client in CLIENTS if f"| {client} " not in text] == []


@pytest.mark.parametrize(
    ("data", "schema", "expected"),
    [
        ([1], {"type": "object", "properties": {"value": {"type": "array"}}}, {"value": [1]}),
        ({"value": 1}, {"type": "object", "properties": {"value": {"type": "integer"}}}, {"value": 1}),
        (
            {"a": {NAME: "B"}},
            {
                "type": "object",
                "properties": {"a": {"anyOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}]}, "b": {}},
                "required": ["a", "b"],
                "$defs": {
                    name: {"type": "object", "properties": {"kind": {"const": name.lower()}}, "required": ["kind"]}
                    for name in "AB"
                },
            },
            {"a": {"kind": "b"}, "b": None},
        ),
    ],
)
def test_data_is_written_in_the_form_of_the_schema(data: object, schema: dict[str, object], expected: object) -> None:
    """A client would get a reply that does not fit the schema that it has sent, and be blamed for it."""
    assert written(data, schema) == expected


def test_a_value_of_another_class_is_not_the_right_one() -> None:
    """A client that returns a dict for a class, or another class of a union, would count as right."""
    by_name = {case.name: case for case in TYPES}
    case: Case = by_name["union of dataclasses with equal fields"]
    assert case.is_expected(case.expected)
    assert not case.is_expected({"amount": 5})
    assert not by_name["TypedDict"].is_expected(by_name["pydantic model"].expected)
