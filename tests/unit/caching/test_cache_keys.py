"""Tests of the keys of stored replies: all that is sent counts, the way it is written does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion import (
    AsyncCompletion,
    CallNext,
    CallOptions,
    ChatRequest,
    CompletionError,
    Provider,
    Reply,
    SystemMessage,
    UserMessage,
)
from anycompletion.caching import CacheControl, CacheMiddleware, MemoryStore, cached
from anycompletion.params import NO_OP_VALUES
from anycompletion.records import PARAM_NAMES
from anycompletion.testing import FakeProvider, FakeRequest
from anycompletion.tools import tool
from support.params_table import ASKED_MODELS, ROWS

MODEL = "openai/gpt-4o"
KEY = "sk-canary-9d1c7e5b"

TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {"a": {}}}}}

VALUES: dict[str, tuple[Any, Any]] = {
    "temperature": (0.5, 0.25),
    "top_p": (0.5, 0.25),
    "n": (2, 3),
    "stop": ("a", ["a", "b"]),
    "max_tokens": (5, 6),
    "max_completion_tokens": (5, 6),
    "presence_penalty": (1, 0.5),
    "frequency_penalty": (1, 0.5),
    "logit_bias": ({"5": 1}, {"5": 2}),
    "user": ("a", "b"),
    "functions": ([{"name": "a"}], [{"name": "b"}]),
    "function_call": ("none", {"name": "a"}),
    "tools": ([TOOL], [TOOL, {"type": "function", "function": {"name": "sub"}}]),
    "tool_choice": ("none", "required"),
    "parallel_tool_calls": (False, None),
    "response_format": ({"type": "json_object"}, {"type": "json_schema", "json_schema": {"name": "x"}}),
    "seed": (1, 2),
    "logprobs": (True, None),
    "top_logprobs": (1, 2),
    "reasoning_effort": ("low", "high"),
    "thinking": ({"type": "adaptive"}, {"type": "disabled"}),
    "modalities": (["text"], ["text", "audio"]),
    "audio": ({"voice": "a", "format": "wav"}, {"voice": "b", "format": "wav"}),
    "prediction": ({"type": "content", "content": "a"}, {"type": "content", "content": "b"}),
    "verbosity": ("low", "high"),
    "safety_identifier": ("a", "b"),
    "web_search_options": ({}, {"search_context_size": "low"}),
    "moderation": ({"mode": "a"}, {"mode": "b"}),
}
"""Parameter → two values, each of which makes another request."""

NOT_COUNTED: dict[str, Any] = {
    "stream_options": {"include_usage": True},
    "service_tier": "flex",
    "store": True,
    "metadata": {"run": "7"},
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "prompt_cache_options": {"mode": "explicit"},
}
"""Parameter that does not change the reply → a value."""


@pytest.fixture(scope="module")
def client() -> Iterator[AsyncCompletion]:
    """A client with keys."""
    made = AsyncCompletion(api_keys={"openai": KEY, "anthropic": KEY})
    yield made
    asyncio.run(made.aclose())


def key_of(
    client: AsyncCompletion, request: ChatRequest | None = None, *, cache: CacheMiddleware | None = None, **options: Any
) -> str:
    """The key of a request."""
    made = request or ChatRequest(MODEL, "Hi")
    target = client.check(made.model, **cast("Any", {k: v for k, v in options.items() if k != "cache_control"}))
    passed = {**options, "cache": options["cache_control"]} if "cache_control" in options else options
    passed.pop("cache_control", None)
    return (cache or cached(MemoryStore())).key(made, cast("CallOptions", passed), target)


def with_param(name: str, value: Any) -> ChatRequest:
    """A request with one parameter, and with the tool or function that its value may name."""
    extra: dict[str, Any] = {"functions": [{"name": "a"}]} if name == "function_call" else {}
    return ChatRequest(MODEL, "Hi", **{**extra, name: value})


@pytest.mark.parametrize("name", [name for name in PARAM_NAMES if name not in NOT_COUNTED])
def test_every_parameter_counts(name: str, client: AsyncCompletion) -> None:
    """A request would get the reply to one with another value of a parameter, also of one that is new."""
    first, second = VALUES[name]
    keys = {key_of(client, with_param(name, value)) for value in (first, second, None)}
    assert len(keys) == (3 if second is not None else 2)


@pytest.mark.parametrize("name", NOT_COUNTED)
def test_what_does_not_change_a_reply_does_not_count(name: str, client: AsyncCompletion) -> None:
    """A stream would not share its reply with a plain call, or calls with other ids would be asked again."""
    assert key_of(client, with_param(name, NOT_COUNTED[name])) == key_of(client)
    assert key_of(client, ChatRequest(MODEL, "Hi", custom_id="row-7")) == key_of(client)


@pytest.mark.parametrize("name", [name for name in NO_OP_VALUES if name != "modalities"])
def test_a_value_that_asks_for_nothing_does_not_count(name: str, client: AsyncCompletion) -> None:
    """`n=1` would be another request than one without `n`."""
    request = with_param(name, NO_OP_VALUES[name][0])
    base = ChatRequest(MODEL, "Hi", functions=[{"name": "a"}]) if name == "function_call" else None
    assert key_of(client, request) == key_of(client, base)


DIFFERENT_OPTIONS: list[dict[str, Any]] = [
    {"extra_body": {"repetition_penalty": 1}},
    {"extra_body": {"repetition_penalty": 2}},
    {"extra_body": {"nested": {"a": [1, 2]}}},
    {"extra_body": {"nested": {"a": [2, 1]}}},
    {"extra_query": {"version": "1"}},
    {"extra_query": {"version": "2"}},
    {"extra_headers": {"anthropic-beta": "a"}},
    {"extra_headers": {"anthropic-beta": "b"}},
    {"organization": "a"},
    {"organization": "b"},
    {"project": "a"},
    {"base_url": "https://proxy.example/v1", "api_key": KEY},
    {"api_version": "2024-01-01"},
    {"on_unsupported": "drop"},
    {"on_unsupported": "warn"},
    {"cache_control": CacheControl(vary="1")},
    {"cache_control": CacheControl(vary="2")},
]


def test_every_option_that_changes_what_is_sent_counts(client: AsyncCompletion) -> None:
    """Two servers, or two values of a field that only the provider knows, would share a reply."""
    keys = [key_of(client, **options) for options in ({}, *DIFFERENT_OPTIONS)]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("options", [each for each in DIFFERENT_OPTIONS if "cache_control" not in each], ids=str)
def test_options_of_a_view_count_as_those_of_a_call(options: dict[str, Any], client: AsyncCompletion) -> None:
    """A view with other fields or another server would get the replies of its client."""
    view = client.with_options(**cast("Any", options))
    assert key_of(view) == key_of(client, **options)


async def test_headers_of_the_providers_row_count() -> None:
    """Two clients with other headers for their provider would share replies in one store."""
    keys = set[str]()
    for value in ("a", "b"):
        row = Provider("acme", "https://acme.example/v1", key_env=("ACME_KEY",), headers={"x-region": value})
        async with AsyncCompletion(providers=[row], api_keys={"acme": KEY}) as client:
            keys.add(key_of(client, ChatRequest("acme/m", "Hi")))
    assert len(keys) == 2


def test_models_and_providers_count(client: AsyncCompletion) -> None:
    """A model would get the reply of another one, or of the same one in another format."""
    models = (MODEL, "openai/gpt-4o-mini", "openai/responses/gpt-4o", "anthropic/gpt-4o")
    assert len({key_of(client, ChatRequest(model, "Hi")) for model in models}) == len(models)
    assert key_of(client, ChatRequest("gpt-4o", "Hi")) == key_of(client)


SAME_MESSAGES: list[Any] = [
    "Hi",
    [{"role": "user", "content": "Hi"}],
    [{"content": "Hi", "role": "user"}],
    [UserMessage("Hi")],
    ({"role": "user", "content": "Hi"},),
]


def test_all_ways_to_write_messages_have_one_key(client: AsyncCompletion) -> None:
    """A program that writes records would not get the replies to another one's dicts."""
    assert len({key_of(client, ChatRequest(MODEL, messages)) for messages in SAME_MESSAGES}) == 1
    assert key_of(client, ChatRequest(MODEL, "Hi.")) != key_of(client)
    both = [SystemMessage("a"), UserMessage("b")]
    assert key_of(client, ChatRequest(MODEL, both)) != key_of(client, ChatRequest(MODEL, both[::-1]))


