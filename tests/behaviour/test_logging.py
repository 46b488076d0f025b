"""Tests of logging: one logger, structured records, documented levels, and no prompts or replies."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from anycompletion import (
    APIError,
    AsyncCompletion,
    AuthenticationError,
    ChatRequest,
    CompletionStream,
    ConfigurationError,
    ServiceUnavailableError,
    Timeout,
)
from anycompletion.logs import log_event
from anycompletion.testing import Fault, SimulatorServer
from support.pages import whole_text

PROMPT = "Prompt-that-must-stay-secret."
MODEL = "openai/gpt-4o"

COMMON = {"event", "provider", "model", "attempt", "status", "request_id", "elapsed"}
"""Attributes of every record of a call, without their prefix."""

LEVELS = {
    "answered": logging.DEBUG,
    "retrying": logging.DEBUG,
    "cooling_down": logging.DEBUG,
    "finished": logging.DEBUG,
    "closed": logging.DEBUG,
    "failed": logging.INFO,
    "gave_up": logging.WARNING,
    "observer_failed": logging.WARNING,
    "journal": logging.WARNING,
    "redis_unreachable": logging.WARNING,
    "redis_unsettled": logging.DEBUG,
}
"""Event → its level without `verbose`."""

FURTHER = {
    "retrying": {"delay"},
    "cooling_down": {"delay"},
    "finished": {"attempts", "prompt_tokens", "completion_tokens"},
}
"""Event → attributes of its own."""

Row = tuple[str, int, dict[str, Any]]
"""Event, attempt, and further attributes."""

THROTTLED = Fault.status(429, retry_after=0.02, times=1)

FINISHED: Row = ("finished", 1, {"status": 200, "attempts": 1})

CASES: dict[str, tuple[Any, dict[str, Any], list[Row]]] = {
    "a successful call": (None, {}, [("answered", 1, {"status": 200}), FINISHED]),
    "a retry": (
        Fault.status(503, retry_after=0.01, times=1),
        {"max_retries": 1},
        [
            ("answered", 1, {"status": 503}),
            ("retrying", 1, {"status": 503, "error": "ServiceUnavailableError"}),
            ("answered", 2, {"status": 200}),
            ("finished", 2, {"status": 200, "attempts": 2}),
        ],
    ),
    "a cooldown": (
        THROTTLED,
        {"max_retries": 1},
        [
            ("answered", 1, {"status": 429}),
            ("retrying", 1, {"status": 429, "error": "RateLimitError"}),
            ("cooling_down", 1, {"status": 429}),
            ("answered", 2, {"status": 200}),
            ("finished", 2, {"status": 200, "attempts": 2}),
        ],
    ),
    "a refusal": (
        "authentication",
        {},
        [("answered", 1, {"status": 401}), ("failed", 1, {"status": 401, "error": "AuthenticationError"})],
    ),
    "no answer": (
        "close-before-answer",
        {"max_retries": 0},
        [("failed", 1, {"status": None, "error": "APIConnectionError"})],
    ),
    "an outage": (
        Fault.status(503, retry_after=0.01),
        {"max_retries": 1},
        [
            ("answered", 1, {"status": 503}),
            ("retrying", 1, {"status": 503, "error": "ServiceUnavailableError"}),
            ("answered", 2, {"status": 503}),
            ("gave_up", 2, {"status": 503, "error": "ServiceUnavailableError"}),
        ],
    ),
}


@pytest.fixture
async def server() -> AsyncIterator[SimulatorServer]:
    async with SimulatorServer() as server:
        yield server


@pytest.fixture
async def client(server: SimulatorServer) -> AsyncIterator[AsyncCompletion]:
    async with AsyncCompletion(base_urls=server.base_urls, api_keys=server.api_keys) as client:
        yield client


def ours(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name.partition(".")[0] == "anycompletion"]


_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def extras(record: logging.LogRecord) -> dict[str, Any]:
    """The record's own attributes without their prefix."""
    names = [name for name in vars(record) if name not in _PLAIN]
    assert all(name.startswith("ac_") for name in names)
    return {name.removeprefix("ac_"): vars(record)[name] for name in names}


