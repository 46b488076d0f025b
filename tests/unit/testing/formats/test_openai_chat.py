"""Tests of the simulated OpenAI, with OpenAI's own SDK and the real API's errors."""

import json
from collections import defaultdict
from typing import Any

import openai as sdk
import pytest
from openai import AsyncOpenAI

from anycompletion.testing import Fault, SimulatorServer
from anycompletion.testing.formats.openai_chat.simulate import API_KEY, FORMAT
from anycompletion.testing.formats.wire_format import SimulatedRequest, StreamedResponse, WholeResponse

MODEL = "gpt-4o"
KNOCK: list[Any] = [{"role": "user", "content": "Knock knock."}]
WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"enum": ["celsius", "fahrenheit"]},
            "days": {"type": "integer", "minimum": 3},
        },
        "required": ["city", "unit", "days"],
    },
}
ARGUMENTS = {"city": "some city", "unit": "celsius", "days": 3}
TOOLS: list[Any] = [{"type": "function", "function": {"name": "other"}}, {"type": "function", "function": WEATHER}]


def response_to(
    body: Any, *, path: str = "/v1/chat/completions", method: str = "POST", key: str | None = API_KEY
) -> Any:
    """The simulated response to a body, without a server."""
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    request = SimulatedRequest(method=method, path=path, headers=headers, body=body, uid="0" * 32, now=1.5)
    return FORMAT.respond(request)


def error_for(body: Any, **options: Any) -> tuple[int, dict[str, Any]]:
    """The status and the error of the error response to a body."""
    response = response_to(body, **options)
    assert isinstance(response, WholeResponse)
    return response.status, json.loads(response.body)["error"]


# --- responses ----------------------------------------------------------------------------------------------------


async def test_the_sdk_reads_a_whole_response(openai: AsyncOpenAI) -> None:
    """The simulator's format would differ from the provider's."""
    reply = await openai.chat.completions.create(model=MODEL, messages=KNOCK)
    assert reply.object == "chat.completion"
    assert reply.model == MODEL
    (choice,) = reply.choices
    assert choice.message.content == "Who's there? (choice 0)"
    assert choice.finish_reason == "stop"
    assert reply.usage
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.total_tokens) == (2, 4, 6)
    again = await openai.chat.completions.create(model=MODEL, messages=KNOCK)
    assert again.id != reply.id
    assert again.choices == reply.choices


async def test_headers_are_those_of_the_real_api(openai: AsyncOpenAI) -> None:
    """Request ids and rate limits could not be tested."""
    raw = await openai.chat.completions.with_raw_response.create(model=MODEL, messages=KNOCK)
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.headers["x-ratelimit-remaining-requests"] == "9999"
    assert raw.headers["x-ratelimit-reset-tokens"] == "30ms"


async def test_three_choices_have_three_texts(openai: AsyncOpenAI) -> None:
    """Choices in the wrong order would look right."""
    reply = await openai.chat.completions.create(model=MODEL, messages=KNOCK, n=3)
    assert [(each.index, each.message.content) for each in reply.choices] == [
        (index, f"Who's there? (choice {index})") for index in range(3)
    ]


async def test_streamed_choices_interleave_and_each_has_a_finish_reason(openai: AsyncOpenAI) -> None:
    """A client that reads only the first choice would pass."""
    texts: dict[int, str] = defaultdict(str)
    reasons: dict[int, str] = {}
    order: list[int] = []
    usages: list[Any] = []
    stream = await openai.chat.completions.create(
        model=MODEL, messages=KNOCK, n=3, stream=True, stream_options={"include_usage": True}
    )
    async for chunk in stream:
        usages.append(chunk.usage)
        for choice in chunk.choices:
            order.append(choice.index)
            texts[choice.index] += choice.delta.content or ""
            if choice.finish_reason:
                reasons[choice.index] = choice.finish_reason
    assert texts == {index: f"Who's there? (choice {index})" for index in range(3)}
    assert reasons == {0: "stop", 1: "stop", 2: "stop"}
    assert order[:6] == [0, 1, 2, 0, 1, 2]
    assert usages[-1].completion_tokens == 12
    assert not any(usages[:-1])


