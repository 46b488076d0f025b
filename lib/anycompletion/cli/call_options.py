"""Options that `chat` and `batch` share: parameters as ``name=value``, and the flags of both commands."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any

from cyclopts import Parameter

from .. import CallOptions, CreateParams
from .common import CommandLineError

Option = Annotated[
    tuple[str, ...],
    Parameter(
        ("--option", "-o"),
        negative=(),
        show_default=False,
        help="A parameter as name=value, such as temperature=0 or max_retries=5; the value is JSON, or else text. May "
        "be repeated.",
    ),
]
BaseURL = Annotated[
    str | None,
    Parameter(
        help="The address of the model's provider in place of its own, such as http://localhost:8000/v1 for "
        "vllm/my-model; the provider's key is sent there."
    ),
]
OTHER_FLAGS: Mapping[str, str] = {
    "api_key": "an environment variable such as OPENAI_API_KEY, which no list of processes shows,",
    "base_url": "--base-url",
    "model": "--model",
    "timeout": "--timeout",
}
"""Parameter that `--option` refuses → what is there for it."""

_OF_REQUEST = frozenset(("provider", "extra_body"))
"""Call options that decide what is asked, so that a batch's journal has to know them."""


def parse_options(options: Sequence[str], other_flags: Mapping[str, str]) -> dict[str, Any]:
    """``name=value`` texts as parameters; a value that is not JSON is text.

    Raises:
        CommandLineError: a text has another form, or a name is unknown or in `other_flags`. Values, which may be keys,
            are not shown.
    """
    params: dict[str, Any] = {}
    for option in options:
        name, equals, value = option.partition("=")
        if not equals or not name:
            raise CommandLineError("--option: write name=value, such as temperature=0")  # it may be a key
        if name in other_flags:
            raise CommandLineError(f"--option {name}: use {other_flags[name]} for this")
        if name not in CreateParams.__annotations__:
            close = get_close_matches(name, CreateParams.__annotations__, 3)
            hint = f"did you mean {' or '.join(close)}?" if close else _PROVIDERS_OWN
            raise CommandLineError(f"--option {name}: no such parameter; {hint}")
        params[name] = _parse_value(value)
    return params


_PROVIDERS_OWN = """one that only a provider has goes into -o extra_body='{"top_k": 5}'"""


_IN_JSON = {"True": "true", "False": "false", "None": "null"}
"""Python's word → JSON's; no parameter has such a text."""


def _parse_value(text: str) -> Any:
    try:
        return json.loads(_IN_JSON.get(text, text))
    except ValueError:
        return text


def split_options(params: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters of a request, and options of how it is sent, which do not change what is asked."""
    sending = {name for name in params if name in CallOptions.__annotations__ and name not in _OF_REQUEST}
    return (
        {name: value for name, value in params.items() if name not in sending},
        {name: value for name, value in params.items() if name in sending},
    )
