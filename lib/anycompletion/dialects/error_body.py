"""Error bodies in any shape → message, code, type and the like. Raises nothing.

Servers and the gateways before them report errors as an object, a text, a list of either, or JSON inside a text, in a
field `error`, `errors`, `detail` or `message`, or inside a choice. `read_error` reads all of these in one way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, cast

from ..codecs.json import dumps, loads
from ..codecs.lenient import NotJSONError, optional_objects
from ..records import JsonObject

_MAX_DEPTH = 8
"""Levels of errors inside errors that are read."""

_ERRORS = ("error", "errors")
"""Fields that contain an error, in whatever they are."""

_FOREIGN_ERRORS = ("Error", "fault", "err", "exception")
"""Names of that field in gateways; a reply's field may have such a name for something else."""

OWN_MARKS = frozenset((*_ERRORS, "type", "base_resp"))
"""Fields, besides `object`, with which an object with choices may be an error; one without choices needs none."""

_WRAPPERS = ("data", "result", "response", "body")
"""Fields in which gateways put what is or has an error, where there are no choices."""

_MESSAGES = (
    *("message", "msg", "detail", "error_description", "error_message", "errorMessage", "error_msg", "status_msg"),
    *("Message", "faultstring", "title"),
)
"""Fields that contain the message, the best first."""

_WORDS = ("details", "reason")
"""Fields beside an error whose text belongs to its message."""

_KEPT = ("code", "type", "param", "status", "status_code", "raw_status_code", "request_id", "id", *_MESSAGES)
"""Fields around an error object that are read where the object does not have them."""

_STATUSES = ("code", "status", "status_code", "raw_status_code")
"""Fields that may contain the HTTP status."""

_STATUS = "[45][0-9][0-9]"

_NOTHING = frozenset(("", "0", "false", "none", "null", "ok", "success"))
"""Lower-case texts in place of an error that say that there is none."""

_FAILED = frozenset(("error", "fail", "failed", "failure"))
"""Lower-case statuses of an object that reports an error."""

_PROGRESS = frozenset(
    (
        *("queued", "pending", "starting", "running", "processing", "in_progress", "progress", "status"),
        *("ok", "success", "succeeded", "completed", "ping", "heartbeat", "keepalive"),
        *("debug", "info", "log", "notice", "warning"),
    )
)
"""Lower-case statuses and types of an object whose message is no error's, but that of progress or a notice."""

_PAGE_START = 4096
"""Bytes of a web page that are searched for its title."""

_TITLE_LIMIT = 200
"""Characters of a title."""

_FAILED_REASONS = frozenset(
    (
        *("error", "network_error", "connection_error", "upstream_error", "server_error", "internal_error"),
        *("insufficient_system_resource", "function_call_filter", "malformed_function_call"),
    )
)
"""Finish reasons, native ones too, of a generation that failed."""


class ReportedError:
    """What an error body reports; None for what it does not contain."""

    __slots__ = ("code", "fields", "message", "param", "request_id", "status", "type")

    def __init__(self, fields: JsonObject) -> None:
        message, kind = fields.get("message"), _scalar(fields.get("type"))
        self.message = message if isinstance(message, str) and message else dumps(message).decode() if message else None
        self.code = _scalar(fields.get("code"))
        self.type = kind if kind is not None and kind != "error" else _status_name(fields.get("status"))
        self.param = _scalar(fields.get("param"))
        self.status = next((found for name in _STATUSES if (found := _status(fields.get(name))) is not None), None)
        ids = (fields.get("request_id"), fields.get("id"))
        self.request_id = next((found for found in ids if isinstance(found, str) and found), None)
        self.fields = fields
        """The error object, completed by fields around it; `failed_choice` is the choice that contains it, if any."""


def read_error(body: Any) -> ReportedError:
    """What an error body reports, whatever its shape: decoded JSON, or a text."""
    return ReportedError(_error_fields(body, 0))


def holds_error(data: Any) -> bool:
    """Whether the body of a good status, or an event, is an error in any shape."""
    if isinstance(data, list):
        items = cast("list[Any]", data)
        return bool(items) and holds_error(items[0])
    if not isinstance(data, dict):
        return isinstance(data, str) and bool(data.strip())
    fields = cast("JsonObject", data)
    return (
        _has_error(fields, _ERRORS)
        or fields.get("object") == "error"
        or fields.get("type") == "error"
        or _failed_base_resp(fields) is not None
        or _failed_choice(fields) is not None
        or (not fields.get("choices") and (_has_error(fields, _FOREIGN_ERRORS) or _wrapped_error(fields) is not None))
        or ("choices" not in fields and _is_report(fields))
    )


def _has_error(fields: JsonObject, names: Iterable[str] = (*_ERRORS, *_FOREIGN_ERRORS)) -> bool:
    return any(_is_filled(fields.get(name)) for name in names)


