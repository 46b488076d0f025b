"""Messages cleaned for their receiver: nulls, blank texts, ids, instructions, and fields of other providers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from anycompletion.codecs.json import dumps
from anycompletion.dialects.base import EncodingReport, Target
from anycompletion.dialects.openai_chat.call_ids import OpenAICallIdForm, fitting_id
from anycompletion.dialects.openai_chat.dialect import DIALECT
from anycompletion.dialects.openai_chat.message_form import fit_call_ids
from anycompletion.dialects.openai_chat.quirks import Quirks
from anycompletion.errors import UnsupportedParameterError
from anycompletion.http import HttpRequest
from anycompletion.validation.request_checks import build_request

CALL: dict[str, Any] = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
HELLO = {"role": "user", "content": "Hi"}
NINE = OpenAICallIdForm("[A-Za-z0-9]{9}", 9)
NEEDS_REASONING = Quirks(reasoning="reasoning_content", empty_reasoning=True)
SHORT = OpenAICallIdForm(".{1,40}", 24)


def sent(
    messages: list[Any], quirks: Quirks, policy: Any = "raise", provider: str = "acme", **params: Any
) -> tuple[list[dict[str, Any]], list[str]]:
    """The messages that are sent, and the warnings."""
    target = Target(provider=provider, model="m", base_url="https://x", quirks=quirks, on_unsupported=policy)
    encoded = DIALECT.encode(build_request("acme/m", messages, params), target, {})
    assert isinstance(encoded, HttpRequest)
    return json.loads(dumps(encoded.body))["messages"], encoded.warnings


# --- nulls ---

WITH_NULLS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    # an earlier message → what is sent
    (
        {
            "role": "assistant",
            "content": "x",
            "refusal": None,
            "audio": None,
            "function_call": None,
            "tool_calls": None,
        },
        {"role": "assistant", "content": "x"},
    ),
    ({"role": "assistant", "content": "x", "unknown": None}, {"role": "assistant", "content": "x"}),
    (
        {"role": "assistant", "content": None, "tool_calls": [{**CALL, "index": None}]},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
    ),
    (
        {
            "role": "assistant",
            "tool_calls": [{**CALL, "function": {"name": "f", "arguments": "{}", "strict": None}, "custom": None}],
        },
        {"role": "assistant", "tool_calls": [CALL]},
    ),
    (
        {"role": "assistant", "function_call": {"name": "f", "arguments": "{}", "id": None}},
        {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
    ),
    ({"role": "user", "content": "x", "name": None, "tool_calls": None}, {"role": "user", "content": "x"}),
    (
        {"role": "tool", "tool_call_id": "c", "content": "r", "name": None},
        {"role": "tool", "tool_call_id": "c", "content": "r"},
    ),
    (
        {"role": "user", "content": [{"type": "text", "text": "x", "image_url": None}]},
        {"role": "user", "content": [{"type": "text", "text": "x"}]},
    ),
    (
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y", "detail": None}}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y"}}]},
    ),
]


@pytest.mark.parametrize(("message", "expected"), WITH_NULLS)
def test_nulls_are_not_sent(message: dict[str, Any], expected: dict[str, Any]):
    """A strict server would refuse a reply's null fields in the next request."""
    assert sent([HELLO, message], Quirks()) == ([HELLO, expected], [])


# --- media types ---

JPG, JPEG = "data:image/jpg;base64,/9j/", "data:image/jpeg;base64,/9j/"

DATA_URLS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"type": "image_url", "image_url": {"url": JPG}}, {"type": "image_url", "image_url": {"url": JPEG}}),
    ({"type": "image_url", "image_url": JPG}, {"type": "image_url", "image_url": JPEG}),
    (
        {"type": "file", "file": {"filename": "a", "file_data": "data:application/x-pdf;base64,JVBE"}},
        {"type": "file", "file": {"filename": "a", "file_data": "data:application/pdf;base64,JVBE"}},
    ),
    ({"type": "image_url", "image_url": {"url": "https://x/a.jpg"}},) * 2,
]


@pytest.mark.parametrize(("part", "expected"), DATA_URLS)
def test_media_types_have_their_registered_names(part: dict[str, Any], expected: dict[str, Any]):
    """A server that knows the registered names only would refuse the image."""
    written, _ = sent([{"role": "user", "content": [part]}], Quirks())
    assert written == [{"role": "user", "content": [expected]}]


def test_audio_as_text_is_sent_unchanged():
    """Mistral's form of audio could not be sent."""
    message = {"role": "user", "content": [{"type": "input_audio", "input_audio": "UklGRg=="}]}
    assert sent([message], Quirks()) == ([message], [])


