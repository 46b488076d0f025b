"""Tests of the simulated Cohere, with Cohere's own SDK where it is installed, and the real API's errors."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from anycompletion.testing import Fault, SimulatorServer
from anycompletion.testing.formats.cohere_chat.simulate import API_KEY, FORMAT
from anycompletion.testing.formats.wire_format import SimulatedRequest, StreamedResponse, WholeResponse

MODEL = "command-a-03-2025"
KNOCK: list[Any] = [{"role": "user", "content": "Knock knock."}]
ASK: dict[str, Any] = {"model": MODEL, "messages": KNOCK}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
}
VALUE = {"city": "some city", "days": 1}
TOOLS: list[Any] = [{"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}]
THINK = {"type": "enabled", "token_budget": 3}
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
CALLED = [*KNOCK, {"role": "assistant", "tool_calls": [CALL], "tool_plan": "I will look."}]


def response_to(body: Any, *, path: str = "/v2/chat", method: str = "POST", key: str | None = API_KEY) -> Any:
    """The simulated response to a body, without a server."""
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    return FORMAT.respond(SimulatedRequest(method=method, path=path, headers=headers, body=body, uid="0" * 32, now=1.5))


def reply(**change: Any) -> dict[str, Any]:
    """The whole response to a valid request."""
    response = response_to({**ASK, **change})
    assert isinstance(response, WholeResponse)
    assert response.status == 200, response.body
    return json.loads(response.body)


def events(**change: Any) -> list[dict[str, Any]]:
    """The data of a stream's events, each of which has its type as its name."""
    response = response_to({**ASK, "stream": True, **change})
    assert isinstance(response, StreamedResponse)
    found: list[dict[str, Any]] = []
    for event in response.events[:-1]:
        name, _, data = event.data.decode().removeprefix("event: ").partition("\ndata: ")
        found.append(json.loads(data))
        assert found[-1]["type"] == name
    assert response.events[-1].data == b"data: [DONE]\n\n"
    return found


def error_for(body: Any, **options: Any) -> tuple[int, str]:
    """The status and the message of the error response to a body."""
    response = response_to(body, **options)
    assert isinstance(response, WholeResponse)
    body = json.loads(response.body)
    assert body.keys() == {"id", "message"}
    return response.status, body["message"]


# --- the official SDK ---------------------------------------------------------------------------------------------


@pytest.fixture
async def cohere(sim: SimulatorServer) -> AsyncIterator[Any]:
    """Cohere's own SDK, pointed at the simulator."""
    sdk = pytest.importorskip("cohere", reason="Cohere's SDK is not installed")
    async with sdk.AsyncClientV2(
        api_key=sim.api_keys["cohere"], base_url=sim.base_urls["cohere"], max_retries=0, timeout=10
    ) as client:
        yield client


async def test_the_sdk_reads_a_whole_response(cohere: Any) -> None:
    """The simulator's format would differ from the provider's."""
    response = await cohere.chat(**ASK, thinking=THINK, logprobs=True)
    assert [part.type for part in response.message.content] == ["thinking", "text"]
    assert response.message.content[0].thinking == "Let me think"
    assert response.message.content[1].text == "Who's there? (choice 0)"
    assert response.finish_reason == "COMPLETE"
    assert response.usage.billed_units.input_tokens == 2
    assert response.usage.tokens.input_tokens > 2
    assert response.usage.tokens.output_tokens == 7
    assert [each.text for each in response.logprobs] == ["Who's", " there?", " (choice", " 0)"]


async def test_the_sdk_reads_a_stream(cohere: Any) -> None:
    """Events of a stream would have wrong names or members."""
    texts: dict[int, str] = {}
    kinds: list[str] = []
    end: Any = None
    async for event in cohere.chat_stream(**ASK, thinking=THINK):
        kinds.append(event.type)
        if event.type == "content-delta":
            content = event.delta.message.content
            texts[event.index] = texts.get(event.index, "") + (content.text or content.thinking)
        end = event
    assert texts == {0: "Let me think", 1: "Who's there? (choice 0)"}
    part = ["content-start", *["content-delta"] * 3, "content-end"]
    assert kinds == ["message-start", *part, *part[:2], *part[1:], "message-end"]
    assert end.delta.finish_reason == "COMPLETE"
    assert end.delta.usage.tokens.output_tokens == 7


