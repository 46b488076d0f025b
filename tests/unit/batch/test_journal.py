"""The batch journal: its lines, what survives a crash, and what is refused."""

import asyncio
import json
import logging
import os
import re
import stat
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion as OpenAICompletion

from anycompletion import errors
from anycompletion.batch.journal import (
    Fsync,
    Index,
    ItemKey,
    ItemKeys,
    Journal,
    KeyTable,
    State,
    UnwrittenError,
    key_of,
    read_results,
    request_digest,
)
from anycompletion.batch.journal.item_keys import _wire_form
from anycompletion.batch.journal.lines import read_line, read_trailer, state_of, write_line
from anycompletion.codecs.json import NotJSONError, canonical, dumps, loads, members
from anycompletion.codecs.lenient import MAX_DEPTH
from anycompletion.errors import CompletionError, InvalidRequestError, JournalError, RateLimitError
from anycompletion.http import Headers
from anycompletion.records import (
    AssistantMessage,
    ChatCompletion,
    ChatRequest,
    Choice,
    FunctionCall,
    FunctionDefinition,
    FunctionTool,
    ImagePart,
    ImageUrl,
    ReplyInfo,
    Result,
    SystemMessage,
    TextPart,
    ToolCall,
    Usage,
    UserMessage,
)
from support.journals import asked, content, key_of_row, put, reply, size_of, texts

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a journal needs the file locks of POSIX")

LIBRARY = Path(__file__).parents[3] / "lib"

CLASSES = sorted(
    (cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, CompletionError)),
    key=lambda cls: cls.__name__,
)

KEPT = (
    *("message", "param", "provider", "model", "status_code", "code", "type", "request_id", "retry_after", "attempts"),
    *("elapsed", "maybe_billed", "phase", "retryable", "partial"),
)


def alike(one: Result, other: Result) -> bool:
    """Whether nothing that is kept differs."""
    if (one.completion, one.custom_id) != (other.completion, other.custom_id):
        return False
    if one.completion is not None and other.completion is not None:
        return without_headers(one.completion.info) == without_headers(other.completion.info)
    return type(one.error) is type(other.error) and all(
        getattr(one.error, name) == getattr(other.error, name) for name in KEPT
    )


def without_headers(info: ReplyInfo) -> tuple[object, ...]:
    told = (info.provider, info.model, info.status_code, info.request_id, info.attempts, info.elapsed, info.warnings)
    return (*told, [without_headers(branch) for branch in info.branches])


def first_of(path: Path) -> Result:
    return next(read_results(path))


async def fill(path: Path, count: int, first: int = 0) -> list[int]:
    """Appends results to a journal; gives where each line ends."""
    ends: list[int] = []
    async with Journal.open(path, fsync="none") as journal:
        for number in range(first, first + count):
            await journal.append(key_of_row(number), Result(reply(f"Answer {number}, größer."), None, f"row-{number}"))
            ends.append(size_of(path))
    return ends


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answers.jsonl"


def sealed(line: bytes) -> bytes:
    """The line with a crc that fits."""
    body = line[: line.rindex(b',"crc"')]
    return body + b',"crc":"%08x"}}\n' % zlib.crc32(body)


# --- the form of a line ------------------------------------------------------------------------------------------


def documented(line: bytes) -> Any:
    """A line, held against what OpenAI documents for the lines of its output files."""
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    told: Any = json.loads(line)
    assert list(told) == ["id", "custom_id", "response", "error", "anycompletion"]
    assert re.fullmatch(r"batch_req_[0-9a-f]{32}", told["id"])
    assert type(told["custom_id"]) is str
    assert (told["response"] is None) != (told["error"] is None)
    if told["response"] is not None:
        assert {name: type(value) for name, value in told["response"].items()} == {
            "status_code": int,
            "request_id": str,
            "body": dict,
        }
    else:
        assert {name: type(value) for name, value in told["error"].items()} == {"code": str, "message": str}
    assert told["anycompletion"]["v"] == 1
    assert list(told["anycompletion"])[-1] == "crc"
    return told


def test_a_reply_is_a_line_that_openais_own_reader_takes() -> None:
    """Tools for OpenAI's Batch output could not read the journal."""
    told = documented(write_line(key_of_row(), Result(reply(request_id="req_7"), None, "row-0")))
    assert told["custom_id"] == "row-0"
    assert (told["response"]["status_code"], told["response"]["request_id"]) == (200, "req_7")
    body = OpenAICompletion.model_validate(told["response"]["body"], strict=True)
    assert body.choices[0].message.content == "Hello."


def test_a_refusal_by_status_is_a_response_and_any_other_failure_an_error() -> None:
    """Tools that look at the status would take a failure for a reply, or not find its text."""
    limited = RateLimitError("slow down", status_code=429, code="rate_limit_exceeded", type="tokens", request_id="r1")
    told = documented(write_line(key_of_row(), Result(None, limited, "row-0")))
    assert told["response"] == {
        "status_code": 429,
        "request_id": "r1",
        "body": {
            "error": {"message": "slow down", "type": "tokens", "param": None, "code": "rate_limit_exceeded"},
        },
    }
    for unsent in (errors.APIConnectionError("gone"), errors.APIStatusError("in a 200", status_code=200)):
        told = documented(write_line(key_of_row(), Result(None, unsent, "row-0")))
        assert told["error"] == {"code": type(unsent).__name__, "message": unsent.message}


