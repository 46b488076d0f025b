"""Requests: OpenAI's JSON and back, pickles, copies, and reprs without prompts."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from anycompletion.options import CallOptions, TargetOptions
from anycompletion.records import PARAM_NAMES, ChatRequest, UserMessage
from anycompletion.records.call_params import CreateParams, Params
from anycompletion.records.results import Result

REQUEST: dict[str, Any] = {
    "model": "gpt-4o",
    "messages": [{"role": "user", "content": "Hi", "x": None}],
    "temperature": 0.5,
    "n": 2,
    "logit_bias": {"5": 1},
    "tools": [{"type": "function", "function": {"name": "f"}}],
    "top_k": 5,
    "provider_thing": {"a": [1]},
}


def test_request_round_trip():
    """A line of a batch file would be sent with other content."""
    request = ChatRequest.from_dict(REQUEST | {"stream": True}, custom_id="row-1")
    assert request.to_dict() == REQUEST
    assert request.extra_body == {"top_k": 5, "provider_thing": {"a": [1]}}
    assert request.custom_id == "row-1"
    assert ChatRequest.from_dict({"model": "m", "messages": "x"}).extra_body is None


def test_a_text_is_one_user_message():
    """The body of a request with a text would not be in OpenAI's format."""
    body = ChatRequest("m", "Hi", temperature=0, custom_id="c").to_dict()
    assert body == {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0}


def test_a_request_pickles_and_copies():
    """A request could not be sent to another process."""
    request = ChatRequest(
        "m", [UserMessage("Hi"), {"role": "user", "content": "x"}], extra_body={"a": 1}, custom_id="1"
    )
    for copied in (pickle.loads(pickle.dumps(request)), copy.deepcopy(request)):  # noqa: S301
        assert copied == request
        assert copied.custom_id == "1"


@pytest.mark.parametrize("messages", ["my secret prompt", [UserMessage("my secret prompt")]])
def test_the_repr_of_a_request_contains_no_prompt(messages: Any):
    """A prompt would be in logs of requests and in tracebacks with locals."""
    request = ChatRequest("m", messages, user="my secret user", temperature=0, extra_body={"x": "my secret field"})
    assert repr(request) in (
        "<ChatRequest 'm': text, temperature, user>",
        "<ChatRequest 'm': 1 messages, temperature, user>",
    )
    assert "secret" not in repr(Result(request=request))
    assert "secret" not in f"{request}"


def test_parameters_and_options_are_disjoint():
    """A request would contain options, keys included, or a parameter would never be sent."""
    assert set(Params.__annotations__) == set(PARAM_NAMES)
    assert not set(Params.__annotations__) & set(CallOptions.__annotations__)
    assert set(CreateParams.__annotations__) == {*Params.__annotations__, *CallOptions.__annotations__}
    assert set(TargetOptions.__annotations__) < set(CallOptions.__annotations__)
    assert not CreateParams.__required_keys__