@pytest.mark.parametrize("stream", [True, False])
async def test_a_tool_is_called_and_its_result_is_used(cohere: Any, stream: bool) -> None:
    """Tool loops could not be tested."""
    if stream:
        plan = arguments = name = ident = ""
        async for event in cohere.chat_stream(**ASK, tools=TOOLS):
            if event.type == "tool-plan-delta":
                plan += event.delta.message.tool_plan
            elif event.type == "tool-call-start":
                name, ident = event.delta.message.tool_calls.function.name, event.delta.message.tool_calls.id
            elif event.type == "tool-call-delta":
                arguments += event.delta.message.tool_calls.function.arguments
        assert event.delta.finish_reason == "TOOL_CALL"
    else:
        response = await cohere.chat(**ASK, tools=TOOLS)
        assert response.finish_reason == "TOOL_CALL"
        assert response.message.content is None
        plan, (call,) = response.message.tool_plan, response.message.tool_calls
        name, arguments, ident = call.function.name, call.function.arguments, call.id
    assert (plan, name) == ("I will use the get_weather tool.", "get_weather")
    assert json.loads(arguments) == VALUE
    called = {**CALL, "id": ident, "function": {"name": name, "arguments": arguments}}
    messages = [
        *KNOCK,
        {"role": "assistant", "tool_calls": [called], "tool_plan": plan},
        {"role": "tool", "tool_call_id": ident, "content": [{"type": "document", "document": {"data": "rain"}}]},
    ]
    response = await cohere.chat(model=MODEL, messages=messages, tools=TOOLS)
    assert response.message.content[0].text == "The tool says: rain (choice 0)"


async def test_a_repeated_request_gets_another_reply(cohere: Any) -> None:
    """The three requests for three choices would all get the same text."""
    texts = [(await cohere.chat(**ASK)).message.content[0].text for _ in range(3)]
    assert texts == [f"Who's there? (choice {choice})" for choice in range(3)]


KINDS = {
    "bad-request": "BadRequestError",
    "context-length": "BadRequestError",
    "content-policy": "BadRequestError",
    "authentication": "UnauthorizedError",
    "permission": "ForbiddenError",
    "not-found": "NotFoundError",
    "rate-limit": "TooManyRequestsError",
    "server-error": "InternalServerError",
    "unavailable": "ServiceUnavailableError",
    "overloaded": "ServiceUnavailableError",
    "timeout": "GatewayTimeoutError",
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", KINDS)
async def test_the_sdk_recognizes_errors(sim: SimulatorServer, cohere: Any, name: str, stream: bool) -> None:
    """Errors would be of the wrong class, or have another body than the real ones."""
    sim.fault = Fault.named(name)

    async def run() -> None:
        if stream:
            async for _ in cohere.chat_stream(**ASK):
                pass
        else:
            await cohere.chat(**ASK)

    with pytest.raises(Exception, match="status_code") as caught:
        await run()
    assert type(caught.value).__name__ == KINDS[name]
    assert getattr(caught.value, "body", {})["message"]


# --- responses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "text", "reason"),
    [
        ({}, "Who's there? (choice 0)", "COMPLETE"),
        ({"max_tokens": 2}, "Who's there?", "MAX_TOKENS"),
        ({"stop_sequences": ["?"]}, "Who's there", "STOP_SEQUENCE"),
        ({"response_format": {"type": "json_object", "json_schema": SCHEMA}}, json.dumps(VALUE), "COMPLETE"),
        ({"response_format": {"type": "json_object"}}, '{"answer": "Who\'s there? (choice 0)"}', "COMPLETE"),
        ({"tools": TOOLS, "tool_choice": "NONE"}, "Who's there? (choice 0)", "COMPLETE"),
    ],
)
def test_the_end_of_a_text_and_its_finish_reason(change: dict[str, Any], text: str, reason: str) -> None:
    """Limits, stop sequences, JSON replies and disabled tools could not be tested."""
    whole = reply(**change)
    assert whole["message"]["content"] == [{"type": "text", "text": text}]
    assert whole["finish_reason"] == reason
    found = events(**change)
    pieces = [each["delta"]["message"]["content"]["text"] for each in found if each["type"] == "content-delta"]
    assert "".join(pieces) == text
    assert found[-1]["delta"]["finish_reason"] == reason
    assert found[-1]["delta"]["usage"] == whole["usage"]


