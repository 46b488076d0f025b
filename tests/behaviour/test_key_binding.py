"""Tests of key binding: a key goes with the provider and origin that it was given for, wherever it comes from."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, cast

import attrs
import pytest

from anycompletion import (
    AsyncCompletion,
    AuthenticationError,
    ChatCompletion,
    ChatRequest,
    CompletionError,
    CompletionStream,
    ConfigurationError,
    EnvKey,
    InvalidRequestError,
    Provider,
    Result,
    Secret,
    UserMessage,
)
from anycompletion import CallNext as Next
from anycompletion import CallOptions as Options
from support.raw_server import REQUEST, RawServer, answer

OWN, OTHER = "sk-given-for-openai-0123456789", "gsk-configured-for-groq-0123456789"
FAILED = answer({"error": {"message": "down"}}, 500)
ANSWERED = (REQUEST, answer()) * 8

Reply = ChatCompletion | CompletionStream


class Servers(NamedTuple):
    """A server for each of three providers; that of openai can be made to fail."""

    openai: RawServer
    groq: RawServer
    elsewhere: RawServer

    def client(self, **arguments: Any) -> AsyncCompletion:
        """A client of them, whose own key for groq is `OTHER`."""
        urls = {"openai": f"{self.openai.url}/v1", "groq": f"{self.groq.url}/v1"}
        return AsyncCompletion(base_urls=urls, **{"api_keys": {"groq": OTHER}, "max_retries": 0, **arguments})

    def received(self) -> dict[str, list[str]]:
        """The keys that each server has received."""
        return {
            name: [request.headers.get("authorization", "").removeprefix("Bearer ") for request in server.requests]
            for name, server in self._asdict().items()
        }


@asynccontextmanager
async def servers(openai: bytes | None = None) -> AsyncIterator[Servers]:
    script = ANSWERED if openai is None else (REQUEST, openai) * 8
    async with RawServer(script) as first, RawServer(ANSWERED) as second, RawServer(ANSWERED) as third:
        yield Servers(first, second, third)


async def fallback(request: ChatRequest, options: Options, call_next: Next) -> Reply:
    """Asks groq where another provider fails."""
    try:
        return await call_next(request, options)
    except CompletionError:
        return await call_next(attrs.evolve(request, model="groq/llama"), options)


async def outer(request: ChatRequest, options: Options, call_next: Next) -> Reply:
    return await call_next(request, {**options})


async def key_function() -> str:
    return OWN


def blocking_key() -> str:
    return OWN


CREDENTIALS: dict[str, dict[str, Any]] = {
    "text": {"api_key": OWN},
    "Secret": {"api_key": Secret(OWN)},
    "async function": {"api_key": key_function},
    "function": {"api_key": blocking_key},
    "header": {"api_key": "sk-unused", "extra_headers": {"Authorization": f"Bearer {OWN}"}},
    "header of a gateway": {"api_key": OWN, "extra_headers": {"X-Gateway-Token": OWN, "X-Title": "kept"}},
    "query": {"api_key": OWN, "extra_query": {"key": OWN, "page": "1"}},
    "organization": {"api_key": OWN, "organization": OWN, "project": OWN},
    "base URL": {"api_key": OWN, "base_url": "{openai}/v1/other"},
}


def filled(options: dict[str, Any], hosts: Servers) -> dict[str, Any]:
    return {
        name: value.format(openai=hosts.openai.url) if name == "base_url" else value for name, value in options.items()
    }


async def plain(client: AsyncCompletion, **options: Any) -> list[str]:
    reply: ChatCompletion = await client.create("openai/gpt-4o", "Hi.", **options)
    return reply.info.warnings


async def attempted(client: AsyncCompletion, **options: Any) -> list[str]:
    return (await client.attempt("openai/gpt-4o", "Hi.", **options)).unwrap().info.warnings


async def through_a_view(client: AsyncCompletion, **options: Any) -> list[str]:
    return await plain(client.with_options(**options))


async def through_a_view_of_a_view(client: AsyncCompletion, **options: Any) -> list[str]:
    return await plain(client.with_options(**options).with_options(timeout=20))


async def through_a_logger(client: AsyncCompletion, **options: Any) -> list[str]:
    def ignore(event: dict[str, Any]) -> None:
        pass

    return await plain(client, logger_fn=ignore, **options)


WAYS: list[Callable[..., Awaitable[list[str]]]] = [
    plain,
    attempted,
    through_a_view,
    through_a_view_of_a_view,
    through_a_logger,
]


@pytest.mark.parametrize("credential", CREDENTIALS)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_a_fallback_takes_no_key_along(credential: str, way: Callable[..., Awaitable[list[str]]]) -> None:
    """The first provider's outage would send its key to another company."""
    async with servers(FAILED) as hosts, hosts.client(middleware=[outer, fallback]) as client:
        warnings = await way(client, **filled(CREDENTIALS[credential], hosts))
        assert OWN in repr([(each.line, each.headers) for each in hosts.openai.requests])
        (request,) = hosts.groq.requests
        assert OWN not in repr(request)
        assert request.headers["authorization"] == f"Bearer {OTHER}"
        assert request.line.split()[1].partition("?")[0] == "/v1/chat/completions"
        dropped = CREDENTIALS[credential].keys() - {"extra_headers", "extra_query"}
        assert {line.partition(" ")[0] for line in warnings} >= dropped
        assert all(line.endswith("it was given for openai, and the call goes to groq") for line in warnings)
        if credential == "header of a gateway":
            assert request.headers["x-title"] == "kept"
        if credential == "query":
            assert request.line.split()[1].endswith("?page=1")


