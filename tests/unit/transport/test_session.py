"""Sessions of the caller: whatever they are set to, requests, answers, retries and the key are the client's."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from anycompletion import (
    APIConnectionError,
    AsyncCompletion,
    AuthenticationError,
    ClientClosedError,
    CompletionError,
    InvalidRequestError,
)
from anycompletion.calls import USER_AGENT
from support.raw_server import REQUEST, STALL, STREAM, WHOLE, RawServer, answer, completion, event

KEY = "sk-of-the-client"

SETTINGS: dict[str, dict[str, Any]] = {
    "raise_for_status": {"raise_for_status": True},
    "raise_for_status as a function": {"raise_for_status": lambda response: response.no_such_attribute},
    "auto_decompress": {"auto_decompress": False},
    "base_url": {"base_url": "https://elsewhere.example/"},
    "headers": {"headers": {"authorization": "Bearer other", "content-type": "text/plain", "accept": "image/png"}},
    "cookies": {"cookies": {"login": "other"}},
    "timeout": {"timeout": aiohttp.ClientTimeout(total=0.05, sock_read=0.05)},
    "read_bufsize": {"read_bufsize": 1},
    "bounds of headers": {"max_line_size": 64, "max_field_size": 64, "max_headers": 3},
    "json_serialize": {"json_serialize": str},
    "skip_auto_headers": {"skip_auto_headers": ("Content-Type", "Accept", "User-Agent")},
    "version": {"version": aiohttp.HttpVersion10},
    "requote_redirect_url": {"requote_redirect_url": False},
    "trust_env": {"trust_env": True},
}

LONG = {"X-Request-Id": "r-1", "X-Long": "r" * 500, "Connection": "close", **{f"X-{i}": "-" for i in range(8)}}
PACKED = gzip.compress(json.dumps(completion()).encode())
GZIP = {"Content-Encoding": "gzip", "Set-Cookie": "session=1; Path=/"}


def client_over(session: aiohttp.ClientSession, server: RawServer) -> AsyncCompletion:
    return AsyncCompletion(session=session, base_urls={"openai": server.url}, api_keys={"openai": KEY})


@pytest.mark.parametrize("name", SETTINGS)
async def test_no_setting_changes_a_request_or_its_answer(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting for the application's own requests would replace the key, or break retries, errors or decoding."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    answers = (
        answer({"error": {"message": "Slow down."}}, 429, {**LONG, "Retry-After-Ms": "10"}),
        answer(PACKED, headers={**LONG, **GZIP}),
        answer({"error": {"message": "No."}}, 401, LONG),
    )
    async with RawServer(*((REQUEST, 0.06, each) for each in answers), (REQUEST, *WHOLE)) as server:
        async with aiohttp.ClientSession(**SETTINGS[name]) as session, client_over(session, server) as client:
            reply = await client.create("openai/m", "Hi.")
            assert (reply.text, reply.info.attempts, reply.info.request_id) == ("Hello.", 2, "r-1")
            with pytest.raises(AuthenticationError, match="No") as caught:
                await client.create("openai/m", "Hi.")
            assert caught.value.status_code == 401
            assert (await client.stream("openai/m", "Hi.").get_final_completion()).text == "Hello."
        for request, accept in zip(server.requests, [*["application/json"] * 3, "text/event-stream"], strict=True):
            assert request.headers["authorization"] == f"Bearer {KEY}"
            assert (request.headers["content-type"], request.headers["accept"]) == ("application/json", accept)
            assert request.headers["user-agent"] == USER_AGENT
            assert "cookie" not in request.headers
            assert json.loads(request.body)["model"] == "m"


@pytest.mark.filterwarnings("ignore:The 'auth' parameter", "ignore:BasicAuth is deprecated")
@pytest.mark.parametrize("name", ["auth", "headers"])
async def test_a_sessions_authentication_is_not_sent(name: str) -> None:
    """A password for another service would reach the provider, beside its key or where it has none."""
    given: dict[str, Any]
    given = {"auth": aiohttp.BasicAuth("a", "b")} if name == "auth" else {"headers": {"Authorization": "Bearer c"}}
    async with (
        RawServer((REQUEST, answer(headers={"Connection": "close"}))) as server,
        aiohttp.ClientSession(**given) as session,
        AsyncCompletion(session=session, base_urls={"vllm": server.url, "anthropic": server.url}) as client,
    ):
        await client.create("vllm/m", "Hi.")
        await client.attempt("anthropic/m", "Hi.", api_key=KEY)
        assert ["authorization" in request.headers for request in server.requests] == [False, False]
        assert server.requests[1].headers["x-api-key"] == KEY


async def test_other_default_headers_are_sent() -> None:
    """A gateway would not get the header that the application's session has for it; a call's own header wins."""
    async with (
        RawServer((REQUEST, answer(), REQUEST, answer())) as server,
        aiohttp.ClientSession(headers={"X-Gateway": "a"}) as session,
        client_over(session, server) as client,
    ):
        await client.create("openai/m", "Hi.")
        await client.create("openai/m", "Hi.", extra_headers={"x-gateway": "b", "Cookie": "own=1"})
        assert [request.headers["x-gateway"] for request in server.requests] == ["a", "b"]
        assert [request.headers.get("cookie") for request in server.requests] == [None, "own=1"]


async def test_traces_may_add_headers() -> None:
    """A request would not belong to the trace of the application."""

    async def started(session: aiohttp.ClientSession, context: Any, params: aiohttp.TraceRequestStartParams) -> None:
        params.headers["Traceparent"] = "00-1"

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(started)
    async with (
        RawServer((REQUEST, answer())) as server,
        aiohttp.ClientSession(trace_configs=[trace]) as session,
        client_over(session, server) as client,
    ):
        await client.create("openai/m", "Hi.")
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
        assert server.requests[0].headers["traceparent"] == "00-1"


FAILURES = [KeyError("x"), RuntimeError("x"), ValueError("x"), StopAsyncIteration(), StopIteration()]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_of_the_sessions_own_code_is_an_error_of_ours(failure: Exception, stream: bool) -> None:
    """An exception of a trace would leave the call as it is, or end a stream as if it were complete."""

    async def fail(*args: Any) -> None:
        raise failure

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(fail)
    async with (
        RawServer((REQUEST, *WHOLE)) as server,
        aiohttp.ClientSession(trace_configs=[trace]) as session,
        client_over(session, server) as client,
    ):
        with pytest.raises(APIConnectionError, match="session given to AsyncCompletion failed with") as caught:
            async for _ in client.stream("openai/m", "Hi.") if stream else _once(client):
                pass
        cause = caught.value.__cause__
        assert cause is not None
        assert failure in (cause, cause.__cause__)  # Python itself replaces a StopIteration of a coroutine
        assert cause.__traceback__ is None
        assert (caught.value.attempts, caught.value.retryable) == (1, False)


async def _once(client: AsyncCompletion) -> Any:
    yield await client.create("openai/m", "Hi.")


# --- sessions that cannot be used ---


async def test_a_closed_session_is_named() -> None:
    """A RuntimeError of aiohttp would leave the call, or be retried."""
    async with RawServer((REQUEST, answer(), REQUEST, STREAM, event("Hel"), STALL)) as server:
        session = aiohttp.ClientSession()
        async with client_over(session, server) as client:
            await client.create("openai/m", "Hi.")
            stream = client.stream("openai/m", "Hi.")
            assert (await anext(stream)).choices
            await session.close()
            with pytest.raises(CompletionError):
                await stream.get_final_completion()
            with pytest.raises(ClientClosedError, match="session given to AsyncCompletion was closed; keep it open"):
                await client.create("openai/m", "Hi.")
            assert isinstance((await client.attempt("openai/m", "Hi.")).error, ClientClosedError)
            with pytest.raises(ClientClosedError):
                await anext(client.stream("openai/m", "Hi."))


async def test_a_session_that_is_closed_while_a_call_waits_is_named() -> None:
    """A call that waits for a connection of the session would fail with an error that does not say why."""
    async with RawServer((REQUEST, STALL)) as server:
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1))
        async with client_over(session, server) as client:
            calls = [asyncio.create_task(client.create("openai/m", "Hi.")) for _ in range(2)]
            await asyncio.sleep(0.05)
            await session.close()
            errors = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 5)
            assert [type(error) for error in errors] == [ClientClosedError] * 2


async def test_a_session_of_another_loop_is_named() -> None:
    """A RuntimeError of asyncio would leave the call."""
    sessions: list[aiohttp.ClientSession] = []

    async def make() -> None:
        sessions.append(aiohttp.ClientSession())

    def elsewhere() -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(make())
        return loop

    loop = await asyncio.to_thread(elsewhere)
    async with RawServer((REQUEST, answer())) as server, client_over(sessions[0], server) as client:
        with pytest.raises(ClientClosedError, match="make the session and the client in one loop"):
            await client.create("openai/m", "Hi.")
        assert server.requests == []
    await asyncio.to_thread(loop.run_until_complete, sessions[0].close())
    loop.close()


async def _closed() -> aiohttp.ClientSession:
    session = aiohttp.ClientSession()
    await session.close()
    return session


async def _with_header(name: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(headers={name: "1"})


async def _text() -> str:
    return "session"


REFUSED: dict[str, tuple[Callable[[], Awaitable[Any]], str]] = {
    "no session": (_text, "expected an aiohttp.ClientSession, found str"),
    "closed": (_closed, "is closed already"),
    "content-length": (lambda: _with_header("content-length"), "has a default header Content-Length"),
    "Expect": (lambda: _with_header("Expect"), "has a default header Expect"),
    "Host": (lambda: _with_header("Host"), "has a default header Host"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_session_that_cannot_work_is_refused_at_once(name: str) -> None:
    """A session that no request can use would be found out at the first call, in production."""
    make, problem = REFUSED[name]
    session = await make()
    with pytest.raises(InvalidRequestError, match=f"session: {problem}") as caught:
        AsyncCompletion(session=session)
    assert caught.value.param == "session"
    if isinstance(session, aiohttp.ClientSession):
        await session.close()


async def test_aiohttps_private_names_of_sessions_are_as_before() -> None:
    """A release of aiohttp that renames them would break every session of a caller."""
    middleware: Any = object()
    async with aiohttp.ClientSession(middlewares=[middleware]) as session:
        assert session._loop is asyncio.get_running_loop()
        assert list(session._middlewares) == [middleware]
