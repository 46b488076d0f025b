"""Tests of the cache of replies: what a call does with it, what is stored, and what a stored reply is like."""

from __future__ import annotations

import asyncio
import logging
import pickle
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from anycompletion import (
    APIError,
    APITimeoutError,
    AsyncCompletion,
    Audio,
    BadRequestError,
    CacheMissError,
    CacheUse,
    CallNext,
    CallOptions,
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionMessage,
    ChatRequest,
    Choice,
    CompletionError,
    CompletionStream,
    ConfigurationError,
    InternalServerError,
    InvalidRequestError,
    Provider,
    RateLimitError,
    Reply,
    ReplyValidationError,
    StreamInterruptedError,
    TargetOptions,
)
from anycompletion.caching import CacheControl, CacheStore, MemoryStore, SQLiteStore, cached
from anycompletion.routing import Route, RouteTarget
from anycompletion.testing import FakeProvider, SimulatorServer
from support.cancel_points import Run, at_every_point
from support.secret_channels import leaks

MODEL = "openai/gpt-4o"
KEY = "sk-canary-3f7b2d1c"
PROMPT = "canary-prompt-77aa"


class Numbered:
    """A function for a fake provider: a new text for each call."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, request: ChatRequest) -> str:
        self.calls += 1
        return f"reply {self.calls}"


@pytest.fixture
def replies() -> Numbered:
    """The replies of the provider, which counts its calls."""
    return Numbered()


@pytest.fixture
async def client(replies: Numbered) -> AsyncIterator[AsyncCompletion]:
    """A client with a cache in memory."""
    async with AsyncCompletion(providers=[FakeProvider(replies)], middleware=[cached(MemoryStore())]) as made:
        yield made


async def text_of(client: AsyncCompletion, prompt: str = "Hi", **options: Any) -> str:
    """The text of a plain call."""
    return (await client.create(MODEL, prompt, **options)).text


async def read(client: AsyncCompletion, prompt: str = "Hi", **options: Any) -> tuple[list[ChatCompletionChunk], Any]:
    """The chunks and the reply of a stream."""
    async with client.stream(MODEL, prompt, **options) as stream:
        return [chunk async for chunk in stream], await stream.get_final_completion()


# --- modes ------------------------------------------------------------------------------------------------------------


async def test_an_equal_request_is_sent_once(client: AsyncCompletion, replies: Numbered) -> None:
    """Each call would be paid for."""
    assert [await text_of(client), await text_of(client), await text_of(client, "Bye")] == ["reply 1"] * 2 + ["reply 2"]
    assert replies.calls == 2


async def test_each_mode_reads_and_writes(client: AsyncCompletion) -> None:
    """A call would get an old reply that it did not want, or leave none for the next one."""
    assert await text_of(client) == "reply 1"
    assert await text_of(client, cache="skip") == "reply 2"
    assert await text_of(client, cache="use") == "reply 1"
    assert await text_of(client, cache="refresh") == "reply 3"
    assert await text_of(client, cache="only") == "reply 3"
    assert await text_of(client, cache=CacheControl(vary="a")) == "reply 4"
    assert await text_of(client, cache=CacheControl("only", vary="a")) == "reply 4"


@pytest.mark.parametrize("stream", [False, True])
async def test_only_never_asks(stream: bool, client: AsyncCompletion, replies: Numbered) -> None:
    """A test that must not use the network would use it."""
    offline = client.with_options(cache="only")
    with pytest.raises(CacheMissError) as missed:
        await offline.create(MODEL, PROMPT, stream=stream)
    assert replies.calls == 0
    assert PROMPT not in str(missed.value)
    assert (missed.value.provider, missed.value.model) == ("openai", "gpt-4o")
    for uncached in ({"api_key": KEY}, {"extra_headers": {"Authorization": KEY}}):
        with pytest.raises(CacheMissError):
            await offline.create(MODEL, PROMPT, stream=stream, **uncached)
    assert replies.calls == 0


async def test_a_client_without_a_cache_refuses_the_option() -> None:
    """A call that must not be sent would be sent."""
    async with AsyncCompletion(providers=[FakeProvider()]) as client:
        for made in (client, client.with_options(cache="only")):
            options: dict[str, Any] = {} if made is not client else {"cache": "only"}
            with pytest.raises(ConfigurationError, match="cached"):
                await made.create(MODEL, "Hi", **options)
            with pytest.raises(ConfigurationError, match="cached"):
                async with made.stream(MODEL, "Hi", **options):
                    pass
            with pytest.raises(ConfigurationError, match="cached"):
                made.check(MODEL, **options)
            (result,) = [one async for one in made.batch([{"model": MODEL, "messages": "Hi", **options}])]
            assert isinstance(result.error, ConfigurationError)


async def pass_on(request: ChatRequest, options: CallOptions, call_next: CallNext) -> Reply:
    """Middleware that changes nothing."""
    call_next.target(request, options)
    return await call_next(request, options)


async def test_middleware_alone_is_no_cache() -> None:
    """A client with other middleware would take the option and do nothing."""
    async with AsyncCompletion(providers=[FakeProvider()], middleware=[pass_on]) as client:
        with pytest.raises(ConfigurationError, match="cached"):
            await client.create(MODEL, "Hi", cache="use", logger_fn=lambda event: None)


async def test_a_cache_among_other_middleware_gets_the_option(replies: Numbered) -> None:
    """The option of a call or a view would get lost on its way through other middleware and `logger_fn`."""
    events: list[str] = []
    middleware = [pass_on, cached(MemoryStore()), pass_on]
    async with AsyncCompletion(providers=[FakeProvider(replies)], middleware=middleware) as client:
        assert client.check(MODEL, cache="only").provider == "openai"
        view = client.with_options(cache="refresh", logger_fn=lambda event: events.append(event["event"]))
        assert [await text_of(view), await text_of(view), await text_of(view, cache="use")] == [
            "reply 1",
            "reply 2",
            "reply 2",
        ]
        assert (await client.attempt(MODEL, "Bye", cache="only")).error is not None
    assert events == ["request", "reply"] * 2


@pytest.mark.parametrize(
    ("value", "param"),
    [
        ("fresh", "cache"),
        (True, "cache"),
        ({"mode": "use"}, "cache"),
        (lambda: CacheControl(ttl=0), "cache.ttl"),
        (lambda: CacheControl(ttl=float("nan")), "cache.ttl"),
        (lambda: CacheControl(ttl=True), "cache.ttl"),
        (lambda: CacheControl("fresh"), "cache"),  # type: ignore[arg-type]
        (lambda: CacheControl(vary=1), "cache.vary"),  # type: ignore[arg-type]
    ],
    ids=["text", "bool", "dict", "ttl-0", "ttl-nan", "ttl-bool", "mode", "vary"],
)
async def test_a_wrong_option_names_its_place(value: Any, param: str, client: AsyncCompletion) -> None:
    """A misspelled mode would be ignored."""
    with pytest.raises(InvalidRequestError) as refused:
        await client.create(MODEL, "Hi", cache=value() if callable(value) else value)
    assert refused.value.param == param


WRONG_ARGUMENTS: list[tuple[str, Any]] = [
    ("cache.ttl", {"ttl": 0}),
    ("namespace", {"namespace": 7}),
    ("namespace", {"namespace": pass_on}),
    ("when", {"when": "sometimes"}),
    ("ignore", {"ignore": "user"}),
    ("ignore", {"ignore": ["messages"]}),
    ("ignore", {"ignore": [7]}),
    ("replay", {"replay": "slowly"}),
    ("max_reply_bytes", {"max_reply_bytes": 0}),
    ("on_store_error", {"on_store_error": "ignore"}),
]


@pytest.mark.parametrize(("param", "arguments"), WRONG_ARGUMENTS)
def test_a_wrong_argument_of_a_cache_names_its_place(param: str, arguments: dict[str, Any]) -> None:
    """A cache would start with a setting that means nothing."""
    with pytest.raises(InvalidRequestError) as refused:
        cached(MemoryStore(), **arguments)
    assert refused.value.param == param


def test_something_that_is_no_store_is_refused() -> None:
    """The first call would fail, or a class in place of a store."""
    for wrong in (MemoryStore, {}, None, "replies.sqlite"):
        with pytest.raises(InvalidRequestError, match="store"):
            cached(wrong)  # type: ignore[arg-type]


# --- which requests ---------------------------------------------------------------------------------------------------


async def test_a_cache_for_deterministic_requests_leaves_the_others(replies: Numbered) -> None:
    """Samples of a random request would all be the same."""
    cache = cached(MemoryStore(), when="deterministic")
    async with AsyncCompletion(providers=[FakeProvider(replies)], middleware=[cache]) as client:
        for params, expected in (({}, 2), ({"temperature": 1}, 2), ({"temperature": 0}, 1), ({"seed": 5}, 1)):
            replies.calls = 0
            for _ in range(2):
                await text_of(client, **params)
            assert replies.calls == expected


async def test_a_function_chooses_the_requests(replies: Numbered) -> None:
    """A cache could not leave out long prompts."""
    cache = cached(MemoryStore(), when=lambda request: request.seed == 1)
    async with AsyncCompletion(providers=[FakeProvider(replies)], middleware=[cache]) as client:
        assert len({await text_of(client, seed=seed) for seed in (1, 1, 2, 2)}) == 3


OWN_CREDENTIALS: list[dict[str, Any]] = [
    {"api_key": KEY},
    {"api_key": {"openai": KEY}},
    {"extra_headers": {"Authorization": f"Bearer {KEY}"}},
    {"extra_headers": {"x-tenant-token": KEY}},
    {"extra_query": {"key": KEY}},
]


@pytest.mark.parametrize("as_view", [False, True], ids=["call", "view"])
@pytest.mark.parametrize("options", OWN_CREDENTIALS, ids=",".join)
async def test_own_credentials_are_only_cached_with_a_namespace(
    options: dict[str, Any], as_view: bool, replies: Numbered
) -> None:
    """Two tenants with keys of their own would share replies by accident."""

    def tenant(request: ChatRequest, options: CallOptions) -> str:
        return (options.get("tags") or {}).get("tenant", "")

    cache = cached(MemoryStore(), namespace=tenant)
    async with AsyncCompletion(providers=[FakeProvider(replies)], middleware=[cache]) as client:
        used = client.with_options(**options) if as_view else client
        passed = {} if as_view else options
        assert len({await text_of(used, **passed) for _ in range(2)}) == 2
        a, again, b = [await text_of(used, tags={"tenant": name}, **passed) for name in ("a", "a", "b")]
    assert a == again != b


@pytest.mark.parametrize("as_view", [False, True], ids=["call", "view"])
@pytest.mark.parametrize(
    "options",
    [{"api_key": KEY}, {"extra_headers": {"Authorization": KEY}}, {"extra_query": {"key": KEY}}],
    ids=",".join,
)
async def test_own_credentials_of_fallbacks_are_only_cached_with_a_namespace(
    options: TargetOptions, as_view: bool, replies: Numbered
) -> None:
    """Two tenants whose fallbacks have keys of their own would share replies by accident."""
    given: dict[str, Any] = {"fallbacks": [RouteTarget("openai/gpt-4o-mini", options=options)]}
    for namespace, count in (("", 2), ("tenant", 1)):
        cache = cached(MemoryStore(), namespace=namespace)
        async with AsyncCompletion(providers=[FakeProvider(replies)], middleware=[cache]) as client:
            used, passed = (client.with_options(**given), {}) if as_view else (client, given)
            assert len({await text_of(used, **passed) for _ in range(2)}) == count


@pytest.mark.parametrize("name", ["provider", "base_url", "api_version"])
async def test_a_route_that_goes_elsewhere_is_another_request(name: str, replies: Numbered) -> None:
    """A call with fallbacks would get the reply of another provider or server, which an equal call was sent to."""
    values = ("groq", "mistral") if name == "provider" else ("http://127.0.0.1:1", "http://127.0.0.1:2")
    async with AsyncCompletion(providers=[FakeProvider(replies)], middleware=[cached(MemoryStore())]) as client:
        texts = set[str]()
        for value in (*values, *values):
            given: dict[str, Any] = {name: value, "fallbacks": ["openai/gpt-4o-mini"]}
            texts |= {(await client.create("gpt-4o", "Hi", **given)).text}
            texts |= {(await client.with_options(**given).create("gpt-4o", "Hi")).text}
        assert len(texts) == 2


async def test_clients_whose_route_has_other_servers_share_no_replies() -> None:
    """Two clients with one store would get replies of a server that they do not know."""
    digests = set[str | None]()
    for row in ({"base_url": "https://a.example/v1"}, {"base_url": "https://b.example/v1"}, {"headers": {"x": "1"}}):
        given: dict[str, Any] = {"base_url": "https://a.example/v1", **row}
        acme = Provider("acme", key_env=("ACME_KEY",), **given)
        async with AsyncCompletion(providers=[acme], api_keys={"acme": KEY}, routes={"r": Route(["acme/m"])}) as client:
            digests.add(client.check("r").route_digest)
    assert len(digests) == 3


async def test_a_key_for_another_provider_does_not_matter(client: AsyncCompletion, replies: Numbered) -> None:
    """Keys by provider would switch the cache off for all of them."""
    view = client.with_options(api_key={"anthropic": KEY})
    assert await text_of(view) == await text_of(view) == await text_of(client)
    assert replies.calls == 1


async def test_a_namespace_that_is_no_text_is_an_error() -> None:
    """All tenants would share the namespace "None"."""
    cache = cached(MemoryStore(), namespace=lambda request, options: None)  # type: ignore[arg-type,return-value]
    async with AsyncCompletion(providers=[FakeProvider()], middleware=[cache]) as client:
        with pytest.raises(TypeError, match="namespace"):
            await client.create(MODEL, "Hi")


# --- what is stored ---------------------------------------------------------------------------------------------------


def whole(**members: Any) -> ChatCompletion:
    """A reply with one choice."""
    finish_reason = members.pop("finish_reason", "stop")
    return ChatCompletion("id-1", [Choice(0, ChatCompletionMessage(**members), finish_reason)], "gpt-4o", 1)


NOT_STORED: dict[str, Any] = {
    "content filter": whole(content="a", finish_reason="content_filter"),
    "audio": whole(audio=Audio("audio_1", "AAAA", "a", 1)),
    "too large": "x" * 5000,
    "no choices": ChatCompletion("id-1", [], "gpt-4o", 1),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", NOT_STORED)
async def test_what_must_not_be_given_again_is_not_stored(name: str, stream: bool) -> None:
    """A refusal by a filter, an id that expires or an empty reply would come again and again."""
    calls: list[str] = []

    async def answer(request: ChatRequest, options: CallOptions, call_next: CallNext) -> Reply:
        calls.append(name)
        if name == "no choices":
            return NOT_STORED[name]
        return await call_next(request, options)

    store = MemoryStore()
    fake = FakeProvider(lambda request: NOT_STORED[name])
    middleware = [cached(store, max_reply_bytes=1000), answer]
    async with AsyncCompletion(providers=[fake], middleware=middleware) as client:
        for _ in range(2):
            reply = await client.create(MODEL, "Hi", stream=stream)
            if isinstance(reply, CompletionStream):
                await reply.get_final_completion()
    assert len(calls) == 2
    assert store.stats.entries == 0


@pytest.mark.parametrize("finish_reason", ["stop", "length", "tool_calls"])
async def test_other_finished_replies_are_stored(finish_reason: str) -> None:
    """A reply that was cut at its limit, or one with tool calls, would be paid for each time."""
    fake = FakeProvider(whole(content="a", finish_reason=finish_reason))
    async with AsyncCompletion(providers=[fake], middleware=[cached(MemoryStore())]) as client:
        for _ in range(2):
            assert (await client.create(MODEL, "Hi")).choices[0].finish_reason == finish_reason


ERRORS: list[CompletionError] = [
    BadRequestError("no"),
    RateLimitError("slow down"),
    InternalServerError("no"),
    APIError("no"),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_errors_are_not_stored(error: CompletionError, stream: bool) -> None:
    """An error that passes would last as long as the cache."""
    store, fake = MemoryStore(), FakeProvider(error, "fine")
    async with AsyncCompletion(providers=[fake], middleware=[cached(store)], max_retries=0) as client:
        with pytest.raises(type(error)):
            await client.create(MODEL, "Hi", stream=stream)
        assert store.stats.entries == 0
        assert await text_of(client) == "fine"


async def test_a_broken_stream_is_not_stored() -> None:
    """A part of a reply would be given as if it were all of it."""
    store = MemoryStore()
    fake = FakeProvider(["a ", "b ", StreamInterruptedError("cut")], "fine")
    async with AsyncCompletion(providers=[fake], middleware=[cached(store)], max_retries=0) as client:
        with pytest.raises(StreamInterruptedError):
            await read(client)
        assert store.stats.entries == 0
        assert (await read(client))[1].text == "fine"


@pytest.mark.parametrize("leave", ["break", "close", "cancel", "drop"])
async def test_a_stream_that_is_left_is_not_stored(leave: str) -> None:
    """A part of a reply would be stored, wherever its reader stopped."""
    store = MemoryStore()
    fake = FakeProvider(lambda request: "a b c d e f")
    async with AsyncCompletion(providers=[fake], middleware=[cached(store)]) as client:
        chunks = len((await read(client, cache="skip"))[0])
        for count in range(chunks + 1):
            await _leave(client, leave, count)
            assert store.stats.entries == 0, count


async def _leave(client: AsyncCompletion, leave: str, count: int) -> None:
    stream = client.stream(MODEL, "Hi")
    await stream.open()

    async def read_some() -> None:
        for _ in range(count):
            await anext(stream)
        if leave == "cancel":
            await asyncio.sleep(10)

    task = asyncio.create_task(read_some())
    if leave == "cancel":
        while not task.done() and len(stream.snapshot.choices) < bool(count):
            await asyncio.sleep(0)
        task.cancel()
    await asyncio.wait([task])
    if leave != "drop":
        await stream.aclose()


# --- what a stored reply is like --------------------------------------------------------------------------------------


async def test_the_info_of_a_stored_reply(client: AsyncCompletion) -> None:
    """A user could not tell a stored reply, or would count its tokens and attempts again."""
    first, second = await client.create(MODEL, "Hi"), await client.create(MODEL, "Hi")
    assert (first.info.cached, first.info.cache_age, first.info.attempts) == (False, None, 1)
    assert (second.info.cached, second.info.attempts, second.info.status_code) == (True, 0, None)
    assert second.info.cache_age is not None
    assert 0 <= second.info.cache_age < 60
    assert first.info.cache_key == second.info.cache_key is not None
    assert (second.info.provider, second.info.model) == ("openai", "gpt-4o")
    assert second.info.request_id == first.info.request_id is not None
    assert second.info.rate_limit is None
    assert not second.info.headers
    assert 0 < second.info.elapsed < 60
    assert first.usage is not None
    assert second.usage is not None
    assert (second.usage.cost, second.usage.total_tokens) == (0.0, first.usage.total_tokens)
    first.usage.cost = 0.0
    assert second == first
    assert second.raw == first.raw is not None


async def test_warnings_and_branches_come_back() -> None:
    """A user would not learn that a parameter was dropped for the original."""
    fake = FakeProvider(name="anthropic")
    middleware = [cached(MemoryStore())]
    async with AsyncCompletion(providers=[fake], middleware=middleware, on_unsupported="warn") as client:
        first, second = [await client.create("anthropic/claude-haiku-4-5", "Hi", n=2, seed=1) for _ in range(2)]
    assert second.info.cached
    assert second.info.warnings == first.info.warnings != []
    assert len(second.info.branches) == len(first.info.branches) == 2
    assert second.raw == first.raw


async def test_one_entry_is_taken_out_by_its_key() -> None:
    """A user could not get rid of a bad answer."""
    store, replies = MemoryStore(), Numbered()
    async with AsyncCompletion(providers=[FakeProvider(replies)], middleware=[cached(store)]) as client:
        reply = await client.create(MODEL, "Hi")
        assert reply.info.cache_key is not None
        await store.delete(reply.info.cache_key)
        assert await text_of(client) == "reply 2"


async def test_changing_a_reply_does_not_change_the_cache(client: AsyncCompletion) -> None:
    """The edit of one caller would reach all others."""
    first = await client.create(MODEL, "Hi")
    first.choices[0].message.content = "edited"
    second = await client.create(MODEL, "Hi")
    second.choices[0].message.content = "edited"
    second.info.warnings.append("edited")
    third = await client.create(MODEL, "Hi")
    assert (third.text, third.info.warnings) == ("reply 1", [])


async def test_changing_a_chunk_does_not_change_the_cache(client: AsyncCompletion) -> None:
    """A filter of one caller would change the stream of all others."""

    async def edited() -> list[str | None]:
        found: list[str | None] = []
        async with client.stream(MODEL, "Hi") as stream:
            async for chunk in stream:
                for choice in chunk.choices:
                    found.append(choice.delta.content)
                    choice.delta.content = "edited"
        return found

    first, second, third = [await edited() for _ in range(3)]
    assert first == second == third
    assert "edited" not in first


async def test_replies_without_raw_json(replies: Numbered) -> None:
    """`keep_raw=False` would store the provider's JSON all the same."""
    store = MemoryStore()
    async with AsyncCompletion(providers=[FakeProvider(replies)], middleware=[cached(store, keep_raw=False)]) as client:
        await client.create(MODEL, "Hi")
        assert (await client.create(MODEL, "Hi")).raw is None
        await read(client, "Bye")
        chunks, _ = await read(client, "Bye")
        assert [chunk.raw for chunk in chunks] == [None] * len(chunks)


