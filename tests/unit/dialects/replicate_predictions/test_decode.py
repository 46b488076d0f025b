"""Decoding of predictions: a response → the completion or the next request."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anycompletion import errors
from anycompletion.dialects.base import Continuation, Target
from anycompletion.dialects.replicate_predictions.dialect import DIALECT
from anycompletion.http import Headers, HttpResponse
from anycompletion.records import ChatCompletion, ChatRequest, Usage, UserMessage

BASE = "https://api.replicate.com"
GET = f"{BASE}/v1/predictions/p1"
CANCEL = f"{GET}/cancel"
STREAM = "https://stream-b.svc.replicate.net/v1/streams/s1"
SECRET = "the prompt nobody may see"


def target(base_url: str = BASE, *, stream: bool = False) -> Target:
    return Target(provider="replicate", model="meta/llama", base_url=base_url, stream=stream)


def native(status: Any, output: Any = None, **members: Any) -> dict[str, Any]:
    return {
        "id": "p1",
        "model": "meta/llama",
        "version": "hidden",
        "input": {"prompt": SECRET},
        "logs": SECRET,
        "output": output,
        "error": None,
        "status": status,
        "created_at": "2025-11-04T00:51:20.014Z",
        "urls": {"get": GET, "cancel": CANCEL, "stream": STREAM, "web": "https://replicate.com/p/p1"},
        **members,
    }


def decode(
    data: Any, where: Target | None = None, *, status: int = 201, **headers: str
) -> ChatCompletion | Continuation:
    where = where or target()
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    request = ChatRequest("replicate/meta/llama", [UserMessage(SECRET)])
    return DIALECT.decode(HttpResponse(status, Headers.of(headers), body), request, where)


def reply(data: Any) -> ChatCompletion:
    found = decode(data)
    assert isinstance(found, ChatCompletion)
    return found


def follow(data: Any, where: Target | None = None, **headers: str) -> Continuation:
    found = decode(data, where, **headers)
    assert isinstance(found, Continuation)
    return found


def fails(data: Any) -> errors.APIError:
    with pytest.raises(errors.APIError) as caught:
        decode(data)
    error = caught.value
    assert SECRET not in f"{error!s}{error!r}{error.body}"
    return error


# --- succeeded --------------------------------------------------------------------------------------------------------


def test_a_complete_reply():
    """A plain reply would not have OpenAI's shape."""
    metrics = {"predict_time": 0.9, "input_token_count": 50, "output_token_count": 18}
    data = native("succeeded", ['{"', "name", '"}'], metrics=metrics)
    found = reply(data)
    assert found.to_dict() == {
        "id": "p1",
        "object": "chat.completion",
        "created": 1762217480,
        "model": "meta/llama",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": '{"name"}', "refusal": None},
                "finish_reason": "stop",
                "native_finish_reason": "succeeded",
                "logprobs": None,
            }
        ],
        "usage": {"prompt_tokens": 50, "completion_tokens": 18, "total_tokens": 68},
        "metrics": metrics,
    }
    assert found.raw == data


OUTPUTS: list[tuple[Any, str | None]] = [
    ("Hello", "Hello"),
    ("", ""),
    (None, None),
    ([], ""),
    (["\n\n", " a", "", " b\n"], "\n\n a b\n"),
    (["a", 1, None, {"b": [2]}], 'a1{"b":[2]}'),
    (["https://x.example/1.png", "https://x.example/2.png"], "https://x.example/1.pnghttps://x.example/2.png"),
    (7, "7"),
    (0.5, "0.5"),
    (True, "true"),
    ({"text": "ü", "n": None}, '{"text":"ü","n":null}'),
    ([["a", "b"], ["c"]], "abc"),
]


@pytest.mark.parametrize(("output", "expected"), OUTPUTS)
def test_outputs(output: Any, expected: str | None):
    """A model's own form of output would be lost, or would raise an undocumented exception."""
    assert reply(native("succeeded", output)).choices[0].message.content == expected


