"""Errors of OpenAI's format: a response → the exception."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anycompletion import errors
from anycompletion.codecs.sse import Event
from anycompletion.dialects.base import Target
from anycompletion.dialects.error_body import holds_error
from anycompletion.dialects.openai_chat.dialect import DIALECT
from anycompletion.dialects.openai_errors import error_from_body
from anycompletion.errors import APIError, APIStatusError, class_for_status
from anycompletion.http import Headers, HttpResponse
from anycompletion.records import ChatRequest

TARGET = Target(provider="openai", model="m", base_url="https://x")


def error_of_response(status: int, body: Any = b"", **headers: str) -> APIStatusError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    error = DIALECT.error(HttpResponse(status, Headers.of(headers), raw))
    assert isinstance(error, APIStatusError)
    return error


def error_body(code: Any = None, kind: Any = None, message: Any = "Oh.", **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code, **more}}


TABLE: list[tuple[int, Any, type[APIStatusError]]] = [
    # structured codes before the status
    (400, error_body("context_length_exceeded"), errors.ContextWindowExceededError),
    (413, error_body("context_length_exceeded"), errors.ContextWindowExceededError),
    (400, error_body("content_policy_violation"), errors.ContentPolicyViolationError),
    (400, error_body("content_filter"), errors.ContentPolicyViolationError),
    (403, error_body("content_policy_violation"), errors.ContentPolicyViolationError),
    (429, error_body("insufficient_quota"), errors.QuotaExceededError),
    (429, error_body(None, "insufficient_quota"), errors.QuotaExceededError),
    (403, error_body("insufficient_quota"), errors.QuotaExceededError),
    (429, error_body("billing_hard_limit_reached"), errors.QuotaExceededError),
    (429, error_body("billing_not_active"), errors.QuotaExceededError),
    (429, error_body("credit_balance_exhausted"), errors.QuotaExceededError),
    (400, error_body("enforced_spend_limit_reached"), errors.QuotaExceededError),
    (429, error_body("quota_exceeded"), errors.QuotaExceededError),
    (429, error_body("rate_limit_exceeded", "tokens"), errors.RateLimitError),
    (413, error_body("rate_limit_exceeded", "tokens"), errors.RateLimitError),
    (503, error_body("overloaded"), errors.OverloadedError),
    (500, error_body(None, "overloaded_error"), errors.OverloadedError),
    (503, error_body("server_overloaded"), errors.OverloadedError),
    # codes and types that are less precise than the status
    (401, error_body("invalid_api_key", "invalid_request_error"), errors.AuthenticationError),
    (404, error_body("model_not_found", "invalid_request_error"), errors.NotFoundError),
    (400, error_body("unsupported_parameter", "invalid_request_error"), errors.BadRequestError),
    (403, error_body(None, "invalid_request_error"), errors.PermissionDeniedError),
    (500, error_body(None, "server_error"), errors.InternalServerError),
    (503, error_body(None, "server_error"), errors.ServiceUnavailableError),
    (529, error_body(None, "server_error"), errors.OverloadedError),
    (400, error_body(503), errors.BadRequestError),
    # OpenRouter
    (400, error_body(400, metadata={"error_type": "context_length_exceeded"}), errors.ContextWindowExceededError),
    (413, error_body(413, metadata={"error_type": "string_too_long"}), errors.ContextWindowExceededError),
    (400, error_body(400, metadata={"error_type": "token_limit_exceeded"}), errors.ContextWindowExceededError),
    (400, error_body(400, metadata={"error_type": "max_tokens_exceeded"}), errors.BadRequestError),
    (402, error_body(402, metadata={"error_type": "payment_required"}), errors.QuotaExceededError),
    (403, error_body(403, metadata={"error_type": "content_policy_violation"}), errors.ContentPolicyViolationError),
    (403, error_body(403, metadata={"reasons": ["x"], "flagged_input": "y"}), errors.ContentPolicyViolationError),
    (403, error_body(403, metadata={"provider_name": "x"}), errors.PermissionDeniedError),
    (502, error_body(502, metadata={"error_type": "provider_overloaded"}), errors.OverloadedError),
    (502, error_body(502, metadata={"error_type": "provider_unavailable"}), errors.ServiceUnavailableError),
    (400, error_body(400, metadata={"error_type": "of_tomorrow"}), errors.BadRequestError),
    (400, error_body(400, metadata={"error_type": ["x"]}), errors.BadRequestError),
    (400, error_body(400, metadata="x"), errors.BadRequestError),
    # by status alone
    *(
        (status, error_body(), class_for_status(status))
        for status in (400, 401, 402, 403, 404, 405, 408, 409, 413, 415, 422)
    ),
    *(
        (status, error_body(), class_for_status(status))
        for status in (425, 429, 498, 500, 501, 502, 503, 504, 520, 524, 529)
    ),
    # bodies that are not error objects
    *((status, b"<html>Oh.</html>", class_for_status(status)) for status in (403, 404, 429, 500, 502, 503, 524, 529)),
    (500, b"", errors.InternalServerError),
    (429, b"\xff\xfe", errors.RateLimitError),
    (500, [], errors.InternalServerError),
    (400, [{"error": {"code": 400, "message": "x"}}], errors.BadRequestError),
    (400, None, errors.BadRequestError),
    (400, 5, errors.BadRequestError),
    (400, {}, errors.BadRequestError),
    (401, {"error": None}, errors.AuthenticationError),
    (401, {"error": {}}, errors.AuthenticationError),
    (429, {"error": []}, errors.RateLimitError),
    (429, {"error": "insufficient_quota"}, errors.RateLimitError),
    (429, {"error": "Pay.", "code": "insufficient_quota"}, errors.QuotaExceededError),
    (400, {"object": "error", "message": "x", "type": "BadRequestError", "code": 400}, errors.BadRequestError),
    # never by prose
    (400, error_body(None, None, "rate limit reached, quota exceeded, context length"), errors.BadRequestError),
    (429, error_body(None, None, "You exceeded your current quota"), errors.RateLimitError),
]


@pytest.mark.parametrize(("status", "body", "cls"), TABLE)
def test_classes(status: int, body: Any, cls: type[APIStatusError]):
    """A program would catch the wrong class, or retry a call that can never succeed."""
    error = error_of_response(status, body)
    assert type(error) is cls
    assert error.status_code == status


def test_an_error_has_all_details():
    """An error would lack what a provider's support asks for."""
    body = error_body("unsupported_value", "invalid_request_error", "No.") | {"more": 1}
    body["error"]["param"] = "messages[0].role"
    error = error_of_response(400, body, **{"X-Request-Id": "req_1", "retry-after": "3"})
    assert (error.message, error.code, error.type, error.param) == (
        "No.",
        "unsupported_value",
        "invalid_request_error",
        "messages[0].role",
    )
    assert error.request_id == "req_1"
    assert error.body == json.dumps(body)
    assert error.headers is not None
    assert error.headers["Retry-After"] == "3"
    assert error.retry_after is None  # the call layer reads the hint


