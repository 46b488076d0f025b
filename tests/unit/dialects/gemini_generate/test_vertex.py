"""Gemini on Vertex AI: the URLs of projects, of express mode and of tuned models, and fields that differ."""

from __future__ import annotations

from typing import Any

import pytest

from anycompletion import PROVIDERS, AsyncCompletion, InvalidRequestError, supported_params
from anycompletion.dialects.base import Target
from anycompletion.dialects.gemini_generate.dialect import DIALECT
from anycompletion.http import HttpRequest
from anycompletion.testing import SimulatorServer
from anycompletion.validation.request_checks import build_request

VERTEX = PROVIDERS["vertex"]
PROJECT = "https://aiplatform.googleapis.com/projects/p/locations/global"
IN_PROJECT = "https://aiplatform.googleapis.com/v1beta1/projects/p/locations/global"
EXPRESS = VERTEX.api_key_base_url


def encoded(model: str = "gemini-2.5-flash", base_url: str = PROJECT, *, stream: bool = False, **options: Any) -> Any:
    """The HTTP request for one question."""
    params = {name: value for name, value in options.items() if name not in ("api_version", "on_unsupported")}
    target = Target(
        provider="vertex",
        model=model,
        base_url=base_url,
        path=VERTEX.path,
        quirks=VERTEX.quirks,
        stream=stream,
        **{name: value for name, value in options.items() if name not in params},
    )
    request = DIALECT.encode(build_request(model, "Hi.", params), target, {})
    assert isinstance(request, HttpRequest)
    return request


URLS: list[tuple[dict[str, Any], str]] = [
    ({}, f"{IN_PROJECT}/publishers/google/models/gemini-2.5-flash:generateContent"),
    ({"stream": True}, f"{IN_PROJECT}/publishers/google/models/gemini-2.5-flash:streamGenerateContent?alt=sse"),
    (
        {"api_version": "v1"},
        "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google/models/"
        "gemini-2.5-flash:generateContent",
    ),
    (
        {"base_url": "https://gateway.example/vertex/v1/projects/p/locations/us"},
        "https://gateway.example/vertex/v1/projects/p/locations/us/publishers/google/models/"
        "gemini-2.5-flash:generateContent",
    ),
    (
        {"base_url": EXPRESS},
        "https://aiplatform.googleapis.com/v1beta1/publishers/google/models/gemini-2.5-flash:generateContent",
    ),
    ({"model": "endpoints/4242"}, f"{IN_PROJECT}/endpoints/4242:generateContent"),
    ({"model": "publishers/google/models/gemini-x"}, f"{IN_PROJECT}/publishers/google/models/gemini-x:generateContent"),
    (
        {"model": "projects/q/locations/us/endpoints/1"},
        "https://aiplatform.googleapis.com/v1beta1/projects/q/locations/us/endpoints/1:generateContent",
    ),
]


@pytest.mark.parametrize(("options", "url"), URLS)
def test_the_url_has_project_publisher_and_model(options: dict[str, Any], url: str) -> None:
    """Google would answer 404."""
    assert encoded(**options).url == url


@pytest.mark.parametrize("model", ["../x", "a//b", "gemini/..", "."])
def test_a_model_cannot_change_the_path(model: str) -> None:
    """A customer who chooses the model could call other methods of the API with the service's token."""
    with pytest.raises(InvalidRequestError) as caught:
        encoded(model)
    assert caught.value.param == "model"


@pytest.mark.parametrize("character", ["?", "&", "#", " "])
def test_special_characters_of_a_model_are_encoded(character: str) -> None:
    """A model's name could add parameters to the URL."""
    assert character not in encoded(f"a{character}b").url


TIERS: list[tuple[str, dict[str, str]]] = [
    ("auto", {}),
    ("default", {}),
    ("standard", {}),
    ("flex", {"X-Vertex-AI-LLM-Shared-Request-Type": "flex"}),
    ("priority", {"X-Vertex-AI-LLM-Shared-Request-Type": "priority"}),
]