async def test_a_lifetime_ends(tmp_path: Path, replies: Numbered) -> None:
    """A reply would be given for ever, or the lifetime of a call would not count."""
    async with SQLiteStore(tmp_path / "replies") as store:
        middleware = [cached(store, ttl=60)]
        async with AsyncCompletion(providers=[FakeProvider(replies)], middleware=middleware) as client:
            assert await text_of(client, cache=CacheControl(ttl=0.01)) == "reply 1"
            await asyncio.sleep(0.05)
            assert [await text_of(client), await text_of(client)] == ["reply 2"] * 2


# --- a store that fails -----------------------------------------------------------------------------------------------


class BrokenStore(CacheStore):
    """A store whose methods raise."""

    def __init__(self, value: bytes | None = None) -> None:
        self.value = value
        self.deleted: list[str] = []

    async def get(self, key: str) -> bytes | None:
        if self.value is None:
            raise OSError(f"cannot read {KEY}")
        return self.value

    async def set(self, key: str, value: bytes, ttl: float | None) -> None:
        raise OSError(f"cannot write {KEY}")

    async def delete(self, key: str) -> None:
        self.deleted.append(key)
        raise OSError("cannot delete")

    async def clear(self, namespace: str = "") -> int:
        return 0

    async def aclose(self) -> None:
        pass