def test_the_events_of_a_tool_call_have_the_real_order() -> None:
    """A client that relies on the order could not be tested."""
    kinds = list(dict.fromkeys(each["type"] for each in events(tools=TOOLS)))
    assert kinds == [
        "message-start",
        "tool-plan-delta",
        "tool-call-start",
        "tool-call-delta",
        "tool-call-end",
        "message-end",
    ]
    start = next(each for each in events(tools=TOOLS) if each["type"] == "tool-call-start")
    assert start["delta"]["message"]["tool_calls"]["function"] == {"name": "get_weather", "arguments": ""}


def test_a_reply_with_thinking_has_no_tool_plan() -> None:
    """A client would never get a tool call without a plan."""
    message = reply(tools=TOOLS, thinking=THINK)["message"]
    assert message["content"] == [{"type": "thinking", "thinking": "Let me think"}]
    assert "tool_plan" not in message
    assert not [each for each in events(tools=TOOLS, thinking=THINK) if each["type"] == "tool-plan-delta"]


def test_each_piece_has_its_log_probabilities() -> None:
    """Log probabilities of a stream could not be tested."""
    found = [each["logprobs"]["text"] for each in events(logprobs=True) if each["type"] == "content-delta"]
    assert found == ["Who's", " there?", " (choice", " 0)"]


async def test_an_error_in_a_stream_ends_it(sim: SimulatorServer, http: aiohttp.ClientSession) -> None:
    """Errors after a successful status could not be tested."""
    sim.fault = "error-after-3-events"
    headers = {"authorization": f"Bearer {API_KEY}"}
    async with http.post(
        sim.base_urls["cohere"] + "/v2/chat", json={**ASK, "stream": True}, headers=headers
    ) as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")
        body = (await response.read()).decode()
    found = [json.loads(line[6:]) for line in body.splitlines() if line.startswith("data: {")]
    assert [each["type"] for each in found] == ["message-start", "content-start", "content-delta", "message-end"]
    assert found[-1]["delta"]["finish_reason"] == "ERROR"
    assert "overloaded" in found[-1]["delta"]["error"]


# --- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [None, "wrong"])
def test_a_key_is_required(key: str | None) -> None:
    """A client that does not send its key would pass."""
    assert error_for(ASK, key=key)[0] == 401


@pytest.mark.parametrize(("path", "method", "status"), [("/v1/chat", "POST", 404), ("/v2/chat", "GET", 405)])
def test_the_path_and_the_method_are_validated(path: str, method: str, status: int) -> None:
    """A wrong URL would pass."""
    assert error_for(ASK, path=path, method=method)[0] == status


def test_one_model_is_unknown() -> None:
    """Unknown models could not be tested."""
    assert error_for({**ASK, "model": "no-such-model"})[0] == 404