def test_numbers_count_by_their_value(client: AsyncCompletion) -> None:
    """`temperature=1` and `temperature=1.0` would be two requests."""
    assert key_of(client, with_param("temperature", 1)) == key_of(client, with_param("temperature", 1.0))
    assert key_of(client, extra_body={"top_k": 5}) == key_of(client, extra_body={"top_k": 5.0})
    assert key_of(client, extra_body={"x": 1e300}) != key_of(client, extra_body={"x": 1e301})


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def shuffled(value: Any) -> Any:
    """The same JSON with its members in another order."""
    if isinstance(value, dict):
        return {name: shuffled(value[name]) for name in reversed(cast("dict[str, Any]", value))}
    return [shuffled(item) for item in cast("list[Any]", value)] if isinstance(value, list) else value


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=3), JSON, max_size=4), JSON)
def test_the_order_of_members_does_not_count_and_every_value_does(
    client: AsyncCompletion, body: dict[str, Any], value: Any
) -> None:
    """Equal requests would be asked twice, or unequal ones would share a reply."""
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": body}}
    request = ChatRequest(MODEL, "Hi", response_format=schema, extra_body={"x": body})
    same = ChatRequest(MODEL, "Hi", response_format=shuffled(schema), extra_body=shuffled({"x": body}))
    assert key_of(client, request) == key_of(client, same)
    other = {"x": body, "another": value}
    assert key_of(client, request) != key_of(client, ChatRequest(MODEL, "Hi", response_format=schema, extra_body=other))