@pytest.mark.parametrize("stream", [False, True])
async def test_a_store_that_fails_fails_no_call(
    stream: bool, replies: Numbered, caplog: pytest.LogCaptureFixture
) -> None:
    """An outage of the cache would be an outage of the app, or fill the log."""
    with caplog.at_level(logging.WARNING, "anycompletion"):
        async with AsyncCompletion(providers=[FakeProvider(replies)], middleware=[cached(BrokenStore())]) as client:
            for _ in range(5):
                reply = await client.create(MODEL, "Hi", stream=stream)
                if isinstance(reply, CompletionStream):
                    await reply.get_final_completion()
    assert replies.calls == 5
    assert len(caplog.records) == 1
    assert KEY not in caplog.text


async def test_reading_from_a_store_that_fails_is_raised_if_wanted(replies: Numbered) -> None:
    """A test of an app would not notice that its cache is away."""
    cache = cached(BrokenStore(), on_store_error="raise")
    async with AsyncCompletion(providers=[FakeProvider(replies)], middleware=[cache]) as client:
        with pytest.raises(OSError, match="cannot read"):
            await client.create(MODEL, "Hi")


UNREADABLE = [b"", b"\x00", b"\x01", b"\x01{}", b"\x02{}", b"\x01" + b"[" * 5000, b"\xff" * 40]
GOOD_INFO = '"created":1,"info":{"provider":"openai","model":"m"}'
UNREADABLE += [
    f'\x01{{{GOOD_INFO},"reply":{reply}}}'.encode() for reply in ("[]", "7", '{"choices":7}', '{"choices":[7]}')
]
UNREADABLE += [f'\x01{{{GOOD_INFO},"chunks":"{chunks}"}}'.encode() for chunks in ("", "AAAA", "eJwDAAAAAAE")]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("value", UNREADABLE, ids=repr)
async def test_a_value_that_cannot_be_read_is_removed(value: bytes, stream: bool, replies: Numbered) -> None:
    """A value of a later version, or a damaged one, would fail each call."""
    store = BrokenStore(value)
    async with AsyncCompletion(providers=[FakeProvider(replies)], middleware=[cached(store)]) as client:
        reply = await client.create(MODEL, "Hi", stream=stream)
        if isinstance(reply, CompletionStream):
            reply = await reply.get_final_completion()
    assert reply.text == "reply 1"
    assert store.deleted == [reply.info.cache_key]


