"""Completions: OpenAI's JSON and back, lenient reading, pickles and copies."""

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion.codecs.lenient import ShapeError
from anycompletion.http import Headers
from anycompletion.records import (
    Annotation,
    AssistantMessage,
    Audio,
    ChatCompletion,
    ChatCompletionMessage,
    Choice,
    CompletionTokensDetails,
    CustomCall,
    CustomPart,
    FunctionCall,
    Part,
    PromptTokensDetails,
    RefusalPart,
    ReplyInfo,
    TextPart,
    ToolCall,
    Usage,
    UserMessage,
)
from anycompletion.records.logprobs import Logprobs, TokenLogprob, TopLogprob
from anycompletion.validation.message_input import parse_messages

FULL: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1700000000,
    "model": "gpt-4o-2024-08-06",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Hello.",
                "refusal": None,
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "add", "arguments": '{"a": 1', "x": 1},
                        "index": 0,
                    },
                    {"id": "call_2", "type": "custom", "custom": {"name": "grep", "input": "a+", "x": None}},
                    {"id": "call_3", "type": "of_tomorrow", "function": {"name": "", "arguments": ""}, "y": 2},
                ],
                "function_call": {"name": "old", "arguments": "{}"},
                "audio": {"id": "audio_1", "data": "UklG", "transcript": "Hello.", "expires_at": 1700000060, "z": 1},
                "annotations": [
                    {
                        "type": "url_citation",
                        "url_citation": {
                            "url": "https://x",
                            "title": "X",
                            "start_index": 0,
                            "end_index": 5,
                            "favicon": "f",
                        },
                    },
                    {"type": "of_tomorrow", "place": 7},
                ],
                "reasoning_content": "Hm.",
                "thinking_blocks": [{"type": "thinking", "thinking": "Hm.", "signature": "s"}],
                "reasoning_details": [{"type": "reasoning.text", "text": "Hm."}],
                "provider_specific_fields": {"a": [1]},
                "name": "bot",
                "mood": "fine",
            },
            "finish_reason": "stop",
            "native_finish_reason": "end_turn",
            "logprobs": {
                "content": [
                    {
                        "token": "Hel",
                        "logprob": -0.5,
                        "bytes": [72, 101, 108],
                        "top_logprobs": [{"token": "Hi", "logprob": -1.5, "bytes": None, "k": 1}],
                        "id": 9,
                    }
                ],
                "refusal": None,
                "kind": "x",
            },
            "content_filter_results": {"hate": {"filtered": False}},
        },
        {
            "index": 1,
            "message": {
                "role": "assistant",
                "content": "Two parts",
                "refusal": None,
            },
            "finish_reason": None,
            "logprobs": None,
        },
    ],
    "usage": {
        "prompt_tokens": 5,
        "completion_tokens": 7,
        "total_tokens": 12,
        "prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": 0, "video_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 3, "accepted_prediction_tokens": 0, "speculated": 4},
        "cost": 0.0125,
        "queue_time": 0.5,
    },
    "service_tier": "default",
    "system_fingerprint": "fp_1",
    "x_groq": {"id": "req_1"},
}


def test_round_trip_of_a_full_reply():
    """A member of a reply would be lost or renamed."""
    assert ChatCompletion.from_dict(FULL).to_dict() == FULL


