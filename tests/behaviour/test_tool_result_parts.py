"""Tests of tool results with images and files, in every wire format that has tools."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from anycompletion import AsyncCompletion, ImagePart, ImageUrl, TextPart, ToolMessage
from anycompletion.dialects.base import Target
from anycompletion.dialects.openai_chat.dialect import DIALECT
from anycompletion.dialects.openai_chat.quirks import Quirks
from anycompletion.providers import known_providers
from anycompletion.testing import FakeProvider, SimulatorServer, tool_call
from anycompletion.tools import ToolError, ToolRun, tool
from anycompletion.validation.request_checks import build_request
from support.simulated import MODEL_BY_DIALECT, WITH_FUNCTIONS

PNG = "iVBORw0KGgo="
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
IMAGE: dict[str, Any] = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
TEXT = {"type": "text", "text": "A lighthouse."}


def called(*ids: str) -> list[dict[str, Any]]:
    """A conversation whose last message calls the tool, once for each id."""
    calls = [{"id": each, "type": "function", "function": {"name": "look", "arguments": "{}"}} for each in ids]
    return [{"role": "user", "content": "Look!"}, {"role": "assistant", "content": None, "tool_calls": calls}]


def result(call_id: str, content: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


CONVERSATION = [*called("c1", "c2"), result("c1", [TEXT, IMAGE]), result("c2", [IMAGE])]

MOVED = ("openai_chat", "cohere_chat")
"""Formats whose tool results are texts."""


@pytest.mark.parametrize("dialect", [name for name, model in MODEL_BY_DIALECT.items() if model in WITH_FUNCTIONS])
async def test_images_of_tool_results_reach_the_model(dialect: str) -> None:
    """A screenshot that a tool returned would be refused by the provider, or lost, or sent without its result."""
    async with (
        SimulatorServer() as simulator,
        AsyncCompletion(base_urls=simulator.base_urls, api_keys=simulator.api_keys) as client,
    ):
        reply = await client.create(MODEL_BY_DIALECT[dialect], CONVERSATION, tools=[TOOL])
        sent = json.dumps(simulator.requests[-1].body)
    assert (sent.count(PNG), sent.count("A lighthouse.")) == (2, 1)
    moves = [warning for warning in reply.info.warnings if "media sent in a message of the user" in warning]
    assert len(moves) == (2 if dialect in MOVED else 0)


def encoded(messages: list[dict[str, Any]], provider: str = "acme", quirks: Quirks | None = None) -> list[Any]:
    """The messages that a server of OpenAI's format gets."""
    target = Target(provider=provider, model="m", base_url="https://x", quirks=quirks or Quirks())
    sent = DIALECT.encode(build_request("acme/m", messages, {}), target, {})
    body: Any = sent.body  # type: ignore[union-attr]
    return [each.to_dict() if hasattr(each, "to_dict") else each for each in body["messages"]]


FOLLOWING = {
    "role": "user",
    "content": [
        {"type": "text", "text": "Attached to the result of call c1:"},
        IMAGE,
        {"type": "text", "text": "Attached to the result of call c2:"},
        IMAGE,
    ],
}


def test_media_follow_the_last_result_of_their_turn() -> None:
    """A message between two results would leave the second call unanswered, or an image would belong to no result."""
    then = [{"role": "assistant", "content": "Nice."}, {"role": "user", "content": "Again!"}]
    texts = [result("c1", "A lighthouse."), result("c2", "The result is in the next message of the user.")]
    assert encoded([*CONVERSATION, *then])[2:] == [*texts, FOLLOWING, *then]
    assert encoded(CONVERSATION)[2:] == [*texts, FOLLOWING]


def test_results_of_texts_are_sent_as_they_are() -> None:
    """A list of texts, which a caller marked for the cache, would lose its marks."""
    marked = [{**TEXT, "cache_control": {"type": "ephemeral"}}, TEXT]
    assert encoded([*called("c1"), result("c1", marked)])[2:] == [result("c1", marked)]
    with_image = encoded([*called("c1"), result("c1", [*marked, IMAGE])])
    assert with_image[2] == result("c1", marked)