METRICS: list[tuple[Any, Usage | None]] = [
    (None, None),
    ({}, None),
    ({"predict_time": 2}, None),
    ({"input_token_count": None, "output_token_count": None}, None),
    ({"input_token_count": 3}, Usage(3, None, None)),
    ({"output_token_count": 0}, Usage(None, 0, None)),
    ({"input_token_count": 3.0, "output_token_count": 5}, Usage(3, 5, 8)),
    ({"input_token_count": "3", "output_token_count": [5.5]}, Usage(3, 5, 8)),
    ({"input_token_count": {}, "output_token_count": 5}, Usage(None, 5, None)),
    ('{"input_token_count": 3}', Usage(3, None, None)),
    (["x", "y"], None),
]


@pytest.mark.parametrize(("metrics", "usage"), METRICS)
def test_usage(metrics: Any, usage: Usage | None):
    """Token counts would be invented for models that do not report them."""
    assert reply(native("succeeded", "x", metrics=metrics)).usage == usage


CREATED: list[tuple[Any, int]] = [
    ("2023-10-29T11:19:59.558752983Z", 1698578399),
    ("2023-10-29T11:19:59", 1698578399),
    ("2023-10-29T13:19:59+02:00", 1698578399),
    (1698578399, 1698578399),
    (1698578399.75, 1698578399),
    ({}, 0),
    ("yesterday", 0),
    ("", 0),
    (None, 0),
]


@pytest.fixture
def far_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine in another time zone."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone of a process is fixed here")
@pytest.mark.parametrize(("moment", "created"), CREATED)
@pytest.mark.usefixtures("far_away")
def test_created(moment: Any, created: int):
    """A time would depend on the local time zone, or one that cannot be read would lose the reply."""
    assert reply(native("succeeded", "x", created_at=moment)).created == created


def test_missing_fields():
    """A reply with fewer members would be lost."""
    found = reply({"status": "succeeded", "output": "x"})
    assert (found.id, found.model, found.text, found.usage) == ("", "meta/llama", "x", None)


# --- running ----------------------------------------------------------------------------------------------------------

DATE = "Tue, 04 Nov 2025 00:51:{:02} GMT"
DELAYS: list[tuple[str, str | None, Any, float]] = [
    ("starting", None, "2025-11-04T00:51:20Z", 0.5),
    ("processing", None, "2025-11-04T00:51:20Z", 1.0),
    ("starting", DATE.format(59), None, 0.5),
    ("processing", "some day", "2025-11-04T00:51:20Z", 1.0),
    ("processing", DATE.format(20), "2025-11-04T00:51:20Z", 0.5),
    ("processing", DATE.format(10), "2025-11-04T00:51:20Z", 0.5),
    ("processing", DATE.format(28), "2025-11-04T00:51:20Z", 1.0),
    ("starting", DATE.format(32), "2025-11-04T00:51:20Z", 1.5),
    ("processing", DATE.format(59), "2025-11-04T00:51:20Z", 2.0),
]


@pytest.mark.parametrize(("status", "date", "created_at", "after"), DELAYS)
def test_poll_intervals(status: str, date: str | None, created_at: Any, after: float):
    """A long prediction would be polled many times a second, or a short one too rarely."""
    headers = {} if date is None else {"date": date}
    found = follow(native(status, created_at=created_at), **headers)
    assert found.after == after


def test_a_running_prediction():
    """The next request would be sent to the wrong URL, or a partial reply would look complete."""
    found = follow(native("processing", ["half"]))
    assert (found.request.method, found.request.url, found.request.body) == ("GET", GET, None)
    assert found.request.authenticated
    assert found.cancel is not None
    assert (found.cancel.method, found.cancel.url, found.cancel.authenticated) == ("POST", CANCEL, True)


