"""Tests of AsyncCompletion: life cycle, views and pickles, keys, misuse, `attempt` and `send`, logs."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import pickle
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import anycompletion
from anycompletion import (
    APIError,
    APITimeoutError,
    AsyncCompletion,
    BadRequestError,
    CallNext,
    CallOptions,
    ChatRequest,
    ClientClosedError,
    CompletionError,
    CompletionStream,
    ConfigurationError,
    InvalidRequestError,
    Middleware,
    Provider,
    RateLimitError,
    Reply,
    StreamInterruptedError,
    Timeout,
    UnsupportedParameterError,
)
from anycompletion.client.state import STARTS_PER_TICK
from anycompletion.testing import FakeProvider, Fault, SimulatorServer
from support.raw_server import REQUEST, STALL, RawServer, answer
from support.resource_leaks import CASES, Case, client_of, kept, nothing_left, pools

every_kind = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


# --- life cycle ----------------------------------------------------------------------------------------------------


def test_using_a_client_in_another_loop_is_an_error() -> None:
    """Calls of a client made in an earlier loop would fail with an internal error, or hang."""

    async def use(client: AsyncCompletion, close: bool) -> None:
        async with SimulatorServer() as sim:
            if close:
                await client.aclose()
            else:
                view = client.with_options(base_url=sim.base_urls["openai"], api_key=sim.api_keys["openai"])
                await view.create("openai/gpt-4o", "Hi.")

    client = AsyncCompletion()
    asyncio.run(use(client, False))
    for call in (lambda: client.create("openai/m", "Hi."), lambda: _open(client), lambda: client.attempt("o/m", "Hi.")):
        with pytest.raises(ClientClosedError, match="one AsyncCompletion per loop") as caught:
            asyncio.run(_raise(call))
        assert isinstance(caught.value, RuntimeError)
    asyncio.run(use(client, True))


async def _raise(call: Callable[[], Any]) -> None:
    result = await call()
    if getattr(result, "error", None) is not None:
        raise result.error


async def _open(client: AsyncCompletion) -> None:
    await client.stream("openai/m", "Hi.").open()


async def test_only_some_of_many_concurrent_calls_start_in_one_iteration_of_the_loop() -> None:
    """An app that gathers ten thousand calls would block its event loop while all of them are validated."""
    async with AsyncCompletion() as client:
        wrong = [asyncio.ensure_future(client.create("openai/m", [])) for _ in range(3 * STARTS_PER_TICK)]
        started = []
        while not wrong[-1].done():
            await asyncio.sleep(0)
            started.append(sum(task.done() for task in wrong))
        for task in wrong:
            with pytest.raises(InvalidRequestError):
                await task
    assert {after - before for before, after in pairwise([0, *started])} <= {0, STARTS_PER_TICK}


async def test_waiting_to_start_counts_against_the_timeout() -> None:
    """A call with a timeout of two seconds could take ten in an app that makes many calls at once."""
    script = (REQUEST, answer())
    async with (
        RawServer(*[script] * (STARTS_PER_TICK + 1)) as server,
        AsyncCompletion(base_urls={"vllm": server.url}) as client,
    ):
        calls = [asyncio.ensure_future(client.create("vllm/m", "Hi.")) for _ in range(STARTS_PER_TICK + 1)]
        await asyncio.sleep(0)
        time.sleep(0.1)  # the last one has not started  # noqa: ASYNC251
        *_, last = await asyncio.gather(*calls)
    assert last.info.elapsed >= 0.1


async def test_a_call_that_waits_to_start_fails_when_the_client_is_closed() -> None:
    """A call that waits to start would be sent after closing, or fail with another error."""
    async with AsyncCompletion(api_keys={"openai": "k"}) as client:
        calls = [asyncio.ensure_future(client.create("openai/m", "Hi.")) for _ in range(2 * STARTS_PER_TICK)]
        await asyncio.sleep(0)
        await client.aclose()
        for call in calls:
            with pytest.raises(ClientClosedError):
                await call


async def test_using_a_closed_client_is_an_error() -> None:
    """Calls after closing would open connections that are never closed."""
    async with RawServer((REQUEST, answer())) as server:
        client = AsyncCompletion(base_urls={"openai": server.url}, api_keys={"openai": "key"})
        stream = client.stream("openai/m", "Hi.")
        await client.aclose()
        await client.aclose()
        for call in (lambda: client.create("openai/m", "Hi."), lambda: _open(client), stream.open):
            with pytest.raises(ClientClosedError, match="async with AsyncCompletion"):
                await call()
        with pytest.raises(ClientClosedError):
            async with client:
                pass
        assert server.connections == 0


def test_using_a_client_without_a_running_loop_is_an_error() -> None:
    """A call made outside async code would fail with an error that does not name the remedy."""
    client = AsyncCompletion(api_keys={"openai": "key"})
    coroutine = client.create("openai/m", "Hi.")
    with pytest.raises(ClientClosedError, match=r"no event loop is running; .* asyncio\.run"):
        coroutine.send(None)
    fake = AsyncCompletion(providers=[FakeProvider("Hello!")])
    with pytest.raises(ClientClosedError, match=r"no event loop is running; .* FakeProvider inside async code"):
        fake.stream("openai/m", "Hi.")


async def _unchanged(request: ChatRequest, options: CallOptions, call_next: CallNext) -> Reply:
    return await call_next(request, options)


@pytest.mark.parametrize("middleware", [(), (_unchanged,)])
@pytest.mark.parametrize(("model", "n"), [("openai/m", 1), ("openai/m", 2), ("anthropic/claude-x", 2)])
def test_a_stream_can_be_made_before_the_event_loop_runs(model: str, n: int, middleware: tuple[Middleware]) -> None:
    """In a notebook or an interactive shell, a stream could not be made in a line of its own."""

    async def read(client: AsyncCompletion, stream: CompletionStream) -> str:
        async with client, stream:
            return (await stream.get_final_completion()).text

    with asyncio.Runner() as runner:
        sim = runner.run(SimulatorServer(reply="Hello!").start())
        for closed in (False, True):
            client = AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys, middleware=middleware)
            stream = client.stream(model, "Hi.", n=n)
            if closed:
                runner.run(client.aclose())
                with pytest.raises(ClientClosedError, match="this client was closed"):
                    runner.run(stream.__aenter__())
            else:
                assert runner.run(read(client, stream)) == "Hello!"
        runner.run(sim.aclose())


FORKED = """
import asyncio, gc, os, sys
from anycompletion import AsyncCompletion, ClientClosedError
from anycompletion.testing import SimulatorServer