MESSAGES: list[tuple[int, Any, str]] = [
    (400, error_body(message="No."), "No."),
    (400, error_body(message=None), "HTTP 400"),
    (400, error_body(message=""), "HTTP 400"),
    (400, error_body(message=["a", {"b": 1}]), "a"),
    (400, error_body(message={"detail": "x"}), "x"),
    (400, error_body(message={"b": 1}), '{"b":1}'),
    (422, {"detail": "x"}, "x"),
    (422, {"detail": [{"loc": ["body"], "msg": "m"}]}, "body: m"),
    (400, {"error": "No."}, "No."),
    (400, {"error": ["No."]}, "No."),
    (401, {"statusCode": 401, "error": "Unauthorized", "message": "Expired."}, "Unauthorized: Expired."),
    (403, {"error": "access_denied", "error_description": "Not yours."}, "access_denied: Not yours."),
    (401, {"error": "Unauthorized", "details": "Expired."}, "Unauthorized: Expired."),
    (400, {"error": "No.", "message": "No."}, "No."),
    (400, {"error": "No.", "message": "Bad request: No."}, "Bad request: No."),
    (400, {"error": {"message": "No."}, "message": "Bad request."}, "No."),
    (400, {"error": 7, "reason": "No."}, "No."),
    (400, {"failure": {"text": "No."}}, '{"failure": {"text": "No."}}'),
    (502, b" <html>Bad gateway</html>\n", "HTTP 502: Bad gateway"),
    (502, b"x" * 999, "x" * 200),
    (502, b"", "HTTP 502"),
    (502, {}, "{}"),
    (
        400,
        error_body(
            "content_filter",
            innererror={"content_filter_result": {"hate": {"filtered": True}, "sex": {"filtered": False}, "x": 1}},
        ),
        "Oh. (filtered: hate)",
    ),
    (
        400,
        error_body("content_filter", inner_error={"content_filter_result": {"a": {"filtered": True}}}),
        "Oh. (filtered: a)",
    ),
    (400, error_body("content_filter", innererror={"content_filter_result": []}), "Oh."),
    (400, error_body("content_filter", innererror="x"), "Oh."),
]