# --- ids of calls ---

FOREIGN = ["call_abcdefghijklmnopqrstuvwx", "toolu_01A-b", "a", "x" * 200, "名前", "line\nbreak"]


@pytest.mark.parametrize("form", [NINE, SHORT], ids=["nine", "short"])
@pytest.mark.parametrize("given", FOREIGN)
def test_ids_of_other_providers_are_replaced(given: str, form: OpenAICallIdForm):
    """A server would refuse the id of another provider's call, or not find the call that a result belongs to."""
    call = {**CALL, "id": given}
    messages = [
        HELLO,
        {"role": "assistant", "tool_calls": [call, CALL]},
        {"role": "tool", "tool_call_id": given, "content": "r"},
    ]
    written, warnings = sent(messages, Quirks(call_ids=form))
    made = written[1]["tool_calls"][0]["id"]
    assert made == written[2]["tool_call_id"] == fitting_id(made, form)
    assert sent(messages, Quirks(call_ids=form))[0] == written
    assert (made == given) is (
        f"messages[2].tool_call_id sent as {made}: acme accepts no ids of that form" not in warnings
    )
    assert sent(messages, Quirks())[0] == messages


def test_ids_that_fit_are_unchanged():
    """A server would not recognize its own calls."""
    call = {**CALL, "id": "aB3dE5gH9"}
    messages = [
        HELLO,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "aB3dE5gH9", "content": "r"},
    ]
    assert sent(messages, Quirks(call_ids=NINE)) == (messages, [])


def test_replaced_ids_are_distinct():
    """Two calls would have one id."""
    assert len({fitting_id(f"call_{i}", NINE) for i in range(10_000)}) == 10_000


def test_ids_of_legacy_functions_fit():
    """A legacy conversation could not continue at a server with ids of its own form."""
    messages = [
        HELLO,
        {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "r"},
    ]
    written, _ = sent(messages, Quirks(call_ids=NINE, functions_as_tools=True))
    made = written[1]["tool_calls"][0]["id"]
    assert len(made) == 9
    assert made == written[2]["tool_call_id"]


# --- instructions ---

PART = {"type": "text", "text": "p"}

JOINED: list[tuple[list[Any], list[Any]]] = [
    (["a"], ["a"]),
    (["a", "b"], ["a\n\nb"]),
    (["a", "b", "c"], ["a\n\nb\n\nc"]),
    (["a", [PART]], [[{"type": "text", "text": "a"}, PART]]),
    ([], []),
]


@pytest.mark.parametrize(("contents", "expected"), JOINED)
def test_leading_instructions_are_joined(contents: list[Any], expected: list[Any]):
    """A server that accepts one system message would refuse the request."""
    messages = [{"role": "system", "content": content} for content in contents] + [HELLO]
    quirks = Quirks(one_system_message=True)
    assert sent(messages, quirks)[0] == [{"role": "system", "content": content} for content in expected] + [HELLO]
    assert sent(messages, Quirks())[0] == messages


def test_later_instructions_are_refused_or_moved():
    """Instructions would be lost, or the request refused by the server."""
    messages = [{"role": "system", "content": "a"}, HELLO, {"role": "developer", "content": "b"}]
    quirks = Quirks(one_system_message=True, developer_role=False)
    with pytest.raises(UnsupportedParameterError) as caught:
        sent(messages, quirks)
    assert caught.value.param == "messages[2].role"
    for policy in ("warn", "drop"):
        written, warnings = sent(messages, quirks, policy)
        assert written == [{"role": "system", "content": "a\n\nb"}, HELLO]
        assert warnings == ["messages[2] moved to the front: acme accepts instructions there only"]


# --- blank texts ---

BLANK: list[tuple[dict[str, Any], dict[str, Any] | None]] = [
    # an earlier message → what is sent where blank texts are refused
    ({"role": "assistant", "content": ""}, None),
    ({"role": "assistant", "content": " \n"}, None),
    ({"role": "assistant", "content": None}, None),
    ({"role": "assistant", "content": [{"type": "text", "text": " "}]}, None),
    (
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
    ),
    (
        {"role": "user", "content": [PART, {"type": "text", "text": ""}]},
        {"role": "user", "content": [PART]},
    ),
    ({"role": "user", "content": ""}, {"role": "user", "content": ""}),
    ({"role": "assistant", "content": "x"}, {"role": "assistant", "content": "x"}),
]


