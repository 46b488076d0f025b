"""Tests of the simulated Anthropic, with Anthropic's own SDK and the real API's errors."""

import json
from typing import Any

import anthropic as sdk
import pytest
from anthropic import AsyncAnthropic

from anycompletion.testing import Fault, SimulatorServer
from anycompletion.testing.formats.anthropic_messages.simulate import API_KEY, FORMAT
from anycompletion.testing.formats.anthropic_messages.validate import signature
from anycompletion.testing.formats.wire_format import SimulatedRequest, WholeResponse

MODEL = "claude-haiku-4-5"
KNOCK: list[Any] = [{"role": "user", "content": "Knock knock."}]
ASK: dict[str, Any] = {"model": MODEL, "max_tokens": 2000, "messages": KNOCK}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "array", "items": {"type": "integer"}}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
VALUE = {"city": "some city", "days": [1]}
TOOLS: list[Any] = [
    {"name": "other", "input_schema": {"type": "object"}},
    {"name": "get_weather", "input_schema": SCHEMA},
]


def response_to(
    body: Any,
    *,
    path: str = "/v1/messages",
    method: str = "POST",
    version: str | None = "2023-06-01",
    **key: str,
) -> Any:
    """The simulated response to a body, without a server."""
    headers = {"x-api-key": API_KEY} if not key else {name.replace("_", "-"): value for name, value in key.items()}
    if version is not None:
        headers["anthropic-version"] = version
    call = SimulatedRequest(method=method, path=path, headers=headers, body=body, uid="0" * 32, now=1.5)
    return FORMAT.respond(call)


def error_for(body: Any, **options: Any) -> tuple[int, str, str]:
    """The status, the type and the message of the error response to a body."""
    response = response_to(body, **options)
    assert isinstance(response, WholeResponse)
    body = json.loads(response.body)
    assert body["type"] == "error"
    assert body["request_id"] == response.headers["request-id"]
    return response.status, body["error"]["type"], body["error"]["message"]


# --- responses ----------------------------------------------------------------------------------------------------


async def test_the_sdk_reads_a_whole_response(anthropic: AsyncAnthropic) -> None:
    """The simulator's format would differ from the provider's."""
    reply = await anthropic.messages.create(**ASK, system="Be brief, please.")
    assert (reply.type, reply.role, reply.model) == ("message", "assistant", MODEL)
    assert [block.model_dump(exclude_none=True) for block in reply.content] == [
        {"type": "text", "text": "Who's there? (choice 0)"}
    ]
    assert reply.stop_reason == "end_turn"
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (5, 4)
    again = await anthropic.messages.create(**ASK, system="Be brief, please.")
    assert again.id != reply.id


async def test_headers_are_those_of_the_real_api(anthropic: AsyncAnthropic) -> None:
    """Request ids and rate limits could not be tested."""
    raw = await anthropic.messages.with_raw_response.create(**ASK)
    assert raw.headers["request-id"].startswith("req_")
    assert raw.headers["anthropic-ratelimit-requests-remaining"] == "3999"
    assert raw.headers["anthropic-ratelimit-requests-reset"].endswith("Z")


async def test_a_stream_adds_up_to_the_whole_response(anthropic: AsyncAnthropic) -> None:
    """Streamed and whole replies would differ."""
    async with anthropic.messages.stream(**ASK) as stream:
        pieces = [text async for text in stream.text_stream]
        reply = await stream.get_final_message()
    assert pieces == ["Who's", " there?", " (choice", " 0)"]
    assert reply.stop_reason == "end_turn"
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (2, 4)