@pytest.mark.parametrize(("status", "body", "message"), MESSAGES)
def test_messages(status: int, body: Any, message: str):
    """An error would lack the server's message."""
    assert error_of_response(status, body).message == message


PAGES: dict[str, tuple[bytes, str]] = {
    "a title": (b"<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head><body>nginx", "502 Bad Gateway"),
    "a title over lines": (
        b"\xef\xbb\xbf\r\n<HTML><Title class='x'>\n  503\n  Busy &amp; full</TITLE>",
        "503 Busy & full",
    ),
    "a heading": (b"<html><title></title><h1>Not <b>found</b></h1>", "Not found"),
    "a short page": (b"<p>Log in.</p>", "Log in."),
    "a script": (b"<script>let key = 1</script>", "a web page"),
    "a long page": (b"<html><style>a {}</style>" + b"<p>x</p>" * 1000, "a web page"),
    "a title without an end": (b"<title>Oh" + b"x" * 9000, "a web page"),
    "a long title": (b"<title>" + b"y" * 900 + b"</title>", "y" * 200),
}


@pytest.mark.parametrize(("page", "text"), PAGES.values(), ids=PAGES)
def test_a_web_page_is_its_title(page: bytes, text: str) -> None:
    """A log would have lines of markup in place of the gateway's reason."""
    error = error_of_response(502, page)
    assert error.message == f"HTTP 502: {text}"
    assert error.body == page.decode()[:2048]


UPSTREAM: dict[str, tuple[Any, str | None, str]] = {
    "a text": ("Too busy.", "P", " (P: Too busy.)"),
    "a text without a provider's name": ("Too busy.", None, " (Too busy.)"),
    "an error object": ('{"error": {"message": "No such tool."}}', "P", " (P: No such tool.)"),
    "decoded JSON": ({"code": 400, "msg": "invalid parameter", "input": "PROMPT"}, "P", " (P: invalid parameter)"),
    "a list of errors": ('{"errors": [{"message": "AiError", "code": 3043}], "success": false}', "P", " (P: AiError)"),
    "a web page": ("<html><title>504 Timeout</title>PROMPT", "P", " (P: 504 Timeout)"),
    "a validation error": (
        '{"detail": [{"loc": ["body", "tools"], "msg": "Field required", "input": "PROMPT"}]}',
        "P",
        " (P: body.tools: Field required)",
    ),
    "the same text again": ("Provider returned error", "P", ""),
    "JSON cut short": ('{"messages": [{"content": "PROMPT', "P", ""),
    "JSON without an error": ('{"messages": [{"content": "PROMPT"}]}', "P", ""),
    "lines": ("Oh.\nPROMPT", "P", ""),
    "a long text": ("x" * 1000, "P", f" (P: {'x' * 300}…)"),
    "nothing": (None, "P", ""),
}