@pytest.mark.parametrize(("tier", "headers"), TIERS)
def test_a_service_tier_is_a_header(tier: str, headers: dict[str, str]) -> None:
    """Vertex AI refuses the field that the Gemini API has for it, and the call would fail."""
    request = encoded(service_tier=tier)
    assert request.headers == headers
    assert "serviceTier" not in request.body


def test_metadata_are_labels() -> None:
    """Costs could not be attributed to a customer."""
    assert encoded(metadata={"team": "search"}).body["labels"] == {"team": "search"}


def test_the_table_states_the_differences() -> None:
    """An application would take the Gemini API's support for that of Vertex AI."""
    vertex, gemini = supported_params("vertex/gemini-2.5-flash"), supported_params("gemini/gemini-2.5-flash")
    assert {name for name, entry in vertex.items() if entry != gemini[name]} == {"metadata", "service_tier"}


# --- signatures -------------------------------------------------------------------------------------------------------

TOOL = {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}
MODELS = {"vertex": "vertex/gemini-3-flash-preview", "gemini": "gemini/gemini-3-flash-preview"}
OTHERS = ("openai/gpt-4o", "anthropic/claude-haiku-4-5", "vertex-anthropic/claude-haiku-4-5@20251001")


async def conversation(client: AsyncCompletion, model: str, *, stream: bool) -> list[Any]:
    """The messages of a question, a signed call of `model` and its result."""
    question = {"role": "user", "content": "What time is it?"}
    if stream:
        reply = await client.stream(model, [question], tools=[TOOL]).get_final_completion()
    else:
        reply = await client.create(model, [question], tools=[TOOL])
    message = reply.choices[0].message
    assert message.tool_calls is not None
    return [question, message, {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "Noon."}]


@pytest.mark.parametrize("stream", [False, True], ids=["reply", "stream"])
@pytest.mark.parametrize("service", MODELS)
async def test_signatures_go_back_to_the_service_that_wrote_them(service: str, stream: bool) -> None:
    """Google would refuse the next turn: each of its two services takes its own signatures only."""
    async with SimulatorServer() as sim, AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys) as client:
        messages = await conversation(client, MODELS[service], stream=stream)
        native = messages[1].provider_specific_fields["gemini_content"]
        signature = native[0]["thoughtSignature"]
        for other, model in MODELS.items():
            await client.create(model, messages, tools=[TOOL], on_unsupported="drop")
            turn = sim.requests[-1].body["contents"][1]
            assert (signature == turn["parts"][0]["thoughtSignature"]) == (other == service)
            assert (turn["parts"] == native) == (other == service)


@pytest.mark.parametrize("model", OTHERS)
async def test_signatures_go_to_no_other_provider(model: str) -> None:
    """Another provider would refuse fields it does not know, or read one customer's opaque data."""
    async with SimulatorServer() as sim, AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys) as client:
        messages = await conversation(client, MODELS["vertex"], stream=False)
        signature = messages[1].provider_specific_fields["gemini_content"][0]["thoughtSignature"]
        reply = await client.create(model, messages, tools=[TOOL])
        assert "Noon." in reply.text
        assert signature not in sim.requests[-1].raw.decode()
        assert "gemini" not in sim.requests[-1].raw.decode()


async def test_thinking_of_claude_goes_back_to_anthropic_and_to_vertex_ai() -> None:
    """A conversation could not move between two hosts of one model, whose signatures are the same."""
    models = ("anthropic/claude-haiku-4-5", "vertex-anthropic/claude-haiku-4-5@20251001")
    async with SimulatorServer() as sim, AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys) as client:
        for model in models:
            thinking: dict[str, Any] = {"reasoning_effort": "low", "max_tokens": 2000}
            question = {"role": "user", "content": "Hi."}
            reply = await client.create(model, [question], **thinking)
            message = reply.choices[0].message
            for other in models:
                await client.create(other, [question, message, question], **thinking)
                assert sim.requests[-1].body["messages"][1]["content"][0] == (message.thinking_blocks or [])[0]