async def call(client: AsyncCompletion, *, stream: bool, **params: Any) -> None:
    try:
        reply = await client.create(MODEL, PROMPT, stream=stream, **params)
        if isinstance(reply, CompletionStream):
            await reply.get_final_completion()
    except APIError:
        pass


@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("case", CASES)
async def test_events_have_their_levels_and_extras(
    client: AsyncCompletion,
    server: SimulatorServer,
    caplog: pytest.LogCaptureFixture,
    case: str,
    stream: bool,
    verbose: bool,
) -> None:
    """A handler that writes JSON would miss an attribute, or an event would have another level than documented."""
    fault, params, rows = CASES[case]
    server.fault = fault
    caplog.set_level(logging.DEBUG)
    await call(client, stream=stream, verbose=verbose, **params)
    records = ours(caplog)
    assert [(record.__dict__["ac_event"], record.__dict__["ac_attempt"]) for record in records] == [
        row[:2] for row in rows
    ]
    for record, (event, _, special) in zip(records, rows, strict=True):
        attributes = extras(record)
        further = set(special) | FURTHER.get(event, set())
        assert attributes.keys() == COMMON | further
        assert attributes.items() >= {"provider": "openai", "model": "gpt-4o", **special}.items()
        assert 0 <= attributes["elapsed"] < 60
        assert (attributes["request_id"] is not None) == (special["status"] is not None)
        raised = LEVELS[event] == logging.DEBUG and verbose
        assert record.levelno == (logging.INFO if raised else LEVELS[event])
        assert record.getMessage().startswith("openai gpt-4o: ")
        json.dumps(attributes)


ENDS: dict[str, list[tuple[str, int, str | None]]] = {
    "cut-after-3-events": [("failed", logging.INFO, "StreamInterruptedError")],
    "close-after-3-events": [("failed", logging.INFO, "StreamInterruptedError")],
    "reset-after-3-events": [("failed", logging.INFO, "StreamInterruptedError")],
    "error-after-3-events": [("failed", logging.INFO, "OverloadedError")],
    "stall-after-3-events": [("failed", logging.INFO, "APITimeoutError")],
    "no-finish-reason": [("failed", logging.INFO, "StreamInterruptedError")],
}


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("fault", ENDS)
async def test_a_stream_that_fails_after_its_first_chunk_is_an_event(
    client: AsyncCompletion, server: SimulatorServer, caplog: pytest.LogCaptureFixture, fault: str, n: int
) -> None:
    """The most frequent failure of a service that streams would leave nothing in its log."""
    server.fault = fault
    caplog.set_level(logging.INFO)
    await call(client, stream=True, timeout=Timeout(idle=0.2), max_retries=0, n=n)
    found = [(extras(record)["event"], record.levelno, extras(record).get("error")) for record in ours(caplog)]
    assert found[:1] == ENDS[fault]
    assert len(found) <= n


TOKENS = {"prompt_tokens", "completion_tokens"}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", [MODEL, "anthropic/claude-haiku-4-5"])
@pytest.mark.parametrize("n", [None, 1, 3])
async def test_a_logical_call_has_one_closing_record_with_its_tokens(
    server: SimulatorServer, caplog: pytest.LogCaptureFixture, model: str, n: int | None, stream: bool
) -> None:
    """A log could not tell what a call took, or would count the choices of one call as several."""
    caplog.set_level(logging.DEBUG)
    async with AsyncCompletion(base_urls=server.base_urls, api_keys=server.api_keys) as client:
        reply = await client.create(model, PROMPT, stream=stream, n=n)
        whole = await reply.get_final_completion() if isinstance(reply, CompletionStream) else reply
    (record,) = [extras(record) for record in ours(caplog) if extras(record)["event"] == "finished"]
    assert whole.usage is not None
    assert {name: record[name] for name in TOKENS} == {name: getattr(whole.usage, name) for name in TOKENS}
    assert record["attempts"] == whole.info.attempts
    assert 0 < record["elapsed"] < 60


