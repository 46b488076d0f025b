"""Lines of the batch journal: format, round trips, states, and what they must not contain."""

import copy
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion as OpenAICompletion

from anycompletion import errors
from anycompletion.batch.journal import (
    ItemKey,
    ItemKeys,
    State,
    UnwrittenError,
    key_of,
)
from anycompletion.batch.journal.lines import read_line, read_trailer, state_of, write_line
from anycompletion.codecs.json import NotJSONError, dumps, loads
from anycompletion.codecs.lenient import MAX_DEPTH
from anycompletion.errors import CompletionError, JournalError, RateLimitError
from anycompletion.http import Headers
from anycompletion.records import (
    ChatCompletion,
    ChatCompletionMessage,
    ChatRequest,
    Choice,
    FunctionCall,
    ReplyInfo,
    ToolCall,
    Usage,
)
from anycompletion.records.results import Result
from anycompletion.route_errors import AllTargetsFailedError
from support.journals import equal_results, make_key, make_request, reply, with_checksum

CLASSES = sorted(
    (cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, CompletionError)),
    key=lambda cls: cls.__name__,
)


def check_format(line: bytes) -> Any:
    """Compares a line with OpenAI's documentation of its output files, and returns its JSON."""
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    row: Any = json.loads(line)
    assert list(row) == ["id", "custom_id", "response", "error", "anycompletion"]
    assert re.fullmatch(r"batch_req_[0-9a-f]{32}", row["id"])
    assert type(row["custom_id"]) is str
    assert row["response"] is not None or row["error"] is not None
    if row["response"] is not None:
        assert {name: type(value) for name, value in row["response"].items()} == {
            "status_code": int,
            "request_id": str,
            "body": dict,
        }
    if row["error"] is not None:
        assert {name: type(value) for name, value in row["error"].items()} == {"code": str, "message": str}
    assert row["anycompletion"]["v"] == 1
    assert list(row["anycompletion"])[-1] == "crc"
    return row


def test_the_line_of_a_reply_is_valid_for_openais_own_client() -> None:
    """Tools for OpenAI's Batch output could not read the journal."""
    row = check_format(write_line(make_key(), Result(reply(request_id="req_7"), None, "row-0")))
    assert row["custom_id"] == "row-0"
    assert (row["response"]["status_code"], row["response"]["request_id"]) == (200, "req_7")
    body = OpenAICompletion.model_validate(row["response"]["body"], strict=True)
    assert body.choices[0].message.content == "Hello."


def test_an_http_error_is_a_response_and_any_other_failure_an_error() -> None:
    """Tools that read the status would take a failure for a reply, or not find its text."""
    limited = RateLimitError("slow down", status_code=429, code="rate_limit_exceeded", type="tokens", request_id="r1")
    row = check_format(write_line(make_key(), Result(None, limited, "row-0")))
    assert row["response"] == {
        "status_code": 429,
        "request_id": "r1",
        "body": {
            "error": {"message": "slow down", "type": "tokens", "param": None, "code": "rate_limit_exceeded"},
        },
    }
    for unsent in (errors.APIConnectionError("gone"), errors.APIStatusError("in a 200", status_code=200)):
        row = check_format(write_line(make_key(), Result(None, unsent, "row-0")))
        assert row["error"] == {"code": type(unsent).__name__, "message": unsent.message}


REPLY_ERRORS = {
    "reply_validation": errors.ReplyValidationError(
        "the reply does not fit", path="$.a[1]", kind="schema", expected="an integer", text="{}", usage=Usage(8, 9, 17)
    ),
    "reply_truncated": errors.ReplyTruncatedError(
        "the reply ended at the token limit", data={"a": [1]}, text='{"a": [1'
    ),
    "reply_refused": errors.ReplyRefusedError("the model refused", refusal="No.", choice=1),
}
REPLY_ATTRIBUTES = ("usage", "choice", "text", "path", "kind", "expected", "data", "refusal")


@pytest.mark.parametrize("code", REPLY_ERRORS)
@pytest.mark.parametrize("has_reply", [True, False])
def test_a_reply_that_does_not_fit_is_a_response_and_an_error(code: str, has_reply: bool) -> None:
    """The text of a reply that was paid for would be lost, or be taken for a value."""
    error = copy.copy(REPLY_ERRORS[code])
    error.partial = reply("{}", request_id="req_7", reasks=1) if has_reply else None
    line = write_line(make_key(), Result(None, error, "row-0"))
    row = check_format(line)
    assert row["error"] == {"code": code, "message": error.message}
    assert (row["response"] is not None) == has_reply
    assert b'"partial"' not in line
    found = read_line(line).error
    assert equal_results(Result(None, found), Result(None, error))
    assert isinstance(found, errors.ReplyError)
    assert [getattr(found, name, None) for name in REPLY_ATTRIBUTES] == [
        getattr(error, name, None) for name in REPLY_ATTRIBUTES
    ]
    if found.partial is not None:
        assert (found.info.reasks, found.info.request_id, found.partial.text) == (1, "req_7", "{}")