def child(way, client, streams):
    if way == "use":
        try:
            asyncio.run(client.create("openai/gpt-4o", "Hi."))
        except ClientClosedError as error:
            assert "forked; make a new AsyncCompletion in the child" in str(error)
        else:
            raise AssertionError("the child used the parent's connection")
    elif way == "close":
        asyncio.run(asyncio.wait_for(client.aclose(), 0.5))
    elif way == "close streams":
        for stream in streams:
            asyncio.run(stream.aclose())

async def main(way, live):
    async with SimulatorServer(chunks=40) as sim:
        names = ("openai", "anthropic")
        urls, keys = ({name: each[name] for name in names} for each in (sim.base_urls, sim.api_keys))
        client = AsyncCompletion(base_urls=urls, api_keys=keys)
        await client.create("openai/gpt-4o", "Hi.")
        streams = []
        if live:
            sim.chunk_delay = 0.01
            streams = [client.stream("openai/gpt-4o", "Hi."), client.stream("anthropic/claude-x", "Hi.", n=2)]
            for stream in streams:
                await anext(stream)
            await client.create("openai/gpt-4o", "Hi.")
        requests = len(sim.requests)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                child(way, client, streams)
                del client, streams
                gc.collect()
                status = 0
            finally:
                os._exit(status)
        _, status = await asyncio.to_thread(os.waitpid, pid, 0)
        assert status == 0, status
        assert len(sim.requests) == requests, "the child sent something"
        async with asyncio.timeout(5):
            for stream in streams:
                final = await stream.get_final_completion()
                assert {choice.finish_reason for choice in final.choices} == {"stop"}
            reply = await client.create("openai/gpt-4o", "Hi.")
        assert reply.info.attempts == 1
        await client.aclose()