def test_the_events_of_a_stream_have_the_real_order() -> None:
    """A client that relies on the order could not be tested."""
    kinds = [
        json.loads(event.data.split(b"data: ")[1])["type"] for event in response_to({**ASK, "stream": True}).events
    ]
    assert kinds == [
        "message_start",
        "content_block_start",
        "ping",
        *["content_block_delta"] * 4,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert all(event.data.startswith(b"event: ") for event in response_to({**ASK, "stream": True}).events)


async def test_the_limit_cuts_the_text(anthropic: AsyncAnthropic) -> None:
    """Truncated replies could not be tested."""
    reply = await anthropic.messages.create(**{**ASK, "max_tokens": 2})
    assert reply.stop_reason == "max_tokens"
    assert reply.content[0].type == "text"
    assert reply.content[0].text == "Who's there?"
    nothing = await anthropic.messages.create(**{**ASK, "max_tokens": 0})
    assert (nothing.content, nothing.stop_reason) == ([], "max_tokens")


async def test_a_stop_sequence_cuts_the_text_and_is_reported(anthropic: AsyncAnthropic) -> None:
    """Stop sequences could not be tested."""
    reply = await anthropic.messages.create(**ASK, stop_sequences=["?", "zzz"])
    assert (reply.stop_reason, reply.stop_sequence) == ("stop_sequence", "?")


@pytest.mark.parametrize(
    "options",
    [
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        {"output_format": {"type": "json_schema", "schema": SCHEMA}},
    ],
)
async def test_json_fits_its_schema(anthropic: AsyncAnthropic, options: Any) -> None:
    """Structured outputs could not be tested."""
    reply = await anthropic.messages.create(**ASK, extra_body=options)
    assert reply.content[0].type == "text"
    assert json.loads(reply.content[0].text) == VALUE


# --- thinking -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("display", ["summarized", "omitted"])
@pytest.mark.parametrize("kind", [{"type": "enabled", "budget_tokens": 1024}, {"type": "adaptive"}])
async def test_thinking_is_first_and_signed(anthropic: AsyncAnthropic, kind: Any, display: str) -> None:
    """Thinking could not be tested."""
    thinking: Any = {**kind, "display": display}
    async with anthropic.messages.stream(**ASK, thinking=thinking) as stream:
        reply = await stream.get_final_message()
    first, second = reply.content
    assert first.type == "thinking"
    assert bool(first.thinking) is (display == "summarized")
    assert first.signature == signature(first.thinking)
    assert second.type == "text"


async def test_changed_thinking_is_rejected(anthropic: AsyncAnthropic) -> None:
    """A client that loses or changes thinking blocks would pass."""
    options: dict[str, Any] = {**ASK, "thinking": {"type": "adaptive"}, "tools": TOOLS[1:]}
    reply = await anthropic.messages.create(**options)
    assert [block.type for block in reply.content] == ["thinking", "tool_use"]
    turn: dict[str, Any] = {"role": "assistant", "content": [each.model_dump() for each in reply.content]}
    for block in turn["content"]:
        block.pop("caller", None)
    result = {"type": "tool_result", "tool_use_id": turn["content"][1]["id"], "content": "rain"}
    options["messages"] = [*KNOCK, turn, {"role": "user", "content": [result]}]
    reply = await anthropic.messages.create(**options)
    assert reply.content[-1].type == "text"
    assert reply.content[-1].text == "The tool says: rain (choice 0)"
    turn["content"][0]["thinking"] += "!"
    with pytest.raises(sdk.BadRequestError, match="signature"):
        await anthropic.messages.create(**options)


# --- tools --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        ({"type": "auto"}, "other"),
        ({"type": "any"}, "other"),
        ({"type": "tool", "name": "get_weather"}, "get_weather"),
        ({"type": "none"}, None),
    ],
)
async def test_calls_the_named_or_the_first_tool(anthropic: AsyncAnthropic, choice: Any, name: str | None) -> None:
    """The choice of a tool could not be tested."""
    reply = await anthropic.messages.create(**ASK, tools=TOOLS, tool_choice=choice)
    assert [block.name for block in reply.content if block.type == "tool_use"] == ([name] if name else [])
    assert reply.stop_reason == ("tool_use" if name else "end_turn")


async def test_streamed_arguments_have_several_pieces(anthropic: AsyncAnthropic) -> None:
    """A client that takes the first fragment for all arguments would pass."""
    async with anthropic.messages.stream(**ASK, tools=TOOLS[1:]) as stream:
        fragments = [event.partial_json async for event in stream if event.type == "input_json"]
        reply = await stream.get_final_message()
    assert reply.content[0].type == "tool_use"
    assert reply.content[0].input == VALUE
    assert fragments[0] == ""
    assert len(fragments) > 3


def test_a_tool_without_arguments_sends_one_empty_fragment() -> None:
    """A client that parses the fragment of a call without arguments would pass."""
    stream = response_to({**ASK, "stream": True, "tools": TOOLS[:1]})
    fragments = [event for event in stream.events if b"partial_json" in event.data]
    assert len(fragments) == 1
    assert b'"partial_json":""' in fragments[0].data


# --- errors -------------------------------------------------------------------------------------------------------