class SlowStore(BrokenStore):
    """A store that writes slowly."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.written: dict[str, bytes] = {}

    async def get(self, key: str) -> bytes | None:
        return self.written.get(key)

    async def set(self, key: str, value: bytes, ttl: float | None) -> None:
        await asyncio.sleep(self.seconds)
        self.written[key] = value


async def test_no_call_waits_until_its_reply_is_written(replies: Numbered) -> None:
    """A slow store would delay every reply, or closing the client would lose the last one."""
    store = SlowStore(0.1)
    async with AsyncCompletion(providers=[FakeProvider(replies)], middleware=[cached(store)]) as client:
        await client.create(MODEL, "Hi")
        assert store.written == {}
    assert len(store.written) == 1


async def test_a_client_that_is_closed_does_not_wait_for_ever(replies: Numbered) -> None:
    """A store that hangs would keep a service from stopping."""
    store = SlowStore(3600)
    async with asyncio.timeout(20):
        async with AsyncCompletion(providers=[FakeProvider(replies)], middleware=[cached(store)]) as client:
            await client.create(MODEL, "Hi")
    assert store.written == {}


async def test_the_client_counts_hits_and_misses(replies: Numbered) -> None:
    """Whether a cache is of use would be known only where its store counts."""
    middleware = [cached(SlowStore(0))]
    async with AsyncCompletion(providers=[FakeProvider(replies)], middleware=middleware) as client:
        assert client.stats().cache == CacheUse(0, 0)
        for message in ("Hi", "Hi", "Ho", "Hi"):
            await client.create(MODEL, message)
            await asyncio.sleep(0.001)
        async with client.stream(MODEL, "Ho") as stream:
            await stream.get_final_completion()
        await client.create(MODEL, "Hi", cache="skip")
        assert client.stats().cache == CacheUse(3, 2)
        assert client.stats().to_dict()["cache"] == {"hits": 3, "misses": 2}
    async with AsyncCompletion(providers=[FakeProvider(replies)]) as client:
        assert client.stats().cache is None


async def test_of_two_caches_each_counts_for_itself(replies: Numbered) -> None:
    """A call would count twice, as a hit of the cache that had nothing, too."""
    middleware = [cached(MemoryStore()), cached(MemoryStore())]
    async with AsyncCompletion(providers=[FakeProvider(replies)], middleware=middleware) as client:
        await client.create(MODEL, "Hi")
        await client.create(MODEL, "Hi", cache="only")
        with pytest.raises(CacheMissError):
            await client.create(MODEL, "Ho", cache="only")
        assert [(each.hits, each.misses) for each in middleware] == [(1, 2), (0, 1)]


@pytest.mark.parametrize("store", [MemoryStore, lambda: SlowStore(0)], ids=["memory", "other"])
async def test_a_timeout_of_other_code_is_not_that_of_the_call(store: Callable[[], CacheStore]) -> None:
    """A TimeoutError of other middleware would be raised as if the whole time of the call were over."""

    async def impatient(request: ChatRequest, options: CallOptions, call_next: CallNext) -> Reply:
        raise TimeoutError("my own 2 s")

    async with AsyncCompletion(providers=[FakeProvider()], middleware=[cached(store()), impatient]) as client:
        with pytest.raises(TimeoutError, match="my own 2 s") as failed:
            await client.create(MODEL, "Hi")
        assert not isinstance(failed.value, APITimeoutError)


# --- secrets, pickles, other features ---------------------------------------------------------------------------------


def contents(folder: Path) -> list[bytes]:
    """The contents of the files of a folder."""
    return [file.read_bytes() for file in folder.iterdir()]


async def test_a_store_has_no_key_and_reprs_have_no_prompt(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file of replies would hold keys, or logs and reprs the prompts."""
    path = tmp_path / "replies.sqlite"
    fake = FakeProvider(name="openai")
    with caplog.at_level(logging.DEBUG, "anycompletion"):
        async with SQLiteStore(path) as store:
            cache = cached(store, namespace="tenant")
            async with AsyncCompletion(providers=[fake], middleware=[cache]) as client:
                for _ in range(2):
                    headers = {"Authorization": f"Bearer {KEY}"}
                    await client.create(MODEL, PROMPT, api_key=KEY, extra_headers=headers)
                    await read(client, PROMPT, api_key=KEY)
                target = client.check(MODEL, api_key=KEY, extra_headers={"x-key": KEY})
                copied = pickle.dumps(target)
                shown = [repr(each) for each in (cache, store, target, copied)]
    assert not any(KEY.encode() in content for content in contents(tmp_path))
    assert not any(KEY in text or PROMPT in text for text in (*shown, caplog.text))