asyncio.run(main(sys.argv[1], sys.argv[2] == "live"))
print("passed")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize(
    ("way", "live"),
    [
        ("use", "live"),
        ("use", "idle"),
        ("close", "live"),
        ("close", "idle"),
        ("close streams", "live"),
        ("drop", "live"),
        ("drop", "idle"),
    ],
)
def test_a_forked_child_cannot_use_the_client_and_does_not_affect_the_parent(way: str, live: str) -> None:
    """A worker process would write into its parent's connections, or block them."""
    done = subprocess.run([sys.executable, "-c", FORKED, way, live], capture_output=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (0, b"passed\n"), done.stderr.decode()


async def test_a_client_that_was_not_closed_warns() -> None:
    """Unclosed clients would accumulate without a warning."""
    async with SimulatorServer() as sim:
        client = client_of(sim)
        await client.create("openai/gpt-4o", "Hi.")
        (pool,) = pools(client)
        with pytest.warns(ResourceWarning, match="AsyncCompletion was not closed"):
            del client
        await pool.aclose()


async def test_a_client_that_was_never_used_needs_no_closing() -> None:
    """A client that was never used would have resources to release."""
    client = AsyncCompletion()
    assert repr(client) == "<AsyncCompletion unused>"
    del client
    gc.collect()


async def test_the_repr_of_a_view_names_its_options_and_the_state() -> None:
    """A debugger would not show whether it has a view or its client, or would show a key."""
    async with SimulatorServer() as sim, client_of(sim) as client:
        view = client.with_options(timeout=3, api_key={"openai": sim.api_keys["openai"]}).with_options(max_retries=0)
        await view.create("openai/gpt-4o", "Hi.")
        state = "openai: 0 in flight, 1 connection"
        assert repr(client) == f"<AsyncCompletion {state}>"
        assert repr(view) == f"<AsyncCompletion view with timeout, api_key, max_retries: {state}>"
        assert repr(client.with_options()) == f"<AsyncCompletion view with no options: {state}>"
    assert repr(view) == "<AsyncCompletion view with timeout, api_key, max_retries: closed>"


async def test_one_client_serves_many_tasks() -> None:
    """Concurrent calls would get each other's replies, or leak connections."""
    async with SimulatorServer(reply=_echo) as sim, client_of(sim) as client, nothing_left(client):

        async def ask(number: int) -> bool:
            case = list(CASES.values())[number % 4]
            text = f"number {number}"
            if number % 3:
                reply = await client.create(case.model, text, n=case.n)
            else:
                async with client.stream(case.model, text, n=case.n) as stream:
                    reply = await stream.get_final_completion()
            return reply.texts == [text] * case.n

        assert all(await asyncio.gather(*map(ask, range(200))))


def _echo(body: dict[str, Any]) -> str:
    content = body["messages"][-1]["content"]
    return str(content if isinstance(content, str) else content[0]["text"])


# --- pickles, views, sessions --------------------------------------------------------------------------------------


def _copy(data: bytes) -> Any:
    return pickle.loads(data)  # noqa: S301 (our own bytes)


async def fetched_key() -> str:
    return "simulated-openai-key"


async def test_a_pickled_client_is_its_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pickled client would not work in a worker process, or would contain its keys."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "simulated-anthropic-key")
    async with SimulatorServer() as sim:
        urls = {name: sim.base_urls[name] for name in ("openai", "anthropic")}
        async with AsyncCompletion(
            base_urls=urls, api_keys={"openai": fetched_key}, timeout=7, max_retries=0, on_unsupported="drop"
        ) as client:
            await client.create("anthropic/claude-x", "Hi.")
            data = pickle.dumps(client)
            assert b"simulated-anthropic-key" not in data
            async with _copy(data) as copy:
                for model in ("openai/gpt-4o", "anthropic/claude-x"):
                    assert (await copy.create(model, "Hi.", seed=1)).text
                assert copy.__reduce__() == client.__reduce__()
                assert Timeout(total=7) in copy.__reduce__()[1][2].values()
            monkeypatch.delenv("ANTHROPIC_API_KEY")
            async with _copy(data) as copy:
                with pytest.raises(ConfigurationError):
                    await copy.create("anthropic/claude-x", "Hi.")


async def test_explicit_keys_and_sessions_do_not_pickle() -> None:
    """A key would be written into a file or a queue."""
    with pytest.raises(TypeError, match="explicit keys"):
        pickle.dumps(AsyncCompletion(api_keys={"openai": "key"}))
    with pytest.raises(TypeError, match="explicit keys"):
        pickle.dumps(AsyncCompletion().with_options(api_key="key"))
    async with aiohttp.ClientSession() as session:
        with pytest.raises(TypeError, match="session"):
            pickle.dumps(AsyncCompletion(session=session))


async def test_a_view_shares_the_connections_and_closes_nothing() -> None:
    """A view would open its own connections, or close those of its client."""
    async with SimulatorServer() as sim, client_of(sim) as client, nothing_left(client):
        view = client.with_options(timeout=5, max_retries=0)
        async with view:
            await view.create("openai/gpt-4o", "Hi.")
        await view.aclose()
        del view
        gc.collect()
        await client.create("openai/gpt-4o", "Hi.")
        assert [kept(pool) for pool in pools(client)] == [1]


async def test_a_view_of_a_view_has_the_options_of_both() -> None:
    """A view would lose the options of the view it was made from, or change those of its client."""
    time_limits: list[float | None] = []

    async def record_time_limit(request: ChatRequest, options: CallOptions, call_next: CallNext) -> Any:
        time_limits.append(call_next.target(request, options).time_limit)
        return await call_next(request, options)

    fault = Fault.status(500, retry_after=0.01)
    async with SimulatorServer(fault=fault) as sim, client_of(sim, middleware=[record_time_limit]) as client:
        view = client.with_options(timeout=3).with_options(max_retries=1)
        errors = [(await each.attempt("openai/gpt-4o", "Hi.")).error for each in (view, client)]
    assert [error and error.attempts for error in errors] == [2, 3]
    assert time_limits == [3, 600]


async def test_a_view_of_a_closed_client_is_closed() -> None:
    """A view would work after its client was closed."""
    client = AsyncCompletion(api_keys={"openai": "key"})
    view = client.with_options(timeout=1)
    await client.aclose()
    with pytest.raises(ClientClosedError):
        await view.create("openai/m", "Hi.")


async def test_views_take_options_and_no_parameters() -> None:
    """A request parameter among a client's options would be dropped silently."""
    with pytest.raises(TypeError, match="belongs to the request"):
        AsyncCompletion().with_options(temperature=0)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="max_retries"):
        AsyncCompletion().with_options(max_retry=1)  # type: ignore[call-arg]
    with pytest.raises(InvalidRequestError):
        AsyncCompletion().with_options(timeout=-1)


async def test_an_own_session_is_used_and_not_closed() -> None:
    """A client would close a session that belongs to the application."""
    async with SimulatorServer() as sim, aiohttp.ClientSession(headers={"X-App": "mine"}) as session:
        async with client_of(sim, session=session) as client:
            assert (await client.create("openai/gpt-4o", "Hi.")).text
            async with client.stream("anthropic/claude-x", "Hi.", n=2) as stream:
                await stream.get_final_completion()
        assert not session.closed
        assert {request.headers["x-app"] for request in sim.requests} == {"mine"}