FUNCTION = TOOLS[0]["function"]
JPG = {"type": "image_url", "image_url": {"url": "data:image/jpg;base64,AAAA"}}
WRONG: list[tuple[dict[str, Any], int, str]] = [
    ({"num_generations": 2}, 422, "num_generations"),
    ({"n": 2}, 422, "'n'"),
    ({"model": None}, 400, "model"),
    ({"messages": []}, 400, "messages"),
    ({"messages": "hello"}, 400, "messages"),
    ({"messages": [{"role": "developer", "content": "x"}]}, 400, "role"),
    ({"messages": [{"role": "user", "content": "x", "name": "y"}]}, 422, "messages[0].name"),
    ({"messages": [{"role": "user", "content": ""}]}, 400, "content"),
    ({"messages": [{"role": "user", "content": 5}]}, 422, "content"),
    ({"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]}, 400, "'file'"),
    ({"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]}, 422, "content.text"),
    ({"messages": [{"role": "assistant"}]}, 400, "content"),
    ({"messages": [*CALLED, {"role": "tool", "content": "x"}]}, 400, "tool_call_id"),
    ({"messages": [*CALLED, {"role": "tool", "content": "x", "tool_call_id": "call_2"}]}, 400, "call_2"),
    ({"messages": [*KNOCK, {"role": "assistant", "tool_calls": [{"id": "a", "function": {}}]}]}, 400, "tool_calls"),
    ({"temperature": "hot"}, 422, "temperature"),
    ({"max_tokens": 0}, 400, "max_tokens"),
    ({"max_tokens": 1.5}, 422, "max_tokens"),
    ({"p": 1.0}, 400, "p must"),
    ({"k": 501}, 400, "k must"),
    ({"frequency_penalty": -0.5}, 400, "frequency_penalty"),
    ({"stream": "yes"}, 422, "stream"),
    ({"stop_sequences": "?"}, 422, "stop_sequences"),
    ({"stop_sequences": list("abcdef")}, 400, "stop_sequences"),
    ({"safety_mode": "NONE"}, 400, "safety_mode"),
    ({"thinking": {"type": "adaptive"}}, 400, "thinking.type"),
    ({"thinking": {"type": "enabled", "budget_tokens": 5}}, 422, "budget_tokens"),
    ({"thinking": {"type": "enabled", "token_budget": 0}}, 400, "token_budget"),
    ({"tool_choice": "REQUIRED"}, 400, "tool_choice"),
    ({"tool_choice": "NONE"}, 400, "tool_choice"),
    ({"tool_choice": "required", "tools": TOOLS}, 400, "tool_choice"),
    ({"tools": [{"type": "function", "function": {"name": "f"}}]}, 400, "parameters"),
    ({"tools": [{"type": "custom", "custom": {"name": "f"}}]}, 400, "type"),
    ({"tools": [{"type": "function", "function": {**FUNCTION, "name": "1 f"}}]}, 400, "name"),
    ({"tools": [{"type": "function", "function": {**FUNCTION, "strict": True}}]}, 422, "strict"),
    ({"messages": [{"role": "user", "content": [JPG]}]}, 400, "images must be"),
    ({"response_format": {"type": "json_schema"}}, 400, "response_format.type"),
    ({"response_format": {"type": "json_object", "strict": True}}, 422, "strict"),
    ({"response_format": {"type": "json_object", "json_schema": {"name": "x", "schema": SCHEMA}}}, 400, "object"),
    ({"response_format": {"type": "json_object"}, "tools": TOOLS}, 400, "tools"),
    ({"response_format": {"type": "json_object"}, "documents": ["x"]}, 400, "documents"),
]


@pytest.mark.parametrize(("change", "status", "text"), WRONG, ids=lambda value: str(value)[:60])
def test_rejects_what_the_real_api_rejects(change: dict[str, Any], status: int, text: str) -> None:
    """Requests that the real API rejects would pass."""
    code, message = error_for({**ASK, **change})
    assert code == status
    assert text in message


def test_a_body_that_is_not_an_object_is_rejected() -> None:
    """A malformed body would raise in the simulator."""
    assert error_for(None)[0] == 400


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": None, "tools": None},
        {"p": 0.99, "k": 0, "seed": 0, "priority": 0},
        {"messages": [{"role": "system", "content": "Be brief."}, *KNOCK]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]},
        {"messages": [*CALLED, {"role": "tool", "tool_call_id": "call_1", "content": "rain"}]},
        {"response_format": {"type": "text"}, "tools": TOOLS},
        {"strict_tools": True, "tools": TOOLS, "tool_choice": "REQUIRED"},
    ],
)
def test_accepts_what_the_real_api_accepts(change: dict[str, Any]) -> None:
    """The simulator would be stricter than the real API."""
    assert response_to({**ASK, **change}).status == 200
