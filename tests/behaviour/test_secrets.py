"""Tests of secrets: no error, log or object shows a key or a prompt, and a key is sent to its own origin only."""

from __future__ import annotations

import asyncio
import copy
import functools
import itertools
import json
import logging
import pickle
import socket
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import yarl

from anycompletion import (
    APIConnectionError,
    APIResponseError,
    AsyncCompletion,
    BadRequestError,
    ChatRequest,
    ClientClosedError,
    CompletionError,
    ConfigurationError,
    InvalidRequestError,
    Provider,
    RateLimitError,
    ReplyError,
    Result,
    Secret,
)
from anycompletion._boundary import UsageError, hides_frames
from anycompletion.client.client import client_state
from anycompletion.options import OptionValues
from anycompletion.redaction import MaskedBytes, MaskedValue
from anycompletion.testing import SimulatorServer
from support.raw_server import END, REQUEST, RESET, STALL, STREAM, WHOLE, RawServer, Step, answer, event, piece
from support.secret_cases import (
    ACME,
    BAD_PART,
    ECHO,
    ECHO_HEADERS,
    ECHOED,
    FAILURES,
    HALF,
    INPUTS,
    KEY,
    KINDS,
    MODELS,
    PROMPT,
    REFUSALS,
    WAYS,
    ClientCall,
    Use,
    ask,
    client_to,
    clients,
    drained,
    failure_response,
    final,
    function_of,
    provoked,
    raised_by,
    read,
    read_text,
    replied,
    typed,
    used,
    with_timeout,
)
from support.secret_channels import CHANNELS, DUMPS, chain, found, leaks, reachable
from support.simulated import SIMULATED

kinds = pytest.mark.parametrize("kind", KINDS)


@kinds
@pytest.mark.score("kinds of errors that show no secret")
async def test_no_error_shows_a_key_or_a_prompt(kind: str) -> None:
    """A log, a crash report or a queue would contain the key or a prompt."""
    expected, steps, use, options = KINDS[kind]
    error = await provoked(steps, use, **options)
    assert isinstance(error, expected), repr(error)
    assert leaks(error, KEY) == []
    assert leaks(error, PROMPT) == []

    names = [type(each).__name__ for each in chain(error)]
    # Errors of aiohttp contain the request's headers, and cannot be unpickled.
    assert names[1:] == (["CancelledError"] if names == ["TimeoutError", "CancelledError"] else [])


def buggy(value: int) -> None:
    raise LookupError("a mistake of the caller's own check")


async def test_an_error_of_a_callers_check_shows_no_key() -> None:
    """A crash report of a mistake in a check would contain the key of the call."""
    error = await provoked((REQUEST, replied('{"value": 1}')), lambda client: typed(client, validate=buggy))
    assert type(error) is LookupError
    assert error.__traceback__ is not None
    assert leaks(error, KEY) == []


MODEL_TEXT = "marked-words-2209 of the model"
MISFITS: dict[str, bytes] = {
    "no JSON": replied(MODEL_TEXT),
    "another type": replied(json.dumps({"value": MODEL_TEXT})),
    "other members": replied(json.dumps({MODEL_TEXT: 1})),
    "cut": replied(json.dumps({"value": MODEL_TEXT})[:-2], "length"),
    "a filter": replied(MODEL_TEXT, "content_filter"),
    "a refusal": replied(None, refusal=MODEL_TEXT),
    "a value that a check refuses": replied('{"value": 1}'),
}


def quoting(value: int) -> None:
    raise ValueError(MODEL_TEXT)