@every_kind
async def test_closing_a_client_with_an_own_session_ends_its_streams(case: Case) -> None:
    """Streams over the application's session would go on after the client was closed, or their readers would hang."""
    async with SimulatorServer(chunk_delay=0.01, chunks=300) as sim, aiohttp.ClientSession() as session:
        client = client_of(sim, session=session)
        stream = client.stream(case.model, "Hi.", n=case.n)
        await anext(stream)
        await client.aclose()
        with pytest.raises(ClientClosedError):
            async with asyncio.timeout(1):
                await stream.get_final_completion()
        assert all([await request.wait_closed(1) for request in sim.requests])


# --- keys ----------------------------------------------------------------------------------------------------------


async def test_a_key_does_not_go_to_another_origin() -> None:
    """The client's key would be sent to a base URL of a caller."""
    async with RawServer((REQUEST, answer())) as mine, RawServer((REQUEST, answer(), REQUEST, answer())) as other:
        async with AsyncCompletion(base_urls={"openai": mine.url}, api_keys={"openai": "key"}) as client:
            with pytest.raises(ConfigurationError, match="api_key="):
                await client.create("openai/m", "Hi.", base_url=other.url)
            with pytest.raises(ConfigurationError):
                client.stream("openai/m", "Hi.", base_url=other.url)
            with pytest.raises(ConfigurationError):
                await client.with_options(base_url=other.url).create("openai/m", "Hi.")
            assert other.connections == 0
            await client.create("openai/m", "Hi.", base_url=f"{mine.url}/deeper")
            await client.create("openai/m", "Hi.", base_url=other.url, api_key="its-own")
        assert mine.requests[0].line.startswith("POST /deeper/")
        assert other.requests[0].headers["authorization"] == "Bearer its-own"


async def test_a_missing_key_names_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of a missing key would not name the environment variables."""
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    async with AsyncCompletion() as client:
        with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
            await client.create("openai/gpt-4o", "Hi.")
        with pytest.raises(ConfigurationError, match="ANTHROPIC_API_KEY"):
            client.stream("anthropic/claude-x", "Hi.")


async def test_the_environment_is_read_at_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client made before the environment is set would never use it."""
    async with SimulatorServer() as sim, AsyncCompletion() as client:
        monkeypatch.setenv("OPENAI_API_KEY", sim.api_keys["openai"] + "\n")
        monkeypatch.setenv("OPENAI_BASE_URL", sim.base_urls["openai"])
        assert (await client.create("gpt-4o", "Hi.")).text


@pytest.mark.parametrize("key", ["", "  ", "None", "two words", "schlüssel", "x" * 9000])
async def test_a_malformed_key_is_refused_without_showing_it(key: str) -> None:
    """A malformed key would be sent, or shown in the error."""
    async with (
        RawServer((REQUEST, answer())) as server,
        AsyncCompletion(base_urls={"openai": server.url}) as client,
    ):
        with pytest.raises((ConfigurationError, InvalidRequestError)) as caught:
            await client.create("openai/m", "Hi.", api_key=key)
        assert not key.strip() or key == "None" or key not in str(caught.value)
        assert server.connections == 0


async def test_a_custom_provider_may_need_no_key() -> None:
    """A local server could not be used without a made-up key."""
    async with RawServer((REQUEST, answer())) as server:
        row = Provider("home", server.url, key_optional=True)
        async with AsyncCompletion(providers=[row]) as client:
            assert (await client.create("home/any/model", "Hi.")).text == "Hello."
    assert "authorization" not in server.requests[0].headers


# --- misuse --------------------------------------------------------------------------------------------------------


async def test_an_unknown_keyword_names_the_closest() -> None:
    """A misspelled parameter would be sent to the provider, or dropped."""
    client = AsyncCompletion(api_keys={"openai": "key"})
    calls: list[Callable[[Any], Any]] = [client.create, client.attempt]
    for call in calls:
        with pytest.raises(TypeError, match="did you mean 'temperature'"):
            await call("openai/m", "Hi.", temprature=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="did you mean 'max_tokens'"):
        client.stream("openai/m", "Hi.", max_token=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="extra_body"):
        client.stream("openai/m", "Hi.", zzz_qqq=1)  # type: ignore[call-arg]


async def test_swapped_positional_arguments_are_named() -> None:
    """Model and messages in the wrong order would be reported as another error."""
    client = AsyncCompletion(api_keys={"openai": "key"})
    messages: Any = [{"role": "user", "content": "Hi."}]
    with pytest.raises(TypeError, match="swapped"):
        await client.create(messages, "openai/gpt-4o")
    with pytest.raises(TypeError, match="swapped"):
        client.stream(messages, "openai/gpt-4o")