async def test_errors_through_a_cache_show_no_key() -> None:
    """A crash report would hold the key of a call that waited for another one, or that found nothing."""
    fake = FakeProvider(lambda request: BadRequestError("no"))
    options: dict[str, Any] = {"api_key": KEY, "extra_headers": {"Authorization": f"Bearer {KEY}"}}
    middleware = [cached(MemoryStore(), namespace="tenant")]
    async with AsyncCompletion(providers=[fake], middleware=middleware, max_retries=0) as client:
        calls = [client.create(MODEL, PROMPT, **options) for _ in range(3)]
        calls.append(client.create(MODEL, PROMPT, cache="only", **options))
        errors = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(error) for error in errors] == [BadRequestError] * 3 + [CacheMissError]
    for error in errors:
        assert isinstance(error, CompletionError)
        assert leaks(error, KEY) == []


def test_a_cache_pickles_with_its_store(tmp_path: Path) -> None:
    """A client with a cache could not be sent to worker processes."""
    client = AsyncCompletion(middleware=[cached(SQLiteStore(tmp_path / "replies"), ttl=5, ignore=("user",))])
    copied = pickle.loads(pickle.dumps(client))  # noqa: S301 (pickled here)
    assert isinstance(copied, AsyncCompletion)
    with pytest.raises(TypeError, match="MemoryStore"):
        pickle.dumps(AsyncCompletion(middleware=[cached(MemoryStore())]))