def test_a_running_stream():
    """The stream would be requested without its media type, or its host would receive the key."""
    found = follow(native("starting"), target(stream=True))
    assert (found.request.method, found.request.url) == ("GET", STREAM)
    assert found.request.headers == {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    assert not found.request.authenticated
    assert found.after == 0
    assert found.cancel is not None
    assert (found.cancel.url, found.cancel.authenticated) == (CANCEL, True)


def test_a_stream_at_the_apis_host():
    """A stream at the API's own host would be requested without the key, or another service there with it."""
    for base_url, is_below in ((BASE, True), (f"{BASE}/replicate", False)):
        urls = {"get": GET, "cancel": CANCEL, "stream": f"{BASE}/v1/streams/s1"}
        found = follow(native("starting", urls=urls), target(base_url, stream=True)).request
        assert (found.url, found.authenticated) == (urls["stream"], is_below)


def test_a_model_that_cannot_stream():
    """A model without streams could not be used with `stream`."""
    found = follow(native("starting", urls={"get": GET, "cancel": CANCEL}), target(stream=True))
    assert (found.request.url, found.request.headers) == (GET, {})


def test_a_poll_after_the_stream():
    """A prediction that is still running when its stream ends would be streamed a second time."""
    found = decode(native("processing", ["all"]), target(stream=True), status=200)
    assert isinstance(found, Continuation)
    assert (found.request.url, found.request.headers) == (GET, {})


def test_a_stream_of_a_finished_prediction():
    """A complete reply would be requested again."""
    assert isinstance(decode(native("succeeded", "x"), target(stream=True)), ChatCompletion)


KEYS: list[tuple[str, str, bool]] = [
    (BASE, GET, True),
    (BASE, "https://api.replicate.com:443/v1/predictions/p1", True),
    (BASE, "https://API.Replicate.com/v1/predictions/p1", True),
    (BASE, "https://api.replicate.com.evil.example/v1", False),
    (BASE, "https://api.replicate.com:8443/v1", False),
    (BASE, "https://evil.example/api.replicate.com", False),
    ("http://127.0.0.1:8080/replicate", "http://127.0.0.1:8080/replicate/v1/predictions/p1", True),
    ("http://127.0.0.1:8080/replicate", "http://127.0.0.1:8080/replicate/other", True),
    ("http://127.0.0.1:8080/replicate", "http://127.0.0.1:8080/v1/predictions/p1", False),
    ("http://127.0.0.1:8080/replicate", "http://127.0.0.1:8080/replicate", False),
    ("http://127.0.0.1:8080/replicate", "http://127.0.0.1:8080/replicates/admin", False),
    ("http://127.0.0.1:8080/replicate", "http://127.0.0.1:8080/replicate/../admin", False),
    ("http://127.0.0.1:8080/replicate", "http://127.0.0.1:8080/replicate/%2e%2E/admin", False),
    ("http://127.0.0.1:8080/replicate", "http://127.0.0.1:8080/replicate/..%2Fadmin", False),
    (BASE, f"{BASE}?x=/v1", False),
    ("http://127.0.0.1:8080", "http://127.0.0.1:8081/v1/predictions/p1", False),
    ("http://127.0.0.1:443", "https://127.0.0.1/v1/predictions/p1", False),
]


@pytest.mark.parametrize(("base_url", "url", "authenticated"), KEYS)
def test_urls_that_receive_the_key(base_url: str, url: str, authenticated: bool):
    """A URL in a response could send the key, or a request of this machine, to any host."""
    found = follow(native("starting", urls={"get": url, "cancel": url}), target(base_url))
    documented = f"{base_url}/v1/predictions/p1"
    assert found.request.url == (url if authenticated else documented)
    assert found.cancel is not None
    assert found.cancel.url == (url if authenticated else f"{documented}/cancel")
    assert found.request.authenticated
    assert found.cancel.authenticated


OTHER_HOSTS = [
    "https://169.254.169.254/latest/meta-data",
    "https://metadata.google.internal/x",
    "https://10.0.0.1/x",
    "https://localhost:2375/containers",
    "https://[fd00:ec2::254]/",
    "https://0x7f.1/",
    "https://replicate.net.evil.example/s1",
    "https://evilreplicate.net/s1",
    "https://stream.replicate.net:8443/s1",
    "https://evil.example/s1",
]


@pytest.mark.parametrize("url", OTHER_HOSTS)
@pytest.mark.parametrize("base_url", [BASE, "http://127.0.0.1:9"])
def test_hosts_that_get_no_request(base_url: str, url: str):
    """A provider could have requests sent to any host in the network of this machine."""
    urls = {"get": url, "cancel": url, "stream": url}
    with pytest.raises(errors.APIResponseError, match=r"urls\.stream"):
        decode(native("starting", urls=urls), target(base_url, stream=True))
    found = follow(native("starting", urls=urls), target(base_url))
    assert found.cancel is not None
    assert {found.request.url, found.cancel.url} == {
        f"{base_url}/v1/predictions/p1",
        f"{base_url}/v1/predictions/p1/cancel",
    }


@pytest.mark.parametrize("url", [STREAM, "https://stream.replicate.com/v1/files/x"])
def test_a_stream_at_replicates_own_host(url: str):
    """A gateway that passes Replicate's answers on could not stream."""
    found = follow(native("starting", urls={"stream": url}), target("https://gateway.example/replicate", stream=True))
    assert (found.request.url, found.request.authenticated) == (url, False)


BAD_URLS: list[Any] = [
    ["x"],
    "/v1/predictions/p1",
    "ftp://api.replicate.com/x",
    "file:///etc/passwd",
    "http://api.replicate.com/v1/predictions/p1",
    "https://",
    "https://user:word@api.replicate.com/x",
    "https://user@evil.example/x",
    "https://api.replicate.com/x y",
    "https://api.replicate.com/x\r\nHost: evil.example",
    "https://api.replicate.com\\@evil.example",
    "https://[bad",
    "https://x.example:port/",
]


@pytest.mark.parametrize("url", BAD_URLS)
def test_urls_that_may_not_be_opened(url: Any):
    """A response could make the client open a file, send without TLS, or raise an undocumented exception."""
    assert type(fails(native("starting", urls={"get": url}))) is errors.APIResponseError
    with pytest.raises(errors.APIResponseError, match=r"urls\.stream"):
        decode(native("starting", urls={"get": GET, "stream": url}), target(stream=True))
    found = follow(native("starting", urls={"get": GET, "cancel": url}))
    assert found.cancel is None


@pytest.mark.parametrize(
    "urls", [None, {}, [], "x", 7, {"get": None, "cancel": "", "stream": None}, {"get": 7}, {"get": {}}]
)
@pytest.mark.parametrize("stream", [False, True])
def test_missing_urls(urls: Any, stream: bool):
    """A prediction without readable URLs could not be polled."""
    found = follow(native("starting", urls=urls), target(stream=stream))
    assert found.request.url == GET
    assert found.cancel is not None
    assert found.cancel.url == CANCEL


@pytest.mark.parametrize("name", ["", "../account", "a/b", "p1?x", None])
def test_ids_that_are_not_valid_in_a_url(name: Any):
    """An id with any characters would become part of a URL."""
    assert type(fails(native("starting", id=name, urls=None))) is errors.APIResponseError


# --- failed -----------------------------------------------------------------------------------------------------------

FAILURES: list[tuple[Any, type[errors.APIError], str | None, int, bool]] = [
    ("CUDA out of memory", errors.InternalServerError, None, 500, False),
    ("The input exceeds the model's context length.", errors.ContextWindowExceededError, None, 400, False),
    ("Prompt is too long: 9 tokens", errors.ContextWindowExceededError, None, 400, False),
    ("exceeds the available context size", errors.ContextWindowExceededError, None, 400, False),
    ("Prediction input failed validation: max_tokens", errors.BadRequestError, None, 400, False),
    (
        "The input or output was flagged as sensitive. (E005)",
        errors.ContentPolicyViolationError,
        "E005",
        400,
        False,
    ),
    ("Something went wrong (E1000)", errors.InternalServerError, "E1000", 500, True),
    ("Killed (E1001): context length", errors.InternalServerError, "E1001", 500, False),
    ("Director: timed out (code: E6716)", errors.ServiceUnavailableError, "E6716", 503, True),
    ({"message": "prompt is too long", "code": "E1"}, errors.ContextWindowExceededError, "E1", 400, False),
    ({"error": {"detail": "Busy.", "code": 503}}, errors.ServiceUnavailableError, "503", 503, False),
    ({"message": "Slow down.", "code": 429}, errors.RateLimitError, "429", 429, False),
    (["Oh.", "No."], errors.InternalServerError, None, 500, False),
    ({"kind": "x"}, errors.InternalServerError, None, 500, False),
]
WORDS = ["prompt is too long", "Slow down.", "Busy.", "Oh.; No.", '{"kind":"x"}']
"""The messages of the failures that are no text."""


@pytest.mark.parametrize(("reported", "cls", "code", "status", "retryable"), FAILURES)
def test_failures(reported: Any, cls: type[errors.APIError], code: str | None, status: int, retryable: bool):
    """A program would catch the wrong class, or a failed prediction would be billed again."""
    error = fails(native("failed", error=reported))
    assert type(error) is cls
    assert error.message in ([reported] if isinstance(reported, str) else WORDS)
    assert (error.code, error.type, error.status_code) == (code, "failed", status)
    assert (error.retryable, error.maybe_billed) == (retryable, not retryable)


@pytest.mark.parametrize("status", ["starting", "processing", "succeeded"])
@pytest.mark.parametrize("reported", ["Oh.", {"message": "Oh."}, ["Oh."]])
def test_an_error_counts_in_every_state(status: str, reported: Any):
    """A prediction that failed would look complete, or would be polled forever."""
    error = fails(native(status, "half", error=reported))
    assert (type(error), error.message) == (errors.InternalServerError, "Oh.")


@pytest.mark.parametrize("reported", [None, "", [], {}, False, [None]])
@pytest.mark.parametrize("status", ["processing", "succeeded"])
def test_an_empty_error_is_none(status: str, reported: Any):
    """A complete reply would raise for another form of no error."""
    decode(native(status, "whole", error=reported))


IN_GOOD_STATUS: list[tuple[Any, type[errors.APIError], int, str]] = [
    ({"detail": "Not here."}, errors.InternalServerError, 500, "Not here."),
    ({"title": "Unauthenticated", "detail": "No.", "status": 401}, errors.AuthenticationError, 401, "No."),
    ({"error": {"message": "Slow down.", "code": 429}}, errors.RateLimitError, 429, "Slow down."),
    (native(None, detail="Oh."), errors.InternalServerError, 500, "Oh."),
    (
        native("queued", object="error"),
        errors.InternalServerError,
        500,
        "the prediction failed; Replicate does not say why",
    ),
    ([{"error": "Oh."}, {"error": "No."}], errors.InternalServerError, 500, "Oh.; No."),
    ('"Oh."', errors.InternalServerError, 500, '"Oh."'),
]


@pytest.mark.parametrize(("data", "cls", "status", "message"), IN_GOOD_STATUS)
def test_an_error_body_in_a_good_status(data: Any, cls: type[errors.APIError], status: int, message: str):
    """The words of a proxy's error would be lost."""
    error = fails(data)
    assert (type(error), error.status_code, error.message) == (cls, status, message)


@pytest.mark.parametrize("reported", [None, ""])
def test_a_failure_without_a_message(reported: Any):
    """A failure without a reason would have an empty message."""
    assert (
        fails(native("failed", "half", error=reported)).message == "the prediction failed; Replicate does not say why"
    )


@pytest.mark.parametrize(
    ("status", "reported", "message"),
    [
        ("canceled", None, "the prediction was canceled while it ran"),
        ("aborted", None, "the prediction was aborted before it ran"),
        ("aborted", "Cancel-After passed", "the prediction was aborted before it ran: Cancel-After passed"),
    ],
)
def test_canceled_and_aborted_predictions(status: str, reported: str | None, message: str):
    """An aborted prediction would be polled forever, or a partial reply would look complete."""
    error = fails(native(status, ["half"], error=reported))
    assert type(error) is errors.InternalServerError
    assert (error.message, error.code, error.type) == (message, status, status)
    assert not error.retryable


def test_a_failure_has_all_details():
    """An error would lack the prediction's id, which Replicate's support asks for."""
    error = fails(native("failed", error="Oh."))
    assert json.loads(error.body or "") == {
        "id": "p1",
        "status": "failed",
        "error": "Oh.",
        "model": "meta/llama",
        "version": "hidden",
        "created_at": "2025-11-04T00:51:20.014Z",
    }
    with pytest.raises(errors.APIStatusError) as caught:
        decode(native("failed"), **{"X-Request-Id": "r1"})
    assert caught.value.request_id == "r1"
    assert caught.value.headers == {"x-request-id": "r1"}


@pytest.mark.parametrize("status", ["queued", "SUCCEEDED", "", None])
def test_unknown_states(status: Any):
    """A prediction with an unknown state would be polled forever."""
    error = fails(native(status, "x"))
    assert type(error) is errors.APIResponseError
    assert repr(status or "") in error.message


MALFORMED: list[Any] = [
    b"",
    b"<html>",
    b"{",
    [],
    7,
    native({"succeeded": True}),
    native(["succeeded", "failed"]),
    json.dumps(native("succeeded", "x")).encode()[:-9],
]


@pytest.mark.parametrize("data", MALFORMED)
def test_malformed(data: Any):
    """An undocumented exception would be raised, or the error would contain the prompt."""
    error = fails(data)
    assert type(error) is errors.APIResponseError
    assert error.message.startswith("Replicate's prediction cannot be read: ")
    assert error.status_code == 201


ODD: list[Any] = [None, True, 7, 1.5, "odd", [], ["odd", "odd"], {"odd": 1}]


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("name", ["id", "model", "version", "input", "logs", "created_at", "urls", "metrics", "new"])
def test_an_odd_field_costs_nothing(name: str, value: Any):
    """A field that is not needed would cost a paid reply."""
    found = reply(native("succeeded", ["a", "b"], **{name: value}))
    assert found.text == "ab"
    assert name != "new" or found.extra.get("new") == value


def test_a_status_and_an_id_in_other_forms():
    """A numeric id, or a list of one status, would cost a paid reply."""
    found = reply([{**native(["succeeded"], "x"), "id": 7}])
    assert (found.id, found.text) == ("7", "x")


def test_an_html_page_is_part_of_the_error():
    """An error would not contain the gateway's page."""
    assert fails(b"<html>Bad gateway</html>").body == "<html>Bad gateway</html>"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
MEMBERS = ["id", "model", "output", "error", "created_at", "urls", "metrics", "status"]
STATUSES = st.sampled_from(["starting", "processing", "succeeded", "failed", "canceled", "aborted", "new"])


@given(STATUSES, st.dictionaries(st.sampled_from(MEMBERS), JSON, max_size=3), st.booleans())
def test_only_documented_exceptions_are_raised(status: str, members: dict[str, Any], stream: bool):
    """Some prediction would raise an undocumented exception."""
    try:
        found = decode({**native(status), **members}, target(stream=stream))
    except errors.APIError:
        return
    assert isinstance(found, (ChatCompletion, Continuation))


@given(st.lists(st.text()))
def test_the_pieces_make_the_text(pieces: list[str]):
    """Spaces and newlines between pieces would be lost."""
    expected = "".join(pieces).encode("utf-8", "replace").decode()
    assert reply(native("succeeded", [piece.encode("utf-8", "replace").decode() for piece in pieces])).text == expected
