"""Records: OpenAI's JSON and back, lenient reading, pickles, copies, sums and rate-limit headers."""

import copy
import pickle
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion import records
from anycompletion.codecs.lenient import ShapeError
from anycompletion.errors import APIConnectionError, CompletionError
from anycompletion.http import Headers
from anycompletion.rate_limit_headers import seconds
from anycompletion.records import (
    Annotation,
    AssistantMessage,
    Audio,
    ChatCompletion,
    ChatRequest,
    Choice,
    CompletionTokensDetails,
    CustomCall,
    CustomPart,
    FunctionCall,
    FunctionMessage,
    ImagePart,
    ImageUrl,
    Logprobs,
    PromptTokensDetails,
    RateLimitState,
    Record,
    RefusalPart,
    ReplyInfo,
    Result,
    TextPart,
    TokenLogprob,
    ToolCall,
    ToolMessage,
    TopLogprob,
    Usage,
    UserMessage,
    plain,
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


def test_a_full_reply_there_and_back():
    """A member of a reply would be lost or renamed."""
    assert ChatCompletion.from_dict(FULL).to_dict() == FULL


def test_members_become_attributes():
    """Code written for OpenAI's SDK would not find what it reads."""
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
    """The shortest way to an answer would give something else than the answer."""
    reply = ChatCompletion.from_dict(FULL)
    assert reply.text == "Hello."
    assert reply.texts == ["Hello.", "Two parts"]
    assert ChatCompletion("", [], "m").text == ""
    assert ChatCompletion("", [], "m").texts == []
    assert ChatCompletion("", [Choice(0, AssistantMessage())], "m").text == ""


def test_an_empty_reply_shows_what_openai_always_shows():
    """Readers of the JSON would miss members that OpenAI's always has."""
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
def test_null_and_missing_members(data: dict[str, Any], reply: ChatCompletion):
    """A reply would be refused for a member its server leaves out, leaves null or writes in its own way."""
    assert ChatCompletion.from_dict(data) == reply


def test_odd_members_go_back_as_they_came():
    """What a server wrote in its own way would be changed on the way through."""
    odd = {"usage": {"cost": {"total_cost": 0.5}}, "choices": [{"logprobs": -1.5, "index": 0, "message": {}}]}
    out = ChatCompletion.from_dict(odd).to_dict()
    assert out["usage"] == odd["usage"]
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
    """A wrong type would be guessed away, raise a foreign exception or be reported without its place."""
    with pytest.raises(ShapeError) as caught:
        ChatCompletion.from_dict(put(path, value))
    assert caught.value.path == path


def test_a_reply_that_is_no_object():
    """A list or a text in the place of a reply would raise a foreign exception."""
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
def test_any_reply_there_and_back(reply: ChatCompletion):
    """A stored reply would be read back as another one."""
    data = reply.to_dict()
    assert ChatCompletion.from_dict(data) == reply
    assert ChatCompletion.from_dict(data).to_dict() == data


@settings(max_examples=40, derandomize=True, deadline=None)
@given(REPLIES)
def test_any_reply_pickles_and_copies(reply: ChatCompletion):
    """A reply would change on its way through a process pool or a cache."""
    reply.raw = {"native": [1, "x"]}
    for twin in (pickle.loads(pickle.dumps(reply)), copy.deepcopy(reply), copy.copy(reply)):  # noqa: S301
        assert twin == reply
        assert twin is not reply
        assert twin.raw == reply.raw


MEMBERS = st.recursive(SCALARS | st.floats(), lambda s: st.lists(s, max_size=3) | st.dictionaries(TEXT, s, max_size=3))


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.dictionaries(st.sampled_from([*FULL, "x"]), MEMBERS, max_size=5), st.sampled_from(range(4)))
def test_any_json_is_read_or_refused_by_name(data: dict[str, Any], depth: int):
    """Some JSON of a provider's would raise an exception that is not ours."""
    value: Any = [data, {"choices": [data]}, {"choices": [{"message": data}]}, {"usage": data}][depth]
    try:
        reply = ChatCompletion.from_dict(value)
    except ShapeError:
        return
    repr(ChatCompletion.from_dict(reply.to_dict()))


# --- pickles, copies, equality ---


def test_what_is_ours_is_kept_by_pickles():
    """A reply that came back from a worker would have lost its raw JSON and its info."""
    reply = ChatCompletion.from_dict(FULL)
    reply.raw = FULL
    headers = Headers.of({"x-request-id": "req_1"})
    reply.info = ReplyInfo("openai", "gpt-4o", 200, headers, "req_1", 2, 0.5, ["dropped"], [ReplyInfo("a", "b")])
    for twin in (pickle.loads(pickle.dumps(reply)), copy.deepcopy(reply)):  # noqa: S301
        assert twin.raw == FULL
        assert twin.info == reply.info
        assert twin.info.headers["X-Request-Id"] == "req_1"


def test_what_is_ours_does_not_count():
    """Two equal replies would differ because one call took longer."""
    first, second = ChatCompletion.from_dict(FULL), ChatCompletion.from_dict(FULL)
    first.raw, first.info = {}, ReplyInfo("a", "b")
    assert first == second
    assert "raw" not in first.to_dict()
    assert "info" not in repr(first)
    assert "raw" not in repr(first)