def test_a_reply_of_a_route_keeps_its_route_and_target() -> None:
    """It could not be seen which model of a route has answered an item."""
    completion = reply()
    completion.info.route, completion.info.target = "fast", "groq/llama"
    found = read_line(write_line(make_key(), Result(completion, None, "row-0"))).unwrap().info
    assert (found.route, found.target) == ("fast", "groq/llama")


def test_the_error_of_all_targets_keeps_the_errors_of_each() -> None:
    """A report on failed items would lack what each target has refused, or have an error of another class."""
    first = RateLimitError("slow down", status_code=429, retry_after=4.0, provider="openai", request_id="req_1")
    second = errors.APITimeoutError("late", phase="connect", provider="groq", maybe_billed=True)
    second.partial = reply("SECRET")
    error = AllTargetsFailedError("all failed", errors=[first, second], attempts=2)
    line = write_line(make_key(), Result(None, error, "row-0"))
    assert b"SECRET" not in line
    check_format(line)
    found = read_line(line).error
    assert isinstance(found, AllTargetsFailedError)
    assert (str(found), found.attempts, found.retryable, found.retry_after) == (str(error), 2, True, 4.0)
    assert [type(each) for each in found.errors] == [RateLimitError, errors.APITimeoutError]
    assert [(each.provider, each.request_id, each.phase, each.maybe_billed) for each in found.errors] == [
        ("openai", "req_1", None, False),
        ("groq", None, "connect", True),
    ]


def test_a_line_contains_no_prompt_headers_or_body() -> None:
    """A journal could disclose prompts and headers, and with them keys."""
    error = errors.BadRequestError("bad", status_code=400, body="SECRET", headers={"x": "SECRET"})
    completion = reply()
    completion.info.headers = Headers([(b"set-cookie", b"SECRET")])
    completion.raw = {"echo": "SECRET"}
    request = ChatRequest("m", "SECRET", user="SECRET", custom_id="row-0")
    for result in (Result(None, error, "row-0", request), Result(completion, None, "row-0", request)):
        assert b"SECRET" not in write_line(ItemKeys().next_key(request), result)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
WORDS = st.text(max_size=20)
COUNTS = st.none() | st.integers(0, 10**9)
SECONDS = st.floats(0, 1e6)
EXTRA = st.dictionaries(st.text("xyz", min_size=1, max_size=2), JSON, max_size=2)
CALLS = st.lists(st.builds(ToolCall, WORDS, st.builds(FunctionCall, WORDS, WORDS), extra=EXTRA), min_size=1, max_size=2)
MESSAGES = st.builds(
    ChatCompletionMessage,
    st.none() | WORDS,
    st.none() | WORDS,
    st.none() | CALLS,
    reasoning_content=st.none() | WORDS,
    extra=EXTRA,
)
INFOS = st.builds(
    ReplyInfo,
    WORDS,
    WORDS,
    st.none() | st.integers(100, 599),
    request_id=st.none() | st.text(min_size=1, max_size=5),
    attempts=st.integers(0, 9),
    elapsed=SECONDS,
    warnings=st.lists(WORDS, max_size=2),
    branches=st.lists(st.builds(ReplyInfo, WORDS, WORDS, attempts=st.integers(0, 9)), max_size=2).map(tuple),
)


@st.composite
def completions(draw: st.DrawFn) -> ChatCompletion:
    choices = [
        Choice(index, message, draw(st.none() | WORDS))
        for index, message in enumerate(draw(st.lists(MESSAGES, max_size=2)))
    ]
    usage = draw(st.none() | st.builds(Usage, COUNTS, COUNTS, COUNTS, cost=st.none() | SECONDS, extra=EXTRA))
    completion = ChatCompletion(draw(WORDS), choices, draw(WORDS), draw(st.integers(0, 10**10)), usage=usage)
    completion.extra = draw(EXTRA)
    completion.info = draw(INFOS)
    return completion


def failure(cls: type[CompletionError], message: str, known: dict[str, Any]) -> CompletionError:
    return cls(message, **known)


FAILURES = st.builds(
    failure,
    st.sampled_from(CLASSES),
    WORDS,
    st.fixed_dictionaries(
        {},
        optional={
            "param": WORDS,
            "provider": WORDS,
            "model": WORDS,
            "status_code": st.integers(100, 999),
            "code": WORDS,
            "type": WORDS,
            "request_id": WORDS,
            "retry_after": SECONDS,
            "attempts": st.integers(0, 9),
            "elapsed": SECONDS,
            "maybe_billed": st.booleans(),
            "phase": WORDS,
            "retryable": st.booleans(),
            "partial": completions(),
        },
    ),
)


