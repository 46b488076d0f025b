"""`vertex_token`: tokens of Google's credentials, refreshed once for all that wait, without any network."""

from __future__ import annotations

import asyncio
import copy
import datetime
import inspect
import logging
import pickle
import threading
import time
from typing import Any

import pytest

from anycompletion import APIConnectionError, AsyncCompletion, ConfigurationError, Secret
from anycompletion.testing import FakeProvider
from support.raw_server import REQUEST, RawServer, answer

pytest.importorskip("google.auth", reason="the extra google is not installed")
from google.auth.credentials import Credentials, Scoped
from google.auth.exceptions import RefreshError, TransportError

from anycompletion.integrations.google import VertexToken, vertex_token

SCOPE = "https://www.googleapis.com/auth/cloud-platform"


def in_seconds(seconds: float) -> datetime.datetime:
    """A time in the form of google-auth's expiry: UTC without a time zone."""
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None) + datetime.timedelta(seconds=seconds)


class FakeCredentials(Credentials):
    """Credentials whose refreshes are counted, and take as long as a token server would."""

    def __init__(self, *, lifetime: float = 3600.0, takes: float = 0.0, errors: list[Exception] | None = None) -> None:
        super().__init__()
        self.lifetime = lifetime
        self.takes = takes
        self.errors = errors or []
        self.refreshes = 0
        self.running = 0
        self.most_running = 0
        self.threads: set[int] = set()

    def refresh(self, request: object) -> None:
        """Makes the next token, or raises the next error."""
        assert request is not None
        self.refreshes += 1
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        self.threads.add(threading.get_ident())
        time.sleep(self.takes)
        self.running -= 1
        if self.errors:
            raise self.errors.pop(0)
        self.token = f"token-{self.refreshes}"
        self.expiry = in_seconds(self.lifetime)


class ScopedCredentials(FakeCredentials, Scoped):
    """Credentials that need a scope, as those of service accounts do."""

    def __init__(self, scopes: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._scopes = scopes

    @property
    def requires_scopes(self) -> bool:
        """Whether they have none yet."""
        return not self._scopes

    def with_scopes(self, scopes: Any, default_scopes: Any = None) -> ScopedCredentials:
        """The same credentials with these scopes."""
        return ScopedCredentials(tuple(scopes))

    def refresh(self, request: object) -> None:
        """Makes a token that names the scopes."""
        super().refresh(request)
        self.token = " ".join(self._scopes)


async def test_a_token_is_kept_until_it_expires() -> None:
    """Each call would ask Google for a token."""
    credentials = FakeCredentials()
    token = vertex_token(credentials)
    assert [await token() for _ in range(3)] == ["token-1"] * 3
    credentials.expiry = in_seconds(-1)
    assert await token() == "token-2"


async def test_a_token_is_refreshed_before_it_expires() -> None:
    """A request that takes a while to be sent would be refused."""
    credentials = FakeCredentials(lifetime=3600)
    token = vertex_token(credentials)
    await token()
    credentials.expiry = in_seconds(60)
    assert await token() == "token-2"


async def test_the_event_loop_runs_while_a_token_is_refreshed() -> None:
    """All other calls of a service would stand still for each refresh."""
    credentials = FakeCredentials(takes=0.2)
    refreshing = asyncio.create_task(vertex_token(credentials)())
    ticks = 0
    while not refreshing.done():
        await asyncio.sleep(0.01)
        ticks += 1
    assert ticks > 5
    assert threading.get_ident() not in credentials.threads


async def test_all_that_wait_share_one_refresh() -> None:
    """A thousand calls after an hour's pause would ask for a thousand tokens."""
    credentials = FakeCredentials(takes=0.05)
    token = vertex_token(credentials)
    assert set(await asyncio.gather(*(token() for _ in range(1000)))) == {"token-1"}
    assert (credentials.refreshes, len(credentials.threads)) == (1, 1)


async def test_all_that_wait_share_one_failure() -> None:
    """While Google refuses, each of a thousand calls would wait for all those before it."""
    credentials = FakeCredentials(takes=0.05, errors=[RefreshError("invalid_grant: Bad Request")])
    token = vertex_token(credentials)
    found = await asyncio.gather(*(token() for _ in range(100)), return_exceptions=True)
    assert {type(each) for each in found} == {ConfigurationError}
    assert len({id(each) for each in found}) == 100, "each call adds its own details"
    assert credentials.refreshes == 1
    assert await token() == "token-2"


async def test_a_cancelled_caller_leaves_the_refresh_to_the_others() -> None:
    """One customer who gives up would have the refresh start again, or fail, for all others."""
    credentials = FakeCredentials(takes=0.1)
    token = vertex_token(credentials)
    first, second = asyncio.create_task(token()), asyncio.create_task(token())
    await asyncio.sleep(0.01)
    first.cancel()
    assert await second == "token-1"
    assert (first.cancelled(), credentials.refreshes) == (True, 1)


def test_event_loops_and_threads_share_one_refresh() -> None:
    """Workers in threads would each refresh the same credentials, at the same time."""
    credentials = FakeCredentials(takes=0.05)
    token = vertex_token(credentials)
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(asyncio.run(_call(token)))) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found == ["token-1"] * 4
    assert (credentials.refreshes, credentials.most_running) == (1, 1)
    assert asyncio.run(_call(token)) == "token-1"