@pytest.mark.parametrize(("raw", "provider", "text"), UPSTREAM.values(), ids=UPSTREAM)
def test_a_gateways_message_has_the_upstreams(raw: Any, provider: str | None, text: str) -> None:
    """An error would only say that there was one, or a log would contain the prompt that an upstream repeats."""
    body = error_body(400, message="Provider returned error", metadata={"raw": raw, "provider_name": provider})
    for error in (error_of_response(400, body), error_from_body(body, None)):
        assert error.message == f"Provider returned error{text}"


TOO_LONG = (
    "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.",
    "'max_tokens' is too large: 8000. This model's maximum context length is 4096 tokens and your request has 2778.",
    "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
    "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
    "Input length (5000 tokens) exceeds the maximum allowed length (4096 tokens).",
    "the request exceeds the available context size, try increasing it",
    "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it",
    "Context size has been exceeded.",
    "Requested tokens (5000) exceed context window of 4096",
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens",
    "Input validation error: `inputs` must have less than 4096 tokens. Given: 5000",
    "The number of tokens to keep from the initial prompt is greater than the context length.",
    "Trying to keep the first 5000 tokens when the model is loaded with context length of only 4096 tokens",
    "Cannot truncate prompt with n_keep (5000) >= n_ctx (4096)",
    "prompt too long; exceeded max context length by 904 tokens",
    "litellm.BadRequestError: litellm.ContextWindowExceededError: upstream refused",
    "litellm.BadRequestError: AnthropicException - prompt is too long: 5000 tokens > 4096 maximum",
    "invalid params, context window exceeds limit (2013)",
)


@pytest.mark.parametrize("message", TOO_LONG)
def test_prose_about_the_context_window_decides(message: str) -> None:
    """A program that shortens its prompt when the model cannot take it would give up with these servers."""
    for status in (400, 413, 422, 500):
        assert type(error_of_response(status, error_body(None, None, message))) is errors.ContextWindowExceededError
        assert type(error_of_response(status, {"error": message})) is errors.ContextWindowExceededError
        assert type(error_of_response(status, error_body(status, "BadRequestError", message))) is (
            errors.ContextWindowExceededError
        )
    assert type(error_from_body(error_body(None, None, message), None)) is errors.ContextWindowExceededError
    raw = {"raw": json.dumps({"error": {"message": message}})}
    quoted = error_body(400, None, "Provider returned error", metadata=raw)
    assert type(error_of_response(400, quoted)) is errors.ContextWindowExceededError


@pytest.mark.parametrize("message", TOO_LONG)
def test_prose_does_not_overrule_a_code_or_another_status(message: str) -> None:
    """A refused key or a limit of requests would be taken for a prompt that is too long."""
    for status in (401, 403, 404, 429, 502, 503):
        assert type(error_of_response(status, error_body(None, None, message))) is class_for_status(status)
    assert type(error_of_response(400, error_body("rate_limit_exceeded", None, message))) is errors.RateLimitError
    assert type(error_of_response(400, error_body("content_filter", None, message))) is (
        errors.ContentPolicyViolationError
    )


def test_a_type_for_the_context_window_decides() -> None:
    """llama.cpp's own type would be unknown, with whatever status it comes."""
    body = error_body(500, "exceed_context_size_error", "Oh.", n_prompt_tokens=5000, n_ctx=4096)
    for status in (400, 500):
        assert type(error_of_response(status, body)) is errors.ContextWindowExceededError


MINIMAX = {
    1000: errors.InternalServerError,
    1001: errors.InternalServerError,
    1002: errors.RateLimitError,
    1004: errors.AuthenticationError,
    "1008": errors.QuotaExceededError,
    1013: errors.InternalServerError,
    1026: errors.ContentPolicyViolationError,
    1027: errors.ContentPolicyViolationError,
    1039: errors.RateLimitError,
    2013: errors.BadRequestError,
    2049: errors.AuthenticationError,
    2056: errors.QuotaExceededError,
    9999: errors.InternalServerError,
}


