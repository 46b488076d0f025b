"""Completions: OpenAI's JSON and back, lenient reading, pickles, copies and sums of usage."""

import copy
import pickle
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
    Choice,
    CompletionTokensDetails,
    CustomCall,
    CustomPart,
    FunctionCall,
    Logprobs,
    PromptTokensDetails,
    RefusalPart,
    ReplyInfo,
    TextPart,
    TokenLogprob,
    ToolCall,
    TopLogprob,
    Usage,
    UserMessage,
)
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
                "content": [
                    {"type": "text", "text": "Two ", "cite": 1},
                    {"type": "refusal", "refusal": "no"},
                    {"type": "video", "url": "v"},
                    {"type": "text", "text": "parts"},
                ],
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
    assert reply.choices[1].message.content == [
        TextPart("Two ", extra={"cite": 1}),
        RefusalPart("no"),
        CustomPart("video", extra={"url": "v"}),
        TextPart("parts"),
    ]
    assert reply.usage is not None
    assert reply.usage.prompt_tokens_details is not None
    assert reply.usage.prompt_tokens_details.cached_tokens == 2
    assert reply.usage.cost == 0.0125
    assert reply.extra == {"x_groq": {"id": "req_1"}}


def test_texts():
    """`text` and `texts` would differ from the content."""
    reply = ChatCompletion.from_dict(FULL)
    assert reply.text == "Hello."
    assert reply.texts == ["Hello.", "Two parts"]
    assert ChatCompletion("", [], "m").text == ""
    assert ChatCompletion("", [], "m").texts == []
    assert ChatCompletion("", [Choice(0, AssistantMessage())], "m").text == ""