@settings(max_examples=150, deadline=None)
@given(custom_id=st.text(), outcome=completions() | FAILURES)
def test_every_result_survives_a_round_trip(custom_id: str, outcome: ChatCompletion | CompletionError) -> None:
    """A resumed run would give other results than the run that was interrupted."""
    item_key = ItemKey(custom_id, key_of(custom_id), 2**64 - 1)
    completed = isinstance(outcome, ChatCompletion)
    result = Result(outcome, None, custom_id) if completed else Result(None, outcome, custom_id)  # type: ignore[arg-type]
    line = write_line(item_key, result)
    check_format(line)
    assert read_trailer(line) == (item_key.key, item_key.request_hash, state_of(result))
    assert equal_results(read_line(line), result)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_an_error_keeps_its_class(cls: type[CompletionError]) -> None:
    """Code that catches a class would miss the error after a resumption."""
    error = cls("x", status_code=499, retry_after=0, maybe_billed=True, partial=reply())
    found = read_line(write_line(make_key(), Result(None, error, "row-0")))
    assert equal_results(found, Result(None, error, "row-0"))


class UserError(RateLimitError):
    """An error class of user code."""


def test_an_error_of_a_user_class_is_read_as_its_nearest_public_base_class() -> None:
    """An error class of a middleware would break the journal."""
    line = write_line(make_key(), Result(None, UserError("x", status_code=429), "row-0"))
    assert type(read_line(line).error) is RateLimitError


@pytest.mark.parametrize(("status", "cls"), [(429, RateLimitError), (None, CompletionError)])
def test_an_unknown_error_class_is_read_by_its_status(status: int | None, cls: type[CompletionError]) -> None:
    """A journal that a later version wrote could not be read."""
    line = write_line(make_key(), Result(None, RateLimitError("x", status_code=status), "row-0"))
    later = with_checksum(line.replace(b'"class":"RateLimitError"', b'"class":"FutureError"'))
    assert equal_results(read_line(later), Result(None, cls("x", status_code=status), "row-0"))


def test_a_reply_of_the_maximum_depth_can_be_read_back() -> None:
    """A deeply nested reply would be written and could not be read back."""
    deep: Any = "x"
    for _ in range(MAX_DEPTH - 1):
        deep = [deep]
    body: dict[str, Any] = {"id": "1", "choices": [{}], "model": "m", "deep": deep}
    completion = ChatCompletion.from_dict(loads(dumps(body)))
    with pytest.raises(NotJSONError):
        loads(dumps(body | {"deep": [deep]}))
    assert read_line(write_line(make_key(), Result(completion, None, "row-0"))).completion == completion


def test_lone_surrogates_become_replacement_characters() -> None:
    """One invalid character in a reply would cost the reply."""
    line = write_line(make_key(), Result(reply("a\ud800b"), None, "row-0"))
    assert read_line(line).completion == reply("a\ufffdb")


def test_a_result_that_is_not_json_serializable_is_not_lost() -> None:
    """The reply would be lost with the error."""
    completion = reply()
    completion.extra = {"x": object()}
    with pytest.raises(UnwrittenError, match="row-0") as caught:
        write_line(make_key(), Result(completion, None, "row-0", make_request()))
    assert caught.value.unwritten == [Result(completion, None, "row-0")]


def test_a_valid_line_with_unknown_content_is_a_journal_error() -> None:
    """A KeyError or another exception would be raised."""
    line = write_line(make_key(), Result(reply(), None, "row-0"))
    for old, new in ((b'"info":', b'"infos":'), (b'"body":', b'"bode":'), (b'"choices":[', b'"choices":3,"x":[')):
        with pytest.raises(JournalError, match="cannot be read"):
            read_line(with_checksum(line.replace(old, new, 1)))


STATES = [
    (errors.BadRequestError("x"), State.FAILED),
    (errors.ContextWindowExceededError("x"), State.FAILED),
    (errors.UnprocessableEntityError("x"), State.FAILED),
    (errors.UnsupportedParameterError("x"), State.FAILED),
    (errors.BadRequestError("x", retryable=True), State.RETRYABLE),
    (errors.RateLimitError("x"), State.RETRYABLE),
    (errors.QuotaExceededError("x"), State.RETRYABLE),
    (errors.AuthenticationError("x"), State.RETRYABLE),
    (errors.NotFoundError("x"), State.RETRYABLE),
    (errors.ConfigurationError("x"), State.RETRYABLE),
    (errors.APIConnectionError("x"), State.RETRYABLE),
    (errors.APIResponseError("x"), State.RETRYABLE),
    (errors.ReplyValidationError("x"), State.RETRYABLE),
    (errors.ReplyTruncatedError("x"), State.RETRYABLE),
    (errors.ReplyRefusedError("x"), State.RETRYABLE),
]


@pytest.mark.parametrize(("error", "state"), STATES, ids=lambda value: type(value).__name__)
def test_only_errors_of_the_request_itself_are_final(error: CompletionError, state: State) -> None:
    """A batch that ran out of money would never be finished, or invalid requests would be sent in every run."""
    line = write_line(make_key(), Result(None, error, "row-0"))
    assert read_trailer(line) == (make_key().key, make_key().request_hash, state)
