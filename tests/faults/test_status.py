"""What every status means: its class, whether it is tried again, and whether it may have been billed; no redirects."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from anycompletion import (
    APIResponseError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    InternalServerError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ServiceUnavailableError,
    UnprocessableEntityError,
)
from faults.harness import BOTH_WAYS, KEY, WAYS, Stage, Way, ask, client_to, covers, fails, fails_both_ways
from support.params_table import COLUMNS
from support.raw_server import REQUEST, STALL, RawServer, answer
from support.resource_leaks import nothing_left
from support.simulated import SIMULATED

# --- statuses --------------------------------------------------------------------------------------------------------


class Policy(NamedTuple):
    """Error class of a status, and what follows from it."""

    cls: type[APIStatusError]
    is_retried: bool = False
    maybe_billed: bool = False


AGAIN, ONCE = True, False

POLICY = {
    400: Policy(BadRequestError),
    401: Policy(AuthenticationError),
    402: Policy(QuotaExceededError),
    403: Policy(PermissionDeniedError),
    404: Policy(NotFoundError),
    405: Policy(BadRequestError),
    408: Policy(InternalServerError, AGAIN),
    409: Policy(ConflictError, AGAIN),
    413: Policy(BadRequestError),
    415: Policy(BadRequestError),
    418: Policy(BadRequestError),
    422: Policy(UnprocessableEntityError),
    425: Policy(InternalServerError, AGAIN),
    429: Policy(RateLimitError, AGAIN),
    498: Policy(AuthenticationError),
    500: Policy(InternalServerError, AGAIN),
    501: Policy(InternalServerError, ONCE),
    502: Policy(InternalServerError, AGAIN),
    503: Policy(ServiceUnavailableError, AGAIN),
    504: Policy(InternalServerError, AGAIN, maybe_billed=True),
    505: Policy(InternalServerError, ONCE),
    507: Policy(InternalServerError, AGAIN),
    **{status: Policy(InternalServerError, AGAIN, maybe_billed=True) for status in range(520, 525)},
    529: Policy(OverloadedError, AGAIN),
    599: Policy(InternalServerError, AGAIN),
    999: Policy(APIStatusError, ONCE),
}

SOON = {"retry-after-ms": "5"}


def refusal(status: int, headers: Mapping[str, str] = SOON, **members: Any) -> bytes:
    """An error response."""
    return answer({"error": {"message": "It said no.", **members}}, status, headers)


@pytest.mark.parametrize(("status", "policy"), POLICY.items())
async def test_a_status_has_its_error_class_and_is_retried_or_not(status: int, policy: Policy) -> None:
    """Requests that cannot succeed would be repeated, and those that can would not."""
    attempts = 2 if policy.is_retried else 1
    async with Stage((REQUEST, refusal(status)) * 4, max_retries=1) as stage:
        errors = await fails_both_ways(
            stage,
            policy.cls,
            requests=attempts,
            kept=1,
            status_code=status,
            attempts=attempts,
            retryable=policy.is_retried,
            maybe_billed=policy.maybe_billed,
            retry_after=0.005,
        )
        for error in errors:
            assert "It said no." in error.message
            assert error.headers is not None
            assert error.headers["retry-after-ms"] == "5"


HINTS: dict[str, tuple[int, dict[str, Any], str, bool]] = {
    "a status that may be retried": (400, {}, "true", AGAIN),
    "a status that is not retried otherwise": (501, {}, "true", AGAIN),
    "a status that must not be retried": (500, {}, "false", ONCE),
    "a rate limit that must not be retried": (429, {}, "false", ONCE),
    "an exceeded quota": (429, {"code": "insufficient_quota"}, "true", ONCE),
    "an unknown header value": (500, {}, "perhaps", AGAIN),
}


@pytest.mark.parametrize(("status", "members", "header", "is_retried"), HINTS.values(), ids=HINTS)
@BOTH_WAYS
async def test_the_providers_retry_header_comes_before_the_status(
    way: Way, status: int, members: dict[str, Any], header: str, is_retried: bool
) -> None:
    """A provider could not request or forbid a retry."""
    refused = refusal(status, SOON | {"x-should-retry": header}, **members)
    async with Stage((REQUEST, refused, REQUEST, answer(), STALL), max_retries=1) as stage:
        if is_retried:
            assert await ask(stage.client, way) == "Hello."
        else:
            with pytest.raises(APIStatusError) as caught:
                await ask(stage.client, way)
            assert not caught.value.retryable
        assert stage.requests == (2 if is_retried else 1)


QUOTAS = (
    {"code": "insufficient_quota"},
    {"type": "insufficient_quota"},
    {"code": "credit_balance_exhausted"},
    {"code": "billing_hard_limit_reached"},
    {"code": "billing_not_active"},
    {"code": "enforced_spend_limit_reached"},
    {"code": "quota_exceeded"},
)


@pytest.mark.parametrize("members", QUOTAS, ids=str)
async def test_an_exceeded_quota_is_not_a_rate_limit(members: dict[str, Any]) -> None:
    """Requests for an empty account would be repeated, and all other calls would wait for it."""
    async with Stage((REQUEST, refusal(429, **members)) * 3, max_retries=2) as stage:
        await fails_both_ways(stage, QuotaExceededError, kept=1, status_code=429, retryable=False)


@BOTH_WAYS
async def test_a_wait_that_is_too_long_is_reported_and_not_shortened(way: Way) -> None:
    """The provider would get a request before the time it asked for, or the caller would hang."""
    async with Stage((REQUEST, refusal(429, {"retry-after": "61"})) * 3, max_retries=2) as stage:
        await fails(ask(stage.client, way), RateLimitError, status_code=429, retryable=True, retry_after=61.0)
        assert stage.requests == 1


@BOTH_WAYS
async def test_a_wait_beyond_the_total_is_not_begun(way: Way) -> None:
    """A call would wait for its own timeout in vain."""
    script = (REQUEST, refusal(503, {"retry-after": "5"})) * 3
    async with Stage(script, max_retries=2, timeout=2.0, seconds=1.5) as stage:
        await fails(ask(stage.client, way), ServiceUnavailableError, status_code=503, retry_after=5.0)
        assert stage.requests == 1


async def test_a_page_instead_of_an_error_keeps_the_status() -> None:
    """A gateway's page would hide its status, or control the terminal that shows it."""
    page = answer(b"<html>\x1b[2J502 Bad Gateway\r\n</html>", 502, {"Content-Type": "text/html"})
    async with Stage((REQUEST, page, STALL)) as stage:
        error = await fails(ask(stage.client), InternalServerError, status_code=502, retryable=True)
        assert "502 Bad Gateway" in str(error)
        assert "\x1b" not in str(error) + repr(error)
        assert "\n" not in str(error) + repr(error)


