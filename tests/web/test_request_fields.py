"""What a body of the endpoint may contain below its top level, and what calls may cost."""

import copy
from typing import Any

import pytest

from anycompletion.web.refusals import RequestRefused
from anycompletion.web.request_fields import FieldRules

HELLO = {"role": "user", "content": "Hello!"}
GOOD: dict[str, Any] = {"model": "openai/gpt-4o", "messages": [HELLO]}
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "any": 1}}}
CALL = {"id": "c", "type": "function", "function": {"name": "add", "arguments": "{}"}, "extra_content": {"google": {}}}


def read(body: dict[str, Any], extra: Any = "refuse", *, max_n: int = 8, max_tokens: int | None = None) -> Any:
    """The body as keywords of a call."""
    model, messages, stream, params = FieldRules.of(extra, max_n, max_tokens).read(copy.deepcopy(body))
    return {"model": model, "messages": messages, "stream": stream, **params}


def user(*parts: Any) -> dict[str, Any]:
    """A body whose message has these parts."""
    return {**GOOD, "messages": [{"role": "user", "content": list(parts)}]}


ALLOWED: dict[str, dict[str, Any]] = {
    "text": user({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}),
    "image": user({"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}}),
    "image in a body": user({"type": "image_url", "image_url": {"url": "DATA:image/png;base64,AA"}}),
    "bare data": user({"type": "file", "file": {"file_data": "JVBERi0xLjQK", "filename": "a.pdf"}}),
    "functions": {**GOOD, "functions": [{"name": "add", "parameters": {"type": "object", "any": 1}}]},
    "thinking sent back": {
        **GOOD,
        "messages": [
            HELLO,
            {
                "role": "assistant",
                "content": "a",
                "thinking_blocks": [
                    {"type": "thinking", "thinking": "so", "signature": "s"},
                    {"type": "redacted_thinking", "data": "r"},
                ],
            },
        ],
    },
    "image as text": user({"type": "image_url", "image_url": "https://a/b.png"}),
    "audio": user({"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}),
    "file": user({"type": "file", "file": {"file_data": "data:a/b;base64,AA", "filename": "a"}}),
    "tools": {**GOOD, "tools": [TOOL, {"type": "custom", "custom": {"name": "a", "format": {"type": "text"}}}]},
    "schema": {**GOOD, "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"x-b": 1}}}},
    "reply sent back": {
        **GOOD,
        "messages": [HELLO, {"role": "assistant", "content": None, "tool_calls": [CALL], "reasoning_content": "so"}],
    },
    "prediction": {**GOOD, "prediction": {"type": "content", "content": [{"type": "text", "text": "a"}]}},
    "tier": {**GOOD, "service_tier": "flex"},
}


@pytest.mark.parametrize("case", ALLOWED)
def test_openais_fields_are_passed_on_unchanged(case: str) -> None:
    """A field of OpenAI's would be refused, or lost below the top level."""
    assert read(ALLOWED[case]) == {**ALLOWED[case], "stream": False}


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "server tool": ({**GOOD, "tools": [{"type": "web_search_9", "max_uses": 9}]}, "tools[0].type", "web_search_9"),
    "server of tools": ({**GOOD, "tools": [TOOL, {"type": "mcp", "server_url": "x"}]}, "tools[1].type", "mcp"),
    "tool without type": ({**GOOD, "tools": [{"googleSearch": {}}]}, "tools[0].type", ""),
    "field of a tool": ({**GOOD, "tools": [{**TOOL, "max_uses": 9}]}, "tools[0].max_uses", "max_uses"),
    "field of a function": (
        {**GOOD, "tools": [{"type": "function", "function": {"name": "a", "url": "x"}}]},
        "tools[0].function.url",
        "url",
    ),
    "uploaded file": (
        user({"type": "file", "file": {"file_id": "file-1"}}),
        "messages[0].content[0].file.file_id",
        "file_id",
    ),
    "type of a part": (user({"type": "video_url", "video_url": {}}), "messages[0].content[0].type", "video_url"),
    "part without type": (user({"source": {}}), "messages[0].content[0].type", ""),
    "field of a part": (user({"type": "text", "text": "a", "b": 1}), "messages[0].content[0].b", "b"),
    "field of a message": ({**GOOD, "messages": [{**HELLO, "priority": 1}]}, "messages[0].priority", "priority"),
    "tier": ({**GOOD, "service_tier": "priority"}, "service_tier", "priority"),
    "search": ({**GOOD, "web_search_options": {}}, "web_search_options", "web_search_options"),
    "top level": ({**GOOD, "plugins": []}, "plugins", "plugins"),
    "server tool as a function": (
        {**GOOD, "functions": [{"name": "web_search", "type": "web_search_20250305"}]},
        "functions[0].type",
        "type",
    ),
    "server tool in a custom one": (
        {**GOOD, "tools": [{"type": "custom", "custom": {"name": "a", "server_url": "x"}}]},
        "tools[0].custom.server_url",
        "server_url",
    ),
    "file as thinking": (
        {**GOOD, "messages": [{"role": "assistant", "thinking_blocks": [{"type": "document", "source": {}}]}]},
        "messages[0].thinking_blocks[0].type",
        "document",
    ),
    "field of a call": (
        {**GOOD, "messages": [{"role": "user", "content": "a", "tool_calls": [{**CALL, "b": 1}]}]},
        "messages[0].tool_calls[0].b",
        "b",
    ),
    "local file": (
        user({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}),
        "messages[0].content[0].image_url.url",
        "file",
    ),
    "the account's storage": (
        user({"type": "image_url", "image_url": " GS://bucket/a.png"}),
        "messages[0].content[0].image_url.url",
        "gs",
    ),
    "storage as a file": (
        user({"type": "file", "file": {"file_data": "s3://bucket/a.pdf", "filename": "a"}}),
        "messages[0].content[0].file.file_data",
        "s3",
    ),
}
"""Bodies, the parameter that the refusal names, and the name with which the service allows it."""


HIDDEN_SCHEMES = [
    "fi\tle:///etc/passwd",
    "f\r\nile:///etc/passwd",
    "\x00\x01file:///etc/passwd",
    f"{' ' * 200}file:///etc/passwd",
    f"fil{chr(10) * 200}e:///etc/passwd",
    "\u2028file:///etc/passwd",
    "\ufefffile:///etc/passwd",
    "FILE:/etc/passwd",
    "file:etc",
    "jar:https://a!/b",
    "://a/b",
]
PATHS = ["/etc/passwd", "etc/passwd", "//host/share", "\\\\host\\share", ""]
URL_PARTS: dict[str, Any] = {
    "image_url": lambda url: {"type": "image_url", "image_url": {"url": url}},
    "image_url as text": lambda url: {"type": "image_url", "image_url": url},
    "file": lambda url: {"type": "file", "file": {"file_data": url, "filename": "a"}},
    "input_audio": lambda url: {"type": "input_audio", "input_audio": {"data": url, "format": "wav"}},
    "video_url": lambda url: {"type": "video_url", "video_url": {"url": url}},
}
"""Makes of a URL a part of each type that may have one; the service allows ``video_url``."""


@pytest.mark.parametrize("kind", URL_PARTS)
@pytest.mark.parametrize("url", [*HIDDEN_SCHEMES, *PATHS])
def test_a_url_is_refused_however_it_hides_its_scheme(kind: str, url: str) -> None:
    """A caller could make a provider read files of its machine, because its parser skips what hides the scheme."""
    body = user(URL_PARTS[kind](url))
    if kind in ("file", "input_audio") and url in PATHS:
        assert read(body)["messages"] == body["messages"]  # base64 may look so
        return
    with pytest.raises(RequestRefused, match="must be a URL with https, http, data here"):
        read(body, ["video_url"])


@pytest.mark.parametrize("kind", URL_PARTS)
@pytest.mark.parametrize(
    "url", ["https://a/b:c", "HTTP://a/b", " https://a/b", "data:;base64,AA:", f"data:a/b;base64,{'AAAA' * 99}", "gs:a"]
)
def test_urls_with_known_schemes_are_passed_on(kind: str, url: str) -> None:
    """A URL that providers accept would be refused, or changed on its way."""
    body = user(URL_PARTS[kind](url))
    assert read(body, ["video_url", "gs"])["messages"] == body["messages"]


@pytest.mark.parametrize("case", REFUSED)
def test_what_only_a_provider_has_needs_a_name(case: str) -> None:
    """Callers could run a provider's tools, read the account's files, or be served at a higher price."""
    body, param, name = REFUSED[case]
    with pytest.raises(RequestRefused) as caught:
        read(body)
    assert (caught.value.error.status, caught.value.error.param) == (400, param)
    assert caught.value.error.message.startswith(f"{param}: ")
    if name:
        passed = read(body, [name])
        assert passed.pop("extra_body", {}) | passed == {**body, "stream": False}


def test_unknown_fields_are_ignored_where_the_service_allows_it() -> None:
    """Clients that always send a field of one server could not use the endpoint, or would choose where a call goes."""
    messages = [{**HELLO, "a": 1}, {"role": "user", "content": [{"type": "text", "text": "b", "c": 1}]}]
    body = {**GOOD, "messages": messages, "top_k": 5, "tools": [{**TOOL, "d": 1}]}
    read_messages = [HELLO, {"role": "user", "content": [{"type": "text", "text": "b"}]}]
    assert read(body, "ignore") == {**GOOD, "messages": read_messages, "tools": [TOOL], "stream": False}
    for wrong in ({"base_url": "x"}, {"tools": [{"type": "mcp"}]}, {"service_tier": "priority"}):
        with pytest.raises(RequestRefused):
            read({**GOOD, **wrong}, "ignore")
    with pytest.raises(ValueError, match="extra_fields must be 'refuse', 'ignore' or names"):
        read(GOOD, "top_k")


def test_nulls_count_as_missing() -> None:
    """Clients that send all their fields would be refused for those that they do not use."""
    body = {**GOOD, "top_k": None, "temperature": None, "stream": None, "base_url": None}
    sent_back = {"role": "assistant", "content": None, "tool_calls": [{**CALL, "type": None, "custom": None}]}
    body["messages"] = [{**HELLO, "name": None, "other": None}, sent_back]
    assert read(body) == {**GOOD, "messages": [{**HELLO, "name": None}, sent_back], "stream": False}
    with pytest.raises(RequestRefused, match="model: expected a string"):
        read({**GOOD, "model": None})


def test_a_reply_can_be_sent_back_with_its_unknown_fields() -> None:
    """A conversation would end at the first reply of a provider that adds fields to it."""
    reply = {"role": "assistant", "content": "Hi!", "provider_field": 1}
    assert read({**GOOD, "messages": [HELLO, reply]})["messages"][1] == {"role": "assistant", "content": "Hi!"}
    assert read({**GOOD, "messages": [HELLO, reply]}, ["provider_field"])["messages"][1] == reply


def test_a_reply_can_be_sent_back_with_unknown_fields_of_its_calls() -> None:
    """A conversation would end at the first call of a provider that adds fields to it, or names no type."""
    calls = [
        {**CALL, "a": 1, "function": {"name": "add", "arguments": "{}", "b": 1}},
        {"id": "d", "custom": {"name": "f", "input": "x", "c": 1}},
    ]
    legacy = {"name": "add", "arguments": "{}"}
    replies = [
        {"role": "assistant", "tool_calls": calls},
        {"role": "assistant", "function_call": {**legacy, "url": "x"}},
    ]
    assert read({**GOOD, "messages": [HELLO, *replies]})["messages"][1:] == [
        {"role": "assistant", "tool_calls": [CALL, {"id": "d", "custom": {"name": "f", "input": "x"}}]},
        {"role": "assistant", "function_call": legacy},
    ]


THOUGHT = {"type": "thinking", "thinking": "so", "signature": "s"}


def test_native_content_of_a_reply_is_left_out_unless_the_service_allows_it() -> None:
    """A caller could send a provider's own blocks: files of the account, tools of the provider, other servers."""
    blocks = [{"type": "document", "source": {"type": "file", "file_id": "file-of-another-caller"}}]
    call = {**CALL, "provider_specific_fields": {"openai": {"file_id": "x"}}}
    kept: dict[str, Any] = {"role": "assistant", "content": "Hi!", "thinking_blocks": [THOUGHT], "tool_calls": [CALL]}
    specific = {"anthropic_content": blocks, "openai": {"file_ids": ["x"]}}
    thoughts = [{**THOUGHT, "source": blocks[0]["source"]}]
    reply = {**kept, "tool_calls": [call], "thinking_blocks": thoughts, "provider_specific_fields": specific}
    assert read({**GOOD, "messages": [HELLO, reply]})["messages"][1] == kept
    allowed = ["provider_specific_fields", "source"]
    assert read({**GOOD, "messages": [HELLO, reply]}, allowed)["messages"][1] == reply


COSTS: dict[str, tuple[dict[str, Any], str]] = {
    "tokens": ({"max_tokens": 101}, "max_tokens"),
    "completion tokens": ({"max_completion_tokens": 1e9}, "max_completion_tokens"),
    "both": ({"max_tokens": 5, "max_completion_tokens": 101}, "max_completion_tokens"),
    "thinking": ({"thinking": {"type": "enabled", "budget_tokens": 101}}, "thinking.budget_tokens"),
    "choices": ({"n": 4}, "n"),
}


@pytest.mark.parametrize("case", COSTS)
def test_a_call_cannot_cost_more_than_the_service_allows(case: str) -> None:
    """One call could spend a budget."""
    fields, param = COSTS[case]
    with pytest.raises(RequestRefused, match=f"^{param}: must be at most") as caught:
        read({**GOOD, **fields}, max_n=3, max_tokens=100)
    assert caught.value.error.param == param
    read({**GOOD, **fields})


@pytest.mark.parametrize(
    ("model", "fields", "name"),
    [
        ("openai/o3", {}, "max_completion_tokens"),
        ("anthropic/claude-haiku-4-5", {}, "max_completion_tokens"),
        ("acme/own", {}, "max_tokens"),
        ("openai/gpt-4o", {"max_tokens": 5}, ""),
        ("openai/gpt-4o", {"max_completion_tokens": 5}, ""),
    ],
)
def test_a_call_without_a_limit_of_tokens_gets_the_services(model: str, fields: dict[str, Any], name: str) -> None:
    """A caller could leave the limit out to exceed it, or the caller's own limit would be replaced."""
    passed = read({**GOOD, "model": model, **fields}, max_tokens=100)
    assert passed == {**GOOD, "model": model, "stream": False, **fields, **({name: 100} if name else {})}
