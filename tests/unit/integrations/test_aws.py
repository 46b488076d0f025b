"""AWS's credential chain: botocore's own credentials, refreshed in a thread, once for all that wait for them."""

from __future__ import annotations

import asyncio
import datetime
import logging
import pickle
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import Credentials, DeferredRefreshableCredentials, RefreshableCredentials
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    MetadataRetrievalError,
    SSOTokenLoadError,
    UnauthorizedSSOTokenError,
)

from anycompletion import AsyncCompletion, AWSCredentials, ConfigurationError
from anycompletion.integrations import aws
from anycompletion.integrations.aws import AWSCredentialChain
from support.aws_signatures import SIGNED, VARIABLES, has_valid_signature
from support.raw_server import REQUEST, RawServer, answer
from support.secret_channels import leaks

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


class TemporaryCredentials:
    """Source of temporary credentials, as STS or IMDS is one; each refresh gives another session token.

    Args:
        lifetimes: seconds that the credentials of each refresh are valid; the last one is for all later ones.
        duration: seconds that a refresh takes.
    """

    def __init__(self, *lifetimes: float, duration: float = 0.0) -> None:
        self._lifetimes = lifetimes
        self._duration = duration
        self.refreshes = 0
        self.most_at_once = 0
        self._now = 0
        self.threads: set[str] = set()
        self.error: Exception | None = None
        self.may_end = threading.Event()
        self.may_end.set()

    def metadata(self) -> dict[str, str]:
        """One refresh."""
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        self.threads.add(threading.current_thread().name)
        lifetime = self._lifetimes[min(self.refreshes, len(self._lifetimes) - 1)]
        self.refreshes += 1
        time.sleep(self._duration)
        assert self.may_end.wait(5)
        self._now -= 1
        if self.error is not None:
            raise self.error
        expires = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=lifetime)
        return {
            "access_key": "ASIAEXAMPLE",
            "secret_key": SECRET,
            "token": f"token-{self.refreshes}",
            "expiry_time": expires.isoformat(),
        }


class Session:
    """A session of botocore whose credentials are those of a source."""

    def __init__(self, source: TemporaryCredentials, *, deferred: bool = False) -> None:
        self._source = source
        self._deferred = deferred
        self.credentials: Any = None

    def get_credentials(self) -> Any:
        if self.credentials is None:
            refresh = self._source.metadata
            self.credentials = (
                DeferredRefreshableCredentials(refresh, "test")
                if self._deferred
                else RefreshableCredentials.create_from_metadata(refresh(), refresh, "test")
            )
        return self.credentials


def chain_of(source: TemporaryCredentials, **options: Any) -> AWSCredentialChain:
    return AWSCredentialChain(session=Session(source, **options))


def token_of(credentials: AWSCredentials) -> str:
    return credentials.reveal_all()[2]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("deferred", [False, True])
async def test_many_calls_at_once_get_the_credentials_of_one_refresh(deferred: bool) -> None:
    """Each of a thousand calls would ask AWS for credentials, one after the other."""
    source = TemporaryCredentials(3600, duration=0.02)
    chain = chain_of(source, deferred=deferred)
    found = await asyncio.gather(*(chain() for _ in range(1000)))
    assert {token_of(each) for each in found} == {"token-1"}
    assert found[0].reveal_all()[:2] == ("ASIAEXAMPLE", SECRET)
    assert source.refreshes == 1
    assert source.threads == {"aws-credentials"}


async def test_credentials_about_to_expire_are_refreshed_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls would wait for the refresh, or it would come after the credentials have expired."""
    monkeypatch.setattr(aws, "_PAUSE", 0.0)
    source = TemporaryCredentials(600, 3600)
    chain = chain_of(source, deferred=True)
    await chain()
    source.may_end.clear()
    found = [await chain() for _ in range(100)]  # while the refresh lasts
    assert {token_of(each) for each in found} == {"token-1"}
    source.may_end.set()
    async with asyncio.timeout(5):
        while token_of(await chain()) != "token-2":
            await asyncio.sleep(0.001)
    assert (source.refreshes, source.most_at_once) == (2, 1)


async def test_credentials_that_live_for_minutes_are_not_refreshed_for_every_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Credentials that always are about to expire would be refreshed all the time."""
    source = TemporaryCredentials(300)
    chain = chain_of(source, deferred=True)
    for _ in range(50):
        await chain()
        await asyncio.sleep(0.001)
    assert source.refreshes == 1  # within a minute
    monkeypatch.setattr(aws, "_PAUSE", 0.0)
    chain = chain_of(source, deferred=True)
    await chain()
    await chain()
    await until(lambda: source.refreshes == 3)


async def test_expired_credentials_are_not_used() -> None:
    """A request would be signed with credentials that AWS refuses."""
    source = TemporaryCredentials(-30, -10, 3600, duration=0.05)
    session = Session(source, deferred=True)
    chain = AWSCredentialChain(session=session)
    with pytest.raises(ConfigurationError, match="no AWS credentials: botocore failed with RuntimeError"):
        await chain()  # botocore refuses those that are expired already
    found = await asyncio.gather(*(chain() for _ in range(20)), return_exceptions=True)
    assert all(isinstance(each, ConfigurationError) for each in found)
    assert token_of(await chain()) == "token-3"
    assert source.refreshes == 3