async def test_an_invalid_request_is_refused_before_it_is_sent() -> None:
    """An invalid request would be sent and billed, or fail only when its stream is read."""
    async with SimulatorServer() as sim, client_of(sim) as client:
        with pytest.raises(InvalidRequestError) as caught:
            client.stream("openai/gpt-4o", "Hi.", temperature=float("nan"))
        assert caught.value.param == "temperature"
        with pytest.raises(UnsupportedParameterError) as refused:
            await client.create("anthropic/claude-x", "Hi.", seed=1)
        assert refused.value.param == "seed"
        with pytest.raises(InvalidRequestError, match="openai"):
            await client.create("opnai/gpt-4o", "Hi.")
        reply = await client.create("anthropic/claude-x", "Hi.", seed=1, on_unsupported="warn")
        assert any("seed" in warning for warning in reply.info.warnings)
        assert len(sim.requests) == 1


def test_keys_and_urls_of_unknown_providers_are_refused() -> None:
    """The key of a misspelled provider's name would be unused."""
    similar = "unknown provider 'opnai'; did you mean openai"
    with pytest.raises(ConfigurationError, match=f"^api_keys: {similar}"):
        AsyncCompletion(api_keys={"opnai": "key"})
    with pytest.raises(ConfigurationError, match=f"^base_urls: {similar}"):
        AsyncCompletion(base_urls={"opnai": "https://x.example"})
    with pytest.raises(ConfigurationError, match=f"^limits: {similar}"):
        AsyncCompletion(limits={"opnai/gpt-4o": anycompletion.RateLimit(concurrency=1)})


@pytest.mark.parametrize("name", ["forceTimeout", "force_timeout", "timeout"])
async def test_the_total_timeout_has_three_names(name: str) -> None:
    """LiteLLM's name for the timeout would be unknown, or have no effect."""
    async with (
        RawServer((REQUEST, STALL)) as server,
        AsyncCompletion(base_urls={"openai": server.url}, api_keys={"openai": "key"}) as client,
        nothing_left(client),
    ):
        options: dict[str, Any] = {name: 0.1}
        with pytest.raises(APITimeoutError) as caught:
            await client.create("openai/m", "Hi.", **options)
        assert caught.value.phase == "total"
        assert caught.value.message == "the total timeout of 0.1 s ran out"
        with pytest.raises(InvalidRequestError, match="give one of them"):
            await client.create("openai/m", "Hi.", **{"timeout": 1, "forceTimeout": 1, name: 1})


# --- attempt, send, create(stream=True) ----------------------------------------------------------------------------


async def test_attempt_returns_errors_as_values() -> None:
    """`attempt` would raise an error instead of returning it."""
    async with SimulatorServer(fault=[Fault.status(400, times=1)]) as sim, client_of(sim) as client:
        failed = await client.attempt("openai/gpt-4o", "Hi.")
        assert isinstance(failed.error, BadRequestError)
        assert failed.completion is None
        assert failed.request is not None
        done = await client.attempt("openai/gpt-4o", "Hi.")
        assert done.error is None
        assert done.completion is not None
        invalid = await client.attempt("openai/gpt-4o", [])
        assert isinstance(invalid.error, InvalidRequestError)
        unknown = await client.attempt("opnai/gpt-4o", "Hi.")
        assert isinstance(unknown.error, InvalidRequestError)


async def test_attempt_does_not_swallow_a_cancellation() -> None:
    """A cancelled task would go on with a value."""
    async with SimulatorServer(latency=5) as sim, client_of(sim) as client, nothing_left(client):
        task = asyncio.create_task(client.attempt("openai/gpt-4o", "Hi."))
        while not sim.requests:
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_send_takes_a_request_record() -> None:
    """A request record could not be pickled, sent, or streamed."""
    async with SimulatorServer() as sim, client_of(sim) as client, nothing_left(client):
        request = _copy(pickle.dumps(ChatRequest("anthropic/claude-x", "Hi.", n=2, custom_id="row-1")))
        reply = await client.send(request)
        assert len(reply.choices) == 2
        async with await client.send(request, stream=True) as stream:
            assert len((await stream.get_final_completion()).choices) == 2
        assert request.n == 2


@every_kind
async def test_create_with_stream_opens_the_stream_and_raises_its_errors(case: Case) -> None:
    """An error would come only when the stream is read, after a web service has sent its status."""
    async with SimulatorServer() as sim, client_of(sim) as client, nothing_left(client):
        stream = await client.create(case.model, "Hi.", n=case.n, stream=True)
        assert isinstance(stream, CompletionStream)
        assert stream.info.status_code == 200
        assert len(sim.requests) == case.requests
        assert len((await stream.get_final_completion()).choices) == case.n
        sim.fault = "bad-request"  # type: ignore[assignment]
        with pytest.raises(BadRequestError):
            await client.create(case.model, "Hi.", n=case.n, stream=True)


async def test_stream_sends_nothing_before_it_is_used() -> None:
    """A stream that is created and dropped would be billed."""
    async with SimulatorServer() as sim, client_of(sim) as client, nothing_left(client):
        client.stream("openai/gpt-4o", "Hi.")
        gc.collect()
        await asyncio.sleep(0.02)
        assert sim.requests == []