def test_members_become_attributes():
    """Code written for OpenAI's SDK would not find the attributes it reads."""
    reply = ChatCompletion.from_dict(FULL)
    message = reply.choices[0].message
    assert message.tool_calls is not None
    assert message.tool_calls[0].function == FunctionCall("add", '{"a": 1', extra={"x": 1})
    assert message.tool_calls[1].custom == CustomCall("grep", "a+", extra={"x": None})
    assert message.tool_calls[1].function == FunctionCall("")
    assert message.audio == Audio("audio_1", "UklG", "Hello.", 1700000060, extra={"z": 1})
    assert message.annotations is not None
    assert message.annotations[0].url_citation is not None
    assert message.annotations[0].url_citation.end_index == 5
    assert message.extra == {"mood": "fine"}
    assert reply.choices[0].logprobs == Logprobs(
        [TokenLogprob("Hel", -0.5, [72, 101, 108], [TopLogprob("Hi", -1.5, None, extra={"k": 1})], extra={"id": 9})],
        extra={"kind": "x"},
    )
    assert reply.choices[0].native_finish_reason == "end_turn"
    assert reply.choices[1].message.content == "Two parts"
    assert reply.choices[1].message.parts is None
    assert reply.usage is not None
    assert reply.usage.prompt_tokens_details is not None
    assert reply.usage.prompt_tokens_details.cached_tokens == 2
    assert reply.usage.cost == 0.0125
    assert reply.extra == {"x_groq": {"id": "req_1"}}


def _pickled(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))  # noqa: S301 (our own)


@pytest.mark.parametrize("again", [lambda it: it, copy.deepcopy, _pickled], ids=["itself", "copy", "pickle"])
def test_content_in_parts_is_text_and_the_parts_are_beside_it(again: Callable[[Any], Any]):
    """Code that expects OpenAI's text would get a list, or the parts would be lost."""
    content = [
        {"type": "text", "text": "Two ", "cite": 1},
        {"type": "refusal", "refusal": "no"},
        {"type": "video", "url": "v"},
        {"type": "text", "text": "parts"},
    ]
    message = again(ChatCompletionMessage.from_dict({"role": "assistant", "content": content}))
    assert message.content == "Two parts"
    assert message.parts == [
        TextPart("Two ", extra={"cite": 1}),
        RefusalPart("no"),
        CustomPart("video", extra={"url": "v"}),
        TextPart("parts"),
    ]
    assert message.to_dict() == {"role": "assistant", "content": "Two parts"}
    assert message == ChatCompletionMessage("Two parts")
    assert message != AssistantMessage("Two parts")
    assert AssistantMessage.from_dict({"content": content}).content == message.parts


@pytest.mark.parametrize(
    ("item", "part"),
    [
        ("Two", TextPart("Two")),
        ({"type": "text", "text": 1}, TextPart("1")),
        ({"type": "refusal", "refusal": ["n", "o"]}, RefusalPart("no")),
    ],
    ids=["a text", "a number", "a list"],
)
def test_a_part_of_another_type_is_converted(item: object, part: Part):
    """A part of a reply that is no object, or whose text is none, would cost the reply."""
    assert ChatCompletionMessage.from_dict({"content": [item]}).parts == [part]


@pytest.mark.parametrize("content", [[], [{"type": "image"}], None])
def test_content_without_text_is_none(content: object):
    """A message without text would look like an empty answer."""
    assert ChatCompletionMessage.from_dict({"content": content}).content is None


def test_texts():
    """`text` and `texts` would differ from the content."""
    reply = ChatCompletion.from_dict(FULL)
    assert reply.text == "Hello."
    assert reply.texts == ["Hello.", "Two parts"]
    assert ChatCompletion("", [], "m").text == ""
    assert ChatCompletion("", [], "m").texts == []
    assert ChatCompletion("", [Choice(0, ChatCompletionMessage())], "m").text == ""


def test_an_empty_reply_has_all_required_fields():
    """The JSON would lack members that OpenAI's always has."""
    assert ChatCompletion("i", [Choice(0, ChatCompletionMessage())], "m").to_dict() == {
        "id": "i",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": None, "refusal": None},
                "finish_reason": None,
                "logprobs": None,
            }
        ],
        "model": "m",
        "created": 0,
        "object": "chat.completion",
    }