ERRORS: dict[str, tuple[type[sdk.APIStatusError], str]] = {
    "bad-request": (sdk.BadRequestError, "invalid_request_error"),
    "context-length": (sdk.BadRequestError, "invalid_request_error"),
    "content-policy": (sdk.BadRequestError, "invalid_request_error"),
    "authentication": (sdk.AuthenticationError, "authentication_error"),
    "permission": (sdk.PermissionDeniedError, "permission_error"),
    "not-found": (sdk.NotFoundError, "not_found_error"),
    "timeout": (sdk.InternalServerError, "timeout_error"),
    "rate-limit": (sdk.RateLimitError, "rate_limit_error"),
    "quota": (sdk.APIStatusError, "billing_error"),
    "server-error": (sdk.InternalServerError, "api_error"),
    "unavailable": (sdk.InternalServerError, "api_error"),
    "overloaded": (sdk.InternalServerError, "overloaded_error"),
}


def test_every_error_is_tested() -> None:
    """A new error would not be tested."""
    assert ERRORS.keys() == FORMAT.errors.keys()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", ERRORS)
async def test_the_sdk_recognizes_errors(
    sim: SimulatorServer, anthropic: AsyncAnthropic, name: str, stream: bool
) -> None:
    """Errors would be of the wrong class, or have another body than the real ones."""
    sim.fault = name
    kind, error_type = ERRORS[name]
    with pytest.raises(kind) as caught:
        await anthropic.messages.create(**ASK, stream=stream)
    body: Any = caught.value.body
    assert body["error"]["type"] == error_type
    assert caught.value.request_id == body["request_id"]


async def test_the_sdk_retries_until_it_succeeds(sim: SimulatorServer, anthropic: AsyncAnthropic) -> None:
    """Temporary faults could not be tested."""
    sim.fault = Fault.status(429, retry_after=0.05, times=2)
    reply = await anthropic.with_options(max_retries=2).messages.create(**ASK)
    assert reply.content[0].type == "text"
    assert reply.content[0].text == "Who's there? (choice 0)"
    assert len(sim.requests) == 3


async def test_the_sdk_raises_an_error_in_a_stream(sim: SimulatorServer, anthropic: AsyncAnthropic) -> None:
    """The event would be skipped as an unknown one."""
    sim.fault = "error-after-4-events"
    async with anthropic.messages.stream(**ASK) as stream:
        with pytest.raises(sdk.APIStatusError, match="Overloaded"):
            await stream.get_final_message()


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"authorization": "Basic x"}, "required"),
        ({"x_api_key": "wrong"}, "invalid"),
        ({"authorization": "Bearer wrong"}, "invalid"),
        ({"x_api_key": "wrong", "authorization": f"Bearer {API_KEY}"}, "invalid"),
    ],
)
def test_a_key_is_required(headers: dict[str, str], message: str) -> None:
    """A client that does not send its key would pass."""
    status, kind, message_text = error_for(ASK, **headers)
    assert (status, kind) == (401, "authentication_error")
    assert message in message_text


@pytest.mark.parametrize("key", [{"x_api_key": API_KEY}, {"authorization": f"Bearer {API_KEY}"}])
def test_a_key_can_be_in_two_headers(key: dict[str, str]) -> None:
    """One of the two headers that the real API accepts would fail."""
    assert response_to(ASK, **key).status == 200


@pytest.mark.parametrize(("path", "method", "status"), [("/messages", "POST", 404), ("/v1/messages", "GET", 405)])
def test_the_path_and_the_method_are_validated(path: str, method: str, status: int) -> None:
    """A wrong URL would pass."""
    assert error_for(ASK, path=path, method=method)[0] == status


@pytest.mark.parametrize("version", [None, "2020-01-01"])
def test_a_version_is_required(version: str | None) -> None:
    """A client that does not send the version would pass."""
    status, _, message = error_for(ASK, version=version)
    assert status == 400
    assert message.startswith("anthropic-version")


def test_the_newer_version_has_no_sampling_parameters() -> None:
    """A client that sends them would pass."""
    assert response_to({**ASK, "temperature": 0.5}).status == 200
    message = "temperature: Extra inputs are not permitted"
    assert error_for({**ASK, "temperature": 0.5}, version="2026-10-21")[2] == message


USE = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "x"}
TEXT = {"type": "text", "text": "x"}
JPG = {"type": "image", "source": {"type": "base64", "media_type": "image/jpg", "data": "AAAA"}}