def test_a_stream_has_usage_only_on_request() -> None:
    """A client that needs the usage chunk would pass without requesting it."""
    stream = response_to({"model": MODEL, "messages": KNOCK, "stream": True})
    assert isinstance(stream, StreamedResponse)
    assert not [event for event in stream.events if event.kind == "usage" or b'"usage"' in event.data]
    assert stream.events[-1].data == b"data: [DONE]\n\n"


async def test_the_reply_depends_on_the_conversation(openai: AsyncOpenAI) -> None:
    """Every turn of a conversation would get the same reply."""
    messages: list[Any] = [
        *KNOCK,
        {"role": "assistant", "content": "Who's there? (choice 0)"},
        {"role": "user", "content": [{"type": "text", "text": "Lettuce."}]},
    ]
    reply = await openai.chat.completions.create(model=MODEL, messages=messages)
    assert reply.choices[0].message.content == "Lettuce who? (choice 0)"


async def test_the_limit_cuts_the_text(openai: AsyncOpenAI) -> None:
    """Truncated replies could not be tested."""
    for limit in ({"max_tokens": 2}, {"max_completion_tokens": 2}):
        reply = await openai.chat.completions.create(model=MODEL, messages=KNOCK, extra_body=limit)
        assert reply.choices[0].message.content == "Who's there?"
        assert reply.choices[0].finish_reason == "length"


@pytest.mark.parametrize("stop", [" there", ["?", " there"]])
async def test_a_stop_sequence_cuts_the_text(openai: AsyncOpenAI, stop: Any) -> None:
    """Stop sequences could not be tested."""
    reply = await openai.chat.completions.create(model=MODEL, messages=KNOCK, stop=stop)
    assert reply.choices[0].message.content == "Who's"
    assert reply.choices[0].finish_reason == "stop"


async def test_each_piece_has_its_log_probabilities(openai: AsyncOpenAI) -> None:
    """Log probabilities could not be tested."""
    reply = await openai.chat.completions.create(
        model=MODEL, messages=KNOCK, logprobs=True, top_logprobs=2, max_tokens=2
    )
    assert reply.choices[0].logprobs
    assert [each.token for each in reply.choices[0].logprobs.content or []] == ["Who's", " there?"]
    assert len((reply.choices[0].logprobs.content or [])[0].top_logprobs) == 2


@pytest.mark.parametrize("stream", [True, False])
async def test_json_fits_its_schema(openai: AsyncOpenAI, stream: bool) -> None:
    """Structured outputs could not be tested."""
    schema: Any = {"type": "json_schema", "json_schema": {"name": "weather", "schema": WEATHER["parameters"]}}
    assert json.loads(await text(openai, stream, response_format=schema)) == ARGUMENTS
    asked: Any = [{"role": "system", "content": "Answer in JSON."}, *KNOCK]
    free = json.loads(await text(openai, stream, messages=asked, response_format={"type": "json_object"}))
    assert free == {"answer": "Who's there? (choice 0)"}


async def text(openai: AsyncOpenAI, stream: bool, **options: Any) -> str:
    """The text of a reply, streamed or not."""
    if not stream:
        reply = await openai.chat.completions.create(model=MODEL, **{"messages": KNOCK, **options})
        return reply.choices[0].message.content or ""
    chunks = await openai.chat.completions.create(model=MODEL, stream=True, **{"messages": KNOCK, **options})
    return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])


# --- tools --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        ("auto", "other"),
        ("required", "other"),
        ({"type": "function", "function": {"name": "get_weather"}}, "get_weather"),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [{"type": "function", "function": {"name": "get_weather"}}],
                },
            },
            "get_weather",
        ),
        ("none", None),
    ],
)
async def test_calls_the_named_or_the_first_tool(openai: AsyncOpenAI, choice: Any, name: str | None) -> None:
    """The choice of a tool could not be tested."""
    reply = await openai.chat.completions.create(model=MODEL, messages=KNOCK, tools=TOOLS, tool_choice=choice)
    message = reply.choices[0].message
    called = [call.function.name for call in message.tool_calls or [] if call.type == "function"]
    assert called == ([name] if name else [])
    assert reply.choices[0].finish_reason == ("tool_calls" if name else "stop")


