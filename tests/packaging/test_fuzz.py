"""Tests of fuzzing in a short form, and that it finds failures; ``python -m benchmarks.fuzz`` is the long form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from benchmarks.fuzz import endpoint
from benchmarks.fuzz import fuzzer as fuzz
from benchmarks.fuzz.endpoint import ENDPOINT, REFUSALS
from benchmarks.fuzz.fuzzer import FORMATS, SUBJECTS
from benchmarks.fuzz.http1 import HTTP1, SentResponse, read_response
from benchmarks.fuzz.subject import Subject, ViolationError

INPUTS = 300
"""Number of inputs per target."""

ID = (b"x-request-id", endpoint.REQUEST_ID.encode())
SSE = [ID, (b"content-type", b"text/event-stream")]
START = {"type": "http.response.start", "status": 200, "headers": [ID, (b"content-type", b"application/json")]}
BODY = {"type": "http.response.body", "body": b'{"choices": [{}]}'}
"""Messages of an application."""


@pytest.mark.parametrize("name", SUBJECTS)
def test_no_response_raises_an_unexpected_exception(name: str) -> None:
    """Some bytes would raise an exception that is not ours, be read differently in pieces, or block the event loop."""
    outcome = fuzz.run(1, name, SUBJECTS[name], range(INPUTS))
    assert outcome.inputs == INPUTS
    assert not outcome.failures, "\n".join(fuzz.table({name: outcome}, 1))


@pytest.mark.parametrize("name", FORMATS)
def test_inputs_include_valid_and_invalid_ones(name: str) -> None:
    """Inputs that all fail at the first byte, or none of which fails, would test nothing."""
    form = FORMATS[name]
    ends: Counter[str] = Counter()
    for number in range(200):
        given = fuzz.make_input(1, name, SUBJECTS[f"{name}.stream"], number)
        ends[form.end(given)] += 1
    assert ends["ok"] > 20
    assert ends["APIResponseError"] + ends["InternalServerError"] > 20
    assert len(ends) > 4


async def test_requests_to_the_endpoint_include_accepted_and_refused_ones() -> None:
    """Requests that are all refused at the first byte, or none of which is, would test nothing."""
    responses = [await endpoint.response_to(fuzz.make_input(1, "endpoint", ENDPOINT, number)) for number in range(150)]
    counts = Counter(response.status for response in responses)
    assert counts[200] > 15
    assert counts[400] > 15
    assert counts.keys() <= {200, *REFUSALS}


# --- the fuzzer itself ---------------------------------------------------------------------------------------------


def make_number(rng: Random) -> int:
    return rng.randrange(10)


def check_key_error(given: int) -> None:
    if given == 7:
        raise KeyError("choices")


def check_wait(given: int) -> None:
    fuzz.check_wait(float("nan") if given == 7 else 0.0)


@pytest.mark.parametrize("check", [check_key_error, check_wait])
def test_failures_are_found_and_reproducible(check: Callable[[int], None]) -> None:
    """A failing check would not be reported, or its input could not be reproduced."""
    subject = Subject(make_number, check)
    outcome = fuzz.run(3, "x", subject, range(100))
    wrong = [number for number in range(100) if fuzz.make_input(3, "x", subject, number) == 7]
    assert sorted(outcome.failures) == wrong
    assert fuzz.run(3, "x", subject, wrong[:1]).failures
    shown = "\n".join(fuzz.table({"framing": outcome}, 3))
    assert f"--seed 3 --target 'framing' --only {wrong[0]}\n" in shown
    assert "\n    7" in shown


FAULTS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "no end": ([START, {**BODY, "more_body": True}], "the response has no end"),
    "two ends": ([START, BODY, BODY], "a message after the end"),
    "a failure": ([{**START, "status": 502}, BODY], "status 502"),
    "the key": ([START, {**BODY, "body": endpoint.KEY.encode()}], "the service's key"),
    "no request id": ([{**START, "headers": []}, BODY], "the request id"),
    "half a stream": ([{**START, "headers": SSE}, {**BODY, "body": b"data: {}\n\n"}], "without its end"),
    "another error": ([{**START, "status": 400}, {**BODY, "body": b'{"error": {}}'}], "not an error of OpenAI's form"),
}
"""Case → messages of a faulty application, and what is reported of them."""


@pytest.mark.parametrize("case", FAULTS)
def test_faults_of_the_endpoint_are_found(case: str) -> None:
    """A faulty response of the endpoint would pass."""
    messages, text = FAULTS[case]
    with pytest.raises(ViolationError, match=text):
        endpoint.check_response(endpoint.EndpointResponse.of(messages), endpoint.REQUEST_ID)


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nHi"

RESPONSES: dict[str, tuple[SentResponse, str]] = {
    "another body": (SentResponse(OK, [OK], b"Ho", damaged=False), "another body: b'Hi'"),
    "no error": (SentResponse(OK, [OK], None, damaged=False), "another body: b'Hi'"),
    "another body in pieces": (SentResponse(OK, [OK[:-1], b"o"], b"Hi", damaged=True), "another body in pieces: b'Ho'"),
    "an error in pieces": (SentResponse(OK, [OK[:-1]], b"Hi", damaged=True), "another body in pieces: None"),
}
"""Case → a response that is not read as expected, and what is reported of it."""


@pytest.mark.parametrize("case", RESPONSES)
def test_faults_of_http_are_found(case: str) -> None:
    """A body that is read otherwise than it was sent would pass."""
    response, text = RESPONSES[case]
    with pytest.raises(ViolationError, match=text):
        HTTP1.check(response)


async def test_http_responses_include_intact_and_damaged_ones() -> None:
    """Responses that are all errors, or none of which is, would test nothing."""
    responses = [fuzz.make_input(1, "http", HTTP1, number) for number in range(600)]
    bodies = [await read_response(response.pieces) for response in responses]
    counts = Counter((response.damaged, body is None) for response, body in zip(responses, bodies, strict=True))
    assert min(counts.values()) > 15
    assert len(counts) == 4


@pytest.mark.parametrize("name", SUBJECTS)
def test_the_same_seed_makes_the_same_inputs(name: str) -> None:
    """A failure in CI could not be reproduced."""
    first, second = (fuzz.shown(fuzz.make_input(5, name, SUBJECTS[name], 5)) for _ in range(2))
    assert first == second != fuzz.shown(fuzz.make_input(6, name, SUBJECTS[name], 5))


def test_quadratic_growth_is_found() -> None:
    """A list that is copied for every event would count as linear."""
    assert fuzz.steepness(lambda times: times * 1e-5) is None
    assert fuzz.steepness(lambda times: times * 1e-5 + times**2 * 1e-9) is not None
    assert fuzz.steepness(lambda times: times**2 * 1e-12) is None  # too short to compare


def test_the_command_line_prints_its_results(capsys: pytest.CaptureFixture[str]) -> None:
    """The command line would fail, or not report its inputs."""
    assert fuzz.main(["--target", "framing", "--only", "3"]) == 0
    assert "1 inputs, seed 1" in capsys.readouterr().out