async def _call(token: VertexToken) -> str:
    return await token()


ERRORS: list[tuple[Exception, type[Exception], str]] = [
    (RefreshError("invalid_grant", {"error": "secret"}), ConfigurationError, "give no token: invalid_grant"),
    (RefreshError("busy", retryable=True), APIConnectionError, "could not be refreshed: busy"),
    (TransportError("no route\nto host"), APIConnectionError, r"could not be refreshed: no route\\nto host"),
    (TypeError("secret"), ConfigurationError, "could not be read or refreshed: TypeError"),
    (RefreshError(), ConfigurationError, "give no token: RefreshError"),
]


@pytest.mark.parametrize(("error", "kind", "text"), ERRORS, ids=[repr(error) for error, _, _ in ERRORS])
async def test_a_failed_refresh_is_an_error_of_the_package(error: Exception, kind: type[Exception], text: str) -> None:
    """An outage would not be tried again, or the token server's response be in a log."""
    with pytest.raises(kind, match=text) as caught:
        await vertex_token(FakeCredentials(errors=[error]))()
    assert "secret" not in str(caught.value)
    assert type(caught.value) is kind


async def test_the_old_token_is_used_while_it_is_valid() -> None:
    """An outage of the token server for a minute would be an outage of the application."""
    credentials = FakeCredentials()
    token = vertex_token(credentials)
    await token()
    credentials.expiry = in_seconds(60)
    for error in (TransportError("down"), TypeError("a web page in place of JSON")):
        credentials.errors = [error]
        assert await token() == "token-1"
    credentials.errors = [TransportError("down")]
    credentials.expiry = in_seconds(-1)
    with pytest.raises(APIConnectionError):
        await token()


async def test_credentials_without_a_token_are_an_error() -> None:
    """A request would be sent with the text None as its token."""

    class Empty(FakeCredentials):
        """Credentials that refresh and have no token then."""

        def refresh(self, request: object) -> None:
            """Makes nothing."""

    with pytest.raises(ConfigurationError, match="no token after a refresh"):
        await vertex_token(Empty())()


# --- with a client ----------------------------------------------------------------------------------------------------