def test_neither_the_prompt_nor_what_may_repeat_it_is_in_a_line() -> None:
    """A journal could give away prompts and headers, and with them keys."""
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
    AssistantMessage,
    st.none() | WORDS | st.lists(st.builds(TextPart, WORDS), max_size=2),
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
def test_every_result_comes_back_as_it_was(custom_id: str, outcome: ChatCompletion | CompletionError) -> None:
    """A resumed run would yield something else than the run that was cut off."""
    given_label = ItemKey(custom_id, key_of(custom_id), 2**64 - 1)
    completed = isinstance(outcome, ChatCompletion)
    result = Result(outcome, None, custom_id) if completed else Result(None, outcome, custom_id)  # type: ignore[arg-type]
    line = write_line(given_label, result)
    documented(line)
    assert read_trailer(line) == (given_label.key, given_label.request_hash, state_of(result))
    assert alike(read_line(line), result)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_an_error_comes_back_in_its_class(cls: type[CompletionError]) -> None:
    """Code that catches a class would miss the error after a resume."""
    error = cls("x", status_code=499, retry_after=0, maybe_billed=True, partial=reply())
    found = read_line(write_line(key_of_row(), Result(None, error, "row-0")))
    assert alike(found, Result(None, error, "row-0"))


class OwnError(RateLimitError):
    """An application's own."""


def test_an_error_of_another_package_comes_back_as_the_nearest_of_ours() -> None:
    """A middleware's own error would break the journal."""
    line = write_line(key_of_row(), Result(None, OwnError("x", status_code=429), "row-0"))
    assert type(read_line(line).error) is RateLimitError


@pytest.mark.parametrize(("status", "cls"), [(429, RateLimitError), (None, CompletionError)])
def test_an_error_of_a_later_version_comes_back_as_its_status_says(
    status: int | None, cls: type[CompletionError]
) -> None:
    """A journal that a later version wrote could not be read."""
    line = write_line(key_of_row(), Result(None, RateLimitError("x", status_code=status), "row-0"))
    later = sealed(line.replace(b'"class":"RateLimitError"', b'"class":"TiredError"'))
    assert alike(read_line(later), Result(None, cls("x", status_code=status), "row-0"))


def test_a_reply_may_be_as_deep_in_the_journal_as_it_may_come() -> None:
    """A deep reply would be written and could not be read back."""
    deep: Any = "x"
    for _ in range(MAX_DEPTH - 1):
        deep = [deep]
    body: dict[str, Any] = {"id": "1", "choices": [{}], "model": "m", "deep": deep}
    completion = ChatCompletion.from_dict(loads(dumps(body)))
    with pytest.raises(NotJSONError):
        loads(dumps(body | {"deep": [deep]}))
    assert read_line(write_line(key_of_row(), Result(completion, None, "row-0"))).completion == completion


def test_half_characters_become_replacement_characters() -> None:
    """One broken character in an answer would cost the answer."""
    line = write_line(key_of_row(), Result(reply("a\ud800b"), None, "row-0"))
    assert read_line(line).completion == reply("a\ufffdb")


def test_a_result_that_json_cannot_say_is_not_lost() -> None:
    """The answer would be gone with the error."""
    completion = reply()
    completion.extra = {"x": object()}
    with pytest.raises(UnwrittenError, match="row-0") as caught:
        write_line(key_of_row(), Result(completion, None, "row-0", asked()))
    assert caught.value.unwritten == [Result(completion, None, "row-0")]


def test_a_whole_line_that_says_nothing_we_know_is_an_error_of_ours() -> None:
    """A KeyError or a foreign exception would escape."""
    line = write_line(key_of_row(), Result(reply(), None, "row-0"))
    for old, new in ((b'"info":', b'"infos":'), (b'"body":', b'"bode":'), (b'"choices":[', b'"choices":3,"x":[')):
        with pytest.raises(JournalError, match="cannot be read"):
            read_line(sealed(line.replace(old, new, 1)))


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
]


@pytest.mark.parametrize(("error", "state"), STATES, ids=lambda value: type(value).__name__)
def test_what_can_be_put_right_without_another_request_is_done_again(error: CompletionError, state: State) -> None:
    """A batch that ran out of money would never be finished, or hopeless requests be sent in every run."""
    line = write_line(key_of_row(), Result(None, error, "row-0"))
    assert read_trailer(line) == (key_of_row().key, key_of_row().request_hash, state)


# --- which item is which -----------------------------------------------------------------------------------------


