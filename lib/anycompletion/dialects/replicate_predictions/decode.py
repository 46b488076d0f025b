"""A prediction as a chat completion, or as what to ask next while it runs; guesses no value that is not there.

https://replicate.com/docs/reference/http#predictions.get
"""

from __future__ import annotations

import email.utils
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, cast
from urllib.parse import urlsplit

import attrs

from ...codecs import json
from ...codecs.lenient import (
    NotJSONError,
    ShapeError,
    as_object,
    as_optional_int,
    as_optional_object,
    as_optional_str,
    as_str,
)
from ...http import Headers, HttpRequest, HttpResponse
from ...records import AssistantMessage, ChatCompletion, ChatRequest, Choice, JsonObject, Usage
from ..base import Continuation, Target
from .errors import failure, unreadable

_UNFINISHED = ("starting", "processing")
_ENDED_BADLY = ("failed", "canceled", "aborted")
_LOOKED = 200
"""The status of an answer about a prediction that was there before; one just created is 201."""
_SHORTEST, _LONGEST = 0.5, 2.0
_ID = re.compile(r"[A-Za-z0-9_-]+")
_NOT_IN_URL = re.compile(r"[\s\\\x00-\x1f\x7f]")
_PORTS = {"https": 443, "http": 80}


def decode(response: HttpResponse, request: ChatRequest, target: Target) -> ChatCompletion | Continuation:
    """The reply of a good status: a completion when the prediction succeeded, what to ask next while it runs.

    For a stream (`target.stream`) the next question after a prediction's creation is the stream itself, to be read by a
    decoder and recognised by its ``Accept: text/event-stream``; a model that cannot stream is asked for its whole
    answer instead. A look at a prediction (200, where a creation is 201) never leads to the stream: what looks while
    the stream is read, or after it, wants the state, and would get all the text a second time.

    Raises:
        APIStatusError: the prediction failed, or was canceled or aborted.
        APIResponseError: the body is no prediction, or has a status that nobody knows.
    """
    try:
        return _answer(_read(response), response, target)
    except (ShapeError, NotJSONError) as fault:
        problem = str(fault)
    raise unreadable(problem, response)


@attrs.frozen
class Prediction:
    """What of a prediction says where it stands."""

    data: JsonObject = attrs.field(repr=False)
    """All of it, with the prompt."""
    status: str
    id: str
    model: str | None
    created: float | None
    """Unix seconds."""
    urls: Mapping[str, Any]

    def request(
        self, name: Literal["get", "cancel", "stream"], target: Target, headers: Mapping[str, str] | None = None
    ) -> HttpRequest:
        """The request to one of its URLs; the key goes along only to the origin it was configured for.

        Raises:
            ShapeError: there is no such URL, or none that may be opened.
        """
        url = as_optional_str(self.urls.get(name), f"urls.{name}")
        if not url:
            # The first two stand where the documentation says, whether the prediction repeats it or not.
            if name == "stream" or not _ID.fullmatch(self.id):
                raise ShapeError(f"urls.{name}", "a URL", url)
            url = f"{target.base_url}/v1/predictions/{self.id}" + ("/cancel" if name == "cancel" else "")
        same = _checked_origin(url, f"urls.{name}", target) == _origin(target.base_url)
        return HttpRequest(
            url, method="POST" if name == "cancel" else "GET", headers=dict(headers or {}), authenticated=same
        )

    def cancel(self, target: Target) -> HttpRequest | None:
        """The request that ends it; a prediction that cannot be ended can still be followed."""
        try:
            return self.request("cancel", target)
        except ShapeError:
            return None


def prediction_of(response: HttpResponse) -> Prediction:
    """The prediction of a good status.

    Raises:
        APIResponseError: the body is none.
    """
    try:
        return _read(response)
    except (ShapeError, NotJSONError) as fault:
        problem = str(fault)
    raise unreadable(problem, response)


def _read(response: HttpResponse) -> Prediction:
    data = as_object(json.loads(response.body), "body")
    return Prediction(
        data,
        as_str(data.get("status"), "status"),
        as_str(data.get("id"), "id"),
        as_optional_str(data.get("model"), "model"),
        _seconds(as_optional_str(data.get("created_at"), "created_at")),
        as_optional_object(data.get("urls"), "urls") or {},
    )


def _answer(prediction: Prediction, response: HttpResponse, target: Target) -> ChatCompletion | Continuation:
    if prediction.status == "succeeded":
        return _completion(prediction, target.model)
    if prediction.status in _UNFINISHED:
        if target.stream and response.status != _LOOKED and prediction.urls.get("stream"):
            headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
            return Continuation(prediction.request("stream", target, headers), 0.0, prediction.cancel(target))
        return poll(prediction, target, _delay(prediction, response.headers))
    if prediction.status in _ENDED_BADLY:
        raise failure(prediction.data, response.headers)
    raise unreadable(f"{prediction.status[:40]!r} is no status that is documented", response)


def poll(prediction: Prediction, target: Target, after: float) -> Continuation:
    """Asks in `after` seconds how a prediction stands."""
    return Continuation(prediction.request("get", target), after, prediction.cancel(target))


def _delay(prediction: Prediction, headers: Headers) -> float:
    """Seconds until the next look: an eighth of the prediction's age, from half a second up to two.

    The age is the answer's own `Date` less `created_at`, both by the provider's clock, so that the back-off needs no
    memory. Where either is missing it is half a second for one that starts, and a second for one that runs.
    """
    now = _date(headers.get("date"))
    if now is None or prediction.created is None:
        return _SHORTEST if prediction.status == "starting" else 2 * _SHORTEST
    return min(_LONGEST, max(_SHORTEST, (now - prediction.created) / 8))


# --- the answer -------------------------------------------------------------------------------------------------------


def _completion(prediction: Prediction, model: str) -> ChatCompletion:
    data = prediction.data
    message = AssistantMessage(_text(data.get("output")))
    completion = ChatCompletion(
        prediction.id,
        [Choice(0, message, "stop", native_finish_reason=prediction.status)],
        prediction.model or model,
        int(prediction.created or 0),
        usage=_usage(as_optional_object(data.get("metrics"), "metrics") or {}),
    )
    completion.raw = data
    return completion


def _text(output: Any) -> str | None:
    """A text as it is, a list of texts one after the other, anything else as JSON; null stays None."""
    if output is None or isinstance(output, str):
        return output
    items = cast("list[Any]", output) if isinstance(output, list) else [output]
    return "".join(item if isinstance(item, str) else json.dumps(item).decode() for item in items)


def _usage(metrics: JsonObject) -> Usage | None:
    """The token counts, which models that are not paid by the token do not tell."""
    prompt = as_optional_int(metrics.get("input_token_count"), "metrics.input_token_count")
    completion = as_optional_int(metrics.get("output_token_count"), "metrics.output_token_count")
    if prompt is None and completion is None:
        return None
    return Usage(prompt, completion, None if prompt is None or completion is None else prompt + completion)


# --- times and places -------------------------------------------------------------------------------------------------


def _seconds(moment: str | None) -> float | None:
    """An ISO time as Unix seconds; one without a zone is in UTC."""
    if not moment:
        return None
    try:
        found = datetime.fromisoformat(moment)
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _date(header: str | None) -> float | None:
    if not header:
        return None
    try:
        return email.utils.parsedate_to_datetime(header).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def _checked_origin(url: str, path: str, target: Target) -> tuple[str, str | None, int | None]:
    """The origin of a URL that came from outside.

    Raises:
        ShapeError: it is none that may be opened: not https (nor what the base URL is), or with a user in it.
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