LENIENT: list[tuple[dict[str, Any], ChatCompletion]] = [
    ({}, ChatCompletion("", [], "")),
    (dict.fromkeys(FULL), ChatCompletion("", [], "", extra={"x_groq": None})),
    ({"choices": [{}]}, ChatCompletion("", [Choice(0, ChatCompletionMessage())], "")),
    ({"choices": [{}, {"index": None}]}, ChatCompletion("", [Choice(i, ChatCompletionMessage()) for i in (0, 1)], "")),
    ({"choices": [{"index": 5, "message": None}]}, ChatCompletion("", [Choice(5, ChatCompletionMessage())], "")),
    (
        {"choices": [{"message": dict.fromkeys(FULL["choices"][0]["message"])}]},
        ChatCompletion("", [Choice(0, ChatCompletionMessage(extra={"mood": None}))], ""),
    ),
    ({"choices": [{"message": {"tool_calls": []}}]}, ChatCompletion("", [Choice(0, ChatCompletionMessage())], "")),
    (
        {"choices": [{"message": {"tool_calls": [{"id": "c", "type": "of_tomorrow"}, {}, {"type": "custom"}]}}]},
        ChatCompletion(
            "",
            [
                Choice(
                    0,
                    ChatCompletionMessage(
                        tool_calls=[
                            ToolCall("c", type="of_tomorrow"),
                            ToolCall(""),
                            ToolCall("", type="custom", custom=CustomCall("")),
                        ]
                    ),
                )
            ],
            "",
        ),
    ),
    ({"usage": {"prompt_tokens": 3.0}, "created": 5.0}, ChatCompletion("", [], "", 5, usage=Usage(3))),
    (
        {"usage": {"cost": {"total_cost": 0.5}}},
        ChatCompletion("", [], "", usage=Usage(cost=0.5, extra={"cost": {"total_cost": 0.5}})),
    ),
    (
        {"usage": {"cost": {"total_cost": "free"}}},
        ChatCompletion("", [], "", usage=Usage(extra={"cost": {"total_cost": "free"}})),
    ),
    (
        {"choices": [{"logprobs": -1.5}]},
        ChatCompletion("", [Choice(0, ChatCompletionMessage(), extra={"logprobs": -1.5})], ""),
    ),
    (
        {"choices": [{"finish_reason": "of_tomorrow", "logprobs": {"content": [{}]}}]},
        ChatCompletion(
            "", [Choice(0, ChatCompletionMessage(), "of_tomorrow", Logprobs([TokenLogprob("", math.nan)]))], ""
        ),
    ),
]


@pytest.mark.parametrize(("data", "reply"), LENIENT)
def test_null_and_missing_fields(data: dict[str, Any], reply: ChatCompletion):
    """A reply would be refused for a member that is missing, null or of another form."""
    assert ChatCompletion.from_dict(data) == reply


def test_members_of_another_form_are_unchanged_in_the_json():
    """A relay would change what a server sent."""
    other = {"usage": {"cost": {"total_cost": 0.5}}, "choices": [{"logprobs": -1.5, "index": 0, "message": {}}]}
    out = ChatCompletion.from_dict(other).to_dict()
    assert out["usage"] == other["usage"]
    assert out["choices"][0]["logprobs"] == -1.5


def put(path: str, value: Any) -> dict[str, Any]:
    """`FULL` with another value at `path`."""
    data = copy.deepcopy(FULL)
    place: Any = data
    *steps, last = (
        int(step) if step.isdigit() else step for step in path.replace("[", ".").replace("]", "").split(".")
    )
    for step in steps:
        place = place[step]
    place[last] = value
    return data


LEFT_OUT = object()

