"""Encoding of requests for OpenAI: a chat request → the body."""

import json
from typing import Any

import pytest

from anycompletion.codecs.json import dumps
from anycompletion.dialects.base import Target
from anycompletion.dialects.openai_chat.dialect import DIALECT
from anycompletion.dialects.openai_chat.params import STREAM_DEFAULTS
from anycompletion.dialects.openai_chat.quirks import Quirks
from anycompletion.errors import InvalidRequestError
from anycompletion.http import HttpRequest
from anycompletion.records import (
    PARAM_NAMES,
    AssistantMessage,
    Audio,
    ChatRequest,
    CustomTool,
    FunctionCall,
    FunctionDefinition,
    FunctionMessage,
    FunctionTool,
    TextPart,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from anycompletion.validation.request_checks import build_request, validate_request

HELLO = [{"role": "user", "content": "Hi"}]

VALUES: dict[str, Any] = {
    "temperature": 0.5,
    "top_p": 1,
    "n": 2,
    "stop": ["a"],
    "max_tokens": 5,
    "max_completion_tokens": 6,
    "presence_penalty": -1,
    "frequency_penalty": 1.5,
    "logit_bias": {"5": -100},
    "user": "u",
    "functions": [{"name": "f", "parameters": {"type": "object"}}],
    "function_call": {"name": "f"},
    "tools": [{"type": "function", "function": {"name": "g"}}, {"type": "custom", "custom": {"name": "h"}}],
    "tool_choice": {"type": "function", "function": {"name": "g"}},
    "parallel_tool_calls": False,
    "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}, "strict": True}},
    "seed": -1,
    "logprobs": True,
    "top_logprobs": 3,
    "stream_options": {"include_obfuscation": False},
    "reasoning_effort": "low",
    "thinking": {"type": "enabled"},
    "modalities": ["text", "audio"],
    "audio": {"voice": "alloy", "format": "wav"},
    "prediction": {"type": "content", "content": "x"},
    "service_tier": "flex",
    "store": True,
    "metadata": {"a": "b"},
    "verbosity": "low",
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "prompt_cache_options": {"mode": "implicit"},
    "safety_identifier": "s",
    "web_search_options": {"search_context_size": "low"},
    "moderation": {"model": "omni"},
}


def target(**members: Any) -> Target:
    return Target(**{"provider": "openai", "model": "gpt-4o", "base_url": "https://api.openai.com/v1", **members})


def encode(messages: Any = "Hi", where: Target | None = None, extra: Any = None, **params: Any) -> HttpRequest:
    where = where or target()
    request = build_request("asked", messages, params)
    request.extra_body = extra
    encoded = DIALECT.encode(request, where, {})
    assert isinstance(encoded, HttpRequest)
    assert encoded.body is not None
    encoded.body = json.loads(dumps(encoded.body))
    return encoded


def body(*args: Any, **params: Any) -> dict[str, Any]:
    return dict(encode(*args, **params).body or {})


def test_a_minimal_request():
    """A request would contain something that the caller did not pass."""
    encoded = encode()
    assert encoded == HttpRequest("https://api.openai.com/v1/chat/completions", {"model": "gpt-4o", "messages": HELLO})
    assert (encoded.method, encoded.headers, encoded.authenticated, encoded.warnings) == ("POST", {}, True, [])


@pytest.mark.parametrize("name", PARAM_NAMES)
def test_every_parameter_is_sent_unchanged(name: str):
    """A parameter of OpenAI's would be dropped or changed."""
    extra = {"function_call": ("functions",), "tool_choice": ("tools",)}.get(name, ())
    params = {each: VALUES[each] for each in (name, *extra)}
    where = target(stream=name == "stream_options")
    written = body(where=where, **params)
    assert written.pop("stream", False) is where.stream
    assert written == {"model": "gpt-4o", "messages": HELLO, **params}


def test_all_parameters_together():
    """One parameter would change another one."""
    assert body(where=target(stream=True), **VALUES) == {
        "model": "gpt-4o",
        "messages": HELLO,
        "stream": True,
        **VALUES,
    }
    assert set(VALUES) == set(PARAM_NAMES) == set(DIALECT.params)


STREAMS: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    # target, params, what is added
    ({}, {}, {"stream": True, "stream_options": {"include_usage": True}}),
    (
        {},
        {"stream_options": {"include_usage": False}},
        {"stream": True, "stream_options": {"include_usage": False}},
    ),
    ({}, {"stream_options": {}}, {"stream": True, "stream_options": {}}),
    ({"quirks": Quirks(include_usage=False)}, {}, {"stream": True}),
    (
        {"quirks": Quirks(include_usage=False)},
        {"stream_options": {"x": 1}},
        {"stream": True, "stream_options": {"x": 1}},
    ),
]