async def test_a_failed_refresh_keeps_credentials_that_are_still_valid(caplog: pytest.LogCaptureFixture) -> None:
    """A short outage of the service that gives credentials would fail calls that need no new ones."""
    source = TemporaryCredentials(50, 3600)
    chain = chain_of(source, deferred=True)
    assert token_of(await chain()) == "token-1"
    source.error = RuntimeError(SECRET)
    with caplog.at_level(logging.WARNING, "anycompletion"):
        assert token_of(await chain()) == "token-1"
    assert [record.message for record in caplog.records if record.name == "anycompletion"] == [
        "AWS credentials were not refreshed, and are used until they expire: botocore failed with RuntimeError"
    ]
    source.error = None
    assert token_of(await chain()) == "token-3"


async def test_a_cancelled_call_does_not_end_the_refresh() -> None:
    """A client that disconnects would fail the calls of all others."""
    source = TemporaryCredentials(3600, duration=0.05)
    chain = chain_of(source)
    first, second = asyncio.ensure_future(chain()), asyncio.ensure_future(chain())
    await asyncio.sleep(0.01)
    first.cancel()
    assert token_of(await second) == "token-1"
    assert first.cancelled()
    assert source.refreshes == 1


def test_event_loops_share_one_refresh() -> None:
    """Each thread with an event loop of its own would refresh the same credentials."""
    source = TemporaryCredentials(3600, duration=0.05)
    chain = chain_of(source)
    found: list[str] = []

    async def use() -> AWSCredentials:
        return await chain()

    threads = [threading.Thread(target=lambda: found.append(token_of(asyncio.run(use())))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["token-1"] * 8
    assert source.refreshes == 1


def test_a_loop_that_ends_before_the_refresh_harms_no_other() -> None:
    """A program's first `asyncio.run`, cancelled meanwhile, would break the chain for the next one."""
    source = TemporaryCredentials(3600, duration=0.05)
    chain = chain_of(source)

    async def with_timeout() -> None:
        async with asyncio.timeout(0.005):
            await chain()

    async def without_timeout() -> AWSCredentials:
        return await chain()

    with pytest.raises(TimeoutError):
        asyncio.run(with_timeout())
    assert token_of(asyncio.run(without_timeout())) == "token-1"
    assert source.refreshes == 1


async def test_static_credentials_are_asked_for_once() -> None:
    """Every call would read the files in ~/.aws."""
    source = TemporaryCredentials(3600)
    session = Session(source)
    session.credentials = Credentials("AKIAEXAMPLE", SECRET)
    chain = AWSCredentialChain(session=session, region="eu-west-1")
    first = await chain()
    assert first.reveal_all() == ("AKIAEXAMPLE", SECRET)
    assert first.region == "eu-west-1"
    assert await chain() is first


async def test_refused_credentials_are_resolved_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A profile that another program has renewed would be used with its old keys until a restart."""
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    text = "[dev]\naws_access_key_id = AKIA{0}\naws_secret_access_key = secret{0}\n"
    file.write_text(text.format(1))
    chain = AWSCredentialChain("dev")
    first = await chain()
    file.write_text(text.format(2))
    assert await chain() is first
    chain.on_refused(AWSCredentials("AKIAOTHER", "other"))
    assert await chain() is first
    chain.on_refused(first)
    second = await chain()
    assert second.reveal_all() == ("AKIA2", "secret2")
    file.write_text(text.format(3))
    chain.on_refused(second)  # again within a minute: every call of a disabled key would read the files
    assert await chain() is second


async def test_a_profile_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An explicit profile would be ignored on a machine with keys in its environment."""
    file = tmp_path / "credentials"
    file.write_text("[dev]\naws_access_key_id = AKIADEV\naws_secret_access_key = dev\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env")
    assert (await AWSCredentialChain("dev")()).reveal_all() == ("AKIADEV", "dev")
    assert (await AWSCredentialChain()()).reveal_all() == ("AKIAENV", "env")
    assert (await pickle.loads(pickle.dumps(AWSCredentialChain("dev")))()).reveal_all()[0] == "AKIADEV"  # noqa: S301


async def test_a_refusal_during_a_refresh_waits_for_it() -> None:
    """Refused credentials would be used once more, or two refreshes run at the same time."""
    source = TemporaryCredentials(600, 3600)
    chain = chain_of(source, deferred=True)
    first = await chain()
    chain._next_refresh = 0.0
    source.may_end.clear()
    assert await chain() == first  # and begins a refresh
    chain.on_refused(first)
    waiting = asyncio.ensure_future(chain())
    await asyncio.sleep(0.02)
    assert not waiting.done()
    source.may_end.set()
    assert token_of(await waiting) == "token-2"
    assert (source.refreshes, source.most_at_once) == (2, 1)


class Failing:
    """A session whose credentials cannot be had."""

    def __init__(self, error: BaseException | None) -> None:
        self._error = error

    def get_credentials(self) -> None:
        secret = SECRET  # noqa: F841 (the frame has it, as botocore's frames have)
        if self._error is not None:
            raise self._error


FAILURES: dict[str, tuple[BaseException | None, str]] = {
    "none": (None, "AWS's credential chain has found none"),
    "SSO": (SSOTokenLoadError(error_msg="Token for dev does not exist"), "Error loading SSO Token: Token for dev"),
    "program": (
        CredentialRetrievalError(provider="custom-process", error_msg=SECRET),
        "the program of credential_process failed",
    ),
    "other": (ValueError(SECRET), "botocore failed with ValueError"),
    "exit": (SystemExit(SECRET), "botocore failed with SystemExit"),
}


def throttled(status: int) -> ClientError:
    return ClientError({"Error": {"Code": "X"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "AssumeRole")


TEMPORARY: dict[str, tuple[Exception, bool]] = {
    "no connection": (EndpointConnectionError(endpoint_url="https://sts.amazonaws.com"), True),
    "timeout": (ConnectTimeoutError(endpoint_url="https://sts.amazonaws.com"), True),
    "IMDS": (MetadataRetrievalError(error_msg="x"), True),
    "throttled": (throttled(429), True),
    "down": (throttled(503), True),
    "denied": (throttled(403), False),
    "expired SSO session": (UnauthorizedSSOTokenError(), False),
}


@pytest.mark.parametrize("case", TEMPORARY)
async def test_a_call_is_tried_again_after_a_failure_that_may_pass(case: str) -> None:
    """An outage of seconds would fail all items of a batch, or a denied role would be asked for again and again."""
    error, is_temporary = TEMPORARY[case]
    session = Session(TemporaryCredentials(3600))
    failing = Failing(error)
    attempts = [failing, session]

    class Flaky:
        def get_credentials(self) -> Any:
            return attempts.pop(0).get_credentials()

    chain = AWSCredentialChain(session=Flaky(), region="us-east-1")
    async with (
        RawServer((REQUEST, answer())) as server,
        AsyncCompletion(providers=[SIGNED], base_urls={"signed": server.url}, api_keys={"signed": chain}) as client,
    ):
        result = await client.attempt("signed/m", "Hi.", max_retries=1)
    assert result.ok is is_temporary
    if not is_temporary:
        assert isinstance(result.error, ConfigurationError)
    assert len(attempts) == (0 if is_temporary else 1)


@pytest.mark.parametrize("case", FAILURES)
async def test_the_error_has_the_reason_and_no_secret(case: str) -> None:
    """The user would not see that the SSO session has expired, or a log would show keys."""
    text = FAILURES[case][1]
    chain = AWSCredentialChain(session=Failing(FAILURES[case][0]))
    async with AsyncCompletion(
        providers=[SIGNED], base_urls={"signed": "http://127.0.0.1:9"}, api_keys={"signed": chain}
    ) as client:
        with pytest.raises(ConfigurationError) as caught:
            await client.create("signed/m", "Hi.")
    assert f"no AWS credentials: {text}" in str(caught.value)
    assert leaks(caught.value, SECRET) == []


async def test_a_profile_that_does_not_exist_is_named() -> None:
    """A misspelt profile would be reported without its name."""
    with pytest.raises(ConfigurationError, match=r"The config profile \(nosuchprofile\) could not be found"):
        await AWSCredentialChain("nosuchprofile")()


async def test_calls_are_signed_with_the_credentials_of_the_chain() -> None:
    """The chain could not be passed as a key."""
    source = TemporaryCredentials(3600)
    chain = AWSCredentialChain(session=Session(source), region="us-east-1")
    async with (
        RawServer((REQUEST, answer()) * 5) as server,
        AsyncCompletion(providers=[SIGNED], base_urls={"signed": server.url}, api_keys={"signed": chain}) as client,
    ):
        await asyncio.gather(*(client.create("signed/m", "Hi.") for _ in range(5)))
    keys = AWSCredentials("ASIAEXAMPLE", SECRET, "token-1")
    assert [has_valid_signature(each, keys) for each in server.requests] == [True] * 5
    assert source.refreshes == 1


def test_a_chain_shows_and_pickles_its_arguments_only() -> None:
    """A client with the chain could not go to a worker process, or would take a session's keys along."""
    chain = AWSCredentialChain("dev", region="us-east-1")
    assert repr(chain) == "<AWSCredentialChain dev>"
    assert repr(AWSCredentialChain(session=Session(TemporaryCredentials(3600)))) == "<AWSCredentialChain session>"
    assert repr(pickle.loads(pickle.dumps(chain))) == repr(chain)  # noqa: S301
    client = AsyncCompletion(api_keys={"openai": chain})
    assert pickle.dumps(client)
    with pytest.raises(TypeError, match="with a session does not pickle"):
        pickle.dumps(AWSCredentialChain(session=Failing(None)))
