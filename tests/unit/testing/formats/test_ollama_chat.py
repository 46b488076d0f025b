"""Tests of the simulated Ollama, with Ollama's own package where it is installed, and its server's errors."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from anycompletion.testing import SimulatorServer
from anycompletion.testing.formats.ollama_chat.simulate import API_KEY, FORMAT
from anycompletion.testing.formats.wire_format import SimulatedRequest, WholeResponse

KNOCK: list[Any] = [{"role": "user", "content": "Knock knock."}]
ASK: dict[str, Any] = {"model": "qwen3:8b", "messages": KNOCK}
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: list[Any] = [{"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}]


@pytest.fixture
async def ollama(sim: SimulatorServer) -> AsyncIterator[Any]:
    """Ollama's own package, pointed at the simulator."""
    sdk = pytest.importorskip("ollama", reason="Ollama's package is not installed")
    client = sdk.AsyncClient(host=sim.base_urls["ollama"], headers={"authorization": f"Bearer {API_KEY}"})
    yield client
    await client.close()


async def test_the_package_reads_a_whole_response(ollama: Any) -> None:
    """The simulator's format would differ from the server's."""
    response = await ollama.chat(**ASK, think=True, logprobs=True, top_logprobs=1)
    assert response.message.content == "Who's there? (choice 0)"
    assert response.message.thinking == "Let me think about that."
    assert (response.done, response.done_reason) == (True, "stop")
    assert (response.prompt_eval_count, response.eval_count) == (2, 9)
    assert response.total_duration > 0
    assert [token.token for token in response.logprobs] == ["Who's", " there?", " (choice", " 0)"]


async def test_the_package_reads_a_stream(ollama: Any) -> None:
    """Lines of a stream would have wrong members."""
    parts = [part async for part in await ollama.chat(**ASK, think=True, stream=True)]
    assert "".join(part.message.content for part in parts) == "Who's there? (choice 0)"
    assert "".join(part.message.thinking or "" for part in parts) == "Let me think about that."
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert (parts[-1].done_reason, parts[-1].eval_count) == ("stop", 9)


@pytest.mark.parametrize("stream", [False, True])
async def test_the_package_reads_calls(ollama: Any, stream: bool) -> None:
    """A tool's arguments would not fit its schema, or come in pieces."""
    if stream:
        parts = [part async for part in await ollama.chat(**ASK, tools=TOOLS, stream=True)]
        calls = [call for part in parts for call in part.message.tool_calls or ()]
    else:
        calls = (await ollama.chat(**ASK, tools=TOOLS)).message.tool_calls
    assert [(call.function.name, call.function.arguments) for call in calls] == [("get_weather", {"city": "some city"})]


async def test_formats_and_limits_are_kept(ollama: Any) -> None:
    """A test of an app with a schema or a limit would fail with the simulator only."""
    response = await ollama.chat(**ASK, format=SCHEMA)
    assert json.loads(response.message.content) == {"city": "some city"}
    response = await ollama.chat(**ASK, options={"num_predict": 1})
    assert (response.message.content, response.done_reason) == ("Who's", "length")
    response = await ollama.chat(**ASK, options={"stop": ["there"]})
    assert (response.message.content, response.done_reason) == ("Who's ", "stop")


async def test_the_package_raises_errors(sim: SimulatorServer, ollama: Any) -> None:
    """An app's error handling would be tested with another form of errors."""
    for fault, status in (("not-found", 404), ("unavailable", 503)):
        sim.fault = fault
        with pytest.raises(Exception, match=FORMAT.errors[fault].message[:10]) as caught:
            await ollama.chat(**ASK)
        assert getattr(caught.value, "status_code", None) == status
    sim.fault = "error-after-1-events"
    with pytest.raises(Exception, match="overloaded"):
        [part async for part in await ollama.chat(**ASK, stream=True)]


def status_of(body: Any, *, path: str = "/api/chat", method: str = "POST", key: str | None = API_KEY) -> int:
    """The status of the response to a body, without a server; an error has a text only."""
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    request = SimulatedRequest(method=method, path=path, headers=headers, body=body, uid="0" * 32, now=1.5)
    response = FORMAT.respond(request)
    if response.status >= 400:
        assert isinstance(response, WholeResponse)
        assert json.loads(response.body).keys() == {"error"}
    return response.status


REJECTED: dict[str, tuple[int, dict[str, Any]]] = {
    "no model": (400, {"model": ""}),
    "a model of another type": (400, {"model": 7}),
    "an unknown model": (404, {"model": "no-such-model"}),
    "no messages": (400, {"messages": []}),
    "an unknown role": (400, {"messages": [{"role": "developer", "content": "Hi"}]}),
    "content parts": (400, {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]}),
    "an image with a prefix": (400, {"messages": [{"role": "user", "content": "Hi", "images": ["data:image/png,x"]}]}),
    "arguments as text": (
        400,
        {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}]},
    ),
    "an unknown level": (400, {"think": "minimal"}),
    "a format": (400, {"format": "xml"}),
    "options in a list": (400, {"options": []}),
    "an option of another type": (400, {"options": {"num_ctx": "8k"}}),
    "a stop in a text": (400, {"options": {"stop": "END"}}),
    "too many alternatives": (400, {"top_logprobs": 21}),
    "alternatives in a text": (400, {"top_logprobs": "2"}),
    "a stream in a text": (400, {"stream": "yes"}),
    "tools in an object": (400, {"tools": {}}),
    "a tool without a function": (400, {"tools": [{"type": "function"}]}),
    "parameters in a list": (400, {"tools": [{"function": {"name": "f", "parameters": []}}]}),
}


@pytest.mark.parametrize("name", REJECTED)
def test_what_the_server_rejects_is_rejected(name: str) -> None:
    """An app's mistake would be found in production only."""
    status, change = REJECTED[name]
    assert status_of({**ASK, **change}) == status


def test_other_requests_are_rejected() -> None:
    """A wrong key, path or method would work in tests."""
    assert status_of(ASK) == 200
    assert status_of({**ASK, "unknown": 1, "options": {"unknown": 1}, "keep_alive": "5m"}) == 200
    assert [status_of(ASK, key=key) for key in (None, "other")] == [401, 401]
    assert status_of(ASK, path="/api/generate") == 404
    assert status_of(ASK, method="GET") == 405
