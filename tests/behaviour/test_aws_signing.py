"""Requests signed for AWS, on the wire: signatures, credentials, regions, clocks, and what a log or file may show."""

from __future__ import annotations

import asyncio
import email.utils
import json
import pickle
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import attrs
import pytest

from anycompletion import (
    APIStatusError,
    AsyncCompletion,
    AuthenticationError,
    AWSCredentials,
    BearerToken,
    CallNext,
    CallOptions,
    ChatCompletion,
    ChatRequest,
    CompletionError,
    ConfigurationError,
    Reply,
    Secret,
)
from anycompletion.testing import FakeProvider, Recorder, SimulatorServer
from support.aws_signatures import SIGNED, VARIABLES, has_valid_signature, scope_of
from support.raw_server import REQUEST, WHOLE, RawServer, Request, Step, answer

KEYS = AWSCredentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", region="eu-west-1")
SESSION = AWSCredentials("ASIAIOSFODNN7EXAMPLE", "secret/of/a/session", "IQoJb3JpZ2luX2VjEJr//wE=", region="us-east-1")
ARN = "arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3Ainference-profile%2Feu.amazon.nova-lite-v1%3A0"
OK: tuple[Step, ...] = (REQUEST, answer())


@pytest.fixture(autouse=True)
def no_aws_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def client_to(url: str, key: Any = KEYS, **options: Any) -> AsyncCompletion:
    keys = {} if key is None else {"signed": key}
    settings: dict[str, Any] = {"providers": [SIGNED], "base_urls": {"signed": url}, "api_keys": keys, "max_retries": 0}
    return AsyncCompletion(**settings | options)


async def asked(server: RawServer, key: Any = KEYS, path: str = "", **options: Any) -> Request:
    """The request of a call, as it arrived."""
    async with client_to(server.url + path, key) as client:
        await client.create("signed/m", "Hé ☃!", **options)
    return server.requests[-1]


# --- the signature ---


@pytest.mark.parametrize("keys", [KEYS, SESSION], ids=["permanent", "temporary"])
@pytest.mark.parametrize("path", ["", "/v1", f"/model/{ARN}", "/model/a:b", "/with%20space/é"])
async def test_what_is_signed_is_what_is_sent(keys: AWSCredentials, path: str) -> None:
    """AWS would refuse requests whose path a library encodes again after they were signed."""
    async with RawServer(OK) as server:
        request = await asked(server, keys, path)
    assert has_valid_signature(request, keys)
    assert request.line.split(" ")[1].startswith(path.replace("é", "%C3%A9"))


@asynccontextmanager
async def client_through(way: str, url: str) -> AsyncIterator[AsyncCompletion]:
    if way == "session":
        async with aiohttp.ClientSession() as session, client_to(url, session=session) as client:
            yield client
    else:
        async with client_to(url) as client:
            yield client


@pytest.mark.parametrize("way", ["session", "own connection"])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_every_way_of_sending_keeps_the_signature_valid(way: str, streamed: bool) -> None:
    """A caller's own session, or a stream, would send another host, path or content type than what was signed."""
    script = (REQUEST, *WHOLE) if streamed else OK
    async with RawServer(script) as server, client_through(way, f"{server.url}/model/{ARN}") as client:
        if streamed:
            await client.stream("signed/m", "Hi.").get_final_completion()
        else:
            await client.create("signed/m", "Hi.", extra_query={"b": "x/y", "a": "1"})
    assert has_valid_signature(server.requests[0], KEYS)


REPLY = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Hello."}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
}
MODELS = (
    "us.anthropic.claude-haiku-4-5-20251001-v1:0",
    "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0",
    "arn:aws:bedrock:us-east-1:123456789012:prompt/ABCDEF1234:1",
)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("way", ["session", "own connection"])
async def test_bedrocks_models_are_signed_as_they_are_sent(model: str, way: str) -> None:
    """AWS would refuse every call to an ARN or to a model with a colon in its name."""
    async with RawServer((REQUEST, answer(REPLY)) * 2) as server, client_through(way, server.url) as client:
        options: dict[str, Any] = {"api_key": SESSION, "base_url": server.url}
        assert (await client.create(f"bedrock/{model}", "Hé!", **options)).text == "Hello."
        assert (await client.create(f"bedrock/{model}", "Hé!", n=1, **options)).text == "Hello."
    for request in server.requests:
        assert request.line.split(" ")[1] == f"/model/{quote(model, safe='')}/converse"
        assert has_valid_signature(request, SESSION)


