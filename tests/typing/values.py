"""Types of configuration, requests, replies and errors as type checkers have to infer them; not run."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, assert_type

import aiohttp

from anycompletion import (
    APIStatusError,
    AsyncCompletion,
    ChatCompletion,
    ChatCompletionMessage,
    ChatRequest,
    Choice,
    CompletionError,
    CompletionTokensDetails,
    FunctionDefinition,
    FunctionTool,
    ImagePart,
    ImageUrl,
    InvalidRequestError,
    Message,
    ModelInfo,
    Part,
    PromptTokensDetails,
    Provider,
    RateLimitError,
    ReplyInfo,
    Secret,
    SystemMessage,
    Target,
    TextPart,
    Timeout,
    ToolCall,
    Usage,
    UserMessage,
    file_part,
    image_part,
)


async def _fetch_key() -> str:
    return "key"


def configure(session: aiohttp.ClientSession, context: ssl.SSLContext) -> None:
    AsyncCompletion()
    AsyncCompletion(timeout=30, max_retries=0, on_unsupported="warn")
    AsyncCompletion(timeout=Timeout(total=None, idle=5), session=session, ssl_context=context, proxy="http://localhost")
    AsyncCompletion(
        providers=[Provider("acme", "https://llm.acme.example/v1", key_env=("ACME_API_KEY",))],
        api_keys={"openai": "text", "anthropic": Secret("hidden"), "acme": _fetch_key},
        base_urls={"openai": "https://proxy.example/v1"},
    )


async def operations(client: AsyncCompletion) -> None:
    assert_type(client.check("openai/gpt-4o", timeout=5), Target)
    assert_type(client.check("gpt-4o", provider="openai").base_url, str)
    listed = await client.models("openai")
    assert_type(listed, list[ModelInfo])
    assert_type(listed[0].created, int | None)


def statistics(client: AsyncCompletion) -> None:
    assert_type(client.stats().providers["openai"].queued, Mapping[str, int])


async def messages(client: AsyncCompletion, reply: ChatCompletion, given: list[Message]) -> None:
    image = ImagePart(ImageUrl("https://example.com/cat.png"))
    mixed: list[Message | dict[str, Any] | OtherMessage] = [
        SystemMessage("Be brief."),
        UserMessage([TextPart("What is this?"), image]),
        reply.choices[0].message,
        reply.message,
        UserMessage([image_part("cat.png", detail="low"), file_part(Path("report.pdf"), max_bytes=1000)]),
        {"role": "user", "content": "And this?"},
        OtherMessage(),
    ]
    frozen: tuple[Mapping[str, str], ...] = ({"role": "user", "content": "Hello!"},)
    await client.create("openai/gpt-4o", mixed)
    await client.create("openai/gpt-4o", frozen)
    await client.create("openai/gpt-4o", given)
    await client.create("openai/gpt-4o", [{"role": "user", "content": "Hello!"}])


async def parameters(client: AsyncCompletion) -> None:
    lookup = FunctionTool(FunctionDefinition("lookup", parameters={"type": "object"}))
    await client.create(
        "openai/gpt-4o",
        "Hello!",
        stop=["\n"],
        logit_bias={50256: -100},
        tools=[lookup, {"type": "function", "function": {"name": "other"}}],
        tool_choice={"type": "function", "function": {"name": "lookup"}},
        response_format={"type": "json_object"},
        metadata={"team": "blue"},
        timeout=Timeout(total=20),
        extra_body={"provider_only": [1, 2]},
        extra_headers={"x-trace": "1"},
    )


class OtherMessage:
    """The message of another SDK, such as a pydantic model."""

    def model_dump(self, *, mode: str = "python", exclude_none: bool = False) -> dict[str, Any]:
        return {"role": "user", "content": "Hello!"}


async def ask(client: AsyncCompletion) -> str | None:
    reply = await client.create("openai/gpt-4o", "Hello!")
    return reply.choices[0].message.content


def replies(reply: ChatCompletion) -> None:
    assert_type(reply.text, str)
    assert_type(reply.texts, list[str])
    assert_type(reply.choices, list[Choice])
    assert_type(reply.choices[0].message, ChatCompletionMessage)
    assert_type(reply.message, ChatCompletionMessage)
    assert_type(reply.choices[0].message.content, str | None)
    assert_type(reply.choices[0].message.parts, list[Part] | None)
    assert_type(reply.model_dump(), dict[str, Any])
    assert_type(reply.model_dump_json(indent=2), str)
    for call in reply.message.tool_calls or []:
        assert_type(call, ToolCall)
        assert_type(call.function.arguments, str)
    assert_type(reply.choices[0].finish_reason, str | None)
    assert_type(reply.usage, Usage | None)
    assert_type(reply.info, ReplyInfo)
    assert_type(reply.info.request_id, str | None)
    assert_type(reply.info.warnings, list[str])
    assert_type(reply.to_dict(), dict[str, Any])
    assert_type(ChatCompletion.from_dict(reply.to_dict()), ChatCompletion)
    if reply.usage is not None:
        assert_type(reply.usage.total_tokens, int | None)
        assert_type(reply.usage.cost, float | None)
        assert_type(reply.usage.prompt_tokens_details, PromptTokensDetails | None)
        assert_type(reply.usage.completion_tokens_details, CompletionTokensDetails | None)
        assert_type(reply.usage + reply.usage, Usage)


def requests() -> None:
    request = ChatRequest("openai/gpt-4o", "Hello!", temperature=0.5, custom_id="1")
    assert_type(request.temperature, float | None)
    assert_type(request.to_dict(), dict[str, Any])


def errors(error: CompletionError) -> None:
    assert_type(error.partial, ChatCompletion | None)
    assert_type(error.retry_after, float | None)
    assert_type(error.retryable, bool)
    if isinstance(error, APIStatusError):
        assert_type(error.status_code, int | None)
    value_error: ValueError = InvalidRequestError("bad", param="n")
    raised: Exception = RateLimitError("slow down", retry_after=1)
    print(value_error, raised)