def test_headers_of_tracing_do_not_count(client: AsyncCompletion) -> None:
    """No two requests of a traced service would be equal."""
    headers = {"traceparent": "00-1", "Tracestate": "x", "baggage": "y", "X-Request-Id": "7", "Idempotency-Key": "8"}
    assert key_of(client, extra_headers=headers) == key_of(client)
    assert key_of(client, extra_headers={"X-A": "1"}) == key_of(client, extra_headers={"x-a": "1"})


def test_ignored_names_do_not_count(client: AsyncCompletion) -> None:
    """Users could not share replies."""
    cache = cached(MemoryStore(), ignore=("user", "run"))
    requests = [ChatRequest(MODEL, "Hi", user=name, extra_body={"run": name}) for name in ("a", "b")]
    assert key_of(client, requests[0], cache=cache) == key_of(client, requests[1], cache=cache)
    assert key_of(client, requests[0]) != key_of(client, requests[1])


def test_choices_that_are_not_filled_are_another_request(client: AsyncCompletion) -> None:
    """A call for three choices would get the two that a server sent to another."""
    request = ChatRequest(MODEL, "Hi", n=3)
    assert key_of(client, request, fill_choices=False) != key_of(client, request)
    assert key_of(client, fill_choices=False) == key_of(client)


def test_keys_show_neither_prompts_nor_secrets(client: AsyncCompletion) -> None:
    """A store's file would show prompts, or the key that a provider bills."""
    prompt = "canary-prompt-51a"
    key = key_of(
        client,
        ChatRequest(MODEL, prompt, user=prompt),
        cache=cached(MemoryStore(), namespace="tenant-7"),
        extra_headers={"Authorization": KEY, "x-note": prompt},
        api_key=KEY,
    )
    name, _, digest = key.partition(":")
    assert name == "tenant-7"
    assert len(digest) == 64
    assert int(digest, 16) > 0


async def test_the_api_key_is_no_part_of_the_key(client: AsyncCompletion) -> None:
    """A new key of the same account would make all stored replies useless."""
    async with AsyncCompletion(api_keys={"openai": "sk-another-key"}) as other:
        assert key_of(client) == key_of(other) == key_of(client, api_key="sk-a-third-key")
    assert key_of(client, extra_headers={"X-Auth-Token": "a"}) == key_of(client, extra_headers={"X-Auth-Token": "b"})