@pytest.mark.parametrize(("members", "params", "added"), STREAMS)
def test_streams(members: dict[str, Any], params: dict[str, Any], added: dict[str, Any]):
    """A stream's usage would not be requested, or would be requested although the caller declined it."""
    assert body(where=target(stream=True, **members), **params) == {"model": "gpt-4o", "messages": HELLO, **added}


def test_only_declared_defaults_are_added():
    """An undocumented member would be added to requests."""
    plain, stream = body(), body(where=target(stream=True))
    assert {name: value for name, value in stream.items() if name not in plain} == {"stream": True, **STREAM_DEFAULTS}


def test_extra_body_wins():
    """A provider's own fields could not be sent, or could not replace a parameter."""
    extra = {"top_k": 5, "temperature": 9, "stream_options": None, "nested": {"a": [None]}}
    assert body(where=target(stream=True), temperature=1, extra=extra) == {
        "model": "gpt-4o",
        "messages": HELLO,
        "stream": True,
        **extra,
    }


def test_records_are_encoded_at_any_depth():
    """A record inside a dict would be sent with fields that the caller did not set."""
    written = body(
        [{"role": "user", "content": [TextPart("x")], "draft": {"part": TextPart("y")}}],
        prediction={"type": "content", "content": [TextPart("z")]},
        tools=[FunctionTool(FunctionDefinition("f")), CustomTool("web", extra={"part": TextPart("v")})],
    )
    assert written["messages"][0]["content"] == [{"type": "text", "text": "x"}]
    assert written["messages"][0]["draft"] == {"part": {"type": "text", "text": "y"}}
    assert written["prediction"]["content"] == [{"type": "text", "text": "z"}]
    assert written["tools"][1] == {"type": "web", "part": {"type": "text", "text": "v"}}
    request = validate_request(ChatRequest("m", "x", extra_body={"part": TextPart("w")}))
    assert json.loads(dumps(DIALECT.encode(request, target(), {}).body)) == {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "x"}],
        "part": {"type": "text", "text": "w"},
    }


MESSAGES: list[list[dict[str, Any]]] = [
    [
        {"role": "developer", "content": "d", "name": "n"},
        {"role": "system", "content": [{"type": "text", "text": "s"}]},
    ],
    [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,x", "detail": "low"}}]}],
    [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}}]}],
    [{"role": "user", "content": [{"type": "file", "file": {"file_data": "data:,x", "filename": "a.pdf"}}]}],
    [
        {
            "role": "user",
            "content": [{"type": "of_tomorrow", "x": 1}],
            "prompt_cache_breakpoint": {"mode": "explicit"},
        }
    ],
    [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "g", "input": ""}}],
        }
    ],
    [{"role": "assistant", "content": "x", "annotations": []}],
    [{"role": "tool", "tool_call_id": "c", "content": "r"}, {"role": "function", "name": "f", "content": None}],
    [{"role": "of_tomorrow", "content": {"any": 1}}],
]


@pytest.mark.parametrize("messages", MESSAGES)
def test_messages_are_sent_unchanged(messages: list[dict[str, Any]]):
    """A message would be changed on its way to OpenAI."""
    assert body(messages)["messages"] == messages
    assert encode(messages).warnings == []