def _wrapped_error(fields: JsonObject) -> JsonObject | None:
    """The object in one of the `_WRAPPERS` that has an error; None if none has."""
    inner = (cast("JsonObject", found) for name in _WRAPPERS if isinstance(found := fields.get(name), dict))
    return next(filter(_has_error, inner), None)


def _is_report(fields: JsonObject) -> bool:
    """Whether an object without choices reports an error, and not progress (``{"status": "queued", "message": …}``)."""
    status = _text(fields.get("status"))
    words = (status.lower(), *(_text(fields.get(name)).lower() for name in ("type", "event")))
    if not _PROGRESS.isdisjoint(words):
        return False
    if status and words[0] not in _FAILED and _status(status) is None and _status_name(status) is None:
        return False
    # A title alone is that of a conversation.
    return _is_filled(fields.get("detail")) or any(_text(fields.get(name)) for name in _MESSAGES if name != "title")


def _is_filled(value: object) -> bool:
    """Whether the value of a field `error` has content; empty lists and objects, and words for none, have none."""
    if isinstance(value, dict):
        return any(map(_is_filled, cast("JsonObject", value).values()))
    if isinstance(value, list):
        return any(map(_is_filled, cast("list[object]", value)))
    return value.strip().lower() not in _NOTHING if isinstance(value, str) else bool(value)


def _failed_base_resp(fields: JsonObject) -> JsonObject | None:
    """MiniMax's `base_resp`, if its status is that of a failure."""
    found = fields.get("base_resp")
    if not isinstance(found, dict):
        return None
    base_resp = cast("JsonObject", found)
    return base_resp if _scalar(base_resp.get("status_code")) not in (None, "0", "") else None


def _failed_choice(fields: JsonObject) -> JsonObject | None:
    """The first choice that is or contains an error, or has the finish reason of a generation that failed."""
    for choice in optional_objects(fields.get("choices")) or ():
        reasons = (choice.get("finish_reason"), choice.get("native_finish_reason"))
        if _error_in_choice(choice) is not None or any(map(is_failed_reason, reasons)):
            return choice
    return None


def _error_in_choice(choice: JsonObject) -> object:
    """The error in a choice, its message or its delta; None if there is none."""
    for source in (choice, choice.get("message"), choice.get("delta")):
        found: object = cast("JsonObject", source).get("error") if isinstance(source, dict) else None
        if _is_filled(found):
            return found
    return None


def is_failed_reason(reason: object) -> bool:
    """Whether a finish reason, native or not, is that of a generation that failed."""
    # Gemini adds details: "function_call_filter: MALFORMED_FUNCTION_CALL".
    return isinstance(reason, str) and reason.lower().partition(":")[0] in _FAILED_REASONS


# --- the error object -------------------------------------------------------------------------------------------------


def _error_fields(value: Any, depth: int) -> JsonObject:
    """The fields of the error that `value` is or contains; `message`, if there is one, is a text."""
    if depth > _MAX_DEPTH or value is None:
        return {}
    if isinstance(value, dict):
        return _of_object(cast("JsonObject", value), depth)
    if isinstance(value, list):
        return _of_list(cast("list[Any]", value), depth)
    if not isinstance(value, str):
        return {"message": dumps(value).decode()}
    inner = _json_in(value)
    found: JsonObject = {} if inner is None else _error_fields(inner, depth + 1)
    return found if found.get("message") else {"message": value}


def _of_object(fields: JsonObject, depth: int) -> JsonObject:
    around = {name: fields[name] for name in _KEPT if fields.get(name) not in (None, "")}
    for name in (*_ERRORS, *_FOREIGN_ERRORS):
        if _is_filled(fields.get(name)):
            return _merged(fields, name, around, depth)
    base_resp = _failed_base_resp(fields)
    if base_resp is not None:
        report = {"message": _text(base_resp.get("status_msg")), "code": base_resp["status_code"]}
        return report | {"base_resp": base_resp} | _id_of(around)
    choice = _failed_choice(fields)
    if choice is not None:
        return _id_of(around) | _of_choice(choice, depth) | {"failed_choice": choice}
    wrapped = None if fields.get("choices") else _wrapped_error(fields)
    if wrapped is not None:
        return around | _error_fields(wrapped, depth + 1)
    for name in _MESSAGES:
        if name in around:
            inner = _error_fields(around[name], depth + 1)
            if inner.get("message"):
                return fields | inner | around | {"message": inner["message"]}
    return fields | around


