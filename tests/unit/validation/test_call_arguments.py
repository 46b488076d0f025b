"""Keywords of calls: parameters, options and unknown ones."""

import pytest

from anycompletion import validation
from anycompletion.errors import InvalidRequestError
from anycompletion.options import CallOptions
from anycompletion.records import (
    PARAM_NAMES,
    UserMessage,
)
from anycompletion.validation.call_arguments import split_keywords, unknown_keyword
from support.validated import build

UNKNOWN: list[tuple[str, str]] = [
    ("temprature", "unknown keyword 'temprature'; did you mean 'temperature'?"),
    ("max_token", "unknown keyword 'max_token'; did you mean 'max_tokens'?"),
    ("apikey", "unknown keyword 'apikey'; did you mean 'api_key'?"),
    ("streaming", "unknown keyword 'streaming'; did you mean 'stream'?"),
    ("message", "unknown keyword 'message'; did you mean 'messages'?"),
    ("tool", "unknown keyword 'tool'; did you mean 'tools'?"),
    ("qqqq", "unknown keyword 'qqqq'; a field only the provider has goes into extra_body={...}"),
]


@pytest.mark.parametrize(("name", "text"), UNKNOWN)
def test_unknown_keywords(name: str, text: str) -> None:
    """A misspelt parameter would silently be dropped, or refused without a hint."""
    assert unknown_keyword(name) == text
    with pytest.raises(TypeError) as caught:
        build(**{name: 1})
    assert str(caught.value) == text


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
    with pytest.raises(InvalidRequestError, match=r"^model: expected a string such as 'openai/gpt-4o', found null$"):
        build(model=None, messages="Hi")