ODD: list[tuple[str, Any, Any]] = [
    # texts that are needed: anything has a text
    ("choices[0].message.content", 5, "5"),
    ("choices[0].message.content", {"a": "é"}, '{"a":"é"}'),
    ("choices[0].message.content", False, "false"),
    ("choices[0].message.refusal", 5, "5"),
    ("choices[0].message.reasoning_content", ["Hm", "."], "Hm."),
    ("choices[0].message.tool_calls[0].function.name", 1, "1"),
    ("choices[0].message.tool_calls[0].function.arguments", {"a": 1}, '{"a":1}'),
    ("choices[0].message.tool_calls[0].function.arguments", None, ""),
    ("choices[0].message.tool_calls[1].custom.input", {"a": 1}, '{"a":1}'),
    ("choices[0].message.function_call.name", 5, "5"),
    ("choices[0].message.function_call.arguments", {"a": [1, None]}, '{"a":[1,null]}'),
    # ids, labels and numbers: converted, or left out
    ("id", 1, "1"),
    ("id", {}, ""),
    ("model", [], ""),
    ("model", ["gpt"], "gpt"),
    ("object", 1, "1"),
    ("created", 1700000000.75, 1700000000),
    ("created", "1700000000", 1700000000),
    ("created", "now", 0),
    ("created", {}, 0),
    ("service_tier", 1, "1"),
    ("system_fingerprint", {}, LEFT_OUT),
    ("choices[0].index", "3", 3),
    ("choices[1].index", {}, 1),
    ("choices[1].index", True, 1),
    ("choices[0].finish_reason", 1, "1"),
    ("choices[0].finish_reason", ["stop"], "stop"),
    ("choices[0].finish_reason", {}, None),
    ("choices[0].native_finish_reason", {}, LEFT_OUT),
    ("choices[0].message.role", 1, "1"),
    ("choices[0].message.role", None, "assistant"),
    ("choices[0].message.name", {}, LEFT_OUT),
    ("choices[0].message.tool_calls[0].id", 7, "7"),
    ("choices[0].message.tool_calls[0].id", {}, ""),
    ("choices[0].message.tool_calls[0].type", {}, "function"),
    ("choices[0].message.tool_calls[1].type", {}, "custom"),
    # objects and lists in each other's place
    ("choices[0].message.audio", "UklG", LEFT_OUT),
    ("choices[0].message.audio.id", 1, "1"),
    ("choices[0].message.audio.data", {}, LEFT_OUT),
    ("choices[0].message.audio.expires_at", "1700000060", 1700000060),
    ("choices[0].message.audio.expires_at", "soon", LEFT_OUT),
    ("choices[0].message.annotations", {"type": "a"}, [{"type": "a"}]),
    ("choices[0].message.annotations", "x", LEFT_OUT),
    ("choices[0].message.annotations", ["https://x"], []),
    ("choices[0].message.annotations[1].type", 7, "7"),
    ("choices[0].message.annotations[0].url_citation", 5, LEFT_OUT),
    ("choices[0].message.annotations[0].url_citation.url", {}, ""),
    ("choices[0].message.annotations[0].url_citation.start_index", "0", 0),
    ("choices[0].message.annotations[0].url_citation.end_index", 5.5, 5),
    ("choices[0].message.thinking_blocks", "Hm.", LEFT_OUT),
    ("choices[0].message.thinking_blocks", {"a": 1}, [{"a": 1}]),
    ("choices[0].message.reasoning_details", [None, {"a": 1}, "x"], [{"a": 1}]),
    ("choices[0].message.provider_specific_fields", [], LEFT_OUT),
    ("choices[0].message.provider_specific_fields", '{"a": 1}', {"a": 1}),
    # log probabilities
    ("choices[0].logprobs", -1.5, -1.5),
    ("choices[0].logprobs", [], []),
    ("choices[0].logprobs.content", "x", None),
    ("choices[0].logprobs.content[0].token", 1, "1"),
    ("choices[0].logprobs.content[0].token", None, ""),
    ("choices[0].logprobs.content[0].logprob", "-0.5", -0.5),
    ("choices[0].logprobs.content[0].logprob", None, None),
    ("choices[0].logprobs.content[0].logprob", "low", None),
    ("choices[0].logprobs.content[0].bytes", "Hel", None),
    ("choices[0].logprobs.content[0].top_logprobs", None, []),
    ("choices[0].logprobs.content[0].top_logprobs", "x", []),
    (
        "choices[0].logprobs.content[0].top_logprobs",
        {"Hi": -1.5, "He": None},
        [{"token": "Hi", "logprob": -1.5, "bytes": None}, {"token": "He", "logprob": None, "bytes": None}],
    ),
    ("choices[0].logprobs.content[0].top_logprobs[0].logprob", [], None),
    # usage
    ("usage", 12, LEFT_OUT),
    ("usage", [], LEFT_OUT),
    ("usage", [{"prompt_tokens": 5}], {"prompt_tokens": 5}),
    ("usage.prompt_tokens", "5", 5),
    ("usage.prompt_tokens", 5.5, 5),
    ("usage.completion_tokens", {}, LEFT_OUT),
    ("usage.total_tokens", True, LEFT_OUT),
    ("usage.cost", "0.5", 0.5),
    ("usage.cost", "free", LEFT_OUT),
    ("usage.cost", 10**400, LEFT_OUT),
    ("usage.cost", float("inf"), LEFT_OUT),
    ("usage.cost", {"usd": 0.25}, {"usd": 0.25}),
    ("usage.prompt_tokens_details", [], LEFT_OUT),
    ("usage.prompt_tokens_details.cached_tokens", "2", 2),
    ("usage.completion_tokens_details", 3, LEFT_OUT),
    ("usage.completion_tokens_details.reasoning_tokens", {}, LEFT_OUT),
]