@pytest.mark.parametrize(("message", "expected"), BLANK)
def test_blank_texts_are_left_out_where_they_are_refused(message: dict[str, Any], expected: dict[str, Any] | None):
    """A conversation with an empty reply could not continue."""
    written, warnings = sent([HELLO, message, HELLO], Quirks(blank_text=False))
    assert written == [each for each in (HELLO, expected, HELLO) if each is not None]
    assert bool(warnings) is (expected != message)
    assert sent([HELLO, message, HELLO], Quirks()) == ([HELLO, message, HELLO], [])


# --- fields of other providers ---

SIGNATURE = {"google": {"thought_signature": "c2ln"}}
ONLY_ITS_WRITER = "left out: only the provider that wrote it understands it"

EXTENSIONS: list[tuple[Quirks, dict[str, Any], dict[str, Any], list[str]]] = [
    # quirks, fields of an earlier reply, those that are sent, those that are left out
    (Quirks(), {"extra_content": SIGNATURE}, {}, ["extra_content"]),
    (Quirks(extra_content=True), {"extra_content": SIGNATURE}, {"extra_content": SIGNATURE}, []),
    (
        Quirks(),
        {"tool_calls": [{**CALL, "extra_content": SIGNATURE}]},
        {"tool_calls": [CALL]},
        ["tool_calls[0].extra_content"],
    ),
    (
        Quirks(extra_content=True),
        {"tool_calls": [{**CALL, "extra_content": SIGNATURE}]},
        {"tool_calls": [{**CALL, "extra_content": SIGNATURE}]},
        [],
    ),
    (Quirks(), {"provider_specific_fields": {"cohere": {"a": 1}}}, {}, ["provider_specific_fields"]),
    (Quirks(), {"provider_specific_fields": {"acme": {"a": 1}, "cohere": {"b": 1}}}, {"a": 1}, []),
    (Quirks(), {"provider_specific_fields": {"acme": {"content": "y"}}}, {}, []),
    (
        Quirks(),
        {"tool_calls": [{**CALL, "provider_specific_fields": {"a": 1}}]},
        {"tool_calls": [CALL]},
        ["tool_calls[0].provider_specific_fields"],
    ),
    (Quirks(reasoning="reasoning"), {"reasoning": "r"}, {"reasoning": "r"}, []),
    (NEEDS_REASONING, {"tool_calls": [CALL]}, {"tool_calls": [CALL], "reasoning_content": ""}, []),
    (
        NEEDS_REASONING,
        {"tool_calls": [CALL], "reasoning": "r"},
        {"tool_calls": [CALL], "reasoning_content": "r"},
        [],
    ),
    (NEEDS_REASONING, {"refusal": None}, {}, []),
    (Quirks(reasoning="reasoning_content"), {"reasoning": "r"}, {"reasoning_content": "r"}, []),
    (
        Quirks(reasoning="reasoning_content"),
        {"reasoning": "r", "reasoning_content": "r"},
        {"reasoning": "r", "reasoning_content": "r"},
        [],
    ),
]


@pytest.mark.parametrize(("quirks", "fields", "expected", "left_out"), EXTENSIONS)
def test_extensions_go_to_those_who_take_them(
    quirks: Quirks, fields: dict[str, Any], expected: dict[str, Any], left_out: list[str]
):
    """A provider would refuse another provider's fields, or lose its own between two turns."""
    message = {"role": "assistant", "content": "x"}
    written, warnings = sent([HELLO, message | fields], quirks)
    assert written == [HELLO, message | expected]
    assert warnings == [f"messages[1].{name} {ONLY_ITS_WRITER}" for name in left_out]


def test_reasoning_is_left_out_under_every_name():
    """A server that takes no reasoning back would refuse the request."""
    message = {"role": "assistant", "content": "x"}
    written, warnings = sent([HELLO, message | {"reasoning": "r", "reasoning_content": "r"}], Quirks())
    assert written == [HELLO, message]
    assert warnings == [
        f"messages[1].{name} left out: acme takes none back" for name in ("reasoning_content", "reasoning")
    ]


@pytest.mark.parametrize("calls", ["text", {"a": []}, ["text", None], [{"id": 7}], 7])
def test_fields_of_an_unknown_role_may_have_any_type(calls: object) -> None:
    """A message of a role that only the provider knows would end in an exception of another kind."""
    wire = {"role": "critic", "tool_calls": calls, "tool_call_id": ["a"]}
    report = EncodingReport("raise")
    fit_call_ids(wire, "messages[0]", NINE, "acme", report)
    assert wire == {"role": "critic", "tool_calls": calls, "tool_call_id": ["a"]}
    assert report.warnings == []