def _merged(fields: JsonObject, name: str, around: JsonObject, depth: int) -> JsonObject:
    """The fields of the error in the field `name`, completed by those around it."""
    value = fields[name]
    inner = _error_fields(value, depth + 1)
    if isinstance(value, str):
        details = fields.get("details")
        if isinstance(details, dict) and "error" in details:  # a gateway's text beside the upstream's error
            inner = inner | _error_fields(details, depth + 1)
    found = around | {key: field for key, field in inner.items() if field not in (None, "")}
    words = _words_around(around, depth) or next(filter(None, (_text(fields.get(key)) for key in _WORDS)), "")
    if words:
        found["message"] = _with_words(value, _text(inner.get("message")), words)
        if isinstance(value, str) and re.fullmatch("[a-z_]+", value):
            found.setdefault("code", value)
    return found


def _words_around(around: JsonObject, depth: int) -> str:
    """The message beside an error."""
    for name in _MESSAGES:
        found = _text(_error_fields(around.get(name), depth + 1).get("message"))
        if found:
            return found
    return ""


def _with_words(error: object, message: str, words: str) -> str:
    """The message of an error with the words beside it: a text may be a name only, and a number has no meaning.

    ``{"error": "Unauthorized", "message": "The token has expired."}``
    """
    if not message or not isinstance(error, (str, list, dict)):
        return words
    if not isinstance(error, str) or words in message:
        return message
    return words if message in words else f"{message}: {words}"


def _of_choice(choice: JsonObject, depth: int) -> JsonObject:
    error = _error_in_choice(choice)
    if error is not None:
        return _error_fields(error, depth + 1)
    reasons = (choice.get("native_finish_reason"), choice.get("finish_reason"))
    reason = next(reason for reason in reasons if is_failed_reason(reason))
    return {"message": f"the generation failed: {reason}", "code": reason}


def _id_of(fields: JsonObject) -> JsonObject:
    return {name: fields[name] for name in ("request_id", "id") if name in fields}


def _of_list(items: list[Any], depth: int) -> JsonObject:
    """The first error of a list, with the messages of all; validation errors with their places."""
    fields: JsonObject = {}
    messages: list[str] = []
    for item in items[:_MAX_DEPTH]:
        found = _error_fields(item, depth + 1)
        message = _text(found.get("message"))
        place = found.get("loc")
        if isinstance(place, list) and message:
            message = f"{'.'.join(map(str, cast('list[Any]', place)))}: {message}"
        if message and message not in messages:
            messages.append(message)
        fields = fields or found
    return fields | {"message": "; ".join(messages)}


def _json_in(text: str) -> Any:
    """The object or list that a text is the JSON of; None for other texts."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return loads(text.encode("utf-8", "replace"))
    except NotJSONError:
        return None


# --- values -----------------------------------------------------------------------------------------------------------


def _text(value: object) -> str:
    """A text, or "" for all else."""
    return value if isinstance(value, str) else ""


def _scalar(value: object) -> str | None:
    """A text, number or boolean as text; None for all else."""
    return None if value is None or isinstance(value, (dict, list)) else str(value)


def _status(value: object) -> int | None:
    """The HTTP status of an error, as a number or text; None for all else."""
    text = _scalar(value)
    return int(text) if text is not None and re.fullmatch(_STATUS, text) else None


def _status_name(value: object) -> str | None:
    """Google's name of a status (INVALID_ARGUMENT), which takes the place of a type."""
    return value if isinstance(value, str) and re.fullmatch("[A-Z_]+", value) else None


# --- web pages --------------------------------------------------------------------------------------------------------


def page_title(body: bytes) -> str | None:
    """The title of a web page, or the text of a short one; "" for a page without either, None for anything else."""
    text = body[:_PAGE_START].decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if not text.startswith("<"):
        return None
    found = (_visible(part) for part in (_element(text, "title"), _element(text, "h1"), _short(text)))
    return next(filter(None, found), "")[:_TITLE_LIMIT]


def _element(text: str, name: str) -> str:
    """The content of the first element of that name."""
    folded = text.lower()
    start = folded.find(f"<{name}")
    start = folded.find(">", start) if start >= 0 else start
    end = folded.find(f"</{name}", start)
    return text[start + 1 : end] if 0 <= start < end else ""


def _short(text: str) -> str:
    """The page itself, if it is a short text with a few tags; "" otherwise."""
    return "" if len(text) > _TITLE_LIMIT * 2 or any(tag in text.lower() for tag in ("<script", "<style")) else text


def _visible(markup: str) -> str:
    """Markup as one line of text."""
    text = re.sub("<[^>]*>", " ", markup)
    for name, char in _ENTITIES:
        text = text.replace(name, char)
    return " ".join(text.split())


_ENTITIES: Iterable[tuple[str, str]] = (
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&quot;", '"'),
    ("&#39;", "'"),
    ("&nbsp;", " "),
    ("&mdash;", "—"),
    ("&ndash;", "–"),
    ("&#8211;", "–"),
    ("&amp;", "&"),
)
"""The entities of titles; all that HTML knows would cost the import 2 ms."""