PROJECT = "projects/p/locations/us"
CLAUDE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [{"type": "text", "text": "Hi."}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
UNAUTHENTICATED = {"error": {"code": 401, "message": "Request had invalid credentials.", "status": "UNAUTHENTICATED"}}


async def test_a_refused_token_is_refreshed_once() -> None:
    """A token that Google revoked, or that expired by Google's clock, would fail all calls of its hour."""
    script = (REQUEST, answer(UNAUTHENTICATED, 401), REQUEST, answer(CLAUDE))
    async with RawServer(script) as server:
        urls = {"vertex-anthropic": f"{server.url}/{PROJECT}"}
        keys = {"vertex-anthropic": vertex_token(FakeCredentials())}
        async with AsyncCompletion(base_urls=urls, api_keys=keys) as client:
            reply = await client.create("vertex-anthropic/claude-x", "Hi.")
        sent = [request.headers["authorization"] for request in server.requests]
    assert reply.text == "Hi."
    assert sent == ["Bearer token-1", "Bearer token-2"]


@pytest.mark.parametrize("stream", [False, True], ids=["reply", "stream"])
async def test_a_call_is_tried_again_after_an_outage_of_the_token_server(stream: bool) -> None:
    """A short outage of Google's token server would fail calls, although nothing was sent yet."""
    credentials = FakeCredentials(errors=[TransportError("down")])
    fake = FakeProvider("Hello!", name="vertex-anthropic")
    keys = {"vertex-anthropic": vertex_token(credentials)}
    async with AsyncCompletion(providers=[fake], api_keys=keys) as client:
        if stream:
            reply = await client.stream("vertex-anthropic/claude-x", "Hi.").get_final_completion()
        else:
            reply = await client.create("vertex-anthropic/claude-x", "Hi.")
    assert reply.text == "Hello!"
    assert fake.requests[0].wire[0].headers["authorization"] == "Bearer token-2"


async def test_a_token_is_no_api_key() -> None:
    """Gemini on Vertex AI, which takes API keys in a header of its own, would refuse every token."""
    async with RawServer((REQUEST, answer(UNAUTHENTICATED, 400))) as server:
        urls, keys = {"vertex": f"{server.url}/{PROJECT}"}, {"vertex": vertex_token(FakeCredentials())}
        async with AsyncCompletion(base_urls=urls, api_keys=keys) as client:
            await client.attempt("vertex/gemini-2.5-flash", "Hi.")
        request = server.requests[0]
    assert request.headers["authorization"] == "Bearer token-1"
    assert "x-goog-api-key" not in request.headers
    path = f"/v1beta1/{PROJECT}/publishers/google/models/gemini-2.5-flash:generateContent"
    assert request.line == f"POST {path} HTTP/1.1"


async def test_only_the_present_token_is_refreshed_after_a_refusal() -> None:
    """Many calls that were refused at once would each refresh."""
    credentials = FakeCredentials()
    token = vertex_token(credentials)
    old = await token()
    token.on_refused(Secret(old))
    assert await token() == "token-2"
    token.on_refused(Secret(old))
    assert await token() == "token-2"
    assert credentials.refreshes == 2


async def test_the_same_token_again_is_used() -> None:
    """A metadata server that keeps its token would be asked at every call after one refusal."""
    credentials = FakeCredentials()
    token = vertex_token(credentials)
    old = await token()
    credentials.refreshes = 0  # the next token is the same
    token.on_refused(Secret(old))
    assert await token() == old
    assert await token() == old
    assert credentials.refreshes == 1


# --- which credentials ------------------------------------------------------------------------------------------------


async def test_scopes_are_added_where_credentials_need_them() -> None:
    """The file of a service account would give tokens that Vertex AI refuses."""
    assert await vertex_token(ScopedCredentials())() == SCOPE
    assert await vertex_token(ScopedCredentials(("other",)))() == "other"


async def test_the_default_credentials_are_found_at_the_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Making a client would wait for a machine's metadata server."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/no/such/file.json")
    token = vertex_token()
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r"give no token: File /no/such/file.json was not found"):
            await token()


def test_it_is_an_async_function() -> None:
    """The client would call it in a thread, as it does with functions that may block."""
    assert inspect.iscoroutinefunction(vertex_token().__call__)


def test_one_without_credentials_of_its_own_pickles() -> None:
    """A client could not be sent to worker processes."""
    token = vertex_token()
    found = pickle.loads(pickle.dumps(token))  # noqa: S301 (bytes of this process)
    assert isinstance(found, VertexToken)
    with pytest.raises(TypeError, match="does not pickle"):
        pickle.dumps(vertex_token(FakeCredentials()))


def test_a_copy_is_the_same_token() -> None:
    """Options with a token could not be copied, or each copy would refresh it."""
    token = vertex_token(FakeCredentials())
    assert copy.copy(token) is token
    assert copy.deepcopy(token) is token


async def test_nothing_shows_a_token(caplog: pytest.LogCaptureFixture) -> None:
    """A token would be in a log or a crash report."""
    caplog.set_level(logging.DEBUG)
    token = vertex_token(FakeCredentials())
    await token()
    assert repr(token) == "<VertexToken of FakeCredentials>"
    assert repr(vertex_token()) == "<VertexToken of application default credentials>"
    assert "token-1" not in f"{token} {vars(token)} {caplog.text}"