def turn(role: str, *content: Any) -> dict[str, Any]:
    """A message of blocks."""
    return {"role": role, "content": list(content)}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"model": None}, "model: Field required"),
    ({"messages": None}, "messages: Field required"),
    ({"max_tokens": None}, "max_tokens: Field required"),
    ({"max_tokens": "5"}, "max_tokens: Input should be"),
    ({"max_tokens": -1}, "max_tokens: must be"),
    ({"model": 5}, "model: Input should be"),
    ({"n": 2}, "n: Extra inputs are not permitted"),
    ({"temperature": 1.5}, "temperature: range"),
    ({"top_p": "x"}, "top_p: range"),
    ({"stop_sequences": [" "]}, "stop_sequences"),
    ({"messages": "x"}, "messages: Input should be"),
    ({"messages": []}, "messages: at least one"),
    ({"messages": [turn("tool", TEXT)]}, "messages.0.role"),
    ({"messages": [{**turn("user", TEXT), "name": "Bo"}]}, "messages.0.name: Extra inputs"),
    ({"messages": [turn("user")]}, "messages.0: user messages must"),
    ({"messages": [turn("user", {"type": "text", "text": ""})]}, "messages: text content blocks must"),
    ({"messages": [turn("user", {"type": "text", "text": " \n"})]}, "messages: text content blocks must contain"),
    ({"messages": [turn("user", JPG)]}, "messages.0.content.0.image.source.base64.media_type: Input should be"),
    ({"messages": [*KNOCK, turn("assistant", USE, USE)]}, "messages.1.content.1: `tool_use` ids must be unique"),
    ({"messages": [turn("user", {"text": "x"})]}, "messages.0.content.0.type"),
    ({"messages": [turn("assistant", TEXT)]}, "messages: first message must"),
    ({"messages": [*KNOCK, turn("assistant", {"type": "text", "text": "x "})]}, "messages: final assistant"),
    ({"messages": [*KNOCK, turn("assistant", USE)]}, "messages: `tool_use` ids were found"),
    ({"messages": [*KNOCK, turn("assistant", USE), *KNOCK]}, "messages.2: `tool_use` ids were found"),
    ({"messages": [*KNOCK, turn("assistant", USE), turn("user", TEXT, RESULT)]}, "messages.2: `tool_use` ids"),
    ({"messages": [turn("user", RESULT)]}, "messages.0: unexpected `tool_use_id`"),
    ({"messages": [*KNOCK, turn("assistant", {**USE, "input": "{}"})]}, "messages.1.content.0.tool_use.input"),
    ({"messages": [*KNOCK, turn("assistant", {**USE, "id": "a b"})]}, "messages.1.content.0.tool_use.id"),
    ({"tools": [{"name": "a b", "input_schema": {"type": "object"}}]}, "tools.0.custom.name"),
    ({"tools": [{"name": "a", "parameters": {}}]}, "tools.0.custom.input_schema"),
    ({"tools": [{**TOOLS[0], "function": {}}]}, "tools.0.custom.function: Extra inputs"),
    ({"tools": [TOOLS[0], TOOLS[0]]}, "tools: Tool names must be unique"),
    ({"tool_choice": {"type": "auto"}}, "tool_choice may only"),
    ({"thinking": {"type": "enabled", "budget_tokens": 10}}, "thinking.enabled.budget_tokens"),
    ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "`max_tokens` must be greater"),
    ({"thinking": {"type": "adaptive"}, "temperature": 0.5}, "`temperature` may only"),
    ({"thinking": {"type": "adaptive"}, "tools": TOOLS, "tool_choice": {"type": "any"}}, "Thinking may not"),
]


@pytest.mark.parametrize(("change", "message"), WRONG, ids=lambda value: json.dumps(value)[:60])
def test_rejects_what_the_real_api_rejects(change: dict[str, Any], message: str) -> None:
    """Requests that the real API rejects would pass."""
    status, kind, text = error_for({**ASK, **change})
    assert (status, kind) == (400, "invalid_request_error")
    assert text.startswith(message)


def test_a_body_that_is_not_an_object_is_rejected() -> None:
    """A malformed body would raise in the simulator."""
    assert error_for(None)[0] == 400


def test_one_model_is_unknown() -> None:
    """Unknown models could not be tested."""
    assert error_for({**ASK, "model": "no-such-model"}) == (404, "not_found_error", "model: no-such-model")


@pytest.mark.parametrize(
    "change",
    [
        {"messages": [*KNOCK, *KNOCK]},
        {"messages": [*KNOCK, turn("assistant", TEXT)]},
        {"messages": [*KNOCK, turn("assistant", USE), turn("user", RESULT), turn("user", TEXT)]},
        {"messages": [*KNOCK, turn("assistant", TEXT, USE), turn("user", RESULT, TEXT)]},
        {"messages": [*KNOCK, turn("assistant", {"type": "redacted_thinking", "data": "x"}, TEXT), *KNOCK]},
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        {"temperature": 1, "top_k": 5, "metadata": {"user_id": "x"}},
    ],
)
def test_accepts_what_the_real_api_accepts(change: dict[str, Any]) -> None:
    """The simulator would be stricter than the real API."""
    assert response_to({**ASK, **change}).status == 200