@pytest.mark.parametrize("reply", MISFITS)
async def test_the_texts_of_typed_errors_have_no_words_of_the_model(
    reply: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Logs would contain what a model wrote of a user's data."""
    caplog.set_level(logging.DEBUG)
    error = await provoked((REQUEST, MISFITS[reply]), lambda client: typed(client, validate=quoting))
    assert isinstance(error, ReplyError)
    assert MODEL_TEXT in f"{error.text} {vars(error)}"
    for channel in ("str", "repr", "format", "args", "traceback", "traceback with locals", "logging.exception"):
        assert found(MODEL_TEXT, CHANNELS[channel](error)) == []
    assert found(MODEL_TEXT, caplog.text) == []
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 (our own)
    assert found(MODEL_TEXT, f"{again} {again!r}") == []
    assert (type(again), again.text, again.partial) == (type(error), error.text, error.partial)


async def test_the_error_of_a_refused_connection_shows_no_secret() -> None:
    """The error of a refused connection would contain the key or the prompt."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # not listening
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        async with client_to(url, max_retries=1) as client:
            error = await raised_by(ask, client)
    assert type(error) is APIConnectionError
    assert leaks(error, KEY) + leaks(error, PROMPT) == []
    assert list(chain(error)) == [error]


async def test_the_error_of_a_closed_client_shows_no_secret() -> None:
    """The error of a call after closing would contain the key or the prompt."""
    client = client_to("http://127.0.0.1:9")
    await client.aclose()
    use = ClientCall(
        "send",
        ChatRequest("openai/x", PROMPT),
        api_key=KEY,
        extra_headers={"Authorization": KEY},
        extra_body={"x": PROMPT},
    )
    error = await raised_by(use, client)
    assert type(error) is ClientClosedError
    assert leaks(error, KEY) + leaks(error, PROMPT) == []


@pytest.mark.parametrize("channel", CHANNELS)
async def test_each_channel_finds_a_leaked_secret(channel: str) -> None:
    """A leak through this channel would not be found."""

    async def careless(header: str) -> None:
        headers = {"Authorization": header}
        await asyncio.sleep(0)
        error = RateLimitError(f"{KEY} is over its limit, not {headers}")
        raise error

    error = await raised_by(lambda _: careless(f"Bearer {KEY}"), client_to("http://127.0.0.1:9"))
    assert found(KEY, CHANNELS[channel](error)) != []
    assert any(leak.endswith("careless: headers") for leak in leaks(error, KEY))
    assert found(KEY, f"x {KEY[:12]}") == ["its prefix"]
    assert found(KEY, "c2stWnE3bWFya2VkLTAxMjM0NTY3ODlhYmNkZWZnaGlqL0tMTU5PUCs5dGFpbA==") == ["its base64"]


# --- ways to pass a key --------------------------------------------------------------------------------------------


ways = pytest.mark.parametrize("way", WAYS)


@ways
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.score("ways to pass a key that show no secret")
async def test_no_way_of_passing_a_key_shows_it(way: str, failure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed call would show a key that was passed in this way."""
    model, header, make, options, environment = WAYS[way]
    steps, wait_for = FAILURES[failure]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    async with RawServer(steps) as server, used(make(server.url)) as client:
        error = await raised_by(lambda client: wait_for(ask(client, model, **options())), client)
        assert server.requests[0].headers[header].endswith(KEY)
        lines = [request.line for request in server.requests]
        await client.aclose()
    assert not any(found(KEY, line) for line in lines)
    assert leaks(error, KEY) + leaks(error, PROMPT) == []


@ways
@pytest.mark.parametrize("wrong", ["value", "keyword"])
async def test_no_way_of_passing_a_key_shows_it_when_nothing_is_sent(
    way: str, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of a wrong argument beside the key would show the key."""
    model, _, make, options, environment = WAYS[way]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    mistake = {"temperature": "hot"} if wrong == "value" else {"temprature": 1}
    async with used(make("http://127.0.0.1:9")) as client:
        for method in ("create", "stream"):
            error = await raised_by(ClientCall(method, model, PROMPT, **mistake, **options()), client)
            assert isinstance(error, InvalidRequestError if wrong == "value" else TypeError)
            assert leaks(error, KEY) + leaks(error, PROMPT) == []


@ways
async def test_no_object_shows_the_key_it_uses(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Printing a client, a stream or a call would show its key."""
    model, _, make, options, environment = WAYS[way]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    request = ChatRequest(model, PROMPT)
    stalled = (REQUEST, STREAM, event("Hel"), STALL)
    async with RawServer(stalled) as server, used(make(server.url)) as client:
        view = client.with_options(timeout=5)
        stream = client.stream(model, PROMPT, **options())
        calls = [stream._source._call]  # type: ignore[attr-defined]
        providers = list(client_state(client).provider_states.values())
        await asyncio.wait([asyncio.ensure_future(stream.open())], timeout=0.05)
        objects = [client, view, stream, stream._source, stream.info, request, Result(request=request)]
        for value in [*objects, *calls, *providers]:
            shown = {name: dump(value) for name, dump in DUMPS.items()}
            assert {name: found(KEY, text) for name, text in shown.items() if found(KEY, text)} == {}, value
            if value is not request:
                assert {name for name, text in shown.items() if found(PROMPT, text)} == set(), value
            assert not found(KEY, repr([each.provider for each in providers]))
        if model != "acme/x":  # a provider's own headers are not masked in memory
            assert found(KEY, reachable(client, masked=(MaskedValue, MaskedBytes))) == []
            assert found(KEY, reachable(stream, masked=(MaskedValue, MaskedBytes))) == []
        await stream.aclose()


FAULTS = {
    "cut-after-2-events": 5,
    "reset-after-3-events": 5,
    "stall-after-2-events": 0.06,
    "malformed-json": 5,
    "hang": 0.06,
}
"""Fault → the caller's timeout in seconds."""


def use_with_timeout(use: Any, seconds: float, client: AsyncCompletion, **options: Any) -> Awaitable[None]:
    return with_timeout(use(client, **options), seconds)


@pytest.mark.parametrize("model", SIMULATED.values(), ids=SIMULATED)
async def test_our_frames_show_no_answer_that_repeats_the_prompt(model: str) -> None:
    """A crash report would contain the conversation as part of a reply."""
    async with (
        SimulatorServer(reply=PROMPT, chunks=3) as sim,
        AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys, max_retries=0) as client,
    ):
        for fault, seconds in FAULTS.items():
            for n in (1, 2):
                for use in (ask, final, read_text):
                    options: dict[str, Any] = {"n": n, "extra_headers": {"x-simulate": fault}}
                    call = functools.partial(use_with_timeout, use, seconds, model=model, **options)
                    error = await raised_by(call, client)
                    shown = [CHANNELS[name](error) for name in ("traceback with locals", "inspect", "crash report")]
                    assert found(PROMPT, "".join(shown)) == [], (fault, n, use)


def assert_only_partial_has_the_prompt(error: BaseException) -> None:
    """The error of a call whose earlier replies repeat the prompt: `.partial` has them, and nothing that is shown."""
    if isinstance(error, BadRequestError):
        assert error.partial is not None
        assert error.partial.text == PROMPT
    else:
        assert type(error) is TimeoutError
    shown = [CHANNELS[name](error) for name in ("str", "repr", "traceback with locals", "inspect", "crash report")]
    assert found(PROMPT, "".join(shown)) == []


@pytest.mark.parametrize("end", [answer(ECHO, 400), STALL], ids=["failed", "timed out"])
async def test_our_frames_show_no_reply_of_another_branch(end: Step) -> None:
    """The failure of one branch of a fan-out would put the other branches' replies into the crash report."""
    content = [{"type": "text", "text": PROMPT}]
    message = {"type": "message", "role": "assistant", "content": content, "stop_reason": "end_turn"}
    async with (
        RawServer((REQUEST, answer(message)), (REQUEST, 0.05, end)) as server,
        client_to(server.url) as client,
    ):
        seconds = 5 if end is not STALL else 0.1
        call = functools.partial(use_with_timeout, ask, seconds, model=MODELS["anthropic"], n=2)
        error = await raised_by(call, client)
    assert_only_partial_has_the_prompt(error)


@pytest.mark.parametrize("use", [ask, final], ids=["whole", "stream"])
@pytest.mark.parametrize("end", [answer(ECHO, 400), STALL], ids=["failed", "timed out"])
async def test_our_frames_show_no_earlier_reply_of_the_call(end: Step, use: Use) -> None:
    """The failure of a request for missing choices would put the choices that came into the crash report."""
    choice = {"index": 0, "message": {"role": "assistant", "content": PROMPT}, "finish_reason": "stop"}
    first = answer({"id": "r", "model": "m", "choices": [choice]})
    async with RawServer((REQUEST, first, REQUEST, end)) as server, client_to(server.url) as client:
        call = functools.partial(use_with_timeout, use, 5 if end is not STALL else 0.1, model=MODELS["openai"], n=2)
        error = await raised_by(call, client)
    assert_only_partial_has_the_prompt(error)


async def test_the_query_is_not_shown() -> None:
    """Printing a call would show a key in its query, where some gateways expect it."""
    async with client_to("http://127.0.0.1:9") as client:
        stream = client.stream("openai/x", PROMPT, extra_query={"subscription-key": KEY})
        assert found(KEY, "".join(dump(stream._source._call) for dump in (str, repr))) == []  # type: ignore[attr-defined]


# --- refused input -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("refusal", REFUSALS)
async def test_the_error_of_refused_input_does_not_show_the_input(kind: str, refusal: str) -> None:
    """A crash report of a refused call would contain the conversation in one of its frames."""
    expected, model, mistake = REFUSALS[refusal]
    given = {"messages": PROMPT, **INPUTS[kind], **mistake}
    uses = [
        ClientCall("create", model, **given),
        ClientCall("create", model, **given, stream=True),
        ClientCall("stream", model, **given),
        ClientCall("attempt", model, **given),
    ]
    if expected is not TypeError:
        request, options = split(model, given)
        uses.append(ClientCall("send", request, **options))
        del request, options
    del given
    async with client_to("http://127.0.0.1:9", providers=[ACME]) as client:
        for use in uses:
            error = await raised_by(use, client)
            assert isinstance(error, expected), repr(error)
            assert leaks(error, PROMPT) == []
            assert len(list(chain(error))) == 1


def split(model: str, given: dict[str, Any]) -> tuple[ChatRequest, dict[str, Any]]:
    """`given` as a request and options."""
    names = {field.name for field in attrs.fields(ChatRequest)}
    wire = {name: value for name, value in given.items() if name in names}
    return ChatRequest(model, **wire), {name: value for name, value in given.items() if name not in names}


async def test_a_dict_passed_to_send_is_not_shown() -> None:
    """`send` would show a dict that was passed in place of a request."""
    async with client_to("http://127.0.0.1:9") as client:
        wrong: Any = {"model": "openai/x", "messages": PROMPT}
        error = await raised_by(lambda client: client.send(wrong), client)
    assert isinstance(error, InvalidRequestError)
    assert leaks(error, PROMPT) == []


@pytest.mark.parametrize(
    "options",
    [
        {"api_key": KEY, "timeout": -1},
        {"api_key": KEY, "temperature": 1},
        {"extra_headers": {"Authorization": f"Bearer {KEY}\0"}},
        {"extra_headers": {"X-Key": KEY}, "max_retry": 1},
        {"extra_query": {"key": KEY + "\ud800"}},
    ],
)
async def test_the_error_of_wrong_options_does_not_show_them(options: dict[str, Any]) -> None:
    """The error of a wrong option of a view would show the key beside it."""
    use = ClientCall("with_options", **options)
    del options
    error = await raised_by(use, client_to("http://127.0.0.1:9"))
    assert isinstance(error, (InvalidRequestError, TypeError))
    assert leaks(error, KEY) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"api_keys": {"opnai": KEY}},
        {"api_keys": {"openai": KEY.encode()}},
        {"api_keys": {"openai": KEY}, "timeout": "long"},
        {"api_keys": {"openai": KEY}, "base_urls": {"openai": 5}},
    ],
)
def test_the_error_of_a_wrong_client_does_not_show_its_keys(wrong: dict[str, Any]) -> None:
    """The error of a misspelled provider's name would show all keys."""
    make = functools.partial(AsyncCompletion, **wrong)
    try:
        make()
    except (InvalidRequestError, ConfigurationError) as exc:
        error = exc
    del wrong, make
    assert leaks(error, KEY) == []