def test_an_empty_reply_has_all_required_fields():
    """The JSON would lack members that OpenAI's always has."""
    assert ChatCompletion("i", [Choice(0, AssistantMessage())], "m").to_dict() == {
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
    ({"choices": [{}]}, ChatCompletion("", [Choice(0, AssistantMessage())], "")),
    ({"choices": [{}, {"index": None}]}, ChatCompletion("", [Choice(i, AssistantMessage()) for i in (0, 1)], "")),
    ({"choices": [{"index": 5, "message": None}]}, ChatCompletion("", [Choice(5, AssistantMessage())], "")),
    (
        {"choices": [{"message": dict.fromkeys(FULL["choices"][0]["message"])}]},
        ChatCompletion("", [Choice(0, AssistantMessage(extra={"mood": None}))], ""),
    ),
    ({"choices": [{"message": {"tool_calls": []}}]}, ChatCompletion("", [Choice(0, AssistantMessage())], "")),
    (
        {"choices": [{"message": {"tool_calls": [{"id": "c", "type": "of_tomorrow"}, {}, {"type": "custom"}]}}]},
        ChatCompletion(
            "",
            [
                Choice(
                    0,
                    AssistantMessage(
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
        ChatCompletion("", [Choice(0, AssistantMessage(), extra={"logprobs": -1.5})], ""),
    ),
    (
        {"choices": [{"finish_reason": "of_tomorrow", "logprobs": {"content": [{}]}}]},
        ChatCompletion("", [Choice(0, AssistantMessage(), "of_tomorrow", Logprobs([TokenLogprob("", 0.0)]))], ""),
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


WRONG: list[tuple[str, Any]] = [
    ("id", 1),
    ("model", []),
    ("object", 1),
    ("created", "now"),
    ("choices", {}),
    ("choices", "x"),
    ("choices[0]", []),
    ("choices[1]", "x"),
    ("choices[0].index", "0"),
    ("choices[0].finish_reason", 1),
    ("choices[0].native_finish_reason", {}),
    ("choices[0].message", "Hello."),
    ("choices[0].message.role", 1),
    ("choices[0].message.content", 5),
    ("choices[0].message.content", {}),
    ("choices[1].message.content[0]", "Two"),
    ("choices[1].message.content[0].type", 1),
    ("choices[1].message.content[0].text", 1),
    ("choices[1].message.content[1].refusal", []),
    ("choices[0].message.refusal", False),
    ("choices[0].message.tool_calls", {"a": 1}),
    ("choices[0].message.tool_calls", "add"),
    ("choices[0].message.tool_calls[0]", None),
    ("choices[0].message.tool_calls[0].id", 1),
    ("choices[0].message.tool_calls[0].type", 1),
    ("choices[0].message.tool_calls[0].function", "add"),
    ("choices[0].message.tool_calls[0].function.name", 1),
    ("choices[0].message.tool_calls[0].function.arguments", {"a": 1}),
    ("choices[0].message.tool_calls[1].custom", "grep"),
    ("choices[0].message.tool_calls[1].custom.name", 1),
    ("choices[0].message.tool_calls[1].custom.input", []),
    ("choices[0].message.function_call", "old"),
    ("choices[0].message.function_call.arguments", 1),
    ("choices[0].message.audio", "UklG"),
    ("choices[0].message.audio.id", 1),
    ("choices[0].message.audio.data", 1),
    ("choices[0].message.audio.transcript", 1),
    ("choices[0].message.audio.expires_at", "soon"),
    ("choices[0].message.annotations", {}),
    ("choices[0].message.annotations", "x"),
    ("choices[0].message.annotations[0]", "x"),
    ("choices[0].message.annotations[1].type", 7),
    ("choices[0].message.annotations[0].url_citation", []),
    ("choices[0].message.annotations[0].url_citation.url", 1),
    ("choices[0].message.annotations[0].url_citation.title", 1),
    ("choices[0].message.annotations[0].url_citation.start_index", "0"),
    ("choices[0].message.annotations[0].url_citation.end_index", 0.5),
    ("choices[0].message.reasoning_content", []),
    ("choices[0].message.thinking_blocks", "Hm."),
    ("choices[0].message.thinking_blocks[0]", "Hm."),
    ("choices[0].message.reasoning_details[0]", None),
    ("choices[0].message.provider_specific_fields", []),
    ("choices[0].message.name", 1),
    ("choices[0].logprobs", []),
    ("choices[0].logprobs.content", {}),
    ("choices[0].logprobs.content[0]", "Hel"),
    ("choices[0].logprobs.content[0].token", 1),
    ("choices[0].logprobs.content[0].logprob", "low"),
    ("choices[0].logprobs.content[0].bytes", "Hel"),
    ("choices[0].logprobs.content[0].top_logprobs", {}),
    ("choices[0].logprobs.content[0].top_logprobs[0]", "Hi"),
    ("choices[0].logprobs.content[0].top_logprobs[0].logprob", []),
    ("choices[0].logprobs.refusal", "x"),
    ("usage", 12),
    ("usage.prompt_tokens", "5"),
    ("usage.completion_tokens", 0.5),
    ("usage.total_tokens", True),
    ("usage.cost", "free"),
    ("usage.cost", 10**400),
    ("usage.prompt_tokens_details", []),
    ("usage.prompt_tokens_details.cached_tokens", "2"),
    ("usage.completion_tokens_details", 3),
    ("usage.completion_tokens_details.reasoning_tokens", {}),
    ("service_tier", 1),
    ("system_fingerprint", []),
]


@pytest.mark.parametrize(("path", "value"), WRONG)
def test_wrong_types_are_named_with_their_path(path: str, value: Any):
    """A wrong type would be hidden by a guess, raise another exception or be reported without its path."""
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
    AssistantMessage,
    st.none() | TEXT | st.lists(st.builds(TextPart, TEXT, extra=EXTRA) | st.builds(RefusalPart, TEXT), max_size=2),
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


# --- usage ---

SUMS: list[tuple[Usage, Usage, Usage]] = [
    (Usage(1, 2, 3), Usage(10, 20, 30), Usage(11, 22, 33)),
    (Usage(1, 2, 3), Usage(1), Usage(2)),
    (Usage(0, 0, 0, cost=0.0), Usage(0, 0, 0, cost=0.5), Usage(0, 0, 0, cost=0.5)),
    (
        Usage(prompt_tokens_details=PromptTokensDetails(1, 2)),
        Usage(prompt_tokens_details=PromptTokensDetails(3)),
        Usage(prompt_tokens_details=PromptTokensDetails(4)),
    ),
    (Usage(prompt_tokens_details=PromptTokensDetails(1)), Usage(), Usage()),
    (
        Usage(completion_tokens_details=CompletionTokensDetails(5, 0, 0, 0, 1)),
        Usage(completion_tokens_details=CompletionTokensDetails(1, 2, 3, 4, 5)),
        Usage(completion_tokens_details=CompletionTokensDetails(6, 2, 3, 4, 6)),
    ),
    (Usage(1, extra={"a": 1}), Usage(1, extra={"a": 2}), Usage(2)),
]


@pytest.mark.parametrize(("one", "other", "total"), SUMS)
def test_usage_adds_up(one: Usage, other: Usage, total: Usage):
    """The usage of several branches would be wrong, or have a number where one is unknown."""
    assert one + other == total
    assert other + one == total
