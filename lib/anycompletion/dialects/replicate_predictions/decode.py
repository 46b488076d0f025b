"""A prediction as a chat completion, or as the next request while it runs. No value is guessed.

https://replicate.com/docs/reference/http#predictions.get
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, cast
from urllib.parse import unquote, urlsplit

import attrs

from ...codecs import json
from ...codecs.lenient import (
    NotJSONError,
    ShapeError,
    as_object,
    as_optional_str,
    as_str,
    optional_int,
    optional_object,
    optional_str,
    unknown_fields,
)
from ...errors import APIError
from ...http import Headers, HttpRequest, HttpResponse, parse_date
from ...records import ChatCompletion, ChatCompletionMessage, ChatRequest, Choice, JsonObject, Usage
from ..base import Continuation, Target
from ..shared import unix_seconds
from .errors import error_in_good_status, failure, reports_error, unreadable_prediction

_UNFINISHED = ("starting", "processing")
_RUNNING_OR_DONE = (*_UNFINISHED, "succeeded")
_FAILED = ("failed", "canceled", "aborted")
_PREDICTION = frozenset(
    {
        "id",
        "model",
        "version",
        "status",
        "input",
        "output",
        "error",
        "logs",
        "created_at",
        "started_at",
        "completed_at",
        "urls",
        "data_removed",
        "deployment",
        "source",
    }
)
"""Documented fields that a completion has no other place for, or should not have; `metrics` are in `extra`."""
_EXISTING = 200
"""The status of a response about an existing prediction; creation has the status 201."""
_SHORTEST_DELAY, _LONGEST_DELAY = 0.5, 2.0
"""Seconds between polls."""
_ID = re.compile(r"[A-Za-z0-9_-]+")
_NOT_IN_URL = re.compile(r"[\s\\\x00-\x1f\x7f]")
_PORTS = {"https": 443, "http": 80}
_DOMAINS = (".replicate.com", ".replicate.net", ".replicate.delivery")
"""Of the hosts that streams are at."""
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


def decode(response: HttpResponse, request: ChatRequest, target: Target) -> ChatCompletion | Continuation:
    """The completion of a prediction that succeeded, or the next request while it runs.

    For a stream (`target.stream`), the next request after the creation is the stream itself, which a decoder reads and
    which is marked by ``Accept: text/event-stream``; a model that cannot stream is polled for its complete output. A
    poll (status 200, where creation has 201) never leads to the stream: it asks for the state while the stream is read
    or after it, and the stream would repeat all the text.

    Raises:
        APIStatusError: the prediction failed, or was canceled or aborted.
        APIResponseError: the body is not a prediction, or its status is unknown.
    """
    failed: APIError | None = None
    problem = ""
    try:
        body = json.loads(response.body)
        data = optional_object(body)
        if data is None:
            failed = error_in_good_status(body, response)
        if failed is None:
            return _result(_prediction(as_object(body, "body")), response, target)
    except (ShapeError, NotJSONError) as exc:
        problem = str(exc)
    raise failed or unreadable_prediction(problem, response)


@attrs.frozen
class ReplicatePrediction:
    """State of a prediction."""

    data: JsonObject = attrs.field(repr=False)
    """The complete JSON, including the prompt."""
    status: str
    id: str
    model: str | None
    created: float | None
    """Unix seconds."""
    urls: Mapping[str, Any]

    def request(
        self, name: Literal["get", "cancel", "stream"], target: Target, headers: Mapping[str, str] | None = None
    ) -> HttpRequest:
        """The request to one of its URLs.

        State and cancellation are below the base URL, whatever the prediction names; streams are at its host or
        Replicate's own ones, and get the key below the base URL only.

        Raises:
            ShapeError: there is no such URL, or it must not be opened.
        """
        path, own = f"urls.{name}", _origin(target.base_url)
        url = _only_str(self.urls.get(name))
        found = _checked_origin(url, path, target) if url else None
        is_below = found == own and url is not None and _is_below(url, target.base_url)
        if name == "stream" and url and found is not None and _may_stream(found, own):
            return HttpRequest(url, method="GET", headers=dict(headers or {}), authenticated=is_below)
        if not is_below or not url:
            # The URLs of the other two are documented, so they are known even if the prediction omits them.
            if name == "stream" or not _ID.fullmatch(self.id):
                raise ShapeError(path, "a URL below base_url", url)
            url = f"{target.base_url}/v1/predictions/{self.id}" + ("/cancel" if name == "cancel" else "")
        return HttpRequest(url, method="POST" if name == "cancel" else "GET", headers=dict(headers or {}))

    def cancel(self, target: Target) -> HttpRequest | None:
        """The request that cancels it; a prediction without one can still be polled."""
        try:
            return self.request("cancel", target)
        except ShapeError:
            return None


def read_prediction(response: HttpResponse) -> ReplicatePrediction:
    """The prediction in a response with a good status.

    Raises:
        APIResponseError: the body is not a prediction.
    """
    try:
        return _prediction(as_object(json.loads(response.body), "body"))
    except (ShapeError, NotJSONError) as exc:
        problem = str(exc)
    raise unreadable_prediction(problem, response)


def _prediction(data: JsonObject) -> ReplicatePrediction:
    return ReplicatePrediction(
        data,
        optional_str(data.get("status")) or "",
        optional_str(data.get("id")) or "",
        optional_str(data.get("model")),
        unix_seconds(data.get("created_at")),
        optional_object(data.get("urls")) or {},
    )


def _only_str(value: object) -> str | None:
    """A text, as it is or as the only item of a list."""
    return None if isinstance(value, (int, float)) else optional_str(value)


def _result(prediction: ReplicatePrediction, response: HttpResponse, target: Target) -> ChatCompletion | Continuation:
    status, data = prediction.status, prediction.data
    if status in _FAILED or (status in _RUNNING_OR_DONE and reports_error(data)):
        raise failure(data, response.headers)
    if status == "succeeded":
        return _completion(prediction, target.model)
    if status in _UNFINISHED:
        if target.stream and response.status != _EXISTING and _only_str(prediction.urls.get("stream")):
            headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
            return Continuation(prediction.request("stream", target, headers), 0.0, prediction.cancel(target))
        return poll(prediction, target, _delay(prediction, response.headers))
    failed = error_in_good_status(data, response)
    raise failed or unreadable_prediction(f"{status[:40]!r} is no status that is documented", response)


def poll(prediction: ReplicatePrediction, target: Target, after: float) -> Continuation:
    """The request for a prediction's state, to be sent after `after` seconds."""
    return Continuation(prediction.request("get", target), after, prediction.cancel(target))