def test_a_reply_of_no_call_has_an_info_all_the_same():
    """Code that reads `reply.info` would fail on replies made by hand."""
    reply = ChatCompletion("i", [], "m")
    assert reply.info is reply.info
    assert (reply.info.provider, reply.info.model, reply.info.attempts) == ("", "m", 0)
    assert reply.info.rate_limit is None


def test_equality_asks_for_the_type():
    """A part would equal a message that happens to hold the same."""
    assert UserMessage("x") == UserMessage("x")
    assert UserMessage("x") != UserMessage("x", extra={"a": 1})
    assert TextPart("x") != RefusalPart("x")
    assert UserMessage("x") != {"role": "user", "content": "x"}
    assert UserMessage("x").__eq__("x") is NotImplemented


RECORDS = sorted(
    (cls for cls in vars(records).values() if isinstance(cls, type) and issubclass(cls, Record) and cls is not Record),
    key=lambda cls: cls.__name__,
)


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
def test_every_record(cls: type[Record]):
    """A record would lack what all have: equality, copies, pickles, no hash, an `extra` that is its own."""

    def make() -> Any:
        required = [a for a in attrs.fields(cls) if a.default is attrs.NOTHING]
        needed = {"message": AssistantMessage(), "image_url": ImageUrl("u")}
        return cls(**{a.alias: needed.get(a.name, "x") for a in required})

    record = make()
    assert record == make()
    assert record.to_dict() == make().to_dict()
    for twin in (pickle.loads(pickle.dumps(record)), copy.copy(record), copy.deepcopy(record)):  # noqa: S301
        assert twin == record
    with pytest.raises(TypeError, match="unhashable"):
        hash(record)
    assert repr(record).startswith(cls.__name__ + "(") or cls is ChatRequest
    if hasattr(record, "extra"):
        record.extra["a"] = UserMessage("x")
        assert make().extra == {}
        assert record != make()
        assert record.to_dict()["a"] == {"role": "user", "content": "x"}
    assert not hasattr(record, "__dict__")


def test_reprs_leave_out_what_is_not_there():
    """A reply in a debugger would be a page of None."""
    assert repr(UserMessage("x")) == "UserMessage(content='x', role='user')"
    assert repr(Usage(1)) == "Usage(prompt_tokens=1)"
    assert repr(TextPart("x", extra={"a": 1})) == "TextPart(text='x', type='text', extra={'a': 1})"


def test_a_bare_url_goes_back_as_one():
    """An image's URL that a caller wrote without an object would be sent in another form."""
    (message,) = parse_messages([{"role": "user", "content": [{"type": "image_url", "image_url": "https://x"}]}])
    assert message.to_dict()["content"] == [{"type": "image_url", "image_url": "https://x"}]
    assert parse_messages([message]) == [message]


def test_plain():
    """Records inside of dicts, lists and tuples would reach the JSON as they are."""
    value = {"a": (TextPart("x"), [{"b": UserMessage("y")}]), "c": None, 1: 2.5}
    assert plain(value) == {
        "a": [{"text": "x", "type": "text"}, [{"b": {"content": "y", "role": "user"}}]],
        "c": None,
        1: 2.5,
    }


def test_a_function_without_result_shows_null():
    """OpenAI would refuse the message for its missing content."""
    assert FunctionMessage(None, "f").to_dict() == {"content": None, "name": "f", "role": "function"}


def test_details_that_nobody_set_are_left_out():
    """A wire would see nulls that no caller wrote."""
    assert ImagePart(ImageUrl("u")).to_dict() == {"type": "image_url", "image_url": {"url": "u"}}
    assert ToolMessage("r", "c").to_dict() == {"role": "tool", "content": "r", "tool_call_id": "c"}


# --- a reply's message goes back ---


def test_a_message_may_be_appended_as_it_is():
    """A conversation could not go on with what the provider said."""
    reply = ChatCompletion.from_dict(FULL)
    turns = [UserMessage("Hi"), reply.choices[0].message, reply.choices[1].message]
    read = parse_messages(turns)
    assert read == [UserMessage("Hi"), reply.choices[0].message, reply.choices[1].message]
    assert read[1].to_dict() == {
        name: value for name, value in FULL["choices"][0]["message"].items() if value is not None
    }


# --- requests ---

REQUEST: dict[str, Any] = {
    "model": "gpt-4o",
    "messages": [{"role": "user", "content": "Hi", "x": None}],
    "temperature": 0.5,
    "n": 2,
    "logit_bias": {"5": 1},
    "tools": [{"type": "function", "function": {"name": "f"}}],
    "top_k": 5,
    "provider_thing": {"a": [1]},
}


def test_a_request_there_and_back():
    """A batch file would be sent as something else than it says."""
    request = ChatRequest.from_dict(REQUEST | {"stream": True}, custom_id="row-1")
    assert request.to_dict() == REQUEST
    assert request.extra_body == {"top_k": 5, "provider_thing": {"a": [1]}}
    assert request.custom_id == "row-1"
    assert ChatRequest.from_dict({"model": "m", "messages": "x"}).extra_body is None


