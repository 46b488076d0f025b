"""Keys and digests of the items of a batch, and the tables that contain them."""

import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion.batch.journal import (
    Index,
    ItemKeys,
    KeyTable,
    State,
    key_of,
    request_digest,
)
from anycompletion.batch.journal.item_keys import _wire_form
from anycompletion.codecs.json import NotJSONError, canonical, raw_fields
from anycompletion.errors import InvalidRequestError
from anycompletion.records import (
    ChatRequest,
    FunctionDefinition,
    FunctionTool,
    ImagePart,
    ImageUrl,
    SystemMessage,
    UserMessage,
)
from support.journals import make_request


def test_equal_requests_in_several_forms_have_one_digest() -> None:
    """A run whose input is records instead of dicts, or in another order, would be refused as changed."""
    function: dict[str, Any] = {"name": "add", "parameters": {"type": "object", "properties": {}}}
    tool: dict[str, Any] = {"type": "function", "function": function}
    dicts = ChatRequest(
        "openai/gpt-4o",
        [
            {"role": "system", "content": "Short."},
            {"content": [{"image_url": {"url": "https://x/y.png"}, "type": "image_url"}], "role": "user"},
        ],
        tools=[tool],
        temperature=0.5,
        logit_bias={"1": 5},
        extra_body={"top_k": 3, "a": None},
    )
    written = ChatRequest(
        "openai/gpt-4o",
        [SystemMessage("Short."), UserMessage([ImagePart(ImageUrl("https://x/y.png"))])],
        tools=[FunctionTool(FunctionDefinition("add", parameters={"properties": {}, "type": "object"}))],
        temperature=0.5,
        logit_bias={1: 5},
        extra_body={"a": None, "top_k": 3},
        custom_id="named",
    )
    assert request_digest(dicts) == request_digest(written)
    for request in (dicts, written, make_request()):
        assert canonical(_wire_form(request)) == canonical(request.to_dict())
    assert request_digest(ChatRequest("m", "x")) == request_digest(ChatRequest("m", [UserMessage("x")]))
    arguments = {"model": "m", "messages": "x", "stop": None, "extra_body": {"top_k": 3}, "custom_id": "named"}
    assert request_digest(arguments) == request_digest(ChatRequest("m", "x", extra_body={"top_k": 3}))
    for other in (ChatRequest("m2", "x"), ChatRequest("m", "x", temperature=0), ChatRequest("m", "y")):
        assert request_digest(other) != request_digest(ChatRequest("m", "x"))


class Number(float):
    """A subclass of float, as NumPy has, which the fast JSON encoder does not accept."""


def test_a_type_is_part_of_what_is_asked() -> None:
    """A run with another type would skip items whose replies are of the old one."""
    request = ChatRequest("m", "x", custom_id="a")
    digests = [request_digest(request, into) for into in (None, "one type", "another type")]
    assert len({*digests}) == 3
    assert request_digest(request, "one type") == digests[1]
    keys = [ItemKeys(into=into).next_key(request) for into in (None, "one type", "another type")]
    assert len({key.request_hash for key in keys}) == 3
    assert len({key.key for key in keys}) == 1


def test_subclasses_of_plain_types_have_the_digest_of_their_value() -> None:
    """Items that went through NumPy would not be recognized."""
    own = {"temperature": Number(0.5), "top_p": 1.0}
    assert canonical(own) == canonical({"top_p": 1.0, "temperature": 0.5}) == b'{"temperature":0.5,"top_p":1.0}'


def test_raw_fields_of_invalid_json_raise_not_json_error() -> None:
    """Another exception would be raised."""
    assert raw_fields(b'{"a": [1, {"b": 2}], "c": null}') == {"a": b'[1, {"b": 2}]', "c": b"null"}
    for bad in (b"[]", b"{", b"", b'{"\xff": 1}'):
        with pytest.raises(NotJSONError):
            raw_fields(bad)


