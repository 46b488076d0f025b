"""HTTP as values: case-insensitive headers, and the report of what was left out."""

import copy
import pickle

import pytest

from anycompletion.codecs.sse import Event
from anycompletion.dialects.base import Continuation, DialectQuirks, EncodingReport, Prerequisite, Target
from anycompletion.errors import UnsupportedParameterError
from anycompletion.http import Headers, HttpRequest, HttpResponse

PAIRS = [(b"X-Request-ID", b"a"), (b"x-request-id", b"b"), (b"Set-Cookie", b"c=\xc3\xa9"), (b"X-Odd", b"\xff")]


def test_headers_ignore_case_and_keep_the_first():
    """A request id would be missed because a server writes it in capitals, or overwritten by a proxy's."""
    headers = Headers(PAIRS)
    assert headers["x-REQUEST-id"] == "a"
    assert headers.get("X-Request-Id") == "a"
    assert "x-request-id" in headers
    assert "x-nothing" not in headers
    assert headers.get("x-nothing") is None
    assert list(headers) == ["x-request-id", "set-cookie", "x-odd"]
    assert len(headers) == 3
    with pytest.raises(KeyError):
        headers["x-nothing"]


def test_headers_survive_bytes_that_are_no_text():
    """One odd header would cost the whole reply."""
    headers = Headers(PAIRS)
    assert headers["set-cookie"] == "c=é"
    assert headers["x-odd"] == "\udcff"


def test_headers_of_a_mapping():
    """Headers made for a test would read differently from those of a server."""
    headers = Headers.of({"Retry-After": "3", "X-Name": "Zoë"})
    assert dict(headers) == {"retry-after": "3", "x-name": "Zoë"}
    assert repr(headers) == "Headers({'retry-after': '3', 'x-name': 'Zoë'})"
    assert not Headers()
    assert Headers.of({"A": "1"}) == Headers([(b"a", b"1")])


def test_headers_are_looked_into_as_late_as_possible():
    """Every call would pay for an index that most never use."""
    headers = Headers(PAIRS)
    assert headers._index is None
    assert len(headers) == 3
    assert headers._index is not None


def test_headers_pickle_and_copy():
    """An error or a reply would lose its headers on the way to another process."""
    headers = Headers(PAIRS)
    for twin in (pickle.loads(pickle.dumps(headers)), copy.copy(headers), copy.deepcopy(headers)):  # noqa: S301
        assert twin == headers
        assert twin["X-Odd"] == "\udcff"


def test_what_cannot_be_said_is_refused():
    """A parameter would be dropped although the caller wants to know."""
    report = EncodingReport("raise")
    with pytest.raises(UnsupportedParameterError, match=r"^messages\[2\].name: the provider has no names$") as caught:
        report.unsupported("messages[2].name", "the provider has no names")
    assert caught.value.param == "messages[2].name"
    assert report.warnings == []


@pytest.mark.parametrize(("policy", "warnings"), [("warn", ["n dropped: no"]), ("drop", [])])
def test_what_cannot_be_said_is_dropped(policy: str, warnings: list[str]):
    """A caller who allowed it would be refused, or warned against their wish."""
    report = EncodingReport(policy)  # type: ignore[arg-type]
    report.unsupported("n", "no")
    assert report.warnings == warnings


@pytest.mark.parametrize("policy", ["raise", "warn", "drop"])
def test_changes_are_noted_under_every_policy(policy: str):
    """A default or a change would go unsaid."""
    report = EncodingReport(policy)  # type: ignore[arg-type]
    report.warn("max_tokens defaults to 4096")
    assert report.warnings == ["max_tokens defaults to 4096"]


def test_values_start_plain():
    """Two requests would share their warnings, or a key go where nobody said it may."""
    first, second = HttpRequest("https://x"), HttpRequest("https://x")
    assert first.warnings is not second.warnings
    assert (first.method, first.body, first.headers, first.authenticated) == ("POST", None, {}, True)
    target = Target(provider="p", model="m", base_url="https://x")
    assert (target.path, target.api_version, target.stream, target.on_unsupported) == (None, None, False, "raise")
    assert target.quirks == DialectQuirks()
    assert Event(b"x").name == ""
    assert Continuation(first, 1.0).cancel is None
    assert Prerequisite("k", first).key == "k"


def test_reprs_hold_no_bodies():
    """A prompt, a reply or a key would be in every dump of locals."""
    request = HttpRequest("https://x", {"messages": ["prompt"]}, headers={"Authorization": "key"})
    assert "prompt" not in repr(request)
    assert "key" not in repr(request).replace("authenticated", "")
    assert "answer" not in repr(HttpResponse(200, Headers(), b"answer"))