def test_a_server_that_takes_media_in_results_gets_them_there() -> None:
    """An own provider whose tool results may have images would get them in another message."""
    sent = encoded(CONVERSATION, quirks=Quirks(result_media=True))
    assert sent[2:] == CONVERSATION[2:]


def test_the_conversation_of_the_caller_is_not_changed() -> None:
    """The transcript would lose the images, so that another provider would not get them."""
    message = ToolMessage([ImagePart(ImageUrl(IMAGE["image_url"]["url"]))], "c1")
    request = build_request("acme/m", [*called("c1"), message], {})
    target = Target(provider="acme", model="m", base_url="https://x", quirks=Quirks())
    DIALECT.encode(request, target, {})
    assert request.to_dict()["messages"][2]["content"] == [IMAGE]


def test_mistral_gets_a_reply_between_results_and_the_user() -> None:
    """Mistral would refuse the conversation with 400, because it takes no message of the user after tool results."""
    quirks = known_providers()["mistral"].quirks
    assert isinstance(quirks, Quirks)
    texts = [*called("c1"), result("c1", "Two boats."), {"role": "user", "content": "And now?"}]
    roles = [each["role"] for each in encoded(texts, "mistral", quirks)]
    assert roles == ["user", "assistant", "tool", "assistant", "user"]
    roles = [each["role"] for each in encoded(CONVERSATION, "mistral", quirks)]
    assert roles == ["user", "assistant", "tool", "tool", "assistant", "user"]
    roles = [each["role"] for each in encoded(texts[:3], "mistral", quirks)]
    assert roles == ["user", "assistant", "tool"]


# --- results that no request can have --------------------------------------------------------------------------------


class WithoutInit(ToolError):
    def __init__(self, code: int) -> None:
        self.code = code


def raising(error: BaseException) -> Any:
    raise error


UNSENDABLE: dict[str, Callable[[], Any]] = {
    "text part without a text": lambda: [TextPart(None)],  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    "image whose address is a number": lambda: ImagePart(ImageUrl(5)),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    "error with an invalid part": lambda: raising(ToolError([TextPart(5)])),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    "error whose constructor does not call that of its base class": lambda: raising(WithoutInit(7)),
    "cancellation by the tool itself": lambda: raising(asyncio.CancelledError()),
    "end of a generator": lambda: raising(GeneratorExit()),
}


@pytest.mark.parametrize("make", UNSENDABLE.values(), ids=UNSENDABLE)
@pytest.mark.parametrize("is_live", [False, True], ids=["awaited", "events"])
async def test_a_run_goes_on_after_what_no_request_can_have(make: Callable[[], Any], *, is_live: bool) -> None:
    """The run would never end, end as if it had been cancelled, or leave a message that no later run can send."""

    @tool
    async def look() -> Any:
        """Look."""
        return make()

    async with AsyncCompletion(providers=[FakeProvider(tool_call("look"), "Nothing.", name="openai")]) as client:
        run: ToolRun[None] = client.run_tools("openai/gpt-4o", "Look!", [look])
        if is_live:
            async for _ in run.events():
                pass
        outcome = await run
    assert outcome.text == "Nothing."
    assert "the tool failed" in str(outcome.messages[2].content)


async def test_a_bare_address_and_a_lone_surrogate_in_parts_can_be_sent() -> None:
    """The request after the result would fail inside of the package, and each one that goes on from its messages."""

    @tool
    async def look() -> Any:
        """Look."""
        return [ImagePart(f"data:image/png;base64,{PNG}"), "a\ud800b", {"width": 3}]  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    async with AsyncCompletion(providers=[FakeProvider(tool_call("look"), "Seen.", name="openai")]) as client:
        outcome = await client.run_tools("openai/gpt-4o", "Look!", [look])
    assert outcome.text == "Seen."
    content = outcome.turns[0].outcomes[0].content
    assert content == [
        ImagePart(ImageUrl(f"data:image/png;base64,{PNG}", bare=True)),
        TextPart("a\ufffdb"),
        TextPart('{"width":3}'),
    ]
