"""OpenAI's Responses API through the client: by the model's name, in the background, and in conversations."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from anycompletion import (
    APIError,
    APIResponseError,
    APITimeoutError,
    AsyncCompletion,
    BadRequestError,
    ChatCompletion,
    InternalServerError,
    NotFoundError,
)
from anycompletion.dialects.openai_responses import responses_urls
from anycompletion.testing import SimulatorServer
from support.raw_server import REQUEST, RawServer, answer
from support.resource_leaks import nothing_left

MODEL = "openai/responses/gpt-5.2"
BACKGROUND: dict[str, Any] = {"extra_body": {"background": True}}
TOOLS_WHILE_REASONING = (
    "Function tools with reasoning_effort are not supported for gpt-5.4 in /v1/chat/completions. "
    "Please use /v1/responses instead."
)


@asynccontextmanager
async def simulated(**options: Any) -> AsyncIterator[tuple[SimulatorServer, AsyncCompletion]]:
    async with SimulatorServer(**options) as sim:
        client = AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys, max_retries=0)
        async with client, nothing_left(client):
            yield sim, client


async def ask(client: AsyncCompletion, model: str = MODEL, **options: Any) -> ChatCompletion:
    found = await client.create(model, "Hi.", **options)
    assert isinstance(found, ChatCompletion)
    return found


def paths(sim: SimulatorServer) -> list[str]:
    """Method and the last segments of the path of each request."""
    return [f"{request.method} {request.path.partition('/v1/')[2]}" for request in sim.requests]


# --- the endpoint -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "path", "warnings"),
    [
        ("openai/gpt-5.2", "chat/completions", 0),
        ("openai/responses/gpt-5.2", "responses", 0),
        ("openai/o3-pro", "responses", 1),
        ("openai/responses/o3-pro", "responses", 0),
    ],
)
async def test_the_models_name_chooses_the_endpoint(model: str, path: str, warnings: int) -> None:
    """A model would be asked at an endpoint that does not serve it, or at another one without a word."""
    async with simulated() as (sim, client):
        info = (await ask(client, model)).info
        assert paths(sim) == [f"POST {path}"]
        assert info is not None
        assert [each for each in info.warnings if "has no other endpoint" in each] == list(info.warnings)
        assert len(info.warnings) == warnings
        assert sim.requests[0].body["model"] == model.rpartition("/")[2]


async def test_the_warning_names_what_was_asked() -> None:
    """Callers would not learn by which name they get the same without a warning."""
    async with simulated() as (_, client):
        info = (await ask(client, "openai/o3-pro")).info
        assert info is not None
        assert list(info.warnings) == ["asked as openai/responses/o3-pro: the model has no other endpoint"]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_of_the_chat_api_names_the_other_endpoint(stream: bool) -> None:
    """Callers would look for the path in the message, and not for the model's name."""
    body = json.dumps({"error": {"message": TOOLS_WHILE_REASONING, "type": "invalid_request_error"}}).encode()
    async with RawServer((REQUEST, answer(body, 400))) as server:
        client = AsyncCompletion(base_urls={"openai": server.url}, api_keys={"openai": "key"}, max_retries=0)
        async with client:
            with pytest.raises(BadRequestError) as caught:
                await client.create("openai/gpt-5.4", "Hi.", stream=stream)
    assert caught.value.message == f"{TOOLS_WHILE_REASONING} (openai/responses/gpt-5.4 asks that endpoint)"
    assert caught.value.args == (caught.value.message,)


async def test_an_error_of_the_other_endpoint_has_no_hint() -> None:
    """The hint would name the endpoint that was asked."""
    body = json.dumps({"error": {"message": TOOLS_WHILE_REASONING, "type": "invalid_request_error"}}).encode()
    async with RawServer((REQUEST, answer(body, 400))) as server:
        client = AsyncCompletion(base_urls={"openai": server.url}, api_keys={"openai": "key"}, max_retries=0)
        async with client:
            with pytest.raises(BadRequestError) as caught:
                await client.create("openai/responses/gpt-5.4", "Hi.")
    assert caught.value.message == TOOLS_WHILE_REASONING


# --- conversations ----------------------------------------------------------------------------------------------------


NUMBERS = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
ADD = {"type": "function", "function": {"name": "add", "parameters": NUMBERS}}


@pytest.mark.parametrize("stream", [False, True])
async def test_reasoning_goes_back_with_the_calls(stream: bool) -> None:
    """The model would think again after each call; the simulator refuses changed reasoning."""
    async with simulated() as (sim, client):
        options: dict[str, Any] = {"tools": [ADD], "reasoning_effort": "low"}
        if stream:
            async with client.stream(MODEL, "Hi.", **options) as pieces:
                first = await pieces.get_final_completion()
        else:
            first = await ask(client, **options)
        message = first.choices[0].message
        assert message.reasoning_content
        (call,) = message.tool_calls or ()
        result = {"role": "tool", "tool_call_id": call.id, "content": "3"}
        final = await client.create(MODEL, [{"role": "user", "content": "Hi."}, message, result], **options)
        assert isinstance(final, ChatCompletion)
        assert final.text.startswith("The tool says: 3")
        kinds = [item.get("type") or item["role"] for item in sim.requests[1].body["input"]]
        assert kinds == ["user", "reasoning", "function_call", "function_call_output"]
        assert all(request.body["store"] is False for request in sim.requests)


