"""Tests of the simulated OpenRouter, with OpenAI's own SDK and the real API's errors."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import openai as sdk
import pytest
from openai import AsyncOpenAI

from anycompletion.testing import Fault, SimulatorServer
from anycompletion.testing.formats.openrouter.simulate import API_KEY, FORMAT
from anycompletion.testing.formats.wire_format import SimulatedRequest, WholeResponse

MODEL = "anthropic/claude-haiku-4.5"
KNOCK: list[Any] = [{"role": "user", "content": "Knock knock."}]
ASK: dict[str, Any] = {"model": MODEL, "messages": KNOCK}
THINK = {"reasoning": {"effort": "low"}}
THOUGHTS = "Let me think about that for a moment."


@pytest.fixture
async def openrouter(sim: SimulatorServer) -> AsyncIterator[AsyncOpenAI]:
    """OpenAI's SDK, pointed at the simulated OpenRouter."""
    keys, urls = sim.api_keys, sim.base_urls
    async with AsyncOpenAI(
        api_key=keys["openrouter"], base_url=urls["openrouter"], max_retries=0, timeout=10
    ) as client:
        yield client


def response_to(
    body: Any, *, path: str = "/api/v1/chat/completions", method: str = "POST", key: str | None = API_KEY
) -> Any:
    """The simulated response to a body, without a server."""
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    return FORMAT.respond(SimulatedRequest(method=method, path=path, headers=headers, body=body, uid="0" * 32, now=1.5))


def chunks(**change: Any) -> list[dict[str, Any]]:
    """The chunks of a stream."""
    response = response_to({**ASK, "stream": True, **change})
    return [json.loads(event.data[6:]) for event in response.events if event.data.startswith(b"data: {")]


def error_for(body: Any, **options: Any) -> tuple[int, dict[str, Any]]:
    """The status and the error of the error response to a body."""
    response = response_to(body, **options)
    assert isinstance(response, WholeResponse)
    error = json.loads(response.body)["error"]
    assert error["code"] == response.status
    return response.status, error


# --- responses ----------------------------------------------------------------------------------------------------


async def test_the_sdk_reads_a_whole_response(openrouter: AsyncOpenAI) -> None:
    """The simulator's format would differ from the provider's."""
    raw = await openrouter.chat.completions.with_raw_response.create(**ASK, extra_body=THINK)
    whole = raw.parse().model_dump()
    assert (whole["model"], whole["provider"]) == (MODEL, "Anthropic")
    assert raw.headers["x-generation-id"] == whole["id"]
    (choice,) = whole["choices"]
    assert (choice["finish_reason"], choice["native_finish_reason"]) == ("stop", "end_turn")
    assert (choice["message"]["content"], choice["message"]["reasoning"]) == ("Who's there? (choice 0)", THOUGHTS)
    assert choice["message"]["reasoning_details"][0]["text"] == THOUGHTS
    assert whole["usage"]["completion_tokens"] == 4 + 8
    assert whole["usage"]["completion_tokens_details"]["reasoning_tokens"] == 8
    assert whole["usage"]["cost"] > 0


async def test_the_sdk_reads_a_stream(openrouter: AsyncOpenAI) -> None:
    """Comments, reasoning and the last chunk could not be tested."""
    stream = await openrouter.chat.completions.create(**ASK, stream=True, extra_body=THINK)
    found = [chunk.model_dump() async for chunk in stream]
    deltas = [chunk["choices"][0]["delta"] for chunk in found]
    assert "".join(delta.get("reasoning") or "" for delta in deltas) == THOUGHTS
    assert "".join(delta["content"] or "" for delta in deltas) == "Who's there? (choice 0)"
    assert [chunk["choices"][0].get("native_finish_reason") for chunk in found][-2:] == ["end_turn", None]
    assert found[-1]["usage"]["cost"] > 0
    assert not any(chunk.get("usage") for chunk in found[:-1])


async def test_keep_alives_come_first(sim: SimulatorServer, http: aiohttp.ClientSession) -> None:
    """A client that takes a comment for an event, or white space for a body, would pass."""
    headers = {"authorization": f"Bearer {API_KEY}"}
    url = sim.base_urls["openrouter"] + "/chat/completions"
    async with http.post(url, json=ASK, headers=headers) as response:
        body = await response.read()
    assert body.startswith(b"\n  ")
    assert json.loads(body)["choices"]
    headers["x-simulate"] = "cut-after-2-events"
    async with http.post(url, json={**ASK, "stream": True}, headers=headers) as response:
        body = await response.read()
    assert body.startswith(b": OPENROUTER PROCESSING\n\ndata: {")
    assert body.count(b"data: ") == sim.requests[-1].chunks_written == 2


@pytest.mark.parametrize(
    "change",
    [
        {"n": 3},
        {"functions": [{"name": "f"}], "function_call": {"name": "f"}},
        {"stream_options": {"include_usage": False}},
        {"reasoning": {"effort": "none"}},
        {"reasoning": {"enabled": False}},
        {"unheard_of": 1},
    ],
)
def test_ignored_parameters_have_no_effect(change: dict[str, Any]) -> None:
    """A client that relies on choices or functions would pass."""
    (choice,) = json.loads(response_to({**ASK, **change}).body)["choices"]
    assert (choice["message"]["content"], choice["message"]["reasoning"]) == ("Who's there? (choice 0)", None)
    assert choice["finish_reason"] == "stop"


@pytest.mark.parametrize("change", [{"reasoning_effort": "high"}, {"reasoning": {"enabled": True}}])
def test_reasoning_can_be_requested_in_two_ways(change: dict[str, Any]) -> None:
    """One of the two ways would have no effect."""
    assert json.loads(response_to({**ASK, **change}).body)["choices"][0]["message"]["reasoning"] == THOUGHTS