@pytest.mark.parametrize(("path", "value", "result"), ODD)
def test_a_field_of_another_type_is_converted_or_left_out(path: str, value: Any, result: Any):
    """A paid reply would be lost, or another part of it changed, for the type of one field."""
    expected = put(path, result)
    if result is LEFT_OUT:
        expected = without(path)
    assert ChatCompletion.from_dict(put(path, value)).to_dict() == expected


def without(path: str) -> dict[str, Any]:
    """`FULL` without the field at `path`."""
    data = put(path, LEFT_OUT)

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: strip(item) for name, item in value.items() if item is not LEFT_OUT}
        return list(map(strip, value)) if isinstance(value, list) else value

    return strip(data)


def test_nulls_in_lists_are_left_out():
    """A null among the choices or tool calls would cost the reply."""
    reply = put("choices[0].message.tool_calls", [None, *FULL["choices"][0]["message"]["tool_calls"]])
    reply["choices"].insert(0, None)
    reply["choices"][1]["logprobs"]["content"].append(None)
    assert ChatCompletion.from_dict(reply).to_dict() == FULL
    message = ChatCompletionMessage.from_dict({"tool_calls": [None]})
    assert message.tool_calls is None


CALLS: list[tuple[dict[str, Any], ToolCall]] = [
    ({"name": "f", "arguments": {"a": 1}}, ToolCall("", FunctionCall("f", '{"a":1}'))),
    ({"id": 3, "type": "tool", "name": "f", "x": 1}, ToolCall("3", FunctionCall("f"), "tool", extra={"x": 1})),
    ({"function": '{"name": "f"}'}, ToolCall("", FunctionCall("f"))),
    ({"function": {"name": "f"}, "custom": {"name": "", "input": ""}}, ToolCall("", FunctionCall("f"))),
    (
        {"type": "custom", "function": {"name": "", "arguments": ""}, "custom": {"name": "grep", "input": "a"}},
        ToolCall("", type="custom", custom=CustomCall("grep", "a")),
    ),
    ({"custom": {"name": "grep", "input": "a"}}, ToolCall("", type="custom", custom=CustomCall("grep", "a"))),
    ({"type": "custom", "function": {"name": "f"}}, ToolCall("", FunctionCall("f"), "custom")),
]


@pytest.mark.parametrize(("data", "call"), CALLS)
def test_calls_in_another_form(data: dict[str, Any], call: ToolCall):
    """A complete call in another form would have no name or no arguments."""
    assert ToolCall.from_dict(data) == call