async def test_a_key_that_is_echoed_is_not_shown() -> None:
    """A provider that repeats a wrong key would put it into every log."""
    echo = {"error": {"message": f"Incorrect API key provided: {KEY}.", "code": "invalid_api_key"}}
    async with Stage((REQUEST, answer(echo, 401), STALL)) as stage:
        error = await fails(ask(stage.client), AuthenticationError, status_code=401, code="invalid_api_key")
        assert "Incorrect API key provided" in error.message


# --- redirects -------------------------------------------------------------------------------------------------------

REDIRECTS = (301, 302, 303, 307, 308)
SECRET = "sk-a-key-that-is-for-one-host-only"


@covers("F27")
@pytest.mark.parametrize("provider", SIMULATED)
async def test_a_redirect_to_another_server_is_not_followed(provider: str) -> None:
    """The key and the prompt would be sent to the server that the response names."""
    async with RawServer((REQUEST, answer())) as target:
        for status in REDIRECTS:
            redirect = answer(b"", status, {"Location": f"{target.url}/steal?key=1"})
            row = SIMULATED[provider].partition("/")[0]
            async with RawServer((REQUEST, redirect) * 2 + (STALL,)) as server:
                client = client_to("", base_urls={row: server.url}, api_keys={row: SECRET}, max_retries=2)
                async with client, nothing_left(client):
                    error = await fails(
                        client.create(SIMULATED[provider], "Hi."),
                        APIResponseError,
                        provider=row,
                        model=COLUMNS[provider].model,
                        status_code=status,
                        attempts=2 if provider == "replicate" else 1,  # it asks for the model first
                        retryable=False,
                        maybe_billed=False,
                    )
                assert "127.0.0.1" in str(error)
                assert "steal" not in str(error)
                assert SECRET not in repr(error) + repr(vars(error))
                assert len(server.requests) == (2 if provider == "replicate" else 1)
        assert target.connections == 0


PLACES = {
    "nowhere": None,
    "nothing": "",
    "another path here": "/v2/chat/completions",
    "another host": "https://elsewhere.test/v1?token=abc",
    "another host without a scheme": "//elsewhere.test/v1",
    "somebody with a password": "https://user:password@elsewhere.test/",
    "a file": "file:///etc/passwd",
    "data": "data:application/json,{}",
    "no URL": "http://[::1/",
    "something else": "%zz \x7f",
}


@covers("F27")
@pytest.mark.parametrize("status", REDIRECTS)
async def test_a_redirect_is_an_error_wherever_it_leads(status: int) -> None:
    """An unusual target would be requested, or break the code that names it."""
    redirects = [answer(b"", status, {} if place is None else {"Location": place}) for place in PLACES.values()]
    async with Stage([step for each in redirects for step in (REQUEST, each)], max_retries=2) as stage:
        for number, place in enumerate(PLACES.values()):
            error = await fails(
                ask(stage.client, WAYS[number % 2]),
                APIResponseError,
                status_code=status,
                retryable=False,
                maybe_billed=False,
            )
            assert "password" not in str(error)
            assert "token" not in str(error)
            assert ("elsewhere.test" in str(error)) == ("elsewhere.test" in (place or ""))
        assert (stage.requests, stage.server.connections, stage.kept) == (len(PLACES), 1, 1)


@covers("F27")
@pytest.mark.parametrize("status", [300, 304, 399])
async def test_an_unexpected_status_below_400_is_an_error(status: int) -> None:
    """A status that is neither a success nor an error would become an empty reply."""
    async with Stage((REQUEST, f"HTTP/1.1 {status} Scripted\r\nContent-Length: 0\r\n\r\n".encode(), STALL)) as stage:
        await fails(ask(stage.client), APIResponseError, status_code=status, retryable=False)