def test_digests_do_not_change_between_versions() -> None:
    """Another version of this package, or of its JSON library, would refuse all inputs as changed."""
    request = ChatRequest(
        "m", [{"role": "user", "content": "größer\n"}], temperature=1e-7, top_p=0.1, max_tokens=5, presence_penalty=-1.0
    )
    expected = '{"max_tokens":5,"messages":[{"content":"größer\\n","role":"user"}],"model":"m",'
    expected += '"presence_penalty":-1.0,"temperature":1e-7,"top_p":0.1}'
    assert canonical(_wire_form(request)).decode() == expected
    assert request_digest(request).hex() == "eed43dfdc9c36fe2e7d3185ef776b8177ce8752a8a93bc9294171aa50f74fe1c"
    typed = request_digest(ChatRequest("m", "x"), "a type").hex()
    assert typed == "ef5b9d2825e200856f876bcdd1abbfaaf0bed5e60312997b18403af8a921e15d"


def test_equal_requests_without_an_id_are_separate_items_in_every_run() -> None:
    """The same request three times would give one result, or be paid again by a later run."""
    runs = [[keys.next_key(ChatRequest("m", text)) for text in "aabab"] for keys in (ItemKeys(), ItemKeys())]
    assert runs[0] == runs[1]
    assert len({item.key for item in runs[0]}) == 5
    assert [item.custom_id[-2:] for item in runs[0]] == ["-1", "-2", "-1", "-3", "-2"]


def test_a_repeated_id_is_an_error_of_that_item() -> None:
    """Two items would share one result."""
    keys = ItemKeys()
    keys.next_key(make_request(1))
    generated = keys.next_key(ChatRequest("m", "x"))
    for repeated in (
        ChatRequest("m", "other", custom_id="row-1"),
        ChatRequest("m", "x", custom_id=generated.custom_id),
    ):
        with pytest.raises(InvalidRequestError, match="used before") as caught:
            keys.next_key(repeated)
        assert caught.value.param == "custom_id"
    keys.next_key(make_request(2))


@pytest.mark.parametrize(
    "bad", [7, b"row", "a\ud800", "x" * 5000 + "\ud800"], ids=["int", "bytes", "surrogate", "long, surrogate"]
)
def test_an_invalid_id_is_refused_with_a_short_text(bad: Any) -> None:
    """A number as an id would break the file, or an error's text would be as long as the id."""
    with pytest.raises(InvalidRequestError) as caught:
        ItemKeys().next_key(ChatRequest("m", "x", custom_id=bad))
    assert caught.value.param == "custom_id"
    assert len(str(caught.value)) < 200


def test_a_request_that_is_not_json_serializable_is_an_error_of_that_item() -> None:
    """Another exception would end the run."""
    with pytest.raises(InvalidRequestError, match="JSON"):
        ItemKeys().next_key(ChatRequest("m", "x", extra_body={"a": object()}))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 3000), max_size=60), st.integers(0, 4000), st.integers(0, 3000)
)
def test_a_key_table_numbers_keys_like_a_dict(keys: list[int], more: int, expected: int) -> None:
    """An item could be taken for another one."""
    table, reference = KeyTable(expected), dict[int, int]()
    for key in (*keys, *range(more)):
        known = reference.setdefault(key, len(reference))
        assert table.number(key) == known
    assert len(table) == len(reference)
    assert all(table.find(key) == number for key, number in reference.items())
    assert table.find(2**63 + 12345) == reference.get(2**63 + 12345, -1)


def test_the_index_takes_less_than_50_bytes_per_item() -> None:
    """The index of a million items would not fit into memory beside the run."""
    index = Index()
    for number in range(100_000):
        index.put(key_of(str(number)), number, State.DONE, number * 1000, 1000)
    arrays = [index._hashes, index._positions, index._lengths, index._table.keys, index._table._slots]
    assert sum(map(sys.getsizeof, arrays)) < 50 * len(index)