def test_a_request_has_one_digest_however_it_is_written() -> None:
    """A run whose input is records instead of dicts, or in another order, would be refused as changed."""
    function: dict[str, Any] = {"name": "add", "parameters": {"type": "object", "properties": {}}}
    tool: dict[str, Any] = {"type": "function", "function": function}
    dicts = ChatRequest(
        "openai/gpt-4o",
        [
            {"role": "system", "content": "Short."},
            {"content": [{"image_url": {"url": "https://x/y.png"}, "type": "image_url"}], "role": "user"},
        ],
        tools=[tool],
        temperature=0.5,
        logit_bias={"1": 5},
        extra_body={"top_k": 3, "a": None},
    )
    written = ChatRequest(
        "openai/gpt-4o",
        [SystemMessage("Short."), UserMessage([ImagePart(ImageUrl("https://x/y.png"))])],
        tools=[FunctionTool(FunctionDefinition("add", parameters={"properties": {}, "type": "object"}))],
        temperature=0.5,
        logit_bias={1: 5},
        extra_body={"a": None, "top_k": 3},
        custom_id="named",
    )
    assert request_digest(dicts) == request_digest(written)
    for request in (dicts, written, asked()):
        assert canonical(_wire_form(request)) == canonical(request.to_dict())
    assert request_digest(ChatRequest("m", "x")) == request_digest(ChatRequest("m", [UserMessage("x")]))
    for other in (ChatRequest("m2", "x"), ChatRequest("m", "x", temperature=0), ChatRequest("m", "y")):
        assert request_digest(other) != request_digest(ChatRequest("m", "x"))


class Number(float):
    """As NumPy's are: a number that the quick way of writing JSON does not take."""


def test_subclasses_of_plain_types_have_the_digest_of_their_value() -> None:
    """An input that went through NumPy would not be found again."""
    own = {"temperature": Number(0.5), "top_p": 1.0}
    assert canonical(own) == canonical({"top_p": 1.0, "temperature": 0.5}) == b'{"temperature":0.5,"top_p":1.0}'


def test_members_of_what_is_no_object_are_an_error_of_ours() -> None:
    """A foreign exception would escape."""
    assert members(b'{"a": [1, {"b": 2}], "c": null}') == {"a": b'[1, {"b": 2}]', "c": b"null"}
    for bad in (b"[]", b"{", b"", b'{"\xff": 1}'):
        with pytest.raises(NotJSONError):
            members(bad)


def test_digests_stay_what_they_are() -> None:
    """Another version of this package, or of the library that writes JSON, would call all inputs changed."""
    request = ChatRequest(
        "m", [{"role": "user", "content": "größer\n"}], temperature=1e-7, top_p=0.1, max_tokens=5, presence_penalty=-1.0
    )
    said = '{"max_tokens":5,"messages":[{"content":"größer\\n","role":"user"}],"model":"m",'
    said += '"presence_penalty":-1.0,"temperature":1e-7,"top_p":0.1}'
    assert canonical(_wire_form(request)).decode() == said
    assert request_digest(request).hex() == "eed43dfdc9c36fe2e7d3185ef776b8177ce8752a8a93bc9294171aa50f74fe1c"


def test_equal_requests_without_an_id_are_items_of_their_own_in_every_run() -> None:
    """Asking the same thing three times would give one answer, or be paid again by a later run."""
    runs = [[labels.next_key(ChatRequest("m", text)) for text in "aabab"] for labels in (ItemKeys(), ItemKeys())]
    assert runs[0] == runs[1]
    assert len({item.key for item in runs[0]}) == 5
    assert [item.custom_id[-2:] for item in runs[0]] == ["-1", "-2", "-1", "-3", "-2"]


def test_an_id_met_twice_is_that_items_error() -> None:
    """Two items would share one result."""
    labels = ItemKeys()
    labels.next_key(asked(1))
    made = labels.next_key(ChatRequest("m", "x"))
    for taken in (ChatRequest("m", "other", custom_id="row-1"), ChatRequest("m", "x", custom_id=made.custom_id)):
        with pytest.raises(InvalidRequestError, match="used before") as caught:
            labels.next_key(taken)
        assert caught.value.param == "custom_id"
    labels.next_key(asked(2))


@pytest.mark.parametrize(
    "bad", [7, b"row", "a\ud800", "x" * 5000 + "\ud800"], ids=["int", "bytes", "half", "long half"]
)
def test_what_is_no_id_is_refused_in_few_words(bad: Any) -> None:
    """A number for an id would break the file, or an error's text be as long as the id."""
    with pytest.raises(InvalidRequestError) as caught:
        ItemKeys().next_key(ChatRequest("m", "x", custom_id=bad))
    assert caught.value.param == "custom_id"
    assert len(str(caught.value)) < 200