NOTE = "messages[0].{} left out: only the provider that wrote it understands it"
LEFT_OUT: list[tuple[Quirks, AssistantMessage, dict[str, Any], list[str]]] = [
    (Quirks(), AssistantMessage("x"), {}, []),
    (Quirks(), AssistantMessage("x", thinking_blocks=[{"a": 1}]), {}, [NOTE.format("thinking_blocks")]),
    (Quirks(), AssistantMessage("x", reasoning_details=[{"a": 1}]), {}, [NOTE.format("reasoning_details")]),
    (
        Quirks(),
        AssistantMessage("x", provider_specific_fields={"a": 1}),
        {},
        [NOTE.format("provider_specific_fields")],
    ),
    (
        Quirks(),
        AssistantMessage("x", reasoning_content="r"),
        {},
        ["messages[0].reasoning_content left out: openai takes none back"],
    ),
    (Quirks(), AssistantMessage("x", extra={"reasoning_content": None, "thinking_blocks": None}), {}, []),
    (Quirks(reasoning="reasoning"), AssistantMessage("x", reasoning_content="r"), {"reasoning": "r"}, []),
    (Quirks(reasoning="reasoning"), AssistantMessage("x"), {}, []),
    (
        Quirks(reasoning="reasoning_content"),
        AssistantMessage("x", reasoning_content="r"),
        {"reasoning_content": "r"},
        [],
    ),
    (
        Quirks(reasoning_details=True),
        AssistantMessage("x", reasoning_details=[{"a": 1}]),
        {"reasoning_details": [{"a": 1}]},
        [],
    ),
    (Quirks(), AssistantMessage("x", audio=Audio("a", "UklG", "Hi", 5)), {"audio": {"id": "a"}}, []),
    (Quirks(), AssistantMessage("x", audio=Audio(data="UklG")), {"audio": {"data": "UklG"}}, []),
]


@pytest.mark.parametrize(("quirks", "message", "members", "warnings"), LEFT_OUT)
def test_replies_of_other_providers(
    quirks: Quirks, message: AssistantMessage, members: dict[str, Any], warnings: list[str]
):
    """A conversation with another provider's replies would be refused by the server, or lose members silently."""
    encoded = encode([message], target(quirks=quirks))
    assert encoded.body is not None
    assert encoded.body["messages"] == [{"role": "assistant", "content": "x", **members}]
    assert encoded.warnings == warnings


# --- quirks of compatible servers ---


def test_servers_without_the_role_developer():
    """A server without the role developer would refuse the request."""
    messages = [{"role": "developer", "content": "d"}, {"role": "system", "content": "s"}, *HELLO]
    written = body(messages, target(quirks=Quirks(developer_role=False)))["messages"]
    assert [message["role"] for message in written] == ["system", "system", "user"]


def test_servers_with_max_tokens_only():
    """A server that has another name for the limit would ignore it."""
    where = target(quirks=Quirks(only_max_tokens=True))
    assert body(where=where, max_completion_tokens=5)["max_tokens"] == 5
    assert "max_completion_tokens" not in body(where=where, max_completion_tokens=5)
    assert body(where=where, max_tokens=6)["max_tokens"] == 6
    assert "max_tokens" not in body(where=where)


TOOLS = target(quirks=Quirks(functions_as_tools=True))
F, G = {"name": "f"}, {"name": "g", "parameters": {"type": "object"}}

CHOICES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"functions": [F]}, {"tools": [{"type": "function", "function": F}]}),
    (
        {"functions": [F, G], "function_call": "auto"},
        {"tools": [{"type": "function", "function": F}, {"type": "function", "function": G}], "tool_choice": "auto"},
    ),
    (
        {"functions": [F], "function_call": {"name": "f"}},
        {"tools": [{"type": "function", "function": F}], "tool_choice": {"type": "function", "function": F}},
    ),
    (
        {"functions": [F], "tools": [{"type": "function", "function": G}]},
        {"tools": [{"type": "function", "function": G}, {"type": "function", "function": F}]},
    ),
    ({"functions": [], "function_call": "none"}, {"tool_choice": "none"}),
]


@pytest.mark.parametrize(("params", "members"), CHOICES)
def test_functions_as_tools(params: dict[str, Any], members: dict[str, Any]):
    """A server with tools only would refuse or ignore functions."""
    assert body(where=TOOLS, **params) == {"model": "gpt-4o", "messages": HELLO, **members}


def test_a_function_calls_id_is_none_that_the_conversation_has() -> None:
    """A result of a legacy call would be that of a tool call, too."""
    call = FunctionCall("f", "{}")
    messages = [
        UserMessage("x"),
        AssistantMessage(function_call=call, tool_calls=[ToolCall("call_1_f", FunctionCall("g", ""))]),
        FunctionMessage("1", "f"),
        ToolMessage("2", "call_1_f"),
    ]
    _, turn, first, second = body(messages, TOOLS)["messages"]
    assert [called["id"] for called in turn["tool_calls"]] == ["call_1_f", "call_1_f_"]
    assert (first["tool_call_id"], second["tool_call_id"]) == ("call_1_f_", "call_1_f")