# --- observers and logs --------------------------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("fault", [None, "bad-request"], ids=["good", "bad"])
async def test_logger_fn_is_called_once_before_and_once_after(case: Case, stream: bool, fault: str | None) -> None:
    """An app's own log would count branches instead of calls, or miss calls."""
    events: list[dict[str, Any]] = []
    async with SimulatorServer(fault=fault) as sim, client_of(sim) as client, nothing_left(client):
        try:
            if stream:
                async with client.stream(case.model, "Hi.", n=case.n, logger_fn=events.append) as opened:
                    await opened.get_final_completion()
            else:
                await client.create(case.model, "Hi.", n=case.n, logger_fn=events.append)
        except BadRequestError as error:
            assert events[-1]["error"] is error  # noqa: PT017 (without a fault nothing is raised)
        assert [each["event"] for each in events] == ["request", "error" if fault else "reply"]
        provider, _, model = case.model.partition("/")
        own_model = model.removeprefix("responses/")  # a variant is no part of the model's own name
        assert all((each["provider"], each["model"]) == (provider, own_model) for each in events)
        assert events[0]["stream"] == stream
        assert events[0]["request"]["messages"][0]["content"] == "Hi."
        if not fault:
            assert len(events[1]["response"]["choices"]) == case.n
            assert events[1]["elapsed"] > 0
        assert not any(key in repr(events) for key in sim.api_keys.values())