REFUSED: list[tuple[str, Any]] = [
    ("choices", "x"),
    ("choices", 0),
    ("choices[1]", "x"),
    ("choices[0]", []),
    ("choices[0].message", "Hello."),
    ("choices[0].message.tool_calls", "add"),
    ("choices[0].message.tool_calls[0]", "add"),
    ("choices[0].message.tool_calls[0].function", "add"),
    ("choices[0].message.tool_calls[1].custom", 5),
    ("choices[0].message.function_call", "old"),
]


@pytest.mark.parametrize(("path", "value"), REFUSED)
def test_parts_that_cannot_be_read_are_named_with_their_path(path: str, value: Any):
    """A message or a tool call would be lost silently, or be reported without its path."""
    with pytest.raises(ShapeError) as caught:
        ChatCompletion.from_dict(put(path, value))
    assert caught.value.path == path


def test_a_reply_that_is_not_an_object():
    """A list or a text in place of a reply would raise another exception."""
    for value in ([], "x", None, 1):
        with pytest.raises(ShapeError, match=r"^completion: expected an object"):
            ChatCompletion.from_dict(value)


# --- round trips by hypothesis ---

TEXT = st.text(max_size=8)
COUNT = st.integers(0, 10**6)
MAYBE_COUNT = st.none() | COUNT
SCALARS = st.none() | st.booleans() | COUNT | TEXT
EXTRA = st.dictionaries(st.sampled_from(["x_a", "x_b"]), SCALARS | st.lists(SCALARS, max_size=2), max_size=2)
OBJECTS = st.lists(st.dictionaries(TEXT, SCALARS, max_size=2), max_size=2)

FUNCTION_CALLS = st.builds(FunctionCall, TEXT, TEXT, extra=EXTRA)
TOOL_CALLS = st.builds(ToolCall, TEXT, FUNCTION_CALLS, extra=EXTRA) | st.builds(
    lambda name, call: ToolCall(name, type="custom", custom=call), TEXT, st.builds(CustomCall, TEXT, TEXT, extra=EXTRA)
)
MESSAGES = st.builds(
    ChatCompletionMessage,
    st.none() | TEXT,
    st.none() | TEXT,
    st.none() | st.lists(TOOL_CALLS, min_size=1, max_size=2),
    st.none() | FUNCTION_CALLS,
    st.none() | st.builds(Audio, TEXT, TEXT, TEXT, MAYBE_COUNT, extra=EXTRA),
    st.none() | st.lists(st.builds(Annotation, TEXT, extra=EXTRA), max_size=2),
    st.none() | TEXT,
    st.none() | OBJECTS,
    st.none() | OBJECTS,
    st.none() | st.dictionaries(TEXT, SCALARS, max_size=2),
    extra=EXTRA,
)
TOPS = st.builds(TopLogprob, TEXT, st.floats(-9, 0), st.none() | st.lists(st.integers(0, 255), max_size=3), extra=EXTRA)
TOKENS = st.builds(
    TokenLogprob, TEXT, st.floats(-9, 0), st.none() | st.just([1]), st.lists(TOPS, max_size=2), extra=EXTRA
)
LOGPROBS = st.builds(Logprobs, st.none() | st.lists(TOKENS, max_size=2), st.none() | st.just([]), extra=EXTRA)
CHOICES = st.builds(Choice, COUNT, MESSAGES, st.none() | TEXT, st.none() | LOGPROBS, st.none() | TEXT, extra=EXTRA)
USAGES = st.builds(
    Usage,
    MAYBE_COUNT,
    MAYBE_COUNT,
    MAYBE_COUNT,
    st.none() | st.builds(PromptTokensDetails, MAYBE_COUNT, MAYBE_COUNT, extra=EXTRA),
    st.none() | st.builds(CompletionTokensDetails, MAYBE_COUNT, extra=EXTRA),
    st.none() | st.floats(0, 9),
    extra=EXTRA,
)
REPLIES = st.builds(
    ChatCompletion,
    TEXT,
    st.lists(CHOICES, max_size=3),
    TEXT,
    COUNT,
    usage=st.none() | USAGES,
    service_tier=st.none() | TEXT,
    system_fingerprint=st.none() | TEXT,
    extra=EXTRA,
)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(REPLIES)
def test_round_trip_of_any_reply(reply: ChatCompletion):
    """A stored reply would change."""
    data = reply.to_dict()
    assert ChatCompletion.from_dict(data) == reply
    assert ChatCompletion.from_dict(data).to_dict() == data