async def test_a_stream_that_is_left_early_has_a_closing_record(
    client: AsyncCompletion, caplog: pytest.LogCaptureFixture
) -> None:
    """A stream that a browser left would look like one that is still open."""
    caplog.set_level(logging.DEBUG)
    async with client.stream(MODEL, PROMPT) as stream:
        await anext(stream)
    assert [extras(record)["event"] for record in ours(caplog)] == ["answered", "closed"]


async def test_unprintable_characters_of_tags_are_escaped(
    client: AsyncCompletion, caplog: pytest.LogCaptureFixture
) -> None:
    """The name of a user could add lines to a log, or clear the terminal that shows it."""
    caplog.set_level(logging.DEBUG)
    await call(client, stream=False, tags={"user\n": "Eve\nWARNING \x1b[2J", "team": "Zoë"})
    assert extras(ours(caplog)[0])["tags"] == {"user\\n": "Eve\\nWARNING \\x1b[2J", "team": "Zoë"}


@pytest.mark.parametrize("stream", [False, True])
async def test_every_record_of_a_call_has_its_tags(
    client: AsyncCompletion, server: SimulatorServer, caplog: pytest.LogCaptureFixture, stream: bool
) -> None:
    """The log could not tell for which customer a call was made, or tags would be sent to the provider."""
    server.fault = Fault.status(503, retry_after=0.01, times=1)
    caplog.set_level(logging.DEBUG)
    tags = {"customer": "c-7"}
    await call(client, stream=stream, tags=tags, n=2)
    await call(client.with_options(tags=tags), stream=stream)
    assert len(ours(caplog)) > 4
    assert all(extras(record)["tags"] == tags for record in ours(caplog))
    assert not any(b"c-7" in seen.raw or "c-7" in str(seen.headers) for seen in server.requests)
    caplog.clear()
    await call(client, stream=stream)
    assert not any("tags" in extras(record) for record in ours(caplog))


async def test_a_failing_key_function_is_an_event(client: AsyncCompletion, caplog: pytest.LogCaptureFixture) -> None:
    """An outage of the identity provider would leave nothing in the log."""

    async def broken() -> str:
        raise RuntimeError("must-stay-secret")

    caplog.set_level(logging.INFO)
    for stream in (False, True):
        result = await client.attempt(MODEL, PROMPT, api_key=broken) if not stream else None
        if result is None:
            with pytest.raises(ConfigurationError) as caught:
                await client.create(MODEL, PROMPT, api_key=broken, stream=True)
            assert isinstance(caught.value.__cause__, RuntimeError)
    assert [(extras(record)["event"], extras(record)["error"]) for record in ours(caplog)] == [
        ("failed", "ConfigurationError")
    ] * 2
    assert "must-stay-secret" not in caplog.text


@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("case", CASES)
async def test_no_level_logs_keys_or_prompts(
    client: AsyncCompletion, server: SimulatorServer, caplog: pytest.LogCaptureFixture, case: str, verbose: bool
) -> None:
    """Logs would contain conversations and keys."""
    server.fault, params, _ = CASES[case]
    server.reply = "Reply-that-must-stay-secret."
    caplog.set_level(logging.DEBUG)
    for stream in (False, True):
        await call(
            client, stream=stream, verbose=verbose, extra_headers={"X-Mark": "Header-that-must-stay-secret."}, **params
        )
    assert ours(caplog)
    text = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert "must-stay-secret" not in text
    assert server.api_keys["openai"] not in text


async def test_an_observers_failure_is_an_event_without_its_text(
    client: AsyncCompletion, caplog: pytest.LogCaptureFixture
) -> None:
    """A failing `logger_fn` would go unnoticed, or its error would put the request into the log."""

    def fail(event: dict[str, Any]) -> None:
        raise LookupError(str(event))

    caplog.set_level(logging.WARNING)
    await client.create(MODEL, PROMPT, logger_fn=fail)
    assert [extras(record) for record in ours(caplog)] == [
        {"event": "observer_failed", "observer": "logger_fn", "error": "LookupError"}
    ] * 2
    assert PROMPT not in caplog.text


