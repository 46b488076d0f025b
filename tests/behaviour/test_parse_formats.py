"""Tests of `client.parse` in every wire format: values, and the ways in which models end without one."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings

from anycompletion import (
    AsyncCompletion,
    ChatCompletion,
    ChatRequest,
    ReplyError,
    ReplyRefusedError,
    ReplyTruncatedError,
    ReplyValidationError,
    UnsupportedParameterError,
)
from anycompletion.dialects.base import Target
from anycompletion.http import Headers, HttpResponse
from anycompletion.providers import DIALECTS
from anycompletion.structured.reply_type import ReplyType
from anycompletion.structured.types import compile_type
from anycompletion.testing import FakeProvider, SimulatorServer, tool_call
from support.random_types import RandomType, random_types, typed_values
from support.simulated import MODEL_BY_DIALECT

Mode = Literal["auto", "schema", "tool", "json", "prompt"]
MODES: tuple[Mode, ...] = ("auto", "schema", "tool", "json", "prompt")

CASES = [(mode, model) for model in MODEL_BY_DIALECT.values() for mode in MODES]


@dataclass
class Recipe:
    title: str
    minutes: int


CUT = '{"title": "Toast", "minu'


def answer_with(text: str) -> Callable[[ChatRequest], Any]:
    """A model that answers with this JSON, as text or by the tool `answer`."""

    def answer(request: ChatRequest) -> Any:
        return tool_call("answer", **json.loads(text)) if request.tools else text

    return answer


async def parse_in_all_ways(client: AsyncCompletion, into: Any) -> tuple[list[Any], Counter[str]]:
    """The values or errors of a call in each mode that each format has, and how many there are by format."""
    found: list[Any] = []
    asked: Counter[str] = Counter()
    for mode, model in CASES:
        try:
            found.append((await client.parse(model, "?", into, mode=mode)).parsed)
        except UnsupportedParameterError as error:
            if error.param != "mode":
                raise
            continue
        except ReplyError as error:
            found.append(error)
        asked[model] += 1
    return found, asked


FEW = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@given(typed_values(3))
@FEW
def test_any_value_comes_back_in_every_mode_of_every_format(case: tuple[Any, Any]) -> None:
    """A value would be lost or changed on the way through a format, or a schema of a type could not be sent."""
    into, value = case

    async def ask() -> None:
        fake = FakeProvider(answer_with(compile_type(into).encode(value).decode()), name="*")
        async with AsyncCompletion(providers=[fake]) as client:
            found, asked = await parse_in_all_ways(client, into)
        assert [each for each in found if each != value] == []
        assert min(asked[model] for model in MODEL_BY_DIALECT.values()) >= 2

    asyncio.run(ask())


@given(random_types(3))
@FEW
def test_every_schema_is_accepted_by_the_simulator(found: RandomType) -> None:
    """A provider would refuse the schema of a type."""

    async def ask() -> None:
        async with (
            SimulatorServer() as simulator,
            AsyncCompletion(base_urls=simulator.base_urls, api_keys=simulator.api_keys) as client,
        ):
            replies, _ = await parse_in_all_ways(client, found.hint)
        # What a schema cannot say, such as a limit that a provider does not know, the sample may miss.
        kinds = {type(each) for each in replies if isinstance(each, ReplyError)}
        assert kinds <= {ReplyValidationError}

    asyncio.run(ask())


def ended(reason: str, text: str = "", **members: Any) -> ChatCompletion:
    """A reply with a finish reason of its own."""
    message = {"role": "assistant", "content": text, **members}
    return ChatCompletion.from_dict({"choices": [{"message": message, "finish_reason": reason}]})


WITHOUT_LENGTH = {"replicate_predictions"}
"""Formats that do not report that a reply was cut."""


@pytest.mark.parametrize("model", [each for name, each in MODEL_BY_DIALECT.items() if name not in WITHOUT_LENGTH])
async def test_a_cut_reply_is_an_error_with_the_part_that_came(model: str) -> None:
    """A format's reply that ends at the token limit would be asked again, or lose what was paid for."""
    async with AsyncCompletion(providers=[FakeProvider(ended("length", CUT), name="*")]) as client:
        with pytest.raises(ReplyTruncatedError) as caught:
            await client.parse(model, "?", Recipe, mode="prompt", max_reasks=3)
    assert caught.value.data == {"title": "Toast"}
    assert caught.value.partial is not None
    assert caught.value.partial.text == CUT


WITHOUT_FILTER = {"ollama_chat", "replicate_predictions"}
"""Formats that have no finish reason of a filter."""


