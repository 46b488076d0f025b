"""Keywords of calls: parameters, options and unknown ones."""

import inspect
import re
import traceback
from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from anycompletion import AsyncCompletion, validation
from anycompletion.errors import InvalidRequestError
from anycompletion.options import CallOptions, Timeout
from anycompletion.records import (
    PARAM_NAMES,
    UserMessage,
)
from anycompletion.validation import keyword_hints
from anycompletion.validation.call_arguments import split_keywords, unknown_keyword
from support.validated import build

UNKNOWN: list[tuple[str, str]] = [
    ("temprature", "unknown keyword 'temprature'; did you mean 'temperature'?"),
    ("max_token", "unknown keyword 'max_token'; did you mean 'max_tokens'?"),
    ("apikey", "unknown keyword 'apikey'; did you mean 'api_key'?"),
    ("streaming", "unknown keyword 'streaming'; did you mean 'stream'?"),
    ("message", "unknown keyword 'message'; did you mean 'messages'?"),
    ("tool", "unknown keyword 'tool'; did you mean 'tools'?"),
    ("api_base", "unknown keyword 'api_base'; write base_url=..., and api_key=... for it"),
    ("system", "unknown keyword 'system'; write it as the first message: {'role': 'system', 'content': ...}"),
    ("top_k", "unknown keyword 'top_k'; only some providers have it: write extra_body={'top_k': ...}"),
    ("stop_sequences", "unknown keyword 'stop_sequences'; write stop=[...]"),
    ("stream_timeout", "unknown keyword 'stream_timeout'; write timeout=Timeout(first_chunk=..., idle=...)"),
    ("qqqq", "unknown keyword 'qqqq'; a field only the provider has goes into extra_body={...}"),
]


@pytest.mark.parametrize(("name", "text"), UNKNOWN)
def test_unknown_keywords(name: str, text: str) -> None:
    """A misspelt parameter would silently be dropped, or refused without a hint."""
    assert unknown_keyword(name) == text
    with pytest.raises(TypeError) as caught:
        build(**{name: 1})
    assert str(caught.value) == text


PEERS = (
    *(
        "api_base",
        "drop_params",
        "mock_response",
        "caching",
        "model_list",
        "custom_llm_provider",
        "headers",
    ),
    *(
        "num_retries",
        "stream_timeout",
        "request_timeout",
        "context_window_fallbacks",
        "success_callback",
        "deployment_id",
    ),
    *("input_cost_per_token", "base_model", "azure_ad_token", "default_headers", "default_query", "http_client"),
    *(
        "litellm_call_id",
        "no-log",
        "context_window_fallback_dict",
        "vertex_project",
        "vertex_credentials",
        "allowed_openai_params",
    ),
    *("system", "top_k", "stop_sequences", "betas", "max_tokens_to_sample", "response_model", "validation_context"),
)
"""Keywords of LiteLLM, openai-python, Anthropic's SDK and instructor that are none of ours."""


@pytest.mark.parametrize("name", PEERS)
def test_a_keyword_of_another_sdk_is_answered_with_what_to_write_here(name: str) -> None:
    """Edit distance would name an option of another meaning: a URL would go out as the key."""
    text = unknown_keyword(name)
    assert "did you mean" not in text
    assert "a field only the provider has" not in text


@pytest.mark.parametrize("table", [keyword_hints._OF_CALLS, keyword_hints._OF_CLIENTS], ids=["calls", "clients"])
def test_hints_have_no_known_names_and_name_only_what_exists(table: Mapping[str, str]) -> None:
    """A hint would never be shown, or lead to another TypeError."""
    of_calls = {*PARAM_NAMES, *CallOptions.__annotations__, "messages", "model"}
    of_clients = set(inspect.signature(AsyncCompletion).parameters)
    known = of_calls if table is keyword_hints._OF_CALLS else of_clients
    assert not known & table.keys()
    for text in table.values():
        written = set(re.findall(r"(?<![\w.(])(\w+)=", text))
        assert written <= of_calls | of_clients | {a.name for a in attrs.fields(Timeout)} | {"concurrency"}, text


CLIENT_ARGUMENTS = {
    "api_key": "api_keys={'openai': ...}",
    "base_url": "base_urls={'openai': ...}",
    "default_headers": "with_options(extra_headers={...})",
    "http_client": "session=",
    "verify": "ssl_context=",
    "num_retries": "max_retries=",
    "drop_params": "on_unsupported='drop'",
    "azure_ad_token_provider": "api_keys={'azure': BearerToken",
    "temperature": "pass temperature= to the call",
    "organization": "write AsyncCompletion(...).with_options(organization=...)",
    "time_out": "did you mean 'timeout'?",
    "x" * 1000: "of 1000 characters",
    "qqqq": "help(AsyncCompletion)",
}


@pytest.mark.parametrize("name", CLIENT_ARGUMENTS)
def test_an_unknown_argument_of_a_client_is_answered_with_what_to_write(name: str) -> None:
    """A program written for another SDK would get Python's bare error, without a way out."""
    with pytest.raises(TypeError) as caught:
        AsyncCompletion(**{name: "sk-secret"})
    assert CLIENT_ARGUMENTS[name] in str(caught.value)
    assert len(str(caught.value)) < 300
    frames = [frame.f_locals for frame, _ in traceback.walk_tb(caught.tb) if frame.f_code.co_filename != __file__]
    assert frames
    assert "sk-secret" not in repr(frames)


@pytest.mark.parametrize(
    ("tool", "text"),
    [
        ({"name": "f", "input_schema": {}}, "<input_schema>"),
        ({"name": "f", "description": "d", "parameters": {}, "type": "function"}, "<parameters>"),
        ({"name": "f"}, r"is missing$"),
        ({}, r"is missing$"),
    ],
)
def test_a_tool_in_the_form_of_another_api_is_answered_with_openais(tool: dict[str, Any], text: str) -> None:
    """The refusal of a tool in Anthropic's form would not tell what to change."""
    with pytest.raises(InvalidRequestError, match=text) as caught:
        build(tools=[tool])
    assert caught.value.param == "tools[0].function"


def test_keywords_are_split_into_parameters_and_options() -> None:
    """A parameter would be treated as an option, and not be sent."""
    params, options = split_keywords({"temperature": 0, "timeout": 5, "n": None, "provider": None, "store": False})
    assert params == {"temperature": 0, "store": False}
    assert options == {"timeout": 5}


def test_every_parameter_and_option_has_a_check() -> None:
    """A documented parameter would be an unknown keyword."""
    for name in PARAM_NAMES:
        assert split_keywords({name: 1}) == ({name: 1}, {})
    for name in CallOptions.__annotations__:
        assert split_keywords({name: 1}) == ({}, {name: 1})
    assert all(hasattr(validation, name) for name in validation.__all__)


def test_swapped_positionals() -> None:
    """A caller who passes the messages first would get an error about the model's type."""
    for messages in ([{"role": "user", "content": "x"}], [UserMessage("x")], ()):
        with pytest.raises(TypeError, match="model comes first"):
            build(model=messages, messages="gpt-4o")
    with pytest.raises(InvalidRequestError, match=r"^model: expected a string such as 'openai/gpt-4o', found None$"):
        build(model=None, messages="Hi")
