"""Values that cannot be serialized are found and named."""

from typing import Any

import pytest

from anycompletion.codecs.json import dumps
from anycompletion.records import (
    UserMessage,
)
from anycompletion.validation import unserializable_error
from support.bad_input import (
    tool,
    user,
)
from support.validated import body_of, build

SURROGATES: list[tuple[dict[str, Any], str]] = [
    ({"messages": "\ud800"}, "messages[0].content"),
    ({"messages": [UserMessage("x"), UserMessage("a\udfffb")]}, "messages[1].content"),
    ({"messages": user([{"type": "text", "text": "\ud800"}])}, "messages[0].content[0].text"),
    ({"messages": [{"role": "\ud800"}]}, "messages[0].role"),
    ({"messages": [{"role": "user", "content": "x", "y": {"z": ["", "\ud800"]}}]}, "messages[0].y.z[1]"),
    ({"messages": [{"role": "user", "content": "x", "\ud800": 1}]}, "messages[0]"),
    ({"metadata": {"a": "\ud800"}}, "metadata.a"),
    ({"metadata": {"a": {"\ud800": 1}}}, "metadata.a"),
    ({"stop": ["a", "\ud800"]}, "stop[1]"),
    ({"user": "\ud800"}, "user"),
    ({"tools": tool(name="f", description="\ud800")}, "tools[0].function.description"),
]


@pytest.mark.parametrize(("params", "place"), SURROGATES)
def test_lone_surrogates_are_named(params: dict[str, Any], place: str) -> None:
    """A text that was cut inside a character would raise a UnicodeEncodeError without a place."""
    made = build(**params)
    with pytest.raises(UnicodeEncodeError):
        dumps(body_of(made))
    error = unserializable_error(made)
    assert error.param == place
    assert str(error) == f"{place}: contains a lone surrogate, which UTF-8 cannot encode"


def test_other_serialization_errors_are_named() -> None:
    """A value that cannot be serialized would be reported as an error of the messages."""
    made = build(seed=1)
    made.metadata = {"a": object()}  # type: ignore[dict-item]
    assert unserializable_error(made).param == "metadata"
    assert str(unserializable_error(made)) == "metadata: is not JSON-serializable"
    assert unserializable_error(build()).param == "messages"