async def test_a_batch_counts_stored_replies_apart(client: AsyncCompletion) -> None:
    """Progress would show tokens and costs that were not paid."""
    items = [{"model": MODEL, "messages": text} for text in ("a", "b")]
    async with client.batch(items) as run:
        assert [result.ok async for result in run] == [True, True]
        first = run.progress
    async with client.batch([*items, {"model": MODEL, "messages": "c"}], concurrency=1) as run:
        results = [result async for result in run]
        second = run.progress
    assert (first.cached, second.cached, second.done) == (0, 2, 3)
    assert 0 < second.completion_tokens < first.completion_tokens
    assert sum(bool(result.completion and result.completion.info.cached) for result in results) == 2


async def test_stored_replies_do_not_raise_the_concurrency_of_a_batch(client: AsyncCompletion) -> None:
    """Stored replies would have a batch send hundreds of requests at once."""
    await client.create(MODEL, "Hi")
    async with client.batch([{"model": MODEL, "messages": "Hi"}] * 200) as run:
        async for result in run:
            assert result.unwrap().info.cached
        assert client.stats().providers["openai"].adaptive_limit == 16


async def test_a_journal_marks_stored_replies(tmp_path: Path, client: AsyncCompletion) -> None:
    """A ledger that is made of a journal would count stored replies as paid for."""
    from anycompletion.batch import read_results  # noqa: PLC0415 (the only test that reads a journal)

    await client.create(MODEL, "Hi")
    async with client.batch([{"model": MODEL, "messages": "Hi"}], journal=tmp_path / "journal") as run:
        assert [result.ok async for result in run] == [True]
    (result,) = read_results(tmp_path / "journal")
    info = result.unwrap().info
    assert (info.cached, info.attempts) == (True, 0)
    assert info.cache_key is not None
    assert info.cache_age is not None