def test_a_request_that_json_cannot_say_is_that_items_error() -> None:
    """A foreign exception would end the run."""
    with pytest.raises(InvalidRequestError, match="JSON"):
        ItemKeys().next_key(ChatRequest("m", "x", extra_body={"a": object()}))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 3000), max_size=60), st.integers(0, 4000), st.integers(0, 3000)
)
def test_the_table_of_keys_numbers_like_a_dict(keys: list[int], more: int, expected: int) -> None:
    """An item could be taken for another one."""
    table, reference = KeyTable(expected), dict[int, int]()
    for key in (*keys, *range(more)):
        known = reference.setdefault(key, len(reference))
        assert table.number(key) == known
    assert len(table) == len(reference)
    assert all(table.find(key) == number for key, number in reference.items())
    assert table.find(2**63 + 12345) == reference.get(2**63 + 12345, -1)


def test_a_known_item_takes_few_bytes() -> None:
    """A million items would not fit beside the run."""
    index = Index()
    for number in range(100_000):
        index.put(key_of(str(number)), number, State.DONE, number * 1000, 1000)
    arrays = [index._hashes, index._positions, index._lengths, index._table.keys, index._table._slots]
    assert sum(map(sys.getsizeof, arrays)) < 50 * len(index)


# --- resuming ----------------------------------------------------------------------------------------------------


async def test_a_later_run_knows_how_every_item_ended(path: Path) -> None:
    """Finished items would be paid again, or failed ones never tried again."""
    outcomes = [
        Result(reply(elapsed=0.5, attempts=2, warnings=["w"]), None, "row-0"),
        Result(None, RateLimitError("slow", status_code=429, retry_after=1.5, attempts=3), "row-1"),
        Result(None, errors.BadRequestError("no", status_code=400, code="bad", param="stop"), "row-2"),
    ]
    async with Journal.open(path) as journal:
        for number, result in enumerate(outcomes):
            assert journal.entry(key_of_row(number)) is None
            await journal.append(key_of_row(number), result)
            assert alike(journal.read(journal.entry(key_of_row(number))), result)  # type: ignore[arg-type]
    async with Journal.open(path) as journal:
        assert journal.count == 3
        for number, state in enumerate((State.DONE, State.RETRYABLE, State.FAILED)):
            entry = journal.entry(key_of_row(number))
            assert entry is not None
            assert entry.state is state
            found = journal.read(entry, asked(number))
            assert alike(found, outcomes[number])
            assert found.request == asked(number)
        assert journal.entry(key_of_row(3)) is None
        assert journal.warnings == []


async def test_the_last_result_of_an_item_counts(path: Path) -> None:
    """An item that failed and was then done would be asked for ever."""
    async with Journal.open(path) as journal:
        await journal.append(key_of_row(0), Result(None, errors.APIConnectionError("gone"), "row-0"))
        await journal.append(key_of_row(1), Result(reply("One."), None, "row-1"))
    async with Journal.open(path) as journal:
        await journal.append(key_of_row(0), Result(reply("Zero."), None, "row-0"))
    async with Journal.open(path) as journal:
        entry = journal.entry(key_of_row(0))
        assert entry is not None
        assert (entry.state, journal.read(entry).completion) == (State.DONE, reply("Zero."))
        assert journal.count == 2
    assert texts(path) == {"row-0": "Zero.", "row-1": "One."}
    assert content(path).count(b"\n") == 3


async def test_a_changed_request_under_a_known_id_is_an_error(path: Path) -> None:
    """An answer to another question would be given for this one."""
    await fill(path, 2)
    async with Journal.open(path) as journal:
        changed = ItemKeys().next_key(ChatRequest("openai/gpt-4o", "another", custom_id="row-1"))
        with pytest.raises(JournalError, match="'row-1' is not the one"):
            journal.entry(changed)


@pytest.mark.parametrize(
    "custom_id", ["", 'größer 😀 \u2028\n"', "\x00", "x" * 1_000_000], ids=["", "odd", "nul", "huge"]
)
async def test_any_text_is_an_id(path: Path, custom_id: str) -> None:
    """An id would cut a line in two, or not be found again."""
    item = ItemKeys().next_key(ChatRequest("m", "x", custom_id=custom_id))
    async with Journal.open(path) as journal:
        await journal.append(item, Result(reply(), None, custom_id))
    async with Journal.open(path) as journal:
        entry = journal.entry(item)
        assert entry is not None
        assert journal.read(entry).custom_id == custom_id


# --- damage ------------------------------------------------------------------------------------------------------