def test_function_messages_as_tool_messages():
    """A legacy conversation could not continue with a server with tools only."""
    call = FunctionCall("f", "{}")
    messages = [
        UserMessage("x"),
        AssistantMessage(function_call=call),
        FunctionMessage("1", "f"),
        AssistantMessage("again", function_call=call, tool_calls=[ToolCall("own", FunctionCall("g", ""))]),
        AssistantMessage(function_call=call),
        FunctionMessage(None, "f"),
        FunctionMessage("3", "f"),
        FunctionMessage("4", "unasked"),
    ]
    written = body(messages, TOOLS)["messages"]
    made = {"type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert written == [
        {"role": "user", "content": "x"},
        {"role": "assistant", "tool_calls": [{"id": "call_1_f", **made}]},
        {"role": "tool", "tool_call_id": "call_1_f", "content": "1"},
        {
            "role": "assistant",
            "content": "again",
            "tool_calls": [
                {"id": "own", "type": "function", "function": {"name": "g", "arguments": ""}},
                {"id": "call_3_f", **made},
            ],
        },
        {"role": "assistant", "tool_calls": [{"id": "call_4_f", **made}]},
        {"role": "tool", "tool_call_id": "call_3_f", "content": ""},
        {"role": "tool", "tool_call_id": "call_4_f", "content": "3"},
        {"role": "tool", "tool_call_id": "call_7_unasked", "content": "4"},
    ]


# --- URLs ---

AZURE = Quirks(deployments=True)
BASE = "https://r.openai.azure.com"
DEPLOYMENT = f"{BASE}/openai/deployments/my%20gpt%2F4/chat/completions?api-version=2024-10-21"
URLS: list[tuple[dict[str, Any], str]] = [
    ({}, "https://api.openai.com/v1/chat/completions"),
    ({"path": "/chat"}, "https://api.openai.com/v1/chat"),
    ({"base_url": "https://x", "api_version": "ignored"}, "https://x/chat/completions"),
    ({"quirks": AZURE, "base_url": BASE}, f"{BASE}/openai/v1/chat/completions"),
    ({"quirks": AZURE, "base_url": BASE, "api_version": "v1"}, f"{BASE}/openai/v1/chat/completions"),
    ({"quirks": AZURE, "base_url": BASE, "api_version": "latest"}, f"{BASE}/openai/v1/chat/completions"),
    (
        {"quirks": AZURE, "base_url": BASE, "api_version": "preview"},
        f"{BASE}/openai/v1/chat/completions?api-version=preview",
    ),
    ({"quirks": AZURE, "base_url": BASE, "api_version": "2024-10-21", "model": "my gpt/4"}, DEPLOYMENT),
    (
        {"quirks": AZURE, "base_url": f"{BASE}/openai/v1", "api_version": "2024-10-21"},
        f"{BASE}/openai/v1/chat/completions",
    ),
    (
        {"quirks": AZURE, "base_url": f"{BASE}/openai/v1", "api_version": "preview"},
        f"{BASE}/openai/v1/chat/completions?api-version=preview",
    ),
    ({"quirks": AZURE, "base_url": f"{BASE}/openai/v1"}, f"{BASE}/openai/v1/chat/completions"),
    (
        {"quirks": AZURE, "base_url": f"{BASE}/openai/deployments/d", "api_version": "2024-10-21"},
        f"{BASE}/openai/deployments/d/chat/completions?api-version=2024-10-21",
    ),
    (
        {"quirks": AZURE, "base_url": "https://r.services.ai.azure.com/models", "api_version": "v1"},
        "https://r.services.ai.azure.com/models/chat/completions",
    ),
]


@pytest.mark.parametrize(("members", "url"), URLS)
def test_urls(members: dict[str, Any], url: str):
    """A request would be sent to a path that the server does not have."""
    assert encode(where=target(**members)).url == url


@pytest.mark.parametrize("model", [".", ".."])
def test_a_deployment_name_stays_in_its_path_segment(model: str):
    """A model's name could send the key to another path of the server."""
    with pytest.raises(InvalidRequestError) as caught:
        encode(where=target(quirks=AZURE, base_url=BASE, api_version="2024-10-21", model=model))
    assert caught.value.param == "model"
    tricky = encode(where=target(quirks=AZURE, base_url=BASE, api_version="2024-10-21", model="../x?y#z"))
    assert "/deployments/..%2Fx%3Fy%23z/chat" in tricky.url