async def test_headers_and_query_of_the_caller_are_signed() -> None:
    """AWS would refuse calls with a header of its own, or with a parameter of the URL."""
    headers = {"X-Amzn-Bedrock-Trace": "ENABLED", "X-Amz-Meta": "a  b", "Content-Type": "application/json; x=y"}
    async with RawServer(OK) as server:
        request = await asked(server, extra_headers=headers, extra_query={"a": "1/2", "A": "é"})
    assert has_valid_signature(request, KEYS)
    names = request.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0]
    assert names == "content-type;host;x-amz-date;x-amz-meta"


async def test_a_header_of_the_callers_own_replaces_the_signature() -> None:
    """A gateway that takes its own token would get a signature in its place."""
    async with RawServer(OK) as server:
        request = await asked(server, extra_headers={"authorization": "Gateway token"})
    assert request.headers["authorization"] == "Gateway token"
    assert "x-amz-date" not in request.headers


async def test_a_long_body_is_signed() -> None:
    """A request with images would have another hash than its body."""
    async with RawServer(OK) as server, client_to(server.url) as client:
        await client.create("signed/m", "x" * 3_000_000)
    assert has_valid_signature(server.requests[0], KEYS)


async def test_every_attempt_has_a_signature_of_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A retry after minutes would be refused, because its signature is that of the first attempt."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    failed = answer({"error": {"message": "down"}}, 503, {"Retry-After-Ms": "1"})
    async with RawServer((REQUEST, failed, REQUEST, answer())) as server, client_to(server.url) as client:
        call = asyncio.ensure_future(client.create("signed/m", "Hi.", max_retries=1))
        while not server.requests:
            await asyncio.sleep(0)
        now += 3600
        await call
    first, second = (request.headers["x-amz-date"] for request in server.requests)
    assert first != second
    assert all(has_valid_signature(request, KEYS) for request in server.requests)


# --- credentials ---


async def test_credentials_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables that all of AWS's tools read would have no effect."""
    for name, text in zip(VARIABLES, (*SESSION.reveal_all(), "eu-north-1"), strict=False):
        monkeypatch.setenv(name, f"{text}\n" if "SECRET" in name else text)
    async with RawServer(OK) as server:
        request = await asked(server, None)
    assert has_valid_signature(request, SESSION)
    assert scope_of(request).endswith("/eu-north-1/bedrock")