CONSTRUCTORS: dict[str, Callable[[str], object]] = {
    "client, unknown keyword": lambda key: AsyncCompletion(api_key=key),  # type: ignore[call-arg]
    "client, invalid value": lambda key: AsyncCompletion(api_keys={"openai": key}, timeout="soon"),  # type: ignore[arg-type]
    "view, unknown keyword": lambda key: AsyncCompletion().with_options(api_key=key, colour=1),  # type: ignore[call-arg]
    "provider, header": lambda key: Provider("acme", "ftp://acme.example", headers={"Authorization": key}),
    "provider, URL": lambda key: Provider("acme", f"https://user:{key}@acme.example"),
    "provider, unknown keyword": lambda key: Provider("acme", "https://acme.example", key=key),  # type: ignore[call-arg]
    "secret": lambda key: Secret(key.encode()),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("make", CONSTRUCTORS.values(), ids=CONSTRUCTORS)
def test_an_error_of_a_constructor_does_not_show_its_arguments(make: Callable[[str], object]) -> None:
    """A crash report of a misspelt argument would contain the key that was passed beside it."""
    with pytest.raises((TypeError, InvalidRequestError)) as caught:
        make(KEY)
    own = caught.value.__traceback__
    while own is not None and own.tb_frame.f_code.co_filename == __file__:
        own = own.tb_next
    report = traceback.TracebackException(type(caught.value), caught.value, own, capture_locals=True)
    assert found(KEY, "".join(report.format())) == []


def test_only_refusals_lose_their_frames() -> None:
    """An unexpected error would be reported without the frame where it was raised."""

    def buggy(kind: type[Exception]) -> None:
        text = PROMPT
        raise kind(f"{len(text)} characters")

    names: dict[type[Exception], list[str]] = {}
    for kind in (InvalidRequestError, UsageError, ValueError, KeyError):
        with pytest.raises(Exception, match="characters") as caught:
            hides_frames(buggy)(kind)
        names[caught.type] = [entry.name for entry in caught.traceback[1:]]
    assert names == {
        InvalidRequestError: ["call"],
        TypeError: ["call"],
        ValueError: ["call", "buggy"],
        KeyError: ["call", "buggy"],
    }


def test_options_show_names_only() -> None:
    """Headers and bodies would be visible in every frame that they pass through."""
    options = OptionValues({"api_key": KEY, "extra_body": {"x": PROMPT}}) | OptionValues({"timeout": 5})
    assert repr(options) == "<api_key, extra_body, timeout>"
    assert repr(OptionValues({})) == "<no options>"
    for dump in DUMPS.values():
        assert found(KEY, dump(options)) + found(PROMPT, dump(options)) == []
    assert found(KEY, reachable(options)) == []
    assert (options["timeout"], options.get("timeout"), options.get("x"), len(options)) == (5, 5, None, 3)
    assert ("timeout" in options, "x" in options, bool(OptionValues({}))) == (True, False, False)
    assert options == OptionValues(options.reveal())
    assert options != options.reveal()
    options.reveal()["timeout"] = 6
    assert options["timeout"] == 5
    with pytest.raises(KeyError):
        options["x"]


def test_masked_values_do_not_pickle() -> None:
    """A queue or a cache would contain the key in plain text."""
    for hidden in (MaskedValue(KEY), Secret(KEY)):
        assert copy.deepcopy([hidden])[0] is hidden
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with pytest.raises(TypeError, match="does not pickle"):
                pickle.dumps(hidden, protocol)
    with pytest.raises(TypeError, match="holds text, not bytes"):
        Secret(KEY.encode())  # type: ignore[arg-type]


# --- logs ----------------------------------------------------------------------------------------------------------

HEADER_MARK, REPLY_MARK = "marked-header-7120 of the answer", "marked-reply-8842 of the model"

CALLS: dict[str, tuple[tuple[Step, ...], Use]] = {
    "a reply": ((REQUEST, answer({"choices": [], "x": REPLY_MARK}, headers={"X-Mark": HEADER_MARK})), ask),
    "a stream": ((REQUEST, *WHOLE[:1], event(REPLY_MARK), *WHOLE[1:]), read),
    "a big request": ((REQUEST, ECHOED), lambda client: client.create("openai/x", PROMPT * 30_000)),
    "a refused key": ((REQUEST, ECHOED), ask),
    "retries": (
        (REQUEST, answer(ECHO, 500, {**ECHO_HEADERS, "Retry-After-Ms": "1"})) * 3,
        lambda client: ask(client, max_retries=2),
    ),
    "a cut stream": ((REQUEST, STREAM, event(REPLY_MARK), END), read),
    "a reset": ((REQUEST, RESET), ask),
    "a caller's timeout": ((REQUEST, HALF, STALL), lambda client: with_timeout(ask(client))),
    "a dropped stream": (
        (REQUEST, STREAM, event(REPLY_MARK), STALL),
        lambda client: client.stream("openai/x", PROMPT).open(),
    ),
    "a fan-out": ((REQUEST, ECHOED), lambda client: ask(client, MODELS["anthropic"], n=3)),
    "a refused request": ((), lambda client: client.create("openai/x", BAD_PART)),
    "a redirect": ((REQUEST, answer(b"", 302, {"Location": f"http://x/{KEY}"})), ask),
}


@pytest.mark.parametrize("call", CALLS)
async def test_no_log_record_shows_a_secret(
    call: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Debug logging, of any library, would write keys and conversations into the logs."""
    caplog.set_level(logging.DEBUG)
    steps, use = CALLS[call]
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0  # so that every callback is logged with its arguments
    events: list[dict[str, Any]] = []
    async with RawServer(steps) as server, client_to(server.url) as client:
        view = client.with_options(verbose=True, logger_fn=events.append, extra_headers={"X-Mark": HEADER_MARK})
        await asyncio.wait([asyncio.ensure_future(use(view))])
        caplog.handler.flush()
    loop.set_debug(False)
    assert {record.name for record in caplog.records} >= {"asyncio"}
    assert any(record.name == "anycompletion" for record in caplog.records) or not server.requests or call == "a reset"
    text = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records) + caplog.text
    for mark in (KEY, PROMPT, HEADER_MARK, REPLY_MARK):
        assert found(mark, text) == []
    assert "authorization" not in text.lower()
    ours = [record.getMessage() for record in caplog.records if record.name == "anycompletion"]
    assert all(message.isprintable() for message in ours)
    assert found(KEY, repr(events)) == []
    assert capfd.readouterr() == ("", "")


CONTROL = ["\n", "\r", "\x1b[2J", "\x9b2J", "\x85", "\u2028", "\u2029", "\x00", "\x7f", "\u202e", "\x08"]


@pytest.mark.parametrize("mark", CONTROL, ids=ascii)
async def test_a_models_name_cannot_forge_log_lines(mark: str, caplog: pytest.LogCaptureFixture) -> None:
    """A model's name from a web form would write lines into the log that look like the application's own."""
    caplog.set_level(logging.DEBUG)
    async with client_to("http://127.0.0.1:9") as client:
        error = (await client.attempt(f"openai/x{mark}ERROR fake", "Hi.")).error
    assert isinstance(error, InvalidRequestError)
    assert error.param == "model"
    assert str(error).isprintable()
    assert "fake" not in caplog.text


@pytest.mark.parametrize("mark", CONTROL, ids=ascii)
async def test_a_providers_error_cannot_forge_log_lines(mark: str) -> None:
    """An error page could forge log lines, or control the terminal in which they are read."""
    words = f"slow down{mark}ERROR fake"
    body = {"error": {"message": words, "code": words, "type": words, "param": words}}
    async with (
        RawServer((REQUEST, answer(body, 400, {"X-Request-Id": "a b"}))) as server,
        client_to(server.url) as client,
    ):
        error = (await client.attempt("openai/x", "Hi.")).error
    assert error is not None
    assert str(error) == f"openai/x: 400 slow down{ascii(mark)[1:-1]}ERROR fake (request a b)"
    assert repr(error).isprintable()
    assert CHANNELS["logging.exception"](error).splitlines()[-1].count("fake") == 1
    assert (error.message, error.code, error.type, error.param) == (words, words, words, words)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 (our own)


@pytest.mark.parametrize("identifier", ["\x1b[31mred", "a\u0085b", "\u202egpj", "r" * 3000])
@pytest.mark.parametrize("where", ["reply", "error in the header", "error in the body"])
async def test_request_ids_are_short_printable_texts(
    identifier: str, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A server could send commands to the terminal on which a log is read, or fill it."""
    caplog.set_level(logging.DEBUG)
    sent = identifier.encode().decode("latin-1")
    if where == "reply":
        response = answer(headers={"X-Request-Id": sent})
    elif where == "error in the header":
        response = answer({"error": {"message": "no"}}, 400, {"X-Request-Id": sent})
    else:
        response = answer({"error": {"message": "no"}, "request_id": identifier}, 400)
    async with RawServer((REQUEST, response)) as server, client_to(server.url) as client:
        result = await client.attempt("openai/x", "Hi.")
        found = result.error.request_id if result.error is not None else result.unwrap().info.request_id
        assert found is not None
        assert found.isprintable()
        assert 2 < len(found) <= 250
        assert identifier not in "".join(repr(vars(record)) for record in caplog.records)


def test_printable_text_of_any_script_is_unchanged() -> None:
    """Errors in other scripts than Latin would be unreadable."""
    for text in ("Zu viele Anfragen – später", "\u9650\u5236", "שלום", "👩\u200d🚀", "tab is a control, \\n is not"):
        assert str(BadRequestError(text)) == text
    assert str(BadRequestError("\ud800 \t")) == "\\ud800 \\t"


# --- servers that repeat the request -------------------------------------------------------------------------------

FORMS: dict[str, Callable[[str], str]] = {
    "unchanged": lambda key: key,
    "twice": lambda key: f"{key} and {key}{key}",
    "prefix": lambda key: f"{key[:20]}...",
    "suffix": lambda key: f"...{key[-20:]}",
    "middle": lambda key: f"...{key[10:30]}...",
    "base64": lambda _: "c2stWnE3bWFya2VkLTAxMjM0NTY3ODlhYmNkZWZnaGlqL0tMTU5PUCs5dGFpbA==",
    "URL-encoded": lambda key: key.replace("/", "%2F").replace("+", "%2B"),
    "with escaped slashes": lambda key: key.replace("/", "\\/"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("where", ["status", "stream"])
async def test_a_key_that_the_server_repeats_is_masked_everywhere(form: str, where: str) -> None:
    """A server that repeats a wrong key in its error would put it into the logs."""
    echo = FORMS[form](KEY)
    error = {"error": {"message": f"no {echo}!", "type": echo, "code": echo, "param": echo}}
    headers = {"X-Request-Id": echo, "WWW-Authenticate": f"Bearer {echo}", f"X-{KEY[:12]}": "x"}
    if where == "status":
        steps: tuple[Step, ...] = (answer(error, 401, headers),)
    else:
        opened = STREAM.replace(b"\r\n\r\n", f"\r\nX-Request-Id: {echo}\r\nX-Echo: {echo}\r\n\r\n".encode())
        steps = (opened, event("Hel"), piece(b"data: " + json.dumps(error).encode() + b"\n\n"), STALL)
    async with RawServer((REQUEST, *steps)) as server, client_to(server.url) as client:
        stream = client.stream("openai/x", PROMPT)
        caught = await raised_by(lambda _: drained(stream), client)
        assert isinstance(caught, CompletionError)
        assert leaks(caught, KEY) == []
        for name in ("message", "code", "type", "param"):
            assert "***" in getattr(caught, name)
        assert caught.message.startswith("no ")
        assert caught.message.endswith("!")
        assert caught.headers is not None
        assert not found(KEY, repr(caught.headers) + repr(stream.info.headers) + str(stream.info.request_id))
        assert caught.request_id is not None
        assert "***" in caught.request_id


ECHOING_OPTIONS: dict[str, dict[str, Any]] = {
    "query": {"extra_query": {"page": KEY}},
    "header": {"extra_headers": {"X-Custom-Gate": KEY}},
    "row": {},
}


@pytest.mark.parametrize("option", ECHOING_OPTIONS)
async def test_other_values_that_the_server_repeats_are_masked(option: str) -> None:
    """A gateway's password, whose name is not that of a credential, would get into the logs."""
    error = {"error": {"message": f"not for {KEY}"}}
    async with RawServer((REQUEST, answer(error, 403, {"X-Echo": KEY}))) as server:
        headers = {"X-Internal": KEY} if option == "row" else {}
        row = Provider("acme", server.url, key_optional=True, headers=headers)
        async with AsyncCompletion(providers=[row]) as client:
            caught = await raised_by(lambda client: ask(client, "acme/x", **ECHOING_OPTIONS[option]), client)
            assert KEY[:30] in repr(server.requests)
            assert leaks(caught, KEY) == []
            assert str(caught) == "acme/x: 403 not for ***"


UNPICKLED: dict[str, Callable[[], AsyncCompletion]] = {
    "header of a row": lambda: AsyncCompletion(
        providers=[Provider("acme", "https://acme.example", headers={"Authorization": f"Bearer {KEY}"})]
    ),
    "header of a row with another name": lambda: AsyncCompletion(
        providers=[Provider("acme", "https://acme.example", headers={"X-Internal": "0123456789abcdef0123456789abcdef"})]
    ),
    "extra_headers": lambda: AsyncCompletion().with_options(extra_headers={"X-Gate": KEY}),
    "extra_query": lambda: AsyncCompletion().with_options(extra_query={"k": KEY}),
    "extra_body": lambda: AsyncCompletion().with_options(extra_body={"tools": [{"authorization": KEY}]}),
    "proxy": lambda: AsyncCompletion(proxy="http://me:hunter2@127.0.0.1"),
    "keys by provider": lambda: AsyncCompletion().with_options(api_key={"openai": KEY}),
}


@pytest.mark.parametrize("where", UNPICKLED)
def test_a_client_with_a_secret_does_not_pickle(where: str) -> None:
    """A secret would be written into a file or a queue."""
    with pytest.raises(TypeError, match="does not pickle"):
        pickle.dumps(UNPICKLED[where]())


@pytest.mark.parametrize("name", ["Authorization", "X-Gate-Token", "X-Internal"])
def test_a_row_with_a_secret_does_not_pickle_by_itself(name: str) -> None:
    """A row that is passed to another process, and not with a client, would have its key written into a queue."""
    row = Provider("acme", "https://acme.example", headers={name: "0123456789abcdef0123456789abcdef"})
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="does not pickle; use key_env"):
            pickle.dumps({"rows": [row]}, protocol)
    assert copy.deepcopy([row]) == [copy.copy(row)] == [row]
    harmless = Provider("acme", "https://acme.example", headers={"X-Title": "our app"})
    assert pickle.loads(pickle.dumps(harmless)) == harmless  # noqa: S301 (our own)


def test_a_client_without_secrets_pickles() -> None:
    """A client for worker processes could have no row or field of its own."""
    row = Provider("acme", "https://acme.example", headers={"X-Version": "2026-01-15-preview", "X-Title": "our app"})
    client = AsyncCompletion(providers=[row]).with_options(
        extra_body={"provider": {"order": ["deepinfra"]}, "guard": "meta-llama/Llama-Guard-4-12B"}
    )
    assert pickle.loads(pickle.dumps(client)).__reduce__()[0] is client.__reduce__()[0]  # noqa: S301 (our own)


@pytest.mark.parametrize("cut", range(2030, 2060, 5))
async def test_a_key_where_a_body_is_truncated_is_masked(cut: int) -> None:
    """The end of a truncated body would show most of the key."""
    page = b"x" * (cut - len(KEY)) + KEY.encode() + b"y" * 100
    async with (
        RawServer((REQUEST, answer(page, 500), REQUEST, answer(page[cut - 220 :], 500))) as server,
        client_to(server.url) as client,
    ):
        for _ in range(2):
            assert leaks(await raised_by(ask, client), KEY) == []


async def test_replies_keep_no_key_in_their_headers() -> None:
    """A gateway that repeats request headers would put the key into all stored replies."""
    async with (
        RawServer((REQUEST, answer(headers=ECHO_HEADERS), REQUEST, answer(headers=ECHO_HEADERS))) as server,
        client_to(server.url) as client,
    ):
        given: list[dict[str, Any]] = [
            {},
            {"extra_headers": {"Authorization": f"Bearer {KEY}"}, "api_key": "sk-another-one"},
        ]
        for options in given:
            reply = await client.create("openai/x", "Hi.", **options)
            assert reply.info.request_id == "***"
            assert reply.info.headers["x-echo"] == "Bearer ***"
            assert found(KEY, reachable(reply)) == []
            assert found(KEY, pickle.dumps(reply).decode("latin-1")) == []


async def test_short_keys_and_common_words_leave_messages_readable() -> None:
    """With a test key such as «x» or «key» most of a message would be masked."""
    body = {"error": {"message": "the api key is wrong, see https://example.com/account/api-keys"}}
    for key in ("x", "key", "api", "sk-proj-aaaaaaaaaaaaaaaaaaaaaaaa"):
        async with (
            RawServer((REQUEST, answer(body, 401))) as server,
            client_to(server.url, api_keys={"openai": key}) as client,
        ):
            error = (await client.attempt("openai/x", "Hi.")).error
            assert error.message == body["error"]["message"]


# --- destinations of a key -----------------------------------------------------------------------------------------


MOVED = list(zip(WAYS, itertools.cycle((301, 302, 303, 307, 308)), strict=False))


@pytest.mark.parametrize(("way", "status"), [*MOVED, *(("text to the client", status) for _, status in MOVED[1:5])])
async def test_redirects_are_not_followed(way: str, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A response could have the key and the prompt sent to another host."""
    model, header, make, options, environment = WAYS[way]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    async with RawServer((REQUEST, answer())) as target:
        moved = answer(b"", status, {"Location": f"{target.url}/v1/{KEY}"})
        async with RawServer((REQUEST, moved)) as server, used(make(server.url)) as client:
            error = await raised_by(lambda client: ask(client, model, **options()), client)
            assert type(error) is APIResponseError
            assert error.status_code == status
            assert server.requests[0].headers[header].endswith(KEY)
        assert target.connections == 0
    assert found(KEY, str(error)) == []


async def test_cookies_are_not_sent_back() -> None:
    """A gateway would confuse two tenants that share a client."""
    cookie = answer(headers={"Set-Cookie": "tenant=a; Path=/"})
    async with RawServer((REQUEST, cookie) * 4) as server, client_to(server.url) as client:
        for key in ("sk-tenant-one", "sk-tenant-two"):
            await client.with_options(api_key=key).create("openai/x", "Hi.")
            await client.create("openai/x", "Hi.", api_key=key)
        assert [request.headers.get("cookie") for request in server.requests] == [None] * 4
        assert [request.headers["authorization"] for request in server.requests] == [
            *["Bearer sk-tenant-one"] * 2,
            *["Bearer sk-tenant-two"] * 2,
        ]


@pytest.mark.parametrize("model", ["openai/x", "anthropic/claude-x"])
async def test_environment_variables_and_netrc_do_not_redirect_requests(
    model: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A proxy variable or a .netrc file would redirect or change requests."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login mallory password netrc-password\n")
    netrc.chmod(0o600)
    async with RawServer((REQUEST, answer(status=500))) as spy, RawServer((REQUEST, failure_response(400))) as server:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "WS_PROXY"):
            monkeypatch.setenv(name, spy.url)
            monkeypatch.setenv(name.lower(), spy.url)
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("no_proxy", "")
        monkeypatch.setenv("NETRC", str(netrc))
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("OPENAI_LOG", "debug")
        monkeypatch.setenv("ANTHROPIC_LOG", "debug")
        async with client_to(server.url) as client:
            assert isinstance(await raised_by(lambda client: ask(client, model), client), BadRequestError)
        assert spy.connections == 0
        headers = server.requests[0].headers
        given = {"authorization": f"Bearer {KEY}"} if model == "openai/x" else {"x-api-key": KEY}
        assert {name: headers.get(name) for name in ("authorization", "x-api-key")} == {
            "authorization": None,
            "x-api-key": None,
            **given,
        }
        assert not any("proxy" in name or "cookie" in name for name in headers)


OTHER_ORIGINS = [
    "https://evil.example/v1",
    "http://127.0.0.1:{port}/v1",
    "https://127.0.0.1:{here}/v1",
    "http://localhost:{here}/v1",
    "http://127.0.0.1.:{here}",
    "http://[::1]:{here}/v1",
    "http://127.0.0.1",
]


@pytest.mark.parametrize("address", OTHER_ORIGINS)
@pytest.mark.parametrize("how", ["constructor", "environment", "view"])
async def test_a_key_goes_to_its_own_origin_only(address: str, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator's key would be sent to a base URL of a caller."""
    async with RawServer((REQUEST, answer())) as other, RawServer((REQUEST, answer())) as server:
        url = address.format(port=other.port, here=server.port)
        client = client_to(server.url, api_keys={"openai": KEY} if how == "constructor" else {})
        if how == "environment":
            monkeypatch.setenv("OPENAI_API_KEY", KEY)
        caller = client.with_options(api_key=KEY) if how == "view" else client
        async with client:
            for call in (ask, read):
                error = await raised_by(functools.partial(call, base_url=url), caller)
                assert isinstance(error, (ConfigurationError, InvalidRequestError))
                assert leaks(error, KEY) == []
            assert other.connections == server.connections == 0
            assert (await caller.create("openai/x", "Hi.", base_url=f"{server.url}/other/path")).text == "Hello."


async def test_the_password_of_a_proxy_is_not_shown() -> None:
    """A crash report would contain the password of the proxy."""
    password = "marked-password-90125"
    proxied = functools.partial(client_to, "http://127.0.0.1:9/v1")
    async with RawServer((REQUEST, answer())) as server:
        async with proxied(proxy=f"http://me:{password}@127.0.0.1:{server.port}") as client:
            assert (await client.create("openai/x", "Hi.")).text == "Hello."
            shown = reachable(client, masked=(MaskedValue, MaskedBytes)) + repr(vars(client_state(client)))
            assert found(password, shown) == []
        login = server.requests[0].headers["proxy-authorization"]
        assert login == "Basic bWU6bWFya2VkLXBhc3N3b3JkLTkwMTI1"
        assert server.requests[0].line == "POST http://127.0.0.1:9/v1/chat/completions HTTP/1.1"
    async with RawServer((REQUEST, STALL)) as server:
        for url in ("http://127.0.0.1:9/v1", "https://127.0.0.1:9/v1"):
            async with client_to(url, proxy=f"http://me:{password}@127.0.0.1:{server.port}") as client:
                error = await raised_by(lambda client: with_timeout(ask(client)), client)
                assert leaks(error, password) == []
        assert server.requests[1].line.startswith("CONNECT 127.0.0.1:9 ")
        assert server.requests[1].headers["proxy-authorization"] == login
    wrong = ("proxy.example:3128", f"socks5://me:{password}@x:1", f"http://me:{password}@[::1", "http://")
    for odd in (*wrong, yarl.URL(f"http://me:{password}@x:1"), f"http://me:{password}@x:1".encode()):
        kind = ConfigurationError if isinstance(odd, str) else InvalidRequestError
        with pytest.raises(kind, match="proxy: expected") as caught:
            proxied(proxy=odd)
        inside = [frame for frame, _ in traceback.walk_tb(caught.tb) if "anycompletion" in frame.f_globals["__name__"]]
        assert inside
        assert found(password, "".join(repr(frame.f_locals) for frame in inside)) == []


# --- malformed keys ------------------------------------------------------------------------------------------------

BAD_KEYS: list[tuple[str, str]] = [
    ("", "is empty"),
    (" \r\n", "is empty"),
    (f"{KEY} {KEY}", "93 characters, one of which is white space"),
    (f"{KEY}\n{KEY}", "93 characters, one of which is white space"),
    (f"{KEY}\r\nX-Evil: 1", "57 characters, one of which is white space"),
    (f"{KEY}\0", "47 characters, one of which is a control character"),
    (f"{KEY}\x1bx", "48 characters, one of which is a control character"),
    (f"{KEY}\x7fx", "48 characters, one of which is a control character"),
    (f"é{KEY}", "47 characters, one of which is not ASCII"),
    (f"{KEY}…", "47 characters, one of which is not ASCII"),
    (f"\u200b{KEY}", "47 characters, one of which is not ASCII"),
    (f"{KEY}\ud800", "47 characters, one of which is not ASCII"),
    (f"{KEY}\xa0{KEY}", "93 characters, one of which is white space"),
    (KEY * 200, "9200 characters, more than 8192"),
    ("None", "is a placeholder"),
    ("null", "is a placeholder"),
    ("YOUR_API_KEY", "is a placeholder"),
]


NOT_IN_ENVIRONMENT = ("\0", "\ud800")
"""Characters that an environment variable cannot contain."""

PASSED = [
    (how, bad)
    for how in ("text", "Secret", "function", "environment")
    for bad, (key, _) in enumerate(BAD_KEYS)
    if how != "environment" or (key and not any(char in key for char in NOT_IN_ENVIRONMENT))
]


@pytest.mark.parametrize(("how", "bad"), PASSED)
async def test_malformed_keys_are_not_sent(bad: int, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A malformed key would be sent to the provider and appear in its error."""
    key, reason = BAD_KEYS[bad]
    keys: dict[str, Any] = {"text": key, "Secret": Secret(key), "function": function_of(key)}
    if how == "environment":
        monkeypatch.setenv("OPENAI_API_KEY", key)
    async with RawServer((REQUEST, answer())) as server, clients("openai")(server.url) as client:
        for method, more in (("create", {}), ("create", {"stream": True}), ("attempt", {})):
            error = await raised_by(ClientCall(method, "openai/x", PROMPT, api_key=keys.get(how), **more), client)
            assert isinstance(error, ConfigurationError)
            assert reason in str(error)
            assert ("OPENAI_API_KEY" in str(error)) == (how == "environment")
            assert leaks(error, KEY) == []
        assert server.connections == 0


def test_the_tables_have_their_minimum_length() -> None:
    """The tables of cases could shrink unnoticed."""
    assert len(KINDS) >= 12
    assert len(CHANNELS) >= 12