async def test_a_tool_result_gets_a_reply(openai: AsyncOpenAI) -> None:
    """A tool loop would never end, or would end without using the result."""
    reply = await openai.chat.completions.create(model=MODEL, messages=KNOCK, tools=TOOLS[1:])
    message = reply.choices[0].message
    assert message.content is None
    assert message.tool_calls
    assert message.tool_calls[0].type == "function"
    assert json.loads(message.tool_calls[0].function.arguments) == ARGUMENTS
    result: Any = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "rain"}
    messages: list[Any] = [*KNOCK, message.model_dump(exclude_none=True), result]
    reply = await openai.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS[1:])
    assert reply.choices[0].message.content == "The tool says: rain (choice 0)"


async def test_streamed_arguments_have_several_pieces(openai: AsyncOpenAI) -> None:
    """A client that takes the first fragment for all arguments would pass."""
    async with openai.chat.completions.stream(model=MODEL, messages=KNOCK, tools=TOOLS[1:]) as stream:
        fragments = [
            event.arguments_delta async for event in stream if event.type == "tool_calls.function.arguments.delta"
        ]
        reply = await stream.get_final_completion()
    (call,) = reply.choices[0].message.tool_calls or []
    assert call.id.startswith("call_")
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == ARGUMENTS
    assert len([each for each in fragments if each]) > 3
    assert reply.choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize("stream", [True, False])
async def test_legacy_functions_get_a_legacy_call(openai: AsyncOpenAI, stream: bool) -> None:
    """Code that uses legacy functions could not be tested."""
    options: dict[str, Any] = {"functions": [WEATHER], "function_call": {"name": "get_weather"}}
    if stream:
        chunks = await openai.chat.completions.create(model=MODEL, messages=KNOCK, stream=True, **options)
        choices = [chunk.choices[0] async for chunk in chunks]
        calls = [choice.delta.function_call for choice in choices if choice.delta.function_call]
        assert calls[0].name == "get_weather"
        arguments = "".join(call.arguments or "" for call in calls)
        reason = choices[-1].finish_reason
    else:
        reply = await openai.chat.completions.create(model=MODEL, messages=KNOCK, **options)
        call = reply.choices[0].message.function_call
        assert call
        arguments, reason = call.arguments, reply.choices[0].finish_reason
    assert json.loads(arguments) == ARGUMENTS
    assert reason == "function_call"
    result: Any = [*KNOCK, {"role": "function", "name": "get_weather", "content": "rain"}]
    reply = await openai.chat.completions.create(model=MODEL, messages=result, **options)
    assert "rain" in (reply.choices[0].message.content or "")


async def test_a_custom_tool_gets_text(openai: AsyncOpenAI) -> None:
    """Custom tools could not be tested."""
    tool: Any = {"type": "custom", "custom": {"name": "shell"}}
    reply = await openai.chat.completions.create(model=MODEL, messages=KNOCK, tools=[tool])
    (call,) = reply.choices[0].message.tool_calls or []
    assert call.type == "custom"
    assert (call.custom.name, call.custom.input) == ("shell", "some shell")


# --- errors -------------------------------------------------------------------------------------------------------

ERRORS: dict[str, tuple[type[sdk.APIStatusError], str | None]] = {
    "bad-request": (sdk.BadRequestError, None),
    "context-length": (sdk.BadRequestError, "context_length_exceeded"),
    "content-policy": (sdk.BadRequestError, "content_policy_violation"),
    "authentication": (sdk.AuthenticationError, "invalid_api_key"),
    "permission": (sdk.PermissionDeniedError, "model_not_allowed"),
    "not-found": (sdk.NotFoundError, "model_not_found"),
    "timeout": (sdk.APIStatusError, None),
    "rate-limit": (sdk.RateLimitError, "rate_limit_exceeded"),
    "quota": (sdk.RateLimitError, "insufficient_quota"),
    "server-error": (sdk.InternalServerError, None),
    "unavailable": (sdk.InternalServerError, None),
    "overloaded": (sdk.InternalServerError, "server_overloaded"),
}


def test_every_error_is_tested() -> None:
    """A new error would not be tested."""
    assert ERRORS.keys() == FORMAT.errors.keys()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", ERRORS)
async def test_the_sdk_recognizes_errors(sim: SimulatorServer, openai: AsyncOpenAI, name: str, stream: bool) -> None:
    """Errors would be of the wrong class, or have another body than the real ones."""
    sim.fault = name
    kind, code = ERRORS[name]
    with pytest.raises(kind) as caught:
        await openai.chat.completions.create(model=MODEL, messages=KNOCK, stream=stream)
    assert caught.value.code == code
    assert caught.value.request_id