@pytest.mark.parametrize("given", [None, "text", BearerToken("text"), Secret("text")])
async def test_an_api_key_is_a_bearer_token(given: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials in the environment would be used in place of an API key."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    if given is None:
        monkeypatch.setenv("AWS_BEARER_TOKEN_SIGNED", "text")
    async with RawServer(OK) as server:
        request = await asked(server, given)
    assert request.headers["authorization"] == "Bearer text"
    assert "x-amz-date" not in request.headers


async def waiting() -> AWSCredentials:
    return KEYS


def blocking() -> AWSCredentials:
    return KEYS


async def token() -> BearerToken:
    return BearerToken("text")


@pytest.mark.parametrize("function", [waiting, blocking])
async def test_credentials_from_a_function(function: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A function could not give credentials, or they would be paired with the environment's session token."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "another")
    async with RawServer(OK) as server:
        assert has_valid_signature(await asked(server, function), KEYS)
    async with RawServer(OK) as server:
        assert (await asked(server, token)).headers["authorization"] == "Bearer text"


async def test_credentials_of_a_call_replace_those_of_the_client() -> None:
    """A service could not sign with the credentials of each of its customers."""
    async with RawServer(OK * 3) as server, client_to(server.url) as client:
        await client.create("signed/m", "Hi.", api_key=SESSION)
        await client.create("signed/m", "Hi.", api_key={"signed": SESSION})
        await client.create("signed/m", "Hi.")
    assert [has_valid_signature(each, SESSION) for each in server.requests] == [True, True, False]
    assert has_valid_signature(server.requests[2], KEYS)


EXPIRED = "The security token included in the request is expired"
REFUSED: dict[str, bytes] = {
    "status": answer({"error": {"message": "no"}}, 401),
    "text": answer({"message": EXPIRED}, 403),
    "code": answer({"error": {"message": "no", "code": "ExpiredTokenException"}}, 400),
}
"""Case → refusal of credentials, in formats that do not know AWS's errors, too."""


class Rotating:
    """A function whose first credentials AWS refuses; it notes what was refused."""

    def __init__(self) -> None:
        self.refused: list[Secret] = []

    async def __call__(self) -> AWSCredentials:
        return SESSION if self.refused else KEYS

    def on_refused(self, secret: Secret) -> None:
        self.refused.append(secret)


@pytest.mark.parametrize("case", REFUSED)
async def test_refused_credentials_are_asked_for_again(case: str) -> None:
    """A session that expired early would fail all calls until the function's own time is over."""
    function = Rotating()
    async with RawServer((REQUEST, REFUSED[case], REQUEST, answer())) as server:
        await asked(server, function, max_retries=1)
    assert function.refused == [KEYS]
    assert has_valid_signature(server.requests[1], SESSION)


@pytest.mark.parametrize("way", ["argument", "environment"])
async def test_white_space_around_a_region_is_no_part_of_it(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A region from a file, which ends in a newline, would end every call in a temporary error."""
    monkeypatch.setenv("AWS_REGION", "eu-north-1\n")
    region = "eu-north-1\n" if way == "argument" else None
    async with RawServer(OK) as server:
        request = await asked(server, AWSCredentials("AKIA", "secret", region=region))
    assert scope_of(request).endswith("/eu-north-1/bedrock")


async def test_a_new_region_of_the_same_credentials_counts() -> None:
    """A retry would be signed for the region that a function has just replaced."""
    regions = iter(("eu-west-1", "eu-north-1"))

    async def give() -> AWSCredentials:
        return AWSCredentials("AKIA", "secret", region=next(regions))

    failed = answer({"error": {"message": "down"}}, 503, {"Retry-After-Ms": "1"})
    async with RawServer((REQUEST, failed, REQUEST, answer())) as server:
        await asked(server, give, max_retries=1)
    assert [scope_of(each).split("/")[1] for each in server.requests] == ["eu-west-1", "eu-north-1"]


WRONG: list[tuple[Any, str, str]] = [
    (None, "openai/x", "AWSCredentials were given for openai, whose requests have a key and no signature"),
    (AWSCredentials("AKIA", "secret"), "signed/x", "no region for the signatures of signed: its base URL names none"),
    (
        AWSCredentials("AKIA", "secret", region="us east-1"),
        "signed/x",
        "the region for the signatures of signed must be",
    ),
    (AWSCredentials("AKIA", ""), "signed/x", "the secret access key for signed is empty"),
    (
        AWSCredentials("AKIA\nX: y", "hidden"),
        "signed/x",
        "the access key id for signed has 9 characters, one of which",
    ),
    (
        AWSCredentials("AKIA", "hidden", "tøken"),
        "signed/x",
        "the session token for signed has 5 characters, one of which",
    ),
]


@pytest.mark.parametrize(("key", "model", "text"), WRONG, ids=lambda value: str(value)[:20])
async def test_credentials_that_cannot_sign_are_refused(key: AWSCredentials | None, model: str, text: str) -> None:
    """A request would be sent with a signature that cannot be right."""
    async with client_to("http://127.0.0.1:9", None) as client:
        for use in (client.check, lambda model, **options: client.create(model, "Hi.", **options)):
            with pytest.raises(ConfigurationError, match=text) as caught:
                result = use(model, api_key=key or KEYS)  # type: ignore[operator]
                await result
            assert not any(text in str(caught.value) for text in ("hidden", "tøken"))


async def test_missing_credentials_name_all_ways_to_give_them() -> None:
    """The user would not learn which variables are read, nor that profiles need the chain."""
    async with client_to("http://127.0.0.1:9", None) as client:
        with pytest.raises(ConfigurationError) as caught:
            client.check("bedrock/arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0")
    assert str(caught.value) == (
        "no API key for bedrock: set AWS_BEARER_TOKEN_BEDROCK or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or pass "
        "api_keys={'bedrock': ...}; anycompletion.integrations.aws.AWSCredentialChain() is such a key: credentials of "
        "profiles, SSO and roles; to try it without a key, run `anycompletion simulate`"
    )


def test_credentials_are_compared_by_all_their_texts() -> None:
    """Calls with another session would share limits, or be masked by the wrong texts."""
    same = AWSCredentials(*SESSION.reveal_all())
    assert same == SESSION
    assert hash(same) == hash(SESSION)
    assert same != AWSCredentials(*SESSION.reveal_all()[:2])
    assert same != Secret(SESSION.reveal())
    for wrong in ({"access_key_id": 1}, {"secret_access_key": None}, {"session_token": b"x"}, {"region": 1}):
        with pytest.raises(TypeError, match="AWSCredentials hold texts only"):
            AWSCredentials(**{"access_key_id": "a", "secret_access_key": "b", **wrong})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="does not pickle"):
        pickle.dumps(SESSION)


# --- key binding ---


async def test_credentials_go_to_no_other_origin() -> None:
    """A session token would be sent to a host that it was not given for."""
    async with RawServer(OK) as server, RawServer(OK) as other, client_to(server.url) as client:
        for use in (client, client.with_options(api_key=SESSION)):
            with pytest.raises(ConfigurationError, match="was not configured for it"):
                await use.create("signed/m", "Hi.", base_url=other.url)
    assert (server.requests, other.requests) == ([], [])


@pytest.mark.parametrize("option", [SESSION, waiting], ids=["credentials", "function"])
async def test_a_fallback_takes_no_credentials_along(option: Any) -> None:
    """The first provider's outage would send its session token to another company."""
    other = attrs.evolve(SIGNED, name="other")

    async def fallback(request: ChatRequest, options: CallOptions, call_next: CallNext) -> Reply:
        try:
            return await call_next(request, options)
        except CompletionError:
            return await call_next(attrs.evolve(request, model="other/m"), options)

    failed = (REQUEST, answer({"error": {"message": "down"}}, 500))
    async with (
        RawServer(failed) as first,
        RawServer(OK) as second,
        AsyncCompletion(
            providers=[SIGNED, other],
            base_urls={"signed": first.url, "other": second.url},
            api_keys={"other": AWSCredentials("AKIAOTHER", "other", region="us-west-2")},
            middleware=[fallback],
            max_retries=0,
        ) as client,
    ):
        reply: ChatCompletion = await client.create("signed/m", "Hi.", api_key=option)
    assert has_valid_signature(second.requests[0], AWSCredentials("AKIAOTHER", "other"))
    assert reply.info.warnings == ["api_key dropped: it was given for signed, and the call goes to other"]


# --- the region ---


async def test_the_region_of_the_environment_is_for_hosts_that_name_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests to a gateway would be signed for no region, or against what the credentials say."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    async with RawServer(OK, OK) as server:
        assert scope_of(await asked(server, AWSCredentials("a", "b"))).split("/")[1] == "eu-north-1"
        assert scope_of(await asked(server, KEYS)).split("/")[1] == "eu-west-1"


async def test_the_region_of_an_aws_host_goes_first() -> None:
    """Credentials with a region of their own could not be used in another one."""
    async with client_to("https://bedrock-runtime.ap-southeast-2.amazonaws.com") as client:
        plan = client._dispatcher.plan("signed/m", client._dispatcher.defaults)
        assert plan.signing_region(KEYS) == "ap-southeast-2"


async def test_an_arn_names_the_region_where_the_environment_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ARN would need its region again in a variable, or be sent with a key of another origin."""
    client = AsyncCompletion(providers=[SIGNED], api_keys={"signed": AWSCredentials("a", "b", region="us-east-1")})
    async with client, client.with_options(api_key=KEYS) as view:
        for each in (client, view):
            assert each.check("signed/arn:aws:x:eu-west-1:1:y/z").base_url == "https://runtime.eu-west-1.example/v1"
            with pytest.raises(ConfigurationError, match="set AWS_REGION or AWS_DEFAULT_REGION"):
                each.check("signed/y")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    async with AsyncCompletion(providers=[SIGNED], api_keys={"signed": KEYS}) as client:
        assert client.check("signed/arn:aws:x:eu-west-1:1:y/z").base_url == "https://runtime.eu-north-1.example/v1"


# --- the clock ---

SKEWED = "Signature expired: 20261130T100000Z is now earlier than 20261130T100500Z (20261130T101000Z - 5 min.)"


def refusal(ahead: float, text: str = SKEWED, status: int = 403) -> bytes:
    """A refusal of a signature by a server whose clock is `ahead` of this machine's."""
    date = email.utils.formatdate(time.time() + ahead, usegmt=True)
    return answer({"error": {"message": text, "code": "InvalidSignatureException"}}, status, {"Date": date})


async def test_a_wrong_clock_is_corrected_by_that_of_the_server() -> None:
    """Every call of a machine with a wrong clock would fail."""
    async with RawServer((REQUEST, refusal(7200), *OK, *OK)) as server, client_to(server.url, max_retries=2) as client:
        reply = await client.create("signed/m", "Hi.")
        await client.create("signed/m", "Hi.")
    assert reply.info.attempts == 2
    times = [time.mktime(time.strptime(each.headers["x-amz-date"], "%Y%m%dT%H%M%SZ")) for each in server.requests]
    assert 7190 < times[1] - times[0] < 7210
    assert 7190 < times[2] - times[0] < 7210
    assert all(has_valid_signature(each, KEYS) for each in server.requests)


@pytest.mark.parametrize(("ahead", "direction"), [(7200, "7200 s behind"), (-600, "600 s ahead of")])
async def test_the_error_of_a_wrong_clock_names_the_difference(ahead: float, direction: str) -> None:
    """The user would look for a wrong key."""
    refused = refusal(ahead)
    async with RawServer((REQUEST, refused) * 2) as server, client_to(server.url, max_retries=2) as client:
        with pytest.raises(APIStatusError) as caught:
            await client.create("signed/m", "Hi.")
    assert caught.value.attempts == 2
    text = str(caught.value).replace("7199", "7200").replace("599", "600").replace("601", "600")
    assert f"(this machine's clock is {direction} the server's, whose Date is " in text
    assert "; set the clock)" in text


async def test_a_wrong_key_is_not_taken_for_a_wrong_clock() -> None:
    """A call with a wrong secret key would be repeated, and blame the clock."""
    text = "The request signature we calculated does not match the signature you provided."
    refused = refusal(1, text, 401)
    async with RawServer((REQUEST, refused) * 2) as server, client_to(server.url, max_retries=2) as client:
        with pytest.raises(AuthenticationError) as caught:
            await client.create("signed/m", "Hi.")
    assert caught.value.attempts == 1
    assert "clock" not in str(caught.value)


async def test_a_wrong_key_is_not_taken_for_a_clock_that_was_corrected() -> None:
    """Each later call with a wrong secret key would be sent twice, and its error would say to set the clock."""
    refused = refusal(7200, "The request signature we calculated does not match the signature you provided.", 401)
    script = (REQUEST, refusal(7200), *OK, REQUEST, refused)
    async with RawServer(script) as server, client_to(server.url, max_retries=2) as client:
        await client.create("signed/m", "Hi.")
        with pytest.raises(AuthenticationError) as caught:
            await client.create("signed/m", "Hi.")
    assert caught.value.attempts == 1
    assert "clock" not in str(caught.value)


# --- what may be shown ---


async def test_an_error_shows_no_part_of_the_signature() -> None:
    """An error that quotes the request would put a session token or a valid signature into a log."""
    heads: list[str] = []

    async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        heads.append(head)
        writer.write(answer({"error": {"message": head, "code": "x"}}, 403, {"X-Echo": head.replace("\r\n", " ")}))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answering, "127.0.0.1", 0)
    async with server, client_to(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", SESSION) as client:
        with pytest.raises(APIStatusError) as caught:
            await client.create("signed/m", "Hi.")
    signature = heads[0].partition("Signature=")[2].split()[0]
    shown = f"{caught.value!s} {caught.value!r} {caught.value.headers} {caught.value.body} {caught.value.message}"
    assert len(signature) == 64
    assert [text for text in (*SESSION.reveal_all(), signature) if text in shown] == []
    assert "X-Amz-Date" in shown


async def test_a_recording_contains_no_signature(tmp_path: Path) -> None:
    """A committed recording would contain an access key, a session token or a signature."""
    recorder = Recorder(tmp_path)
    async with RawServer(OK) as server, client_to(server.url, SESSION, providers=[SIGNED, recorder]) as client:
        await client.create("signed/m", "Hi.")
    (recording,) = recorder.recordings
    assert recording.path is not None
    text = recording.path.read_text()
    request = server.requests[0]
    signature = request.headers["authorization"].rpartition("=")[2]
    assert [each for each in (*SESSION.reveal_all(), signature, "AWS4") if each in text] == []
    assert json.loads(text)["request"]["url"] == "https://signed.invalid/chat/completions"


async def test_a_recording_does_not_depend_on_the_time(tmp_path: Path) -> None:
    """Recording again would change texts in which a part of the signature's date occurs."""
    date = time.strftime("%Y%m%dT%H%M", time.gmtime())
    body = answer({"id": date, "model": "m", "choices": [{"message": {"role": "assistant", "content": date}}]})
    recorder = Recorder(tmp_path)
    async with RawServer((REQUEST, body)) as server, client_to(server.url, providers=[SIGNED, recorder]) as client:
        await client.create("signed/m", "Hi.")
    assert date.encode() in recorder.recordings[0].body


# --- fakes ---


@pytest.mark.parametrize("key", [None, KEYS, SESSION, waiting], ids=["none", "permanent", "temporary", "function"])
async def test_a_fake_takes_any_credentials_and_reads_none(key: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of an app would need credentials and a region, or use those of the machine that they run on."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA of this machine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret of this machine")
    fake = FakeProvider("Hello!", name="signed")
    async with client_to("https://signed.example", key, providers=[SIGNED, fake]) as client:
        assert (await client.create("signed/m", "Hi.")).text == "Hello!"
    shown = repr(fake.requests) + repr(fake.requests[0].wire)
    assert [text for text in (*SESSION.reveal_all(), *KEYS.reveal_all(), "Signature") if text in shown] == []


async def test_the_simulator_takes_signed_requests() -> None:
    """An app that signs its requests could not be tested against the simulator."""
    async with (
        SimulatorServer() as sim,
        AsyncCompletion(base_urls=sim.base_urls, api_keys={"bedrock": SESSION}, max_retries=0) as client,
    ):
        assert (await client.create("bedrock/amazon.nova-lite-v1:0", "Hi.")).text
        for authorization, text in (("AWS4-HMAC-SHA256 Credential=x", "incomplete"), ("Bearer x", "token included")):
            with pytest.raises(AuthenticationError, match=text):
                await client.create(
                    "bedrock/amazon.nova-lite-v1:0", "Hi.", extra_headers={"Authorization": authorization}
                )


async def test_a_recorded_stream_of_a_signed_call_replays(tmp_path: Path) -> None:
    """Masking a part of the signature that is no secret would corrupt the recorded frames."""
    recorder = Recorder(tmp_path)
    async with (
        SimulatorServer(reply="The content-type of a signature's host is application/json; x-amz-date") as sim,
        AsyncCompletion(providers=[recorder], base_urls=sim.base_urls, api_keys={"bedrock": SESSION}) as client,
    ):
        text = (await client.stream("bedrock/amazon.nova-lite-v1:0", "Hi.").get_final_completion()).text
    async with (
        SimulatorServer(replay=tmp_path) as replay,
        AsyncCompletion(base_urls=replay.base_urls, api_keys={"bedrock": SESSION}, max_retries=0) as client,
    ):
        again = await client.stream("bedrock/amazon.nova-lite-v1:0", "Hi.").get_final_completion()
    assert again.text == text
    assert recorder.recordings[0].streaming
    assert "***" not in recorder.recordings[0].body.decode("latin-1")


async def test_a_recorded_stream_with_redacted_texts_replays(tmp_path: Path) -> None:
    """An own function that redacts texts would corrupt the frames that they are in."""
    recorder = Recorder(tmp_path, redact=lambda text: text.replace("Ann", "a person"))
    async with (
        SimulatorServer(reply="I am Ann.", chunks=1) as sim,
        AsyncCompletion(providers=[recorder], base_urls=sim.base_urls, api_keys={"bedrock": SESSION}) as client,
    ):
        await client.stream("bedrock/amazon.nova-lite-v1:0", "Hi.").get_final_completion()
    async with (
        SimulatorServer(replay=tmp_path) as replay,
        AsyncCompletion(base_urls=replay.base_urls, api_keys={"bedrock": KEYS}, max_retries=0) as client,
    ):
        again = await client.stream("bedrock/amazon.nova-lite-v1:0", "Hi.").get_final_completion()
    assert again.text == "I am a person."