async def test_a_line_cut_at_any_byte_is_taken_off_and_written_again(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A crash in the middle of a write would cost the journal, or leave half a line in it."""
    caplog.set_level(logging.WARNING)
    start = (await fill(path, 1))[0]
    async with Journal.open(path, fsync="none") as journal:
        await journal.append(key_of_row(1), Result(None, RateLimitError("größer"), "row-1"))
    whole = content(path)
    for cut in range(start, len(whole)):
        put(path, whole[:cut])
        caplog.clear()
        journal = Journal.open(path, fsync="none")
        assert size_of(path) == start
        assert journal.count == 1
        assert (journal.entry(key_of_row(0)) is None, journal.entry(key_of_row(1))) == (False, None)
        torn = cut > start
        assert len(journal.warnings) == len(caplog.records) == torn
        if torn:
            assert f"the last {cut - start:,} bytes" in journal.warnings[0]
        await journal.append(key_of_row(1), Result(reply("Again."), None, "row-1"))
        await journal.aclose()
        assert texts(path) == {"row-0": "Answer 0, größer.", "row-1": "Again."}


async def test_a_last_line_that_is_there_but_not_right_is_taken_off(path: Path) -> None:
    """What a machine leaves that lost its power would be believed, or keep the run from going on."""
    start, end = (await fill(path, 2))[-2:]
    whole = content(path)
    flipped = whole[:-200] + bytes([whole[-200] ^ 1]) + whole[-199:]
    holes = whole[: start + 40] + bytes(end - start - 41) + b"\n"
    for damaged in (flipped, holes, whole[:start] + bytes(5000), whole[: start + 9] + bytes(4096)):
        put(path, damaged)
        with closing(Journal.open(path, fsync="none")) as journal:
            assert journal.count == 1
            assert len(journal.warnings) == 1
        assert size_of(path) == start


@pytest.mark.parametrize("place", range(0, 500, 23))
async def test_a_damaged_line_in_the_middle_is_an_error_with_its_place(path: Path, place: int) -> None:
    """Results would vanish without a word, or be cut off with those behind them."""
    first, second = (await fill(path, 3))[:2]
    whole = bytearray(content(path))
    whole[first + place % (second - first)] ^= 1
    put(path, bytes(whole))
    for look in (Journal.open, first_of):
        with pytest.raises(JournalError, match=f"the line at byte {first} is damaged"):
            look(path)
    assert content(path) == whole


LINES = [
    write_line(key_of_row(number), Result(reply(f"Answer {number}."), None, f"row-{number}")) for number in range(3)
]


@settings(max_examples=150, deadline=None)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, sum(map(len, LINES))), st.integers(0, 60), st.binary(max_size=3) | st.just(b"\n")),
        max_size=3,
    ),
    more=st.binary(max_size=20),
)
def test_whatever_happens_to_the_file_no_wrong_result_is_read(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int, bytes]], more: bytes
) -> None:
    """Damage would be taken for an answer, or a foreign exception escape."""
    data = b"".join(LINES)
    for at, less, new in changes:
        data = data[:at] + new + data[at + less :]
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(data + more)
    right = [read_line(line) for line in LINES]
    try:
        found = list(read_results(path))
    except JournalError:
        return
    assert all(any(alike(result, one) for one in right) for result in found)


async def test_a_lost_line_feed_in_the_middle_is_an_error(path: Path) -> None:
    """Two results that were joined would both be taken for one, or for none."""
    first = (await fill(path, 3))[0]
    whole = content(path)
    put(path, whole[: first - 1] + whole[first:])
    with pytest.raises(JournalError, match="the line at byte 0 is damaged"):
        Journal.open(path)


FOREIGN = {
    "text": b"Shopping list: milk",
    "text with LF": b"Shopping list: milk\n",
    "json": b'{"custom_id":"1","method":"POST"}\n',
    "json, two lines": b'{"custom_id":"1"}\n{"custom_id":"2"}\n',
    "OpenAI's output": b'{"id": "batch_req_1", "custom_id": "1", "response": null, "error": null}\n',
    "the same without spaces": b'{"id":"batch_req_1","custom_id":"1","response":null,"error":null}',
    "blank line": b"\n",
    "binary": bytes(range(256)) * 50,
}


@pytest.mark.parametrize("case", FOREIGN)
def test_a_file_that_is_no_journal_is_left_as_it_is(path: Path, case: str) -> None:
    """A file named by mistake would be cut to nothing, or stay locked."""
    put(path, FOREIGN[case])
    before = os.listdir("/dev/fd")
    # Nothing of a file that begins otherwise is read: it might be large, and one line.
    said = "not written here" if case == "the same without spaces" else "is no journal: see its first line"
    with pytest.raises(JournalError, match=said):
        Journal.open(path)
    assert content(path) == FOREIGN[case]
    assert os.listdir("/dev/fd") == before


async def test_a_last_line_of_somebody_else_is_left_as_it_is(path: Path) -> None:
    """A note that was put at the end would be thrown away."""
    await fill(path, 1)
    whole = content(path)
    for note in (b"done so far\n", b'{"custom_id":"x"}\n', b'{"id":"batch_req_1","custom_id":"x"}\n'):
        put(path, whole + note)
        with pytest.raises(JournalError, match=f"at byte {len(whole)}, was not written here"):
            Journal.open(path)
        assert content(path) == whole + note


async def test_a_line_of_a_later_format_is_not_taken_for_one_of_this(path: Path) -> None:
    """What a later version means by its lines would be guessed."""
    await fill(path, 2)
    put(path, b"".join(sealed(line.replace(b'"v":1,', b'"v":2,')) for line in content(path).splitlines(True)))
    with pytest.raises(JournalError, match="byte 0"):
        Journal.open(path)


async def test_journals_of_several_workers_are_merged_by_cat(path: Path, tmp_path: Path) -> None:
    """The parts of a distributed run could not be put together."""
    await fill(path, 2)
    await fill(tmp_path / "other", 2, first=1)
    put(path, content(path) + content(tmp_path / "other"))
    with closing(Journal.open(path, fsync="none")) as journal:
        assert journal.count == 3


# --- one process, one owner --------------------------------------------------------------------------------------


def python(code: str, *arguments: object, inside: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Runs `code` in a process of its own."""
    return subprocess.run(
        [*inside, sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(LIBRARY), str(Path(__file__).parents[2])])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


OPEN = """
import sys
from anycompletion.errors import JournalError
from anycompletion.batch.journal import Journal
try:
    Journal.open(sys.argv[1]).close()
except JournalError as error:
    print(error)
"""


async def test_a_second_process_is_refused_and_told_who_was_first(path: Path) -> None:
    """Two runs would both send every request, and mix their lines."""
    async with Journal.open(path) as journal:
        await journal.append(key_of_row(), Result(reply(), None, "row-0"))
        said = await asyncio.to_thread(python, OPEN, path)
        who = f"process {os.getpid()}" if sys.platform == "linux" else "another process"
        assert said.stdout == f"{path} is in use by {who}\n", said.stderr
        with pytest.raises(JournalError, match="in use"):
            Journal.open(path)
        assert len(list(read_results(path))) == 1
    said = await asyncio.to_thread(python, OPEN, path)
    assert (said.stdout, said.stderr) == ("", "")


def test_a_journal_is_its_owners_alone(path: Path) -> None:
    """Others could read the answers, or a child process write into them."""
    before = os.umask(0)
    try:
        with closing(Journal.open(path, fsync="none")) as journal:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert not os.get_inheritable(journal._fd)
    finally:
        os.umask(before)


def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    """Who may put a link into the folder could have any file of the user's written to."""
    target = tmp_path / "target"
    path.symlink_to(target)
    for _ in range(2):
        with pytest.raises(JournalError, match="symbolic link"):
            Journal.open(path)
        target.touch()
    assert target.read_bytes() == b""


@pytest.mark.parametrize("open_it", [Journal.open, first_of], ids=["write", "read"])
def test_what_is_no_file_is_refused(path: Path, tmp_path: Path, open_it: Callable[[Path], object]) -> None:
    """Opening would hang at a pipe, or a foreign exception escape."""
    os.mkfifo(path)
    for bad in (path, tmp_path, tmp_path / "missing" / "answers.jsonl", path / "answers.jsonl"):
        with pytest.raises(JournalError):
            open_it(bad)


def test_a_folder_that_everybody_may_write_to_is_warned_of(path: Path, tmp_path: Path) -> None:
    """Nobody would notice that others can replace the journal."""
    for mode, warned in ((0o777, 1), (0o1777, 0), (0o700, 0)):
        tmp_path.chmod(mode)
        with closing(Journal.open(path, fsync="none")) as journal:
            assert len(journal.warnings) == warned


# --- a full disk -------------------------------------------------------------------------------------------------

FULL = """
import asyncio, resource, sys
from pathlib import Path
from anycompletion.batch.journal import Journal, UnwrittenError
from anycompletion.records import Result
from support.journals import key_of_row, reply, texts

path = Path(sys.argv[1]) / "answers.jsonl"

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

async def append(journal, number):
    await journal.append(key_of_row(number), Result(reply(f"{number} " + "x" * 3000), None, f"row-{number}"))

async def until_full(journal):
    number = 0
    while True:
        task = asyncio.create_task(append(journal, number))
        await asyncio.sleep(0)
        if not task.done():
            return number, task
        await task
        number += 1

async def gives_up():
    journal = Journal.open(path, disk_full_timeout=0.3)
    written, task = await until_full(journal)
    assert journal.full and written >= 5, written
    more = [asyncio.create_task(append(journal, written + i)) for i in (1, 2)]
    for each in (task, *more):
        try:
            await each
        except UnwrittenError as error:
            ids = [result.custom_id for result in error.unwritten]
            assert ids == [f"row-{written + i}" for i in range(3)], ids
            assert error.unwritten[0].completion.text.startswith(f"{written} ")
            assert "for 0.3 seconds" in str(error), error
        else:
            raise AssertionError("it was written")
    assert list(texts(path)) == [f"row-{i}" for i in range(written)]
    try:
        await journal.aclose()
    except UnwrittenError as error:
        assert len(error.unwritten) == 3
    else:
        raise AssertionError("nobody said what was lost")
    again = Journal.open(path)
    assert again.count == written and not again.warnings
    again.close()

async def goes_on():
    limit(20_000)
    journal = Journal.open(path, disk_full_timeout=30)
    written, task = await until_full(journal)
    left = asyncio.create_task(append(journal, written + 1))
    await asyncio.sleep(0.05)
    left.cancel()
    last = asyncio.create_task(append(journal, written + 2))
    await asyncio.sleep(0.3)
    assert not task.done() and journal.full
    limit(1 << 30)
    await asyncio.gather(task, last)
    assert not journal.full
    await journal.aclose()
    assert list(texts(path)) == [f"row-{i}" for i in range(written + 3)]

async def closes():
    limit(20_000)
    journal = Journal.open(path, disk_full_timeout=30)
    written, task = await until_full(journal)
    task.cancel()
    limit(1 << 30)
    await journal.aclose()
    assert list(texts(path)) == [f"row-{i}" for i in range(written + 1)]
"""

LIMITED = """
limit(20_000)
for scenario in (gives_up, goes_on, closes):
    asyncio.run(scenario())
    path.unlink()
"""


def test_a_limit_of_the_file_leaves_whole_lines_and_loses_no_result(tmp_path: Path) -> None:
    """Half a line would stay in the file, or results that were paid for be gone."""
    # The kernel lets a process write up to the limit, and no more: a short write, then an error.
    said = python(FULL + LIMITED, tmp_path)
    assert (said.returncode, said.stderr) == (0, "")


def test_a_full_disk_leaves_whole_lines_and_loses_no_result(tmp_path: Path) -> None:
    """What holds for a limit of the process would not hold for a disk."""
    mount = f"mount -t tmpfs -o size=64k none {tmp_path} && " + 'exec "$@"'
    private = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh")
    try:
        subprocess.run([*private, "true"], check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system may be mounted here")
    said = python(FULL + "asyncio.run(gives_up())", tmp_path, inside=private)
    assert (said.returncode, said.stderr) == (0, "")


# --- reaching the disk -------------------------------------------------------------------------------------------


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


async def test_lines_reach_the_disk_by_the_hundred_and_by_the_second(path: Path) -> None:
    """A machine that loses its power would lose more than a second of answers."""
    async with Journal.open(path) as journal:
        for number in range(100):
            assert journal._syncing is None
            await journal.append(key_of_row(number), Result(reply(), None, f"row-{number}"))
        assert journal._syncing is not None
        await until(lambda: journal._durable == journal._size)
        assert journal._timer is None
        await journal.append(key_of_row(100), Result(reply(), None, "row-100"))
        assert journal._durable < journal._size
        await until(lambda: journal._durable == journal._size)


async def test_each_line_reaches_the_disk_before_it_is_told_when_asked_so(path: Path) -> None:
    """`each` would promise what it does not do."""
    async with Journal.open(path, fsync="each") as journal:

        async def append(number: int) -> None:
            await journal.append(key_of_row(number), Result(reply(), None, f"row-{number}"))
            entry = journal.entry(key_of_row(number))
            assert entry is not None
            assert journal._durable >= entry.offset + entry.length

        await asyncio.gather(*map(append, range(50)))


async def test_closing_brings_all_to_the_disk(path: Path) -> None:
    """The last answers of a run would be those that are lost."""
    for fsync, durable in (("group", True), ("none", False)):
        journal = Journal.open(path, fsync=fsync)  # type: ignore[arg-type]
        await journal.append(key_of_row(), Result(reply(), None, "row-0"))
        await journal.aclose()
        assert (journal._durable == journal._size) is durable


def empty(path: Path) -> None:
    os.truncate(path, 0)


@pytest.mark.parametrize("spoil", [Path.unlink, empty], ids=["deleted", "cut"])
@pytest.mark.parametrize("fsync", ["each", "group"])
async def test_what_may_not_have_reached_the_disk_ends_the_run(
    path: Path, fsync: Fsync, spoil: Callable[[Path], None]
) -> None:
    """Answers would go on being written where nobody will find them."""
    journal = Journal.open(path, fsync=fsync)
    await journal.append(key_of_row(0), Result(reply(), None, "row-0"))
    spoil(path)
    with pytest.raises(UnwrittenError, match="may not have reached the disk") as caught:
        for number in range(1, 102):
            await journal.append(key_of_row(number), Result(reply(), None, f"row-{number}"))
            await until(lambda: journal._syncing is None)
    assert [result.custom_id for result in caught.value.unwritten] == ["row-1" if fsync == "each" else "row-100"]
    with pytest.raises(JournalError, match="may not have reached the disk"):
        await journal.aclose()


# --- the end -----------------------------------------------------------------------------------------------------


async def test_a_closed_journal_says_so_and_loses_nothing(path: Path) -> None:
    """A result that came late would vanish."""
    async with Journal.open(path) as journal:
        await journal.append(key_of_row(), Result(reply(), None, "row-0"))
        entry = journal.entry(key_of_row())
        assert entry is not None
    await journal.aclose()
    journal.close()
    with pytest.raises(UnwrittenError, match="closed") as caught:
        await journal.append(key_of_row(1), Result(reply("Late."), None, "row-1"))
    assert [result.custom_id for result in caught.value.unwritten] == ["row-1"]
    with pytest.raises(JournalError, match="closed"):
        journal.read(entry)


async def test_what_went_wrong_first_is_what_is_raised(path: Path) -> None:
    """A cancel would turn into an error of the journal, and the task go on."""
    with pytest.raises(asyncio.CancelledError) as caught:
        async with Journal.open(path) as journal:
            await journal.append(key_of_row(), Result(reply(), None, "row-0"))
            path.unlink()  # noqa: ASYNC240
            raise asyncio.CancelledError
    assert "may not have reached the disk" in caught.value.__notes__[0]

    async def write() -> None:
        async with Journal.open(path) as journal:
            await journal.append(key_of_row(), Result(reply(), None, "row-0"))
            path.unlink()  # noqa: ASYNC240

    with pytest.raises(JournalError, match="may not have reached the disk"):
        await write()


async def test_a_cancelled_close_closes(path: Path) -> None:
    """The next run in the same process would find the journal locked."""
    for _ in range(20):
        journal = Journal.open(path)
        await journal.append(key_of_row(), Result(reply(), None, "row-0"))
        task = asyncio.create_task(journal.aclose())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(list(read_results(path))) == 1


async def test_nothing_is_left_behind(path: Path) -> None:
    """Timers, tasks or descriptors would pile up in a long-lived service."""
    before = set(os.listdir("/dev/fd"))
    async with Journal.open(path) as journal:
        await journal.append(key_of_row(), Result(reply(), None, "row-0"))
        results = read_results(path)
        next(results)
        timer = journal._timer
    results.close()  # type: ignore[attr-defined]
    assert timer is not None
    assert timer.cancelled()
    assert set(os.listdir("/dev/fd")) == before
    assert len(asyncio.all_tasks()) == 1


def test_a_journal_that_was_forgotten_is_closed_and_told(path: Path) -> None:
    """The lock would stay until the process ends, and nobody know why."""
    journals = [Journal.open(path)]
    with pytest.warns(ResourceWarning, match="never closed"):
        journals.clear()
    Journal.open(path).close()


# --- reading -----------------------------------------------------------------------------------------------------


async def test_results_are_read_while_a_run_writes(path: Path) -> None:
    """Nobody could look at a run before it ends."""
    async with Journal.open(path) as journal:
        await journal.append(key_of_row(0), Result(reply("Zero."), None, "row-0"))
        await journal.append(key_of_row(1), Result(None, RateLimitError("x"), "row-1"))
        with path.open("ab") as file:
            file.write(b'{"id":"batch_req_')
        reading = read_results(path)
        assert next(reading).completion == reply("Zero.")
        assert [type(result.error) for result in reading] == [RateLimitError]
    with pytest.raises(JournalError, match="No such file"):
        next(read_results(path.with_name("missing")))


async def test_a_line_that_changes_under_the_reader_is_an_error(path: Path) -> None:
    """Half of one answer and half of another would be given as one."""
    await fill(path, 3)
    reading: Iterator[Result] = read_results(path)
    next(reading)
    whole = content(path)
    put(path, whole[:-300] + b"x" + whole[-299:])
    next(reading)
    with pytest.raises(JournalError, match="was changed"):
        next(reading)


# --- kill -9 -----------------------------------------------------------------------------------------------------

KILLED = """
import asyncio, json, os, random, select, signal, sys
from anycompletion.batch.journal import Journal, read_results
from anycompletion.records import Result
from support.journals import key_of_row, reply

path, kills, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
chance = random.Random(seed)
torn = 0

async def append(told, first):
    async with Journal.open(path) as journal:
        for number in range(first, first + 100_000):
            size = (number * 7919) % 20_000
            await journal.append(key_of_row(number), Result(reply("x" * size), None, f"row-{number}"))
            os.write(told, b"%d\\n" % number)

told_so_far = 0
for _ in range(kills):
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        asyncio.run(append(writing, told_so_far))
        os._exit(0)
    os.close(writing)
    select.select([reading], [], [], 20)
    select.select([], [], [], chance.uniform(0, 0.01))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with open(reading, "rb") as file:
        acknowledged = [int(line) for line in file.read().split(b"\\n")[:-1]]
    told_so_far = max([told_so_far, *(number + 1 for number in acknowledged)])
    journal = Journal.open(path, fsync="none")
    torn += bool(journal.warnings)
    known = journal.count
    assert all(journal.entry(key_of_row(number)) for number in range(told_so_far))
    assert told_so_far <= known <= told_so_far + 1, (told_so_far, known)
    journal.close()

for number, result in enumerate(read_results(path)):
    assert result.custom_id == f"row-{number}"
    assert len(result.completion.text) == (number * 7919) % 20_000
print(json.dumps({"kills": kills, "told": told_so_far, "torn": torn}))
"""


def test_what_was_told_is_there_after_a_kill_at_any_moment(path: Path) -> None:
    """A result the caller had seen would be asked and paid for again."""
    seed = time.time_ns() % 10**6
    said = python(KILLED, path, 30, seed)
    assert said.stderr == "", f"seed {seed}"
    assert json.loads(said.stdout)["told"] >= 30