class Recorded:
    """Middleware that counts the calls that reach it."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, request: ChatRequest, options: CallOptions, call_next: CallNext) -> Reply:
        self.calls += 1
        return await call_next(request, options)


@pytest.mark.parametrize("convert", ["whole", "stream"])
async def test_replies_of_other_middleware_are_stored(convert: str, replies: Numbered) -> None:
    """A reply that another middleware made of a stream, or a stream that it made of a reply, would not be stored."""
    inner = Recorded()

    async def other_form(request: ChatRequest, options: CallOptions, call_next: CallNext) -> Reply:
        reply = await call_next(request, options)
        return await reply.get_final_completion() if isinstance(reply, CompletionStream) else reply

    middleware = [cached(MemoryStore()), other_form, inner]
    async with AsyncCompletion(providers=[FakeProvider(replies)], middleware=middleware) as client:
        for _ in range(2):
            if convert == "whole":
                assert (await read(client))[1].text == "reply 1"
            else:
                assert await text_of(client) == "reply 1"
    assert inner.calls == 1


async def test_requests_that_are_invalid_raise_what_they_raise_without_a_cache(client: AsyncCompletion) -> None:
    """An error would name the cache in place of the parameter."""

    async def spoil(request: ChatRequest, options: CallOptions, call_next: CallNext) -> Reply:
        request.extra_body = {"x": object()}
        return await call_next(request, options)

    async with AsyncCompletion(providers=[FakeProvider()], middleware=[spoil, cached(MemoryStore())]) as other:
        with pytest.raises(InvalidRequestError) as refused:
            await other.create(MODEL, "Hi")
    assert (refused.value.param or "").startswith("extra_body")


@pytest.mark.parametrize("stored_as", ["whole", "stream"])
async def test_a_stream_that_other_middleware_has_read_is_stored_whole(stored_as: str, replies: Numbered) -> None:
    """An empty stream would be stored, and each later reader get nothing."""

    async def inspect(request: ChatRequest, options: CallOptions, call_next: CallNext) -> Reply:
        reply = await call_next(request, options)
        assert isinstance(reply, CompletionStream)
        await reply.get_final_completion()
        return reply

    async with AsyncCompletion(
        providers=[FakeProvider(replies)], middleware=[cached(MemoryStore()), inspect]
    ) as client:
        assert [(await read(client))[1].text for _ in range(2)] == ["reply 1", "reply 1"]


async def test_lifetimes_without_end_are_taken_by_all_stores(tmp_path: Path, replies: Numbered) -> None:
    """A lifetime of infinity would be an error of the store at each call."""
    async with SQLiteStore(tmp_path / "replies") as store:
        cache = cached(store, ttl=float("inf"), on_store_error="raise")
        async with AsyncCompletion(providers=[FakeProvider(replies)], middleware=[cache]) as client:
            assert [await text_of(client), await text_of(client)] == ["reply 1"] * 2


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_that_is_cancelled_stores_nothing(stream: bool, late: bool) -> None:
    """A cancelled call would leave a part of a reply, or a later call that waits for ever."""
    store = MemoryStore()
    async with (
        SimulatorServer() as sim,
        AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys, middleware=[cached(store)]) as client,
    ):

        async def use() -> None:
            await store.clear()
            if stream:
                async with client.stream(MODEL, "Hi") as opened:
                    async for _ in opened:
                        pass
            else:
                await client.create(MODEL, "Hi")

        async def check(run: Run) -> None:
            if run.task.cancelled():
                assert store.stats.entries == 0, run
            async with asyncio.timeout(5):
                assert "You said: Hi" in await text_of(client), run

        assert await at_every_point(use, check, late=late)


@dataclass
class Numbers:
    """A type for typed replies."""

    number: int


async def test_a_typed_reply_that_does_not_fit_is_asked_anew(replies: Numbered) -> None:
    """A stored reply that does not fit its type would fail each call, for as long as it is stored."""
    texts = iter(['{"number": "many"}', '{"number": 7}'])
    fake = FakeProvider(lambda request: next(texts))
    async with AsyncCompletion(providers=[fake], middleware=[cached(MemoryStore())]) as client:
        with pytest.raises(ReplyValidationError):
            await client.parse(MODEL, "Hi", into=Numbers, max_reasks=0)
        parsed = await client.parse(MODEL, "Hi", into=Numbers, max_reasks=0)
        again = await client.parse(MODEL, "Hi", into=Numbers, max_reasks=0)
    assert (parsed.parsed.number, parsed.info.cached, parsed.info.reasks) == (7, False, 0)
    assert (again.parsed.number, again.info.cached) == (7, True)


async def test_a_reply_of_an_unpriced_model_costs_nothing_when_it_is_stored(client: AsyncCompletion) -> None:
    """The sum over all replies would be unknown, or count a stored reply again."""
    prices = pytest.importorskip("anycompletion.integrations.prices", reason="the extra prices is not installed")
    first, second = [await client.create(MODEL, "Hi") for _ in range(2)]
    assert prices.cost(second) == 0.0
    assert prices.cost(first) != 0.0
    second.usage = None
    assert prices.cost(second) == 0.0


# --- routes -----------------------------------------------------------------------------------------------------------


def routed(store: CacheStore, targets: list[Any], fake: FakeProvider, **arguments: Any) -> AsyncCompletion:
    """A client with a route and a cache."""
    middleware = [cached(store)]
    return AsyncCompletion(providers=[fake], routes={"fast": Route(targets)}, middleware=middleware, **arguments)


async def test_a_route_has_one_entry_whichever_target_answers() -> None:
    """Each target of a route would be asked the same question."""
    store, fake = MemoryStore(), FakeProvider(InternalServerError("down"), "from the second", name="*")
    targets = ["openai/gpt-4o", RouteTarget("groq/llama", options={"extra_headers": {"x-a": "1"}})]
    async with routed(store, targets, fake) as client:
        first = await client.create("fast", "Hi")
        assert (first.text, first.info.target, first.info.cached) == ("from the second", "groq/llama", False)
        for _ in range(3):
            stored = await client.create("fast", "Hi")
            assert (stored.text, stored.info.cached) == (first.text, True)
            assert (stored.info.route, stored.info.target, stored.info.provider) == ("fast", "groq/llama", "groq")
        view = client.with_options(cache="only")
        async with view.stream("fast", "Hi") as stream:
            assert (await stream.get_final_completion()).text == first.text
        assert view.check("fast").route == "fast"
    assert store.stats.entries == 1


async def test_another_route_of_the_same_name_has_another_key() -> None:
    """A program whose route was changed would get the replies of the models it no longer asks."""
    store, keys = MemoryStore(), set[str | None]()
    for targets, urls in (
        (["openai/gpt-4o"], {}),
        (["openai/gpt-4o-mini"], {}),
        (["openai/gpt-4o", "groq/llama"], {}),
        ([RouteTarget("openai/gpt-4o", params={"temperature": 1})], {}),
        (["openai/gpt-4o"], {"openai": "https://proxy.example/v1"}),
    ):
        async with routed(store, targets, FakeProvider(name="*"), base_urls=urls) as client:
            reply = await client.create("fast", "Hi")
            assert not reply.info.cached
            keys.add(reply.info.cache_key)
            fallback = await client.create("openai/gpt-4o", "Hi", fallbacks=["anthropic/claude-haiku-4-5"])
            keys.add(fallback.info.cache_key)
    assert len(keys) == 5 + 2


async def test_the_key_of_a_target_is_no_tenants_key() -> None:
    """A route over several keys of one account would never be cached."""
    store, fake = MemoryStore(), FakeProvider(name="*")
    targets = [RouteTarget("openai/gpt-4o", options={"api_key": KEY})]
    async with routed(store, targets, fake) as client:
        assert [(await client.create("fast", "Hi")).info.cached for _ in range(2)] == [False, True]
        own = [(await client.create("fast", "Hi", api_key="sk-tenant")).info.cached for _ in range(2)]
        assert own == [False, False]
