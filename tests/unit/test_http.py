"""HTTP values: case-insensitive headers, defaults of requests, and reprs without contents."""

from __future__ import annotations

import copy
import pickle

import pytest

from anycompletion.http import Headers, HttpRequest, HttpResponse, RequestHeaders

PAIRS = [(b"X-Request-ID", b"a"), (b"x-request-id", b"b"), (b"Set-Cookie", b"c=\xc3\xa9"), (b"X-Odd", b"\xff")]


def test_headers_ignore_case_and_keep_the_first() -> None:
    """A request id would be missed because of capitals, or replaced by a proxy's."""
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


def test_headers_accept_invalid_utf8() -> None:
    """One invalid header would make the whole reply fail."""
    headers = Headers(PAIRS)
    assert headers["set-cookie"] == "c=é"
    assert headers["x-odd"] == "\udcff"


def test_headers_of_a_mapping() -> None:
    """Headers of a test would have other values than those of a server."""
    headers = Headers.of({"Retry-After": "3", "X-Name": "Zoë"})
    assert dict(headers) == {"retry-after": "3", "x-name": "Zoë"}
    assert repr(headers) == "Headers({'retry-after': '3', 'x-name': 'Zoë'})"
    assert not Headers()
    assert Headers.of({"A": "1"}) == Headers([(b"a", b"1")])


def test_the_index_of_headers_is_built_at_the_first_lookup() -> None:
    """Every call would build an index that most calls do not need."""
    headers = Headers(PAIRS)
    assert headers._index is None
    assert len(headers) == 3
    assert headers._index is not None


def test_headers_pickle_and_copy() -> None:
    """An error or a reply would lose its headers in another process."""
    headers = Headers(PAIRS)
    for copied in (pickle.loads(pickle.dumps(headers)), copy.copy(headers), copy.deepcopy(headers)):  # noqa: S301
        assert copied == headers
        assert copied["X-Odd"] == "\udcff"


def test_request_defaults() -> None:
    """Two requests would share their warnings, or have another default than the documented one."""
    first, second = HttpRequest("https://x"), HttpRequest("https://x")
    assert first.warnings is not second.warnings
    assert (first.method, first.body, first.headers, first.authenticated) == ("POST", None, {}, True)
    assert first.max_response_bytes == 32 * 1024 * 1024
    headers = RequestHeaders({"A": "1"})
    assert (headers, headers.lines, headers.has_host) == ({"A": "1"}, None, False)


def test_reprs_contain_no_bodies() -> None:
    """A prompt, a reply or a key would be in every dump of locals."""
    request = HttpRequest("https://x", {"messages": ["prompt"]}, headers={"Authorization": "key"})
    assert "prompt" not in repr(request)
    assert "prompt" not in repr(HttpRequest("https://x", b"prompt"))
    assert "key" not in repr(request).replace("authenticated", "")
    assert "answer" not in repr(HttpResponse(200, Headers(), b"answer"))