def test_a_text_is_one_user_message():
    """The body of a request made of a text would not be OpenAI's."""
    body = ChatRequest("m", "Hi", temperature=0, custom_id="c").to_dict()
    assert body == {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0}


def test_a_request_pickles_and_copies():
    """A request could not be handed to a worker."""
    request = ChatRequest(
        "m", [UserMessage("Hi"), {"role": "user", "content": "x"}], extra_body={"a": 1}, custom_id="1"
    )
    for twin in (pickle.loads(pickle.dumps(request)), copy.deepcopy(request)):  # noqa: S301
        assert twin == request
        assert twin.custom_id == "1"


@pytest.mark.parametrize("messages", ["my secret prompt", [UserMessage("my secret prompt")]])
def test_the_repr_of_a_request_holds_no_prompt(messages: Any):
    """A prompt would stand in every log of a request and in tracebacks with locals."""
    request = ChatRequest("m", messages, user="my secret user", temperature=0, extra_body={"x": "my secret field"})
    assert repr(request) in (
        "<ChatRequest 'm': text, temperature, user>",
        "<ChatRequest 'm': 1 messages, temperature, user>",
    )
    assert "secret" not in repr(Result(request=request))
    assert "secret" not in f"{request}"


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
    """A bill over several branches would be wrong, or claim to know what nobody said."""
    assert one + other == total
    assert other + one == total


# --- results ---


def test_results():
    """A batch's rows could not be told apart or taken out."""
    reply, error = ChatCompletion("i", [], "m"), APIConnectionError("lost")
    assert Result(completion=reply).ok
    assert Result(completion=reply).unwrap() is reply
    assert not Result(error=error).ok
    with pytest.raises(APIConnectionError, match="lost"):
        Result(error=error).unwrap()
    with pytest.raises(CompletionError, match="empty"):
        Result().unwrap()
    twin = pickle.loads(pickle.dumps(Result(error=error, custom_id="row-1")))  # noqa: S301
    assert (twin.custom_id, str(twin.error)) == ("row-1", "lost")


# --- rate limits ---

DURATIONS: list[tuple[str | None, float | None]] = [
    (None, None),
    ("", None),
    (" ", None),
    ("0", 0.0),
    ("1", 1.0),
    ("1.5", 1.5),
    (" 12 ", 12.0),
    ("12ms", 0.012),
    ("9.5ms", 0.0095),
    ("1s", 1.0),
    ("0s", 0.0),
    ("6m0s", 360.0),
    ("1h2m3.5s", 3723.5),
    ("1h", 3600.0),
    ("-1", None),
    ("-1s", None),
    ("nan", None),
    ("inf", None),
    ("-inf", None),
    ("1e400", None),
    ("1 s", None),
    ("s", None),
    ("1d", None),
    ("1s!", None),
    ("soon", None),
    ("1.s", None),
    ("１２", None),
    ("١s", None),
    ("9" * 400 + "s", None),
    ("9" * 60_000 + "!", None),
]


@pytest.mark.parametrize(("value", "expected"), DURATIONS)
def test_durations(value: str | None, expected: float | None):
    """A reset would be misread, or a hostile header take seconds to read."""
    assert seconds(value) == (None if expected is None else pytest.approx(expected))


LIMITS: list[tuple[dict[str, str], RateLimitState | None]] = [
    ({}, None),
    ({"retry-after": "5", "x-ratelimit-limit-images": "5"}, None),
    (
        {
            "X-RateLimit-Limit-Requests": "5000",
            "x-ratelimit-remaining-requests": "4999",
            "x-ratelimit-reset-requests": "12ms",
            "x-ratelimit-limit-tokens": "160000",
            "x-ratelimit-remaining-tokens": "159976",
            "x-ratelimit-reset-tokens": "6m0s",
        },
        RateLimitState(5000, 4999, 0.012, 160000, 159976, 360.0),
    ),
    (
        {
            "anthropic-ratelimit-requests-limit": "50",
            "anthropic-ratelimit-requests-remaining": "49",
            "anthropic-ratelimit-requests-reset": "2026-01-01T00:00:00Z",
            "anthropic-ratelimit-tokens-limit": "40000",
            "anthropic-ratelimit-tokens-remaining": "0",
        },
        RateLimitState(50, 49, None, 40000, 0),
    ),
    ({"x-ratelimit-reset-tokens": "7", "x-ratelimit-remaining-tokens": "-1"}, RateLimitState(reset_tokens=7.0)),
    ({"x-ratelimit-limit-requests": "9" * 400}, None),
    ({"x-ratelimit-limit-requests": "many", "x-ratelimit-limit-tokens": "0"}, RateLimitState(limit_tokens=0)),
]


@pytest.mark.parametrize(("given_headers", "state"), LIMITS)
def test_rate_limits(given_headers: dict[str, str], state: RateLimitState | None):
    """An application could not see how much is left, or a provider's odd header would break the reply."""
    assert ReplyInfo("p", "m", headers=Headers.of(given_headers)).rate_limit == state
