"""What the tests of recorded traffic need to know of a format; each module of `formats` has it for one."""

import importlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

import attrs
import pytest

from anycompletion import ChatCompletion
from anycompletion.testing import Recording
from conformance.comparing import Facts

Differences = dict[str, tuple[Any, Any]]
"""Path → both values."""


class RecordedAsCall(NamedTuple):
    """A recorded request, turned back into a call."""

    call: dict[str, Any]
    """Keyword arguments of `create` in OpenAI's format, without the model."""
    body: Any
    """The body that must be sent for it: the recorded one, but for what is permitted to differ."""


class SDKError(Exception):
    """An error that an SDK raised, as the values that it has."""

    def __init__(self, found: Facts) -> None:
        super().__init__("error")
        self.facts = found


def module(name: str) -> Any:
    """A module of an SDK; the test is skipped where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return pytest.skip(f"{name.partition('.')[0]} is not installed: pip install '.[conformance]'")


def has_error(data: Mapping[str, Any]) -> bool:
    """Whether the JSON of a good status, or of an event, is an error, as most formats show it."""
    return bool(data.get("error")) or data.get("type") == "error"


def all_differences(found: Differences) -> Differences:
    """The differences as they are."""
    return found


@attrs.frozen(kw_only=True)
class RecordedFormat:
    """One format: its recordings, its events and its oracle."""

    apis: tuple[str, ...]
    """The recordings' names of its API."""
    takes: Callable[[Recording], bool] = lambda recording: True
    """Whether a recording of this API has the format, where an API has several."""
    recorded: int
    """Number of its recordings in the folder that `expected.KNOWN_INDEX` names."""
    row: str
    """The row of the provider that defines the format, for recordings of providers without a row of it."""
    one_response: bool = True
    """Whether one request has one response; other formats have tests of their own."""
    ends: Callable[[Mapping[str, Any]], Sequence[int]]
    """The choices that an event ends."""
    has_content: Callable[[Mapping[str, Any]], bool]
    """Whether an event has a part of the reply, or a finish reason."""
    is_error: Callable[[Mapping[str, Any]], bool] = has_error
    """Whether the JSON of a good status, or of an event, is an error."""
    of_ours: Callable[[ChatCompletion], Facts] = ChatCompletion.to_dict
    """A reply of this package as the values that the oracle has."""
    oracle: Callable[[str, Recording], Awaitable[Facts]] | None = None
    """The values that the provider's own SDK reads at a URL from a recording; raises `SDKError`. None for the formats
    whose SDK is kept open for all recordings."""
    as_call: Callable[[Recording], RecordedAsCall | None] | None = None
    """A recorded request as a call; None for a request that OpenAI's format cannot express. Recorded requests in
    OpenAI's own format need no conversion."""
    by_rule: Callable[[Differences], Differences] = all_differences
    """The differences that no rule of the format permits."""