@pytest.mark.parametrize("fault", [None, "bad-request"], ids=["good", "bad"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_a_logger_fn_that_fails_breaks_nothing(
    fault: str | None, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """An error in an application's `logger_fn` would fail its calls."""

    def broken(_: dict[str, Any]) -> None:
        raise LookupError("mine")

    async with SimulatorServer(fault=fault) as sim, client_of(sim) as client, nothing_left(client):
        request: dict[str, Any] = {"logger_fn": broken}
        try:
            if stream:
                await client.stream("openai/gpt-4o", "Hi.", **request).get_final_completion()
            else:
                await client.create("openai/gpt-4o", "Hi.", **request)
        except BadRequestError:
            assert fault is not None
        else:
            assert fault is None
    assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == [
        "logger_fn failed with LookupError"
    ] * 2


async def test_verbose_logs_at_info_what_is_otherwise_logged_at_debug(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The logs of one call could not be enabled alone, or would contain the key or the prompt."""
    caplog.set_level(logging.DEBUG)
    async with SimulatorServer(fault=Fault.status(429, retry_after=0.01, times=1)) as sim, client_of(sim) as client:
        await client.create("openai/gpt-4o", "A secret prompt.", verbose=True)
        verbose = [record for record in caplog.records if record.name == "anycompletion"]
        caplog.clear()
        await client.create("openai/gpt-4o", "A secret prompt.")
        default = [record for record in caplog.records if record.name == "anycompletion"]
        assert {record.levelno for record in verbose} == {logging.INFO}
        assert {record.levelno for record in default} == {logging.DEBUG}
        text = "\n".join(record.getMessage() for record in [*verbose, *default])
        assert "openai gpt-4o: status 429" in text
        assert "again in" in text
        assert "secret" not in text
        assert sim.api_keys["openai"] not in text


async def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    """The library would write into its application's output."""
    async with SimulatorServer(fault=[Fault.named("reset-after-3-events", times=1)]) as sim, client_of(sim) as client:
        with pytest.raises(StreamInterruptedError):
            await client.stream("openai/gpt-4o", "Hi.", verbose=True).get_final_completion()
        await client.create("openai/gpt-4o", "Hi.", verbose=True)
    assert capfd.readouterr() == ("", "")


async def test_reprs_and_errors_show_no_key_and_no_prompt() -> None:
    """A crash report would contain the key or the prompt."""
    async with SimulatorServer(fault="rate-limit") as sim, client_of(sim, max_retries=0) as client:
        with pytest.raises(RateLimitError) as caught:
            await client.create("openai/gpt-4o", "A secret prompt.", api_key=sim.api_keys["openai"])
        error: CompletionError = _copy(pickle.dumps(caught.value))
        shown = "".join(map(repr, (client, client.with_options(api_key="k"), caught.value, error, error.__dict__)))
        assert "simulated-openai-key" not in shown
        assert "secret" not in shown
        assert (error.retry_after, error.attempts) == (caught.value.retry_after, 1)


# --- keys from functions and in views ---


async def test_the_total_timeout_includes_the_key_function() -> None:
    """A token service that does not respond would block every call, whatever its timeout."""

    async def never() -> str:
        await asyncio.sleep(60)
        return "too late"

    async with SimulatorServer() as sim, client_of(sim) as client:
        with pytest.raises(APITimeoutError) as caught:
            await client.create("openai/gpt-4o", "Hi.", api_key=never, timeout=0.05)
        assert caught.value.phase == "total"
        assert caught.value.message == "the total timeout of 0.05 s ran out while the key was asked for"
        with pytest.raises(APITimeoutError):
            await client.create("openai/gpt-4o", "Hi.", api_key=never, timeout=0.05, stream=True)
        assert sim.requests == []


@pytest.mark.parametrize("n", [1, 2])
async def test_a_failing_key_function_is_a_configuration_error(n: int) -> None:
    """A call would raise the user's own exception, with a text that may contain secrets."""

    async def broken() -> str:
        raise LookupError("vault: sk-very-secret")

    async with SimulatorServer() as sim, client_of(sim) as client:
        result = await client.attempt("anthropic/claude-haiku-4-5", "Hi.", api_key=broken, n=n)
        assert isinstance(result.error, ConfigurationError)
        assert "LookupError" in str(result.error)
        assert "must return text" not in str(result.error)
        assert "sk-very-secret" not in str(result.error)
        cause = result.error.__cause__
        assert isinstance(cause, LookupError)
        frames = [frame.name for frame in traceback.extract_tb(cause.__traceback__)]
        assert frames == ["broken"]
        not_a_key: Any = lambda: 5  # noqa: E731
        result = await client.attempt("openai/gpt-4o", "Hi.", api_key=not_a_key)
        assert isinstance(result.error, ConfigurationError)


async def test_an_error_of_user_code_in_a_branch_ends_the_stream() -> None:
    """An error in the caller's own code would leave the reader of a fan-out stream waiting for ever."""
    calls = 0

    async def key() -> str:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise ValueError("mine")
        return sim.api_keys["anthropic"]

    async with SimulatorServer(fault=Fault.named("empty")) as sim, client_of(sim) as client:
        with pytest.raises(ConfigurationError):
            async with asyncio.timeout(10):
                async for _ in client.stream("anthropic/claude-haiku-4-5", "Hi.", n=2, api_key=key):
                    pass


async def test_a_views_key_is_sent_to_the_views_origin_only() -> None:
    """A key for one host would be sent to any host that a call names."""
    async with SimulatorServer() as sim, SimulatorServer() as other, client_of(sim) as client:
        view = client.with_options(api_key=sim.api_keys["openai"], base_url=sim.base_urls["openai"])
        assert (await view.create("openai/gpt-4o", "Hi.")).text
        with pytest.raises(ConfigurationError, match="was not configured for it"):
            await view.create("openai/gpt-4o", "Hi.", base_url=other.base_urls["openai"])
        assert other.requests == []
        own = {"base_url": other.base_urls["openai"], "api_key": other.api_keys["openai"]}
        assert (await view.create("openai/gpt-4o", "Hi.", **own)).text


@pytest.mark.parametrize("key", ["sk-never-shown", "sk-never-shown but-with-a-space"])
@pytest.mark.parametrize("stream", [False, True])
async def test_no_key_and_no_prompt_in_the_locals_of_our_frames(key: str, stream: bool) -> None:
    """A crash report would contain the key and the prompt of the failed call."""
    package = str(Path(anycompletion.__file__).parent)
    async with SimulatorServer() as sim, client_of(sim) as client:
        with pytest.raises(CompletionError) as caught:
            await client.create("openai/gpt-4o", "A prompt.", api_key=key, stream=stream)
    trace = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in trace.stack if frame.filename.startswith(package)]
    shown = repr([frame.locals for frame in ours])
    assert ours, "the boundary's own frame stays"
    assert "sk-never" not in shown
    assert "A prompt" not in shown


async def test_a_client_with_secrets_in_headers_does_not_pickle() -> None:
    """A token in a header would be part of a pickle."""
    client = AsyncCompletion().with_options(extra_headers={"Authorization": "Bearer sk-1"})
    with pytest.raises(TypeError, match="extra_headers"):
        pickle.dumps(client)
    with pytest.raises(TypeError, match="proxy"):
        pickle.dumps(AsyncCompletion(proxy="http://me:pass@proxy.example:3128"))


async def test_a_stream_with_an_unsupported_message_is_refused_before_it_is_sent() -> None:
    """A web app would send status 200 and then abort, where it could have sent 400."""
    async with SimulatorServer() as sim, client_of(sim) as client:
        with pytest.raises(UnsupportedParameterError) as caught:
            client.stream("anthropic/claude-haiku-4-5", [{"role": "user", "content": "Hi.", "name": "bob"}])
        assert caught.value.param == "messages[0].name"


@pytest.mark.parametrize("model", ["Knock knock, who is there?", "Is https://example.com up?"])
async def test_two_swapped_texts_are_recognised_and_the_prompt_is_not_repeated(model: str) -> None:
    """A prompt in the place of the model would be repeated in the error."""
    async with SimulatorServer() as sim, client_of(sim) as client:
        with pytest.raises(TypeError, match="swapped"):
            await client.create(model, "openai/gpt-4o")
        with pytest.raises(InvalidRequestError) as caught:
            await client.create(model, "Hello there")
        assert "knock" not in str(caught.value)
        assert "example.com" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "name"), [(408, "InternalServerError"), (409, "ConflictError"), (422, "UnprocessableEntityError")]
)
async def test_the_status_decides_the_class_of_anthropics_general_error_type(status: int, name: str) -> None:
    """A conflict would be reported as a bad request, and not be retried."""
    async with SimulatorServer(fault=Fault.status(status)) as sim, client_of(sim) as client:
        result = await client.attempt("anthropic/claude-haiku-4-5", "Hi.", max_retries=0)
        assert type(result.error).__name__ == name


async def test_an_error_in_a_started_stream_may_have_been_billed() -> None:
    """A caller that sums costs would leave these calls out."""
    async with SimulatorServer(fault="error-after-3-events") as sim, client_of(sim) as client:
        for model in ("openai/gpt-4o", "anthropic/claude-haiku-4-5"):
            with pytest.raises(APIError) as caught:
                await client.stream(model, "Hi.").get_final_completion()
            assert caught.value.maybe_billed
            assert caught.value.partial is not None


@pytest.mark.parametrize("model", ["openai/gpt-4o", "anthropic/claude-haiku-4-5"])
async def test_logger_fn_gets_the_request_of_the_caller(model: str) -> None:
    """A log would show a request for one choice where three were billed."""
    events: list[dict[str, Any]] = []
    async with SimulatorServer() as sim, client_of(sim) as client:
        await client.create(model, "Hi.", n=3, logger_fn=events.append)
    assert events[0]["request"]["n"] == 3
    assert len(events) == 2


async def test_an_async_logger_fn_is_refused() -> None:
    """An async `logger_fn` would never be awaited, and nothing would be logged."""

    async def write(_: dict[str, Any]) -> None:
        await asyncio.sleep(0)

    async with SimulatorServer() as sim, client_of(sim) as client:
        with pytest.raises(InvalidRequestError) as caught:
            await client.create("openai/gpt-4o", "Hi.", logger_fn=write)
        assert caught.value.param == "logger_fn"


async def test_the_summed_usage_of_branches_is_in_a_complete_chunk() -> None:
    """A reader of OpenAI's format would get a chunk without id and model."""
    options: dict[str, Any] = {"stream_options": {"include_usage": True}}
    async with SimulatorServer() as sim, AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys) as client:
        chunks = [chunk async for chunk in client.stream("openrouter/openai/gpt-4o-mini", "Hi.", n=2, **options)]
    last = chunks[-1]
    assert last.usage is not None
    assert (last.choices, last.id, last.model) == ([], chunks[0].id or last.id, "openai/gpt-4o-mini")
    assert last.id
    assert last.created


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("status", "sent"), [(500, 1), (503, 2), (429, 2)])
async def test_a_prediction_is_not_created_twice(status: int, sent: int, stream: bool) -> None:
    """A prediction whose creation failed with a server error may run on, and would be billed twice."""
    fault = Fault.status(status, retry_after=0.01, times=1)
    async with (
        SimulatorServer(fault=fault) as sim,
        AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys) as client,
    ):
        result: CompletionError | None = None
        try:
            reply = await client.create("replicate/meta/meta-llama-3-8b-instruct", "Hi.", stream=stream)
            if isinstance(reply, CompletionStream):
                await reply.get_final_completion()
        except CompletionError as error:
            result = error
    created = [request for request in sim.requests if request.path.endswith("/predictions")]
    assert len(created) == sent
    assert (result is None) == (sent == 2)