def _delay(prediction: ReplicatePrediction, headers: Headers) -> float:
    """Seconds until the next poll: an eighth of the prediction's age, between half a second and two seconds.

    The age is the response's `Date` minus `created_at`, both by the provider's clock, so that the back-off needs no
    state. Where either is missing, the delay is half a second while it starts and a second while it runs.
    """
    now = parse_date(headers.get("date"))
    if now is None or prediction.created is None:
        return _SHORTEST_DELAY if prediction.status == "starting" else 2 * _SHORTEST_DELAY
    return min(_LONGEST_DELAY, max(_SHORTEST_DELAY, (now - prediction.created) / 8))


# --- the completion ---------------------------------------------------------------------------------------------------


def _completion(prediction: ReplicatePrediction, model: str) -> ChatCompletion:
    data = prediction.data
    message = ChatCompletionMessage(_text(data.get("output")))
    completion = ChatCompletion(
        prediction.id,
        [Choice(0, message, "stop", native_finish_reason=prediction.status)],
        prediction.model or model,
        int(prediction.created or 0),
        usage=_usage(optional_object(data.get("metrics")) or {}),
        extra={name: value for name, value in unknown_fields(data, _PREDICTION).items() if value not in (None, {})},
    )
    completion.raw = data
    return completion


def _text(output: object) -> str | None:
    """A string unchanged, a list of strings joined, anything else as JSON; null stays None."""
    if not isinstance(output, list):
        return as_optional_str(output)
    return "".join(map(as_str, cast("list[object]", output)))


def _usage(metrics: JsonObject) -> Usage | None:
    """The token counts, which models without a price per token do not report."""
    prompt = optional_int(metrics.get("input_token_count"))
    completion = optional_int(metrics.get("output_token_count"))
    if prompt is None and completion is None:
        return None
    return Usage(prompt, completion, None if prompt is None or completion is None else prompt + completion)


# --- times and URLs ---------------------------------------------------------------------------------------------------


def _origin(url: str) -> _Origin:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


_Origin: TypeAlias = "tuple[str, str | None, int | None]"
"""Scheme, host and port."""


def _may_stream(origin: _Origin, own: _Origin) -> bool:
    """Whether streams may be read from an origin: that of the base URL, by any name of this machine, or Replicate's."""
    scheme, host, port = origin
    if scheme == "https" and port == _PORTS["https"] and (host or "").endswith(_DOMAINS):
        return True
    is_same_machine = host == own[1] or (host in _LOCAL_HOSTS and own[1] in _LOCAL_HOSTS)
    return is_same_machine and (scheme, port) == (own[0], own[2])


def _is_below(url: str, base_url: str) -> bool:
    """Whether the path of a URL is below that of the base URL: other paths of a gateway may be other services."""
    path = unquote(urlsplit(url).path)
    return path.startswith(unquote(urlsplit(base_url).path) + "/") and {".", ".."}.isdisjoint(path.split("/"))


def _checked_origin(url: str, path: str, target: Target) -> _Origin:
    """The origin of a URL in a response.

    Raises:
        ShapeError: it must not be opened: it has neither https nor the base URL's scheme, or it contains a user.
    """
    try:
        origin = _origin(url)
        user = urlsplit(url).username
    except ValueError:
        origin, user = ("", None, None), None
    allowed = ("https", urlsplit(target.base_url).scheme)
    if _NOT_IN_URL.search(url) or origin[0] not in allowed or not origin[1] or user is not None:
        raise ShapeError(path, "an https URL", url)
    return origin