@pytest.mark.parametrize(("code", "cls"), MINIMAX.items())
def test_codes_of_minimax(code: Any, cls: type[APIStatusError]) -> None:
    """A call without balance would be repeated, or a call that may succeed later would not."""
    body = {"id": "r", "choices": None, "base_resp": {"status_code": code, "status_msg": "insufficient balance"}}
    error = error_from_body(body, HttpResponse(200, Headers(), b"{}"))
    assert type(error) is cls
    assert (error.message, error.code, error.request_id) == ("insufficient balance", str(code), "r")
    too_long = {"base_resp": {"status_code": 2013, "status_msg": "context window exceeds limit"}}
    assert type(error_from_body(too_long, None)) is errors.ContextWindowExceededError


def test_a_request_id_inside_the_body() -> None:
    """A provider's support could not find the request where only the body contains its id."""
    assert error_of_response(400, {**error_body(), "request_id": "a", "id": "b"}).request_id == "a"
    assert error_of_response(400, {**error_body(), "id": "b"}).request_id == "b"
    assert error_of_response(400, error_body(request_id="c")).request_id == "c"
    assert error_of_response(400, {**error_body(), "request_id": "a"}, **{"x-request-id": "d"}).request_id == "d"
    assert error_of_response(400, {**error_body(), "request_id": 7, "id": ""}).request_id is None


# --- every shape in every place --------------------------------------------------------------------------------------

SHAPES: dict[str, Any] = {
    "an object": {"error": {"message": "Oh.", "code": "c", "type": "t"}},
    "an object in an object": {"error": {"error": {"message": "Oh.", "code": "c", "type": "t"}}},
    "an object in a list": {"error": [{"message": "Oh.", "code": "c", "type": "t"}]},
    "JSON in a text": {"error": '{"message": "Oh.", "code": "c", "type": "t"}'},
    "an object as the message": {"error": {"message": {"message": "Oh.", "code": "c"}, "type": "t"}},
    "JSON as the message": {"error": {"message": '{"error": {"message": "Oh."}}', "code": "c", "type": "t"}},
    "a text beside its code": {"error": "Oh.", "code": "c", "type": "t"},
    "a text beside the upstream's error": {
        "error": "400 Bad Request",
        "details": {"error": {"message": "Oh.", "code": "c", "type": "t"}},
    },
    "a list of errors": {"errors": [{"message": "Oh.", "code": "c", "type": "t"}], "success": False},
    "object": {"object": "error", "message": "Oh.", "code": "c", "type": "t"},
    "type": {"type": "error", "error": {"message": "Oh.", "code": "c", "type": "t"}},
    "msg": {"code": "c", "type": "t", "msg": "Oh."},
    "message alone": {"message": "Oh.", "code": "c", "type": "t"},
    "detail": {"detail": "Oh.", "code": "c", "type": "t"},
    "a list as the body": [{"error": {"message": "Oh.", "code": "c", "type": "t"}}],
    "a text as the body": json.dumps({"error": {"message": "Oh.", "code": "c", "type": "t"}}),
    "a choice": {"choices": [{"index": 0, "error": {"message": "Oh.", "code": "c", "type": "t"}}]},
    "a choice with text": {
        "id": "r",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "x"},
                "delta": {"content": "x"},
                "finish_reason": None,
                "error": {"message": "Oh.", "code": "c", "type": "t"},
            }
        ],
    },
    "a message": {"choices": [{"index": 0, "message": {"error": {"message": "Oh.", "code": "c", "type": "t"}}}]},
    "a delta": {
        "choices": [
            {
                "index": 0,
                "delta": {"content": "x", "error": {"message": "Oh.", "code": "c", "type": "t"}},
                "finish_reason": "stop",
            }
        ],
    },
    "beside empty choices": {"choices": [], "error": {"message": "Oh.", "code": "c", "type": "t"}},
    "beside null choices": {"choices": None, "error": {"message": "Oh.", "code": "c", "type": "t"}},
    "a failed status": {"status": "error", "message": "Oh.", "code": "c", "type": "t"},
    "true beside a message": {"error": True, "message": "Oh.", "code": "c", "type": "t"},
    "an object beside its message": {"error": {"code": "c", "type": "t"}, "detail": "Oh."},
    "a message in AWS's form": {"Message": "Oh.", "code": "c", "type": "t"},
    "an error in a cloud's form": {"Error": {"Message": "Oh.", "code": "c", "type": "t"}},
    "a fault": {"fault": {"faultstring": "Oh.", "code": "c", "type": "t"}},
    "Google's status": {"error": {"message": "Oh.", "code": "c", "status": "T"}},
    "a short name": {"err": {"message": "Oh.", "code": "c", "type": "t"}},
    "a short name beside empty choices": {"choices": [], "err": {"message": "Oh.", "code": "c", "type": "t"}},
    "an exception": {"exception": "Oh.", "code": "c", "type": "t"},
    "a gateway's data": {"data": {"error": {"message": "Oh.", "code": "c", "type": "t"}}},
    "a gateway's result": {"code": "c", "result": {"err": "Oh.", "type": "t"}},
    "a gateway's response": {"choices": None, "response": {"error": {"message": "Oh.", "code": "c", "type": "t"}}},
}