def test_excluded_reasoning_is_billed() -> None:
    """Reasoning that is not in the response could not be tested."""
    whole = json.loads(response_to({**ASK, "reasoning": {"max_tokens": 9, "exclude": True}}).body)
    assert whole["choices"][0]["message"]["reasoning"] is None
    assert whole["usage"]["completion_tokens_details"]["reasoning_tokens"] == 8
    assert not any(chunk["choices"][0]["delta"].get("reasoning") for chunk in chunks(reasoning={"exclude": True}))


async def test_a_tool_is_called(openrouter: AsyncOpenAI) -> None:
    """Tools could not be tested."""
    tool: Any = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    reply = await openrouter.chat.completions.create(**ASK, tools=[tool])
    (call,) = reply.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "f"
    ends = [chunk["choices"][0]["native_finish_reason"] for chunk in chunks(tools=[tool])]
    assert ends[-2:] == ["tool_use", None]


async def test_a_repeated_request_gets_another_reply(openrouter: AsyncOpenAI) -> None:
    """The three requests for three choices would all get the same text."""
    texts = [(await openrouter.chat.completions.create(**ASK)).choices[0].message.content for _ in range(3)]
    assert texts == [f"Who's there? (choice {choice})" for choice in range(3)]


@pytest.mark.parametrize("change", [{"model": "no-such-model", "models": [MODEL]}, {"model": None, "models": [MODEL]}])
def test_a_fallback_model_can_reply(change: dict[str, Any]) -> None:
    """OpenRouter's fallbacks could not be tested."""
    assert json.loads(response_to({**ASK, **change}).body)["model"] == MODEL


# --- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("context-length", 400, "context_length_exceeded"),
        ("quota", 402, "payment_required"),
        ("content-policy", 403, "content_policy_violation"),
        ("rate-limit", 429, "rate_limit_exceeded"),
        ("overloaded", 529, "provider_overloaded"),
    ],
)
async def test_errors_have_a_type(
    sim: SimulatorServer, openrouter: AsyncOpenAI, name: str, status: int, kind: str
) -> None:
    """Error types could not be tested."""
    sim.fault = name
    with pytest.raises(sdk.APIStatusError) as caught:
        await openrouter.chat.completions.create(**ASK)
    assert caught.value.status_code == status
    error = json.loads(caught.value.response.content)["error"]
    assert (error["code"], error["metadata"]["error_type"]) == (status, kind)


async def test_an_error_can_come_with_a_successful_status(sim: SimulatorServer, http: aiohttp.ClientSession) -> None:
    """Upstream failures with a successful status could not be tested."""
    sim.fault = Fault.status(200)
    url = sim.base_urls["openrouter"] + "/chat/completions"
    async with http.post(url, json=ASK, headers={"authorization": f"Bearer {API_KEY}"}) as response:
        assert response.status == 200
        assert (await response.json())["error"]["code"] == 502


async def test_an_error_in_a_stream_ends_it(sim: SimulatorServer, openrouter: AsyncOpenAI) -> None:
    """The event would be read as a chunk."""
    sim.fault = "error-after-2-events"
    stream = await openrouter.chat.completions.create(**ASK, stream=True)
    received: list[Any] = []

    async def drain() -> None:
        async for chunk in stream:
            received.append(chunk)

    with pytest.raises(sdk.APIError, match="overloaded"):
        await drain()
    assert len(received) == 2


def test_the_chunk_of_an_error_has_the_finish_reason_error() -> None:
    """A client that reads choices only would take the end for a regular one."""
    request = SimulatedRequest(method="POST", path="", headers={}, body=ASK, uid="0" * 32, now=1.5)
    chunk, end = FORMAT.stream_error(request, FORMAT.errors["overloaded"]).split(b"\n\n")[:2]
    found = json.loads(chunk[6:])
    assert found["error"]["metadata"]["error_type"] == "provider_overloaded"
    assert found["choices"][0]["finish_reason"] == "error"
    assert end == b"data: [DONE]"


@pytest.mark.parametrize(("key", "message"), [(None, "Missing Authentication header"), ("wrong", "User not found.")])
def test_a_key_is_required(key: str | None, message: str) -> None:
    """A client that does not send its key would pass."""
    status, error = error_for(ASK, key=key)
    assert (status, error["message"]) == (401, message)


@pytest.mark.parametrize(("path", "method", "status"), [("/v1/chat/completions", "POST", 404), (None, "GET", 405)])
def test_the_path_and_the_method_are_validated(path: str | None, method: str, status: int) -> None:
    """A wrong URL would pass."""
    assert error_for(ASK, path=path or "/api/v1/chat/completions", method=method)[0] == status


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (None, 400, "invalid_request"),
        ({**ASK, "model": None}, 400, "invalid_request"),
        ({**ASK, "model": "no-such-model"}, 404, "not_found"),
        ({**ASK, "models": 5, "model": "no-such-model"}, 404, "not_found"),
        ({**ASK, "messages": []}, 400, "invalid_request"),
        ({**ASK, "messages": [{"role": "function", "name": "f", "content": "x"}]}, 400, "invalid_request"),
        ({**ASK, "temperature": 3}, 400, "invalid_request"),
        ({**ASK, "reasoning_effort": "low", "reasoning": {"effort": "high"}}, 400, "invalid_request"),
        ({**ASK, "reasoning_effort": "much"}, 400, "invalid_request"),
    ],
)
def test_rejects_what_the_real_api_rejects(body: Any, status: int, kind: str) -> None:
    """Requests that the real API rejects would pass."""
    code, error = error_for(body)
    assert (code, error["metadata"]["error_type"]) == (status, kind)