async def test_a_repaired_journal_is_an_event(
    client: AsyncCompletion, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """The repair of a truncated line of the journal would go unnoticed."""
    journal = tmp_path / "answers.jsonl"
    for _ in range(2):
        async with client.batch([ChatRequest(MODEL, PROMPT, custom_id="1")], journal=journal) as run:
            assert [result.ok async for result in run] == [True]
        journal.write_bytes(journal.read_bytes()[:-20])
    assert [extras(record) for record in ours(caplog)] == [{"event": "journal", "path": str(journal)}]
    assert PROMPT not in caplog.text


@pytest.fixture
def set_factory() -> Iterator[Callable[[Callable[..., logging.LogRecord]], None]]:
    """Function that sets the factory of log records."""
    before = logging.getLogRecordFactory()
    yield logging.setLogRecordFactory
    logging.setLogRecordFactory(before)


SetFactory = Callable[[Callable[..., logging.LogRecord]], None]

NAMES_OF_APPS = ("request_id", "model", "provider", "status", "error", "event", "attempt", "elapsed", "path", "delay")


async def test_an_apps_own_attributes_of_records_do_not_clash(
    client: AsyncCompletion, server: SimulatorServer, caplog: pytest.LogCaptureFixture, set_factory: SetFactory
) -> None:
    """`logging` would raise a KeyError in place of our error where an app gives every record a `request_id`."""
    original = logging.getLogRecordFactory()

    def make(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = original(*args, **kwargs)
        vars(record).update(dict.fromkeys(NAMES_OF_APPS, "the app's"))
        return record

    set_factory(make)
    caplog.set_level(logging.DEBUG)
    server.fault = Fault.status(503, retry_after=0.01)
    for stream in (False, True):
        with pytest.raises(ServiceUnavailableError):
            await client.create(MODEL, PROMPT, stream=stream, max_retries=1)
    assert {record.__dict__["ac_event"] for record in ours(caplog)} >= {"answered", "retrying", "gave_up"}
    assert {record.__dict__["event"] for record in ours(caplog)} == {"the app's"}


def _fail(*args: Any, **kwargs: Any) -> Any:
    raise LookupError("of the app")


@pytest.mark.parametrize("where", ["factory", "filter of the logger", "filter of a handler", "handler"])
async def test_a_failure_to_log_changes_no_call(
    where: str,
    client: AsyncCompletion,
    server: SimulatorServer,
    set_factory: SetFactory,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An error of the app's logging would take the place of a reply, or of our error."""
    logger, handler = logging.getLogger("anycompletion"), logging.StreamHandler()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        match where:
            case "factory":
                set_factory(_fail)
            case "filter of the logger":
                logger.addFilter(_fail)
            case "filter of a handler":
                handler.addFilter(_fail)
            case _:
                handler.emit = _fail  # type: ignore[method-assign]  # as an app's own class may do
        assert (await client.create(MODEL, PROMPT, logger_fn=_fail)).text
        server.fault = "authentication"
        for stream in (False, True):
            with pytest.raises(AuthenticationError):
                await client.create(MODEL, PROMPT, stream=stream)
    finally:
        logger.removeHandler(handler)
        logger.removeFilter(_fail)
        logger.setLevel(level)
    shown = capsys.readouterr().err
    assert "LookupError: of the app" in shown
    assert PROMPT not in shown


def test_a_server_cannot_write_lines_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """A terminal would obey the control characters of a request id, or one record would look like several."""
    log_event(logging.WARNING, "answered", "text", request_id="a\x1b[31m\nb", status=200)
    assert extras(caplog.records[0]) == {"event": "answered", "request_id": r"a\x1b[31m\nb", "status": 200}


def test_a_page_lists_every_event() -> None:
    """An event would be undocumented."""
    text = whole_text()
    for event, level in LEVELS.items():
        assert f"| `{event}` | {logging.getLevelName(level)}" in text


def test_an_app_without_logging_gets_no_output() -> None:
    """A warning would appear in the output of an app that has no logging configured."""
    program = """
import asyncio
from anycompletion import AsyncCompletion
from anycompletion.testing import SimulatorServer

async def main():
    async with SimulatorServer(fault="unavailable") as sim:
        async with AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys, max_retries=1) as client:
            print((await client.attempt("openai/gpt-4o", "Hello!")).ok)

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("False\n", "")