@pytest.mark.parametrize("model", [each for name, each in MODEL_BY_DIALECT.items() if name not in WITHOUT_FILTER])
async def test_a_filtered_reply_is_an_error(model: str) -> None:
    """What a filter left of a reply would be taken for its value."""
    async with AsyncCompletion(providers=[FakeProvider(ended("content_filter", CUT), name="*")]) as client:
        with pytest.raises(ReplyRefusedError) as caught:
            await client.parse(model, "?", Recipe, mode="prompt", max_reasks=3)
    assert caught.value.refusal == ""


CLAUDE = {"id": "1", "type": "message", "role": "assistant", "model": "m", "usage": {}}
CANDIDATE = {"content": {"role": "model", "parts": [{"text": CUT}]}}
CONVERSE = {"output": {"message": {"role": "assistant", "content": [{"text": CUT}]}}}
RESPONSE = {"id": "1", "object": "response", "model": "m"}
OUTPUT = {"type": "message", "role": "assistant", "status": "completed"}
NATIVE: dict[str, tuple[str, Any, type[ReplyError]]] = {
    "OpenAI's refusal": (
        "openai_chat",
        {"choices": [{"message": {"content": None, "refusal": "No."}, "finish_reason": "stop"}]},
        ReplyRefusedError,
    ),
    "a refusal of the Responses API": (
        "openai_responses",
        RESPONSE | {"status": "completed", "output": [OUTPUT | {"content": [{"type": "refusal", "refusal": "No."}]}]},
        ReplyRefusedError,
    ),
    "an incomplete response": (
        "openai_responses",
        RESPONSE
        | {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
        | {"output": [OUTPUT | {"content": [{"type": "output_text", "text": CUT}]}]},
        ReplyTruncatedError,
    ),
    "Claude's refusal": (
        "anthropic_messages",
        CLAUDE | {"content": [{"type": "text", "text": CUT}], "stop_reason": "refusal"},
        ReplyRefusedError,
    ),
    "Claude's limit": (
        "anthropic_messages",
        CLAUDE | {"content": [{"type": "text", "text": CUT}], "stop_reason": "max_tokens"},
        ReplyTruncatedError,
    ),
    "Claude's context window": (
        "anthropic_messages",
        CLAUDE | {"content": [{"type": "text", "text": CUT}], "stop_reason": "model_context_window_exceeded"},
        ReplyTruncatedError,
    ),
    "Gemini's safety": (
        "gemini_generate",
        {"candidates": [CANDIDATE | {"finishReason": "SAFETY"}]},
        ReplyRefusedError,
    ),
    "Gemini's blocked prompt": (
        "gemini_generate",
        {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}},
        ReplyRefusedError,
    ),
    "Gemini's limit": (
        "gemini_generate",
        {"candidates": [CANDIDATE | {"finishReason": "MAX_TOKENS"}]},
        ReplyTruncatedError,
    ),
    "Cohere's toxicity": (
        "cohere_chat",
        {"id": "1", "message": {"content": [{"type": "text", "text": CUT}]}, "finish_reason": "ERROR_TOXIC"},
        ReplyRefusedError,
    ),
    "Bedrock's guardrail": (
        "bedrock_converse",
        {
            "output": {"message": {"role": "assistant", "content": [{"text": CUT}]}},
            "stopReason": "guardrail_intervened",
        },
        ReplyRefusedError,
    ),
    "Bedrock's filter": (
        "bedrock_converse",
        CONVERSE | {"stopReason": "content_filtered"},
        ReplyRefusedError,
    ),
    "Ollama's limit": (
        "ollama_chat",
        {"model": "m", "message": {"role": "assistant", "content": CUT}, "done": True, "done_reason": "length"},
        ReplyTruncatedError,
    ),
}
"""Name → dialect, the body of a response in its own words, and the error that it is."""


@pytest.mark.parametrize("name", NATIVE)
def test_the_words_of_each_provider_are_understood(name: str) -> None:
    """A refusal or a cut reply would be read as a value that does not fit, and be asked again in vain."""
    dialect, body, error = NATIVE[name]
    target = Target(provider="p", model="m", base_url="https://p.example", quirks=DIALECTS[dialect].quirks_type())
    response = HttpResponse(200, Headers({}), json.dumps(body).encode())
    reply = DIALECTS[dialect].decode(response, ChatRequest("m", "?"), target)
    assert isinstance(reply, ChatCompletion)
    with pytest.raises(error) as caught:
        ReplyType(compile_type(Recipe)).read_stored(reply)
    assert CUT not in f"{caught.value} {caught.value!r}"
