"""Tests of the simulated Azure, with OpenAI's own SDK for it and the real API's errors."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import openai as sdk
import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI

from anycompletion.testing import SimulatorServer
from anycompletion.testing.formats.azure.simulate import API_KEY, FORMAT
from anycompletion.testing.formats.wire_format import SimulatedRequest, WholeResponse

KNOCK: list[Any] = [{"role": "user", "content": "Knock knock."}]
VERSION = "2024-10-21"
MODEL = "our-gpt-2025-04-14"
CLASSIC = "/openai/deployments/our-gpt/chat/completions"
V1 = "/openai/v1/chat/completions"
FOUNDRY = "/models/chat/completions"
DATED = {"api-version": VERSION}


@pytest.fixture
async def azure(sim: SimulatorServer) -> AsyncIterator[AsyncAzureOpenAI]:
    """OpenAI's SDK for Azure, pointed at the simulator."""
    async with AsyncAzureOpenAI(
        azure_endpoint=sim.base_urls["azure"],
        api_key=sim.api_keys["azure"],
        api_version=VERSION,
        max_retries=0,
        timeout=10,
    ) as client:
        yield client


def response_to(
    body: Any, path: str = CLASSIC, query: dict[str, str] | None = None, *, method: str = "POST", **headers: str
) -> Any:
    """The simulated response to a body, without a server."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()} or {"api-key": API_KEY}
    query = DATED if query is None else query
    return FORMAT.respond(
        SimulatedRequest(method=method, path=path, headers=sent, body=body, uid="0" * 32, now=1.5, query=query)
    )


# --- responses ----------------------------------------------------------------------------------------------------


async def test_the_sdk_reads_a_whole_response(azure: AsyncAzureOpenAI) -> None:
    """The simulator's format would differ from the provider's."""
    raw = await azure.chat.completions.with_raw_response.create(model="our-gpt", messages=KNOCK, n=2)
    reply = raw.parse()
    assert raw.headers["apim-request-id"]
    assert reply.model == MODEL
    assert [each.message.content for each in reply.choices] == [f"Who's there? (choice {n})" for n in range(2)]
    whole = reply.model_dump()
    assert whole["prompt_filter_results"][0]["content_filter_results"]["jailbreak"]["detected"] is False
    assert whole["choices"][1]["content_filter_results"]["hate"] == {"filtered": False, "severity": "safe"}


async def test_a_stream_begins_with_the_filter_results_of_the_prompt(azure: AsyncAzureOpenAI) -> None:
    """A client that looks at the first choice of every chunk would pass."""
    stream = await azure.chat.completions.create(
        model="our-gpt", messages=KNOCK, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    first = chunks[0].model_dump()
    assert (first["choices"], first["id"], first["model"]) == ([], "", "")
    assert first["prompt_filter_results"]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks[1:-1])
    assert text == "Who's there? (choice 0)"
    assert chunks[2].model_dump()["choices"][0]["content_filter_results"]["protected_material_code"]
    assert (chunks[-1].choices, chunks[-1].usage.completion_tokens if chunks[-1].usage else 0) == ([], 4)


async def test_a_tool_is_called(azure: AsyncAzureOpenAI) -> None:
    """Tools could not be tested."""
    tool: Any = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    async with azure.chat.completions.stream(model="our-gpt", messages=KNOCK, tools=[tool]) as stream:
        reply = await stream.get_final_completion()
    assert reply.choices[0].finish_reason == "tool_calls"
    assert [call.function.name for call in reply.choices[0].message.tool_calls or []] == ["f"]


async def test_the_plain_sdk_can_use_the_v1_path(sim: SimulatorServer) -> None:
    """The path without a version could not be tested."""
    url = sim.base_urls["azure"] + "/openai/v1"
    async with AsyncOpenAI(api_key=sim.api_keys["azure"], base_url=url, max_retries=0) as client:
        reply = await client.chat.completions.create(model="our-gpt", messages=KNOCK)
        assert reply.model == MODEL
    assert sim.requests[0].provider == "azure"


@pytest.mark.parametrize("headers", [{"api-key": API_KEY}, {"authorization": "Bearer entra-1"}])
@pytest.mark.parametrize("path", [CLASSIC, V1, FOUNDRY])
async def test_every_path_accepts_a_key_or_a_token(
    sim: SimulatorServer, http: aiohttp.ClientSession, path: str, headers: dict[str, str]
) -> None:
    """A path or a way of authentication would be missing."""
    body = {"messages": KNOCK} if path == CLASSIC else {"model": "our-gpt", "messages": KNOCK}
    query = {} if path == V1 else DATED
    async with http.post(sim.base_urls["azure"] + path, params=query, json=body, headers=headers) as response:
        assert response.status == 200
        assert (await response.json())["model"] == MODEL
    assert sim.requests[0].query == query


# --- errors -------------------------------------------------------------------------------------------------------


async def test_the_error_for_a_blocked_prompt_names_the_harm(sim: SimulatorServer, azure: AsyncAzureOpenAI) -> None:
    """The categories of the content filter could not be tested."""
    sim.fault = "content-policy"
    with pytest.raises(sdk.BadRequestError) as caught:
        await azure.chat.completions.create(model="our-gpt", messages=KNOCK)
    assert caught.value.code == "content_filter"
    inner = json.loads(caught.value.response.content)["error"]["innererror"]
    assert inner["code"] == "ResponsibleAIPolicyViolation"
    assert inner["content_filter_result"]["violence"] == {"filtered": True, "severity": "medium"}


async def test_the_sdk_raises_an_error_in_a_stream(sim: SimulatorServer, azure: AsyncAzureOpenAI) -> None:
    """The event would be read as a chunk."""
    sim.fault = "error-after-3-events"
    stream = await azure.chat.completions.create(model="our-gpt", messages=KNOCK, stream=True)
    with pytest.raises(sdk.APIError, match="overloaded"):
        async for _ in stream:
            pass


@pytest.mark.parametrize(
    ("path", "query", "status", "code"),
    [
        (CLASSIC, {}, 404, "404"),
        (FOUNDRY, {}, 400, "BadRequest"),
        (CLASSIC, {"api-version": "v1"}, 400, "BadRequest"),
        (V1, DATED, 400, "BadRequest"),
        ("/openai/deployments/chat/completions", DATED, 404, "404"),
        ("/openai/deployments/no-such-model/chat/completions", DATED, 404, "DeploymentNotFound"),
        ("/chat/completions", DATED, 404, "404"),
    ],
)
def test_the_path_and_its_version_are_validated(path: str, query: dict[str, str], status: int, code: str) -> None:
    """A wrong URL would pass."""
    response = response_to({"model": "our-gpt", "messages": KNOCK}, path, query)
    assert isinstance(response, WholeResponse)
    assert (response.status, json.loads(response.body)["error"]["code"]) == (status, code)


@pytest.mark.parametrize("version", ["2024-05-01-preview", "2023-05-15"])
def test_preview_versions_are_accepted(version: str) -> None:
    """A client's default version would be rejected."""
    assert response_to({"messages": KNOCK}, query={"api-version": version}).status == 200