# --- against what is sent ---------------------------------------------------------------------------------------------

NOT_SENT_OR_NEUTRAL: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys((*NOT_COUNTED, "serviceTier", "labels", "requestMetadata", "performanceConfig"), ()),
    "candidateCount": (1,),
    "presencePenalty": (0,),
    "frequencyPenalty": (0,),
    "logprobs": (False, 0),
    "responseLogprobs": (False,),
    "stream": (False, True),
    **{name: values for name, values in NO_OP_VALUES.items() if name not in NOT_COUNTED},
    "disable_parallel_tool_use": (False,),
    "tool_choice": ("auto", {}),
    "toolChoice": ({"auto": {}},),
    "type": ("auto",),
    "options": ({},),
    "additionalModelRequestFields": ({},),
}
"""Member of a body that makes no other request → the values for which it does not; none for all of them."""


def counted(body: Any) -> Any:
    """A body without what makes no other request."""
    if isinstance(body, list):
        return [counted(item) for item in cast("list[Any]", body)]
    if not isinstance(body, dict):
        return body
    members = {name: counted(value) for name, value in cast("dict[str, Any]", body).items()}
    return {name: value for name, value in members.items() if not is_neutral(name, value)}


def is_neutral(name: str, value: Any) -> bool:
    """Whether a member of a body makes no other request."""
    if name not in NOT_SENT_OR_NEUTRAL:
        return False
    return not NOT_SENT_OR_NEUTRAL[name] or value in NOT_SENT_OR_NEUTRAL[name]


def bodies(call: FakeRequest) -> str:
    """What was sent for a call, in one form."""
    sent = [counted(each.body) for each in call.wire if each.method == "POST"]
    return json.dumps([call.provider, call.model, sent], sort_keys=True)


class Keys:
    """Middleware that notes the key of each call."""

    def __init__(self) -> None:
        self.cache = cached(MemoryStore())
        self.last = ""

    async def __call__(self, request: ChatRequest, options: CallOptions, call_next: CallNext) -> Reply:
        self.last = self.cache.key(request, options, call_next.target(request, options))
        return await call_next(request, options)


@pytest.fixture
async def fake() -> AsyncIterator[tuple[FakeProvider, Keys, AsyncCompletion]]:
    """All providers without a network, what notes the keys of their calls, and a client."""
    fake, keys = FakeProvider(name="*"), Keys()
    async with AsyncCompletion(providers=[fake], middleware=[keys], max_retries=0) as client:
        yield fake, keys, client


def calls_of(column: str) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """The calls of the parameter table for one provider, as the arguments of `create`."""
    for row in ROWS:
        if column in row.expectations:
            messages = "Hi." if row.call.messages is None else row.call.messages
            yield row.asked_model(column), messages, dict(row.params)


@pytest.mark.parametrize("column", ASKED_MODELS)
async def test_requests_with_one_key_send_one_body(
    column: str, fake: tuple[FakeProvider, Keys, AsyncCompletion]
) -> None:
    """A request would get the reply to another one that the provider receives differently."""
    provider, keys, client = fake
    sent: dict[str, set[str]] = {}
    for model, messages, params in calls_of(column):
        provider.requests.clear()
        try:
            await client.create(model, messages, **params)
        except (CompletionError, TypeError):
            continue  # refused, and so never cached
        sent.setdefault(keys.last, set()).add(bodies(provider.requests[-1]))
    assert len(sent) > 20
    assert [found for found in sent.values() if len(found) > 1] == []


async def test_a_function_and_its_definition_have_keys_of_their_own(
    fake: tuple[FakeProvider, Keys, AsyncCompletion],
) -> None:
    """A request with a definition, which is sent as it is, would get the reply to one whose schema was adapted."""
    provider, keys, client = fake

    def add(first: int, second: int = 3) -> int:
        return first + second

    sent: dict[str, str] = {}
    for offered in (add, tool(add).definition.to_dict()):
        provider.requests.clear()
        await client.create("openai/gpt-4o", "Hi", tools=[offered])
        sent[keys.last] = bodies(provider.requests[-1])
    assert len(sent) == len(set(sent.values())) == 2