def event_error(body: Any, *events: Any) -> APIError:
    """The error of a stream with this event after others."""
    decoder = DIALECT.decoder(ChatRequest("m", "Hi."), TARGET)
    with pytest.raises(APIError) as caught:
        for data in (*events, body):
            decoder.feed(Event(json.dumps(data).encode()))
        decoder.finish()
    return caught.value


TEXT = {"id": "r", "choices": [{"index": 0, "delta": {"content": "Hello."}, "finish_reason": None}]}
END = {"id": "r", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def decode_error(body: Any) -> APIError:
    with pytest.raises(APIError) as caught:
        DIALECT.decode(HttpResponse(200, Headers(), json.dumps(body).encode()), ChatRequest("m", "Hi."), TARGET)
    return caught.value


PLACES: dict[str, Callable[[Any], APIError]] = {
    "bad status": lambda body: error_of_response(400, body),
    "whole reply": decode_error,
    "first event": event_error,
    "later event": lambda body: event_error(body, TEXT),
    "event after the finish reason": lambda body: event_error(body, TEXT, END),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("shape", SHAPES)
def test_an_error_of_any_shape_in_any_place(shape: str, place: str) -> None:
    """A failure would be a reply, a reply without text, or an error without the provider's words."""
    error = PLACES[place](SHAPES[shape])
    assert isinstance(error, APIStatusError)
    assert (error.message, error.code, (error.type or "").lower()) == ("Oh.", "c", "t")


FAILED = ({"finish_reason": "error"}, {"finish_reason": "stop", "native_finish_reason": "network_error"})


@pytest.mark.parametrize("reasons", FAILED)
def test_a_finish_reason_of_a_failed_generation_is_an_error(reasons: dict[str, str]) -> None:
    """A generation that broke off would be a reply."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "x"}, "delta": {"content": "x"}, **reasons}
    body = {"id": "r", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    for error in (decode_error(body), event_error(body), event_error(body, TEXT)):
        assert type(error) is errors.InternalServerError
        assert error.code == [*reasons.values()][-1]
        assert error.message == f"the generation failed: {error.code}"
        assert error.maybe_billed


def test_an_error_inside_a_whole_reply_has_the_text_that_came() -> None:
    """A long reply, which is billed, would be lost because its last word was refused."""
    message = {"role": "assistant", "content": "Hello."}
    choice = {"index": 0, "message": message, "finish_reason": None, "error": {"message": "Oh.", "code": 502}}
    error = decode_error({"id": "r", "choices": [choice], "usage": {"completion_tokens": 3}})
    assert (error.message, error.status_code, error.request_id, error.maybe_billed) == ("Oh.", 502, "r", True)
    assert error.partial is not None
    assert (error.partial.text, error.partial.choices[0].finish_reason) == ("Hello.", None)
    assert decode_error({"choices": [choice | {"message": None}]}).partial is None
    assert decode_error({"choices": [7, choice]}).partial is None


NO_ERRORS: dict[str, dict[str, Any]] = {
    "null": {"error": None, "errors": None},
    "empty": {"error": {}, "errors": []},
    "empty fields": {"error": {"message": "", "code": None}, "errors": [None]},
    "MiniMax's success": {"base_resp": {"status_code": 0, "status_msg": "success"}},
    "MiniMax's success in text": {"base_resp": {"status_code": "0"}},
    "no status": {"base_resp": {"status_msg": ""}},
    "another form": {"base_resp": 7},
    "a message": {"message": "", "detail": None},
    "a word for none": {"error": "None", "errors": ["null"]},
    "a code for none": {"error": {"code": 0, "message": "Success"}},
    "names that mean something else beside choices": {"err": "margin", "data": {"error": "of measurement"}},
}

PROGRESS: tuple[Any, ...] = (
    {"status": "queued", "message": "Third."},
    {"status": "IN_PROGRESS", "message": "Third."},
    {"type": "ping"},
    {"type": "ping", "message": "Alive."},
    {"event": "progress", "message": "Third."},
    {"type": "warning", "message": "The model is old."},
    {"title": "A conversation."},
    {"id": "r", "message": ""},
    {"id": "r"},
    {"choices": [], "message": "x"},
    {"data": {"message": "x", "error": None}},
    {"choices": [], "data": {"exception": ""}, "err": 0},
    None,
)


@pytest.mark.parametrize("data", PROGRESS)
def test_an_event_about_progress_is_not_an_error(data: Any) -> None:
    """A stream would fail because the server reports how far it is."""
    decoder = DIALECT.decoder(ChatRequest("m", "Hi."), TARGET)
    for each in (data, TEXT, data, END):
        decoder.feed(Event(json.dumps(each).encode()))
    decoder.finish()


@pytest.mark.parametrize("members", NO_ERRORS.values(), ids=NO_ERRORS)
def test_a_reply_without_an_error_is_a_reply(members: dict[str, Any]) -> None:
    """Every reply of a server that always sends such a field would be an error."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "x"}, "delta": {"content": "x"}}
    body = {"choices": [choice | {"finish_reason": "stop"}], **members}
    DIALECT.decode(HttpResponse(200, Headers(), json.dumps(body).encode()), ChatRequest("m", "Hi."), TARGET)
    decoder = DIALECT.decoder(ChatRequest("m", "Hi."), TARGET)
    assert decoder.feed(Event(json.dumps(body).encode()))
    decoder.finish()


SCALARS: list[tuple[Any, str | None]] = [
    (None, None),
    ("x", "x"),
    (429, "429"),
    (True, "True"),
    (1.5, "1.5"),
    ([], None),
    ({}, None),
    ("4" * 5000, "4" * 5000),
    (int("4" * 4000), "4" * 4000),
    ("٤٢٩", "٤٢٩"),
]


@pytest.mark.parametrize(("code", "text"), SCALARS)
def test_codes_of_any_type(code: Any, text: str | None):
    """A code that is a number, or a missing one, would raise an undocumented exception."""
    error = error_of_response(400, error_body(code))
    assert error.code == text
    assert type(error) is errors.BadRequestError


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "code", "type", "param", "detail", "metadata", "innererror"])
            | st.sampled_from(["errors", "base_resp", "status_code", "status_msg", "choices", "loc", "raw", "details"])
            | st.sampled_from(["status", "finish_reason", "object", "msg", "request_id", "provider_name"]),
            inner,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(JSON | st.binary(max_size=20), st.sampled_from([400, 401, 429, 500, 503]))
def test_any_body(body: Any, status: int):
    """Some error body would raise an undocumented exception."""
    error = error_of_response(status, body)
    assert error.status_code == status
    assert error.message
    if not isinstance(body, bytes):
        inside = error_from_body(body, None)
        assert inside.message
        assert holds_error(body) in (True, False)