@pytest.mark.parametrize("version", ["preview", "v1"])
def test_the_v1_path_accepts_named_versions(version: str) -> None:
    """Preview features could not be requested."""
    assert response_to({"model": "m", "messages": KNOCK}, V1, {"api-version": version}).status == 200


def test_a_key_is_required() -> None:
    """A client that does not send its key would pass."""
    for headers in ({"api_key": "wrong"}, {"x": "y"}, {"api_key": "wrong", "authorization": "Bearer entra-1"}):
        response = response_to({"messages": KNOCK}, **headers)
        assert (response.status, json.loads(response.body)["error"]["code"]) == (401, "401")
    assert response_to({"messages": KNOCK}, authorization=f"Bearer {API_KEY}").status == 200


def test_the_error_for_a_token_has_the_gateways_form() -> None:
    """The second form of errors could not be tested."""
    response = response_to({"messages": KNOCK}, authorization="Bearer wrong")
    body = json.loads(response.body)
    assert (response.status, body["statusCode"]) == (401, 401)
    assert body["message"].startswith("Unauthorized")


@pytest.mark.parametrize(
    ("body", "path", "status"),
    [
        (None, CLASSIC, 400),
        ({"messages": []}, CLASSIC, 400),
        ({"messages": KNOCK}, V1, 400),
        ({"model": "no-such-model", "messages": KNOCK}, V1, 404),
        ({"messages": KNOCK, "n": 200}, CLASSIC, 400),
    ],
)
def test_the_body_is_validated(body: Any, path: str, status: int) -> None:
    """Requests that the real API rejects would pass."""
    assert response_to(body, path, {} if path == V1 else None).status == status


def test_only_post_is_accepted() -> None:
    """A wrong method would pass."""
    assert response_to({"messages": KNOCK}, method="GET").status == 405