async def test_the_sdk_retries_until_it_succeeds(sim: SimulatorServer, openai: AsyncOpenAI) -> None:
    """Temporary faults could not be tested."""
    sim.fault = Fault.named("rate-limit", times=2)
    reply = await openai.with_options(max_retries=2).chat.completions.create(model=MODEL, messages=KNOCK)
    assert reply.choices[0].message.content
    assert len(sim.requests) == 3


async def test_the_sdk_raises_an_error_in_a_stream(sim: SimulatorServer, openai: AsyncOpenAI) -> None:
    """The event would be read as a chunk."""
    sim.fault = "error-after-3-events"
    stream = await openai.chat.completions.create(model=MODEL, messages=KNOCK, stream=True)
    received: list[Any] = []

    async def drain() -> None:
        async for chunk in stream:
            received.append(chunk)

    with pytest.raises(sdk.APIError, match="overloaded"):
        await drain()
    assert len(received) == 3


@pytest.mark.parametrize(("key", "code"), [(None, None), ("wrong", "invalid_api_key")])
def test_a_key_is_required(key: str | None, code: str | None) -> None:
    """A client that does not send its key would pass."""
    status, error = error_for({"model": MODEL, "messages": KNOCK}, key=key)
    assert (status, error["code"]) == (401, code)
    assert "wrong" not in error["message"]


@pytest.mark.parametrize(("path", "method", "status"), [("/chat/completions", "POST", 404), (None, "GET", 405)])
def test_the_path_and_the_method_are_validated(path: str | None, method: str, status: int) -> None:
    """A wrong URL would pass."""
    assert error_for({}, path=path or "/v1/chat/completions", method=method)[0] == status


CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "x"}

WRONG: list[tuple[dict[str, Any], str | None]] = [
    ({"model": None}, None),
    ({"messages": None}, "messages"),
    ({"messages": "hello"}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "boss", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
    ({"messages": [{"role": "assistant"}]}, "messages[0].content"),
    ({"messages": [{"role": "function", "content": "x"}]}, "messages[0].name"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
    ({"messages": [*KNOCK, RESULT]}, "messages.[1].role"),
    ({"messages": [*KNOCK, {"role": "assistant", "tool_calls": [CALL]}]}, "messages"),
    ({"messages": [*KNOCK, {"role": "assistant", "tool_calls": [CALL]}, *KNOCK]}, "messages"),
    ({"temperature": 2.5}, "temperature"),
    ({"temperature": "hot"}, "temperature"),
    ({"presence_penalty": -3}, "presence_penalty"),
    ({"n": 0}, "n"),
    ({"n": 1.5}, "n"),
    ({"n": True}, "n"),
    ({"max_tokens": "many"}, "max_tokens"),
    ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
    ({"stop": [1]}, "stop"),
    ({"stream_options": {"include_usage": True}}, "stream_options"),
    ({"tool_choice": "auto"}, "tool_choice"),
    ({"function_call": "auto"}, "function_call"),
    ({"tools": [{"name": "f"}]}, "tools[0].type"),
    ({"tools": [{"type": "function", "name": "f"}]}, "tools[0].function.name"),
]


@pytest.mark.parametrize(("change", "param"), WRONG, ids=lambda value: json.dumps(value)[:60])
def test_rejects_what_the_real_api_rejects(change: dict[str, Any], param: str | None) -> None:
    """Requests that the real API rejects would pass."""
    status, error = error_for({"model": MODEL, "messages": KNOCK, **change})
    assert (status, error["type"], error["param"]) == (400, "invalid_request_error", param)


def test_a_body_that_is_not_an_object_is_rejected() -> None:
    """A malformed body would raise in the simulator."""
    assert error_for(None)[0] == 400


def test_one_model_is_unknown() -> None:
    """Unknown models could not be tested."""
    status, error = error_for({"model": "no-such-model", "messages": KNOCK})
    assert (status, error["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    "change", [{"unheard_of": 1}, {"temperature": None}, {"messages": [*KNOCK, {"role": "assistant", "refusal": "no"}]}]
)
def test_accepts_what_the_real_api_accepts(change: dict[str, Any]) -> None:
    """The simulator would be stricter than compatible servers are."""
    assert response_to({"model": MODEL, "messages": KNOCK, **change}).status == 200