@pytest.mark.parametrize("key", ["sk-refused", "sk with-a-space"])
async def test_the_error_of_a_wrong_key_names_its_variable_and_all_variables(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of a refused key would not name the environment variable that it is from."""
    monkeypatch.delenv("CO_API_KEY", raising=False)
    monkeypatch.setenv("COHERE_API_KEY", key)
    async with SimulatorServer() as sim, AsyncCompletion(base_urls=sim.base_urls) as client:
        result = await client.attempt("cohere/command-a-03-2025", "Hi.")
        assert "the key is from COHERE_API_KEY; looked for in CO_API_KEY, COHERE_API_KEY" in str(result.error)
        assert key not in str(result.error)
        given = await client.attempt("cohere/command-a-03-2025", "Hi.", api_key="sk-given")
        assert "COHERE_API_KEY" not in str(given.error)


# --- misuse that fails at once -------------------------------------------------------------------------------------


def test_a_key_in_place_of_a_providers_name_is_not_shown() -> None:
    """The error of swapped names and keys would write a key into logs."""
    for keys in ({"sk-Secret/key": "openai"}, {5: "openai"}, {"sk-Secret/key": b"x"}):
        with pytest.raises(InvalidRequestError) as caught:
            AsyncCompletion(api_keys=keys)  # type: ignore[arg-type]
        assert caught.value.param == "api_keys"
        assert "Secret" not in repr(caught.value)


def test_an_empty_base_url_is_refused() -> None:
    """An unset variable for the base URL would have the key sent to the vendor instead of a gateway."""
    with pytest.raises(InvalidRequestError) as caught:
        AsyncCompletion(base_urls={"openai": ""})
    assert caught.value.param == "base_urls['openai']"


async def test_stream_is_true_or_false() -> None:
    """The text "no" as `stream` would count as true."""
    async with AsyncCompletion(api_keys={"openai": "sk-unused"}) as client:
        with pytest.raises(InvalidRequestError) as caught:
            await client.create("openai/m", "Hi.", stream="no")  # type: ignore[call-overload]
    assert caught.value.param == "stream"


async def test_closing_from_another_loop_is_an_error() -> None:
    """Connections would be closed while the loop that owns them uses them."""
    async with SimulatorServer() as sim, client_of(sim) as client:
        await client.create("openai/m", "Hi.")
        with pytest.raises(ClientClosedError, match="another event loop"):
            await asyncio.to_thread(lambda: asyncio.run(client.aclose()))
        assert (await client.create("openai/m", "Hi.")).text