async def test_a_stream_takes_no_key_along() -> None:
    """The same of a streamed reply."""
    async with servers(FAILED) as hosts, hosts.client(middleware=[fallback]) as client:
        async with client.stream("openai/gpt-4o", "Hi.", api_key=OWN) as stream:
            assert (await stream.get_final_completion()).text == "Hello."
        assert hosts.received()["groq"] == [OTHER]
        assert any(line.startswith("api_key dropped") for line in stream.info.warnings)


async def test_without_a_key_of_its_own_the_fallback_is_refused() -> None:
    """A provider without a key would get another one's."""
    async with servers(FAILED) as hosts, hosts.client(middleware=[fallback], api_keys={}) as client:
        with pytest.raises(ConfigurationError, match="GROQ_API_KEY"):
            await plain(client, api_key=OWN)
        assert hosts.groq.requests == []


async def test_middleware_may_set_a_key_for_the_other_provider() -> None:
    """A service that has a key of each caller for each provider could not have fallbacks."""

    async def change(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        return await call_next(attrs.evolve(request, model="groq/llama"), {**options, "api_key": "gsk-of-the-caller"})

    async with servers() as hosts, hosts.client(middleware=[outer, change, outer]) as client:
        assert await plain(client, api_key=OWN) == []
        assert hosts.received() == {"openai": [], "groq": ["gsk-of-the-caller"], "elsewhere": []}


async def test_keys_that_name_their_provider_stay() -> None:
    """Keys of a caller for several providers could not be given at once."""
    keys = {"openai": OWN, "groq": "gsk-of-the-caller"}
    for given in ("call", "view"):
        async with servers(FAILED) as hosts, hosts.client(middleware=[fallback]) as client:
            if given == "call":
                assert await plain(client, api_key=keys) == []
            else:
                assert await plain(client.with_options(api_key=keys)) == []
            assert hosts.received() == {"openai": [OWN], "groq": ["gsk-of-the-caller"], "elsewhere": []}


async def test_a_key_set_by_middleware_is_for_its_provider_too() -> None:
    """An inner middleware could take along the key that an outer one has set."""

    async def set_key(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        return await call_next(request, {**options, "api_key": OWN})

    async with servers(FAILED) as hosts, hosts.client(middleware=[set_key, fallback]) as client:
        reply = await client.create("openai/gpt-4o", "Hi.")
        assert hosts.received() == {"openai": [OWN], "groq": [OTHER], "elsewhere": []}
        assert len(reply.info.warnings) == 1


async def test_a_name_of_middleware_has_the_key_of_the_call_for_one_provider() -> None:
    """A key for a model that middleware gives a name would be lost, or go to several providers."""

    async def resolve(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        try:
            return await call_next(attrs.evolve(request, model="openai/gpt-4o"), options)
        except CompletionError:
            return await call_next(attrs.evolve(request, model="groq/llama"), options)

    async with servers(FAILED) as hosts, hosts.client(middleware=[resolve]) as client:
        reply = await client.create("our-best", "Hi.", api_key=OWN)
        assert hosts.received() == {"openai": [OWN], "groq": [OTHER], "elsewhere": []}
        assert reply.info.warnings == ["api_key dropped: it was given for openai, and the call goes to groq"]


async def test_changes_in_place_are_noticed() -> None:
    """Middleware that changes the request itself would take the key along."""

    async def change(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        request.model = "groq/llama"
        return await call_next(request, options)

    async with servers() as hosts, hosts.client(middleware=[change]) as client:
        await plain(client, api_key=OWN)
        assert hosts.received() == {"openai": [], "groq": [OTHER], "elsewhere": []}


async def test_a_concurrent_second_choice_takes_no_key_along() -> None:
    """Middleware that asks two providers at once would send the key to both."""

    async def race(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        others = (request, attrs.evolve(request, model="groq/llama"))
        return (await asyncio.gather(*(call_next(each, options) for each in others)))[1]

    async with servers() as hosts, hosts.client(middleware=[race]) as client:
        await plain(client, api_key=OWN)
        assert hosts.received() == {"openai": [OWN], "groq": [OTHER], "elsewhere": []}


@pytest.mark.parametrize("given", ["call", "view", "view with a base URL"])
async def test_middleware_may_not_move_a_key_to_another_host(given: str) -> None:
    """A key would go where the caller never meant it to go."""
    async with servers() as hosts:
        url = f"{hosts.elsewhere.url}/v1"

        async def move(request: ChatRequest, options: Options, call_next: Next) -> Reply:
            return await call_next(request, {**options, "base_url": url})

        async with hosts.client(middleware=[move]) as client:
            options: dict[str, Any] = {"api_key": OWN}
            if given == "view with a base URL":
                options["base_url"] = f"{hosts.openai.url}/v1"
            caller, rest = (client, options) if given == "call" else (client.with_options(**options), {})
            with pytest.raises(ConfigurationError, match="pass api_key= with it"):
                await plain(caller, **rest)
            assert hosts.elsewhere.requests == []


def _headers(options: Options) -> dict[str, str]:
    return dict(options.get("extra_headers") or {})


REWRITTEN: dict[str, Callable[[Options], Options]] = {
    "unchanged": lambda options: {**options},
    "names in small letters": lambda options: {
        **options,
        "extra_headers": {name.lower(): value for name, value in _headers(options).items()},
    },
    "another name": lambda options: {
        **options,
        "extra_headers": {f"X-Forwarded-{name}": value for name, value in _headers(options).items()},
    },
    "another header beside it": lambda options: {**options, "extra_headers": {**_headers(options), "X-Trace": "1"}},
    "a query": lambda options: {**options, "extra_query": _headers(options)},
}


async def test_a_key_by_provider_in_a_header_goes_to_its_provider_only() -> None:
    """Middleware that copies the keys of a call into headers would send one provider's key to another."""
    other = "sk-given-for-groq-9876543210"

    async def change(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        keys = cast("Mapping[str, Secret]", options.get("api_key"))
        headers = {f"X-Key-{name}": key.reveal() for name, key in keys.items()}
        return await call_next(attrs.evolve(request, model="groq/llama"), {**options, "extra_headers": headers})

    async with servers(FAILED) as hosts, hosts.client(middleware=[change]) as client:
        await plain(client, api_key={"openai": OWN, "groq": other})
        (request,) = hosts.groq.requests
        assert OWN not in repr(request)
        assert repr(request).count(other) == 2


@pytest.mark.parametrize("rewritten", REWRITTEN)
@pytest.mark.parametrize("to", ["another provider", "another host"])
async def test_a_credential_in_another_form_goes_nowhere_else(to: str, rewritten: str) -> None:
    """Middleware that writes headers in a form of its own would take the caller's credentials along."""
    async with servers(FAILED) as hosts:

        async def change(request: ChatRequest, options: Options, call_next: Next) -> Reply:
            changed = REWRITTEN[rewritten](options)
            if to == "another provider":
                return await call_next(attrs.evolve(request, model="groq/llama"), changed)
            return await call_next(
                request, {**changed, "base_url": f"{hosts.elsewhere.url}/v1", "api_key": "sk-of-the-middleware"}
            )

        headers = {"X-Gateway-Token": f"Bearer {OWN}", "X-Same-Key": OWN, "X-Title": "kept"}
        async with hosts.client(middleware=[outer, change]) as client:
            if to == "another host":
                with pytest.raises(ConfigurationError, match="pass api_key= with it"):
                    await plain(client, api_key=OWN, extra_headers=headers)
            else:
                await plain(client, api_key=OWN, extra_headers=headers)
                (request,) = hosts.groq.requests
                assert "kept" in repr(request.headers)
        assert OWN not in repr([hosts.groq.requests, hosts.elsewhere.requests])


@pytest.mark.parametrize("headers", [["Authorization"], {"Authorization": 7}, {7: "x"}, "Authorization"])
async def test_headers_of_middleware_that_are_none_are_refused(headers: Any) -> None:
    """A mistake in middleware would be an error that does not name it."""

    async def change(request: ChatRequest, options: Options, call_next: Next) -> Reply:
        return await call_next(attrs.evolve(request, model="groq/llama"), {**options, "extra_headers": headers})

    async with servers() as hosts, hosts.client(middleware=[change]) as client:
        with pytest.raises(InvalidRequestError, match="extra_headers"):
            await plain(client, api_key=OWN)


# --- views --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [OWN, Secret(OWN), key_function, blocking_key, {"openai": OWN}])
async def test_a_later_base_url_does_not_move_a_views_key(key: Any) -> None:
    """A view of a tenant would send the operator's key to the tenant's host."""
    async with servers() as hosts, hosts.client() as client:
        url = f"{hosts.elsewhere.url}/v1"
        operators = client.with_options(api_key=key)
        for view in (
            operators.with_options(base_url=url),
            operators.with_options(timeout=9).with_options(base_url=url),
        ):
            with pytest.raises(ConfigurationError, match="pass api_key= with it"):
                await plain(view)
        with pytest.raises(ConfigurationError, match="pass api_key= with it"):
            await plain(operators, base_url=url)
        assert hosts.elsewhere.requests == []
        await plain(operators.with_options(base_url=url, api_key="sk-of-the-tenant"))
        assert hosts.received() == {"openai": [], "groq": [], "elsewhere": ["sk-of-the-tenant"]}


async def test_a_views_credential_header_stays_at_its_origin() -> None:
    """A token in a header would go where the key may not."""
    async with servers() as hosts, hosts.client(api_keys={"openai": "sk-unused", "groq": OTHER}) as client:
        view = client.with_options(extra_headers={"Authorization": f"Bearer {OWN}"})
        await plain(view)
        with pytest.raises(ConfigurationError, match="extra_headers"):
            await view.create("groq/llama", "Hi.")
        with pytest.raises(ConfigurationError, match="extra_headers"):
            await plain(view, base_url=f"{hosts.elsewhere.url}/v1", api_key="sk-unused")
        harmless = client.with_options(extra_headers={"X-Title": "app"}, extra_query={"page": "1"})
        await plain(harmless)
        await harmless.create("groq/llama", "Hi.")
        assert hosts.received() == {"openai": [OWN, "sk-unused"], "groq": [OTHER], "elsewhere": []}


@pytest.mark.parametrize("how", ["create", "stream", "batch"])
@pytest.mark.parametrize("bound_by", ["first use", "provider"])
async def test_a_views_key_is_for_one_provider(how: str, bound_by: str) -> None:
    """A model of another provider, which may come from a caller, would get the view's key."""
    async with servers() as hosts, hosts.client() as client:
        view = client.with_options(api_key=OWN)
        if bound_by == "provider":
            view = client.with_options(api_key=OWN, provider="openai").with_options(provider="groq")
        else:
            await plain(view)
        error: CompletionError | None = None
        try:
            if how == "create":
                await view.create("groq/llama", "Hi.")
            elif how == "stream":
                async with view.stream("groq/llama", "Hi.") as stream:
                    await stream.get_final_completion()
            else:
                async with view.batch([ChatRequest("groq/llama", [UserMessage("Hi.")])]) as run:
                    (result,) = [result async for result in run]
                    assert isinstance(result, Result)
                    error = result.error
        except CompletionError as caught:
            error = caught
        assert isinstance(error, ConfigurationError)
        assert "was given for openai and not for groq; api_key={'groq': ...} names the provider" in str(error)
        assert hosts.groq.requests == []


async def test_keys_by_provider_leave_others_to_the_client() -> None:
    """A mixed batch could not have a key of one's own for one of its providers."""
    async with servers() as hosts, hosts.client() as client:
        view = client.with_options(api_key={"openai": OWN})
        requests = [ChatRequest(model, [UserMessage("Hi.")]) for model in ("openai/gpt-4o", "groq/llama")]
        async with view.batch(requests) as run:
            assert all([result.error is None async for result in run])
        assert hosts.received() == {"openai": [OWN], "groq": [OTHER], "elsewhere": []}


@pytest.mark.parametrize(
    ("keys", "error", "text"),
    [
        ({"opnai": OWN}, ConfigurationError, "unknown provider 'opnai' in api_key"),
        ({OWN.upper(): "openai"}, InvalidRequestError, "api_key: has a name that is no provider's"),
        ({"openai": 5}, InvalidRequestError, "api_key['openai']: expected a string"),
    ],
)
async def test_wrong_keys_by_provider_are_refused(keys: Any, error: type[Exception], text: str) -> None:
    """A key that is never used would be noticed by the provider's refusal only."""
    async with servers() as hosts, hosts.client() as client:
        with pytest.raises(error) as caught:
            client.with_options(api_key=keys)
        assert text in str(caught.value)
        with pytest.raises(error):
            await plain(client, api_key=keys)
        assert OWN not in str(caught.value)
        assert hosts.openai.requests == []


async def test_a_views_base_url_serves_all_providers_with_its_key() -> None:
    """A gateway could not be used for models of several providers."""
    async with servers() as hosts, hosts.client() as client:
        gateway = client.with_options(base_url=f"{hosts.elsewhere.url}/v1", api_key=OWN)
        await plain(gateway)
        await gateway.create("groq/llama", "Hi.")
        assert hosts.received() == {"openai": [], "groq": [], "elsewhere": [OWN, OWN]}


async def test_a_pickled_view_keeps_what_its_key_is_for() -> None:
    """A worker process would send the key to another provider."""
    async with servers() as hosts, hosts.client(api_keys={}) as client:
        view = client.with_options(api_key=key_function)
        await plain(view)
        copy = pickle.loads(pickle.dumps(view))  # noqa: S301 (our own)
        async with copy:
            await plain(copy)
            with pytest.raises(ConfigurationError, match="was given for openai"):
                await copy.create("groq/llama", "Hi.")


async def test_a_providers_own_headers_stay_at_its_origin() -> None:
    """A caller's base URL would get the token and the organization that the operator has set."""
    async with servers() as hosts:
        row = Provider(
            "acme",
            f"{hosts.openai.url}/v1",
            key_optional=True,
            headers={"X-Acme-Token": OWN, "X-Internal": "tenant-of-acme-0123", "X-Version": "2", "X-Title": "Our app"},
        )
        async with AsyncCompletion(providers=[row]) as client:
            await client.create("acme/x", "Hi.")
            await client.create("acme/x", "Hi.", base_url=f"{hosts.elsewhere.url}/v1")
        assert hosts.openai.requests[0].headers["x-acme-token"] == OWN
        sent = hosts.elsewhere.requests[0].headers
        assert not {"x-acme-token", "x-internal"} & sent.keys()
        assert (sent["x-version"], sent["x-title"]) == ("2", "Our app")


# --- where keys come from ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["client", "view", "call", "keys by provider"])
async def test_a_key_of_a_variable_is_read_at_its_first_use(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second account's key could not come from the environment, or not be pickled with the client."""
    key = EnvKey("ACME_SECOND_KEY")
    async with servers() as hosts:
        client = hosts.client(**({"api_keys": {"openai": key}} if where == "client" else {}))
        async with client:
            caller = client.with_options(api_key=key) if where == "view" else client
            given: dict[str, dict[str, Any]] = {
                "call": {"api_key": key},
                "keys by provider": {"api_key": {"openai": key}},
            }
            options = given.get(where, {})
            with pytest.raises(ConfigurationError, match="no API key for openai: set ACME_SECOND_KEY"):
                await plain(caller, **options)
            monkeypatch.setenv("ACME_SECOND_KEY", OWN)
            await plain(caller, **options)
            assert hosts.received()["openai"] == [OWN]
    assert pickle.loads(pickle.dumps(key)) == key  # noqa: S301 (our own)


async def test_a_refused_key_of_a_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be unknown which variable has the wrong key."""
    monkeypatch.setenv("ACME_SECOND_KEY", OWN)
    refusal = answer({"error": {"message": "no"}}, 401)
    async with servers(refusal) as hosts, hosts.client(api_keys={"openai": EnvKey("ACME_SECOND_KEY")}) as client:
        with pytest.raises(AuthenticationError, match="the key is from ACME_SECOND_KEY"):
            await plain(client)


@pytest.mark.parametrize("name", [OWN, "", "gsk_0123456789abcdef", "A B", 5])
def test_a_key_in_place_of_a_variable_is_refused_unseen(name: Any) -> None:
    """A key would be taken for a variable's name, and shown as one."""
    with pytest.raises(InvalidRequestError) as caught:
        EnvKey(name)
    assert str(caught.value) == "EnvKey: expected the name of an environment variable in capitals"


async def test_a_blocking_key_function_does_not_block_the_event_loop() -> None:
    """A function that reads a file or asks a vault would stop all other calls."""
    loop = asyncio.get_running_loop()
    reached = asyncio.Event()

    def slow() -> str:
        loop.call_soon_threadsafe(reached.set)
        asyncio.run_coroutine_threadsafe(reached.wait(), loop).result(5)
        return OWN

    async with servers() as hosts, hosts.client() as client:
        await plain(client, api_key=slow)
        assert hosts.received()["openai"] == [OWN]


@pytest.mark.parametrize("error", [LookupError("no such secret"), StopIteration()], ids=repr)
async def test_a_blocking_key_function_that_fails_is_a_configuration_error(error: Exception) -> None:
    """A call would wait for ever, or raise the user's own exception."""

    def broken() -> str:
        raise error

    async with servers() as hosts, hosts.client(timeout=5) as client:
        with pytest.raises(ConfigurationError, match="the function that gives the key for openai failed") as caught:
            await plain(client, api_key=broken)
        assert error in (caught.value.__cause__, caught.value.__cause__ and caught.value.__cause__.__cause__)
        assert hosts.openai.requests == []