# --- the background ---------------------------------------------------------------------------------------------------


@pytest.fixture
def polling_without_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Responses in the background are polled without a delay."""
    monkeypatch.setattr(responses_urls, "_SHORTEST_DELAY", 0.001)
    monkeypatch.setattr(responses_urls, "_LONGEST_DELAY", 0.001)


@pytest.mark.usefixtures("polling_without_delay")
async def test_a_response_in_the_background_is_polled_until_it_ends() -> None:
    """The reply would be one without text."""
    async with simulated() as (sim, client):
        found = await ask(client, **BACKGROUND)
        assert found.text.startswith("You said: Hi.")
        assert paths(sim) == ["POST responses", *[f"GET responses/{found.id}"] * 2]
        assert "store" not in sim.requests[0].body


async def test_a_cancelled_call_cancels_its_response_at_the_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """The generation of a cancelled call would go on, and be billed."""
    monkeypatch.setattr(responses_urls, "_SHORTEST_DELAY", 30.0)
    async with simulated() as (sim, client):
        task = asyncio.create_task(ask(client, **BACKGROUND))
        await _until(lambda: len(sim.requests) == 1)
        await asyncio.sleep(0.05)  # until its response was read
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await _until(lambda: len(sim.requests) == 2)
        assert paths(sim)[1].startswith("POST responses/resp_")
        assert paths(sim)[1].endswith("/cancel")
        assert sim.requests[1].body is None


async def _until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.usefixtures("polling_without_delay")
async def test_a_response_that_another_program_cancelled() -> None:
    """A response that ended without an answer would be polled forever."""
    queued = {"id": "resp_1", "object": "response", "status": "queued", "background": True, "output": []}
    bodies = [answer(json.dumps({**queued, "status": status}).encode()) for status in ("queued", "cancelled")]
    async with RawServer(*((REQUEST, body) for body in bodies)) as server:
        client = AsyncCompletion(base_urls={"openai": server.url}, api_keys={"openai": "key"}, max_retries=0)
        async with client:
            with pytest.raises(APIResponseError, match="the response was cancelled"):
                await ask(client, **BACKGROUND)


QUEUED = {"id": "resp_1", "object": "response", "status": "queued", "background": True, "output": []}
LOST = {"error": {"message": "Response with id 'resp_1' not found.", "type": "invalid_request_error"}}


@asynccontextmanager
async def scripted(*bodies: bytes, **options: Any) -> AsyncIterator[tuple[RawServer, AsyncCompletion]]:
    """A server that answers one request after the other, and its client."""
    script = [step for body in bodies for step in (REQUEST, body)]
    async with RawServer(script) as server:
        client = AsyncCompletion(base_urls={"openai": server.url}, api_keys={"openai": "key"}, max_retries=0, **options)
        async with client:
            yield server, client


@pytest.mark.usefixtures("polling_without_delay")
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("poll", "kind"),
    [
        (answer(json.dumps(LOST).encode(), 404), NotFoundError),
        (answer(b"{}"), APIResponseError),
        (answer(json.dumps(LOST).encode(), 500), InternalServerError),
    ],
)
async def test_a_response_that_no_poll_finds_is_cancelled(poll: bytes, kind: type[APIError], stream: bool) -> None:
    """It would be polled forever, be asked for twice, or go on and be billed although the call has failed."""
    queued = answer(json.dumps(QUEUED).encode())
    async with scripted(queued, poll, queued) as (server, client):
        with pytest.raises(kind):
            if stream:
                async with client.stream(MODEL, "Hi.", **BACKGROUND) as pieces:
                    await pieces.get_final_completion()
            else:
                await ask(client, **BACKGROUND)
        await _until(lambda: len(server.requests) == 3)
        lines = [request.line.rpartition(" ")[0] for request in server.requests]
        assert lines == ["POST /responses", "GET /responses/resp_1", "POST /responses/resp_1/cancel"]


@pytest.mark.parametrize("delay", [0.05, 30.0])
async def test_the_total_timeout_ends_polling(delay: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """A response that never ends would be polled forever, and its waits would be longer than the call may take."""
    monkeypatch.setattr(responses_urls, "_SHORTEST_DELAY", delay)
    queued = answer(json.dumps(QUEUED).encode())
    async with scripted(*[queued] * 100) as (server, client):
        began = asyncio.get_running_loop().time()
        with pytest.raises(APITimeoutError, match=r"the total timeout of 0\.3 s ran out") as caught:
            await ask(client, timeout=0.3, **BACKGROUND)
        assert asyncio.get_running_loop().time() - began < 2
        assert (caught.value.phase, caught.value.maybe_billed) == ("total", True)
        await _until(lambda: "/cancel" in server.requests[-1].line)