@settings(max_examples=40, derandomize=True, deadline=None)
@given(REPLIES)
def test_any_reply_pickles_and_copies(reply: ChatCompletion):
    """A reply would change in a process pool or a cache."""
    reply.raw = {"native": [1, "x"]}
    for copied in (pickle.loads(pickle.dumps(reply)), copy.deepcopy(reply), copy.copy(reply)):  # noqa: S301
        assert copied == reply
        assert copied is not reply
        assert copied.raw == reply.raw


MEMBERS = st.recursive(SCALARS | st.floats(), lambda s: st.lists(s, max_size=3) | st.dictionaries(TEXT, s, max_size=3))


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.dictionaries(st.sampled_from([*FULL, "x"]), MEMBERS, max_size=5), st.sampled_from(range(4)))
def test_any_json_is_read_or_refused_with_its_path(data: dict[str, Any], depth: int):
    """Some JSON of a provider would raise another exception."""
    value: Any = [data, {"choices": [data]}, {"choices": [{"message": data}]}, {"usage": data}][depth]
    try:
        reply = ChatCompletion.from_dict(value)
    except ShapeError:
        return
    repr(ChatCompletion.from_dict(reply.to_dict()))


# --- pickles, copies, equality ---


def test_pickles_keep_raw_and_info():
    """A reply from another process would lose its raw JSON and its info."""
    reply = ChatCompletion.from_dict(FULL)
    reply.raw = FULL
    headers = Headers.of({"x-request-id": "req_1"})
    reply.info = ReplyInfo("openai", "gpt-4o", 200, headers, "req_1", 2, 0.5, ["dropped"], [ReplyInfo("a", "b")])
    for copied in (pickle.loads(pickle.dumps(reply)), copy.deepcopy(reply)):  # noqa: S301
        assert copied.raw == FULL
        assert copied.info == reply.info
        assert copied.info.headers["X-Request-Id"] == "req_1"


def test_raw_and_info_are_not_compared_or_shown():
    """Two equal replies would differ because one call took longer."""
    first, second = ChatCompletion.from_dict(FULL), ChatCompletion.from_dict(FULL)
    first.raw, first.info = {}, ReplyInfo("a", "b")
    assert first == second
    assert "raw" not in first.to_dict()
    assert "info" not in repr(first)
    assert "raw" not in repr(first)


def test_a_reply_without_a_call_has_an_info():
    """Code that reads `reply.info` would fail on replies made by hand."""
    reply = ChatCompletion("i", [], "m")
    assert reply.info is reply.info
    assert (reply.info.provider, reply.info.model, reply.info.attempts) == ("", "m", 0)
    assert reply.info.rate_limit is None


def test_a_replys_message_can_be_sent_back():
    """A conversation could not continue with the provider's message."""
    reply = ChatCompletion.from_dict(FULL)
    turns = [UserMessage("Hi"), reply.choices[0].message, reply.choices[1].message]
    read = parse_messages(turns)
    assert read == [UserMessage("Hi"), reply.choices[0].message, reply.choices[1].message]
    assert read[1].to_dict() == {
        name: value for name, value in FULL["choices"][0]["message"].items() if value is not None
    }
