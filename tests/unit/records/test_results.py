"""Results: a completion or an error as a value."""

from __future__ import annotations

import pickle

import pytest

from anycompletion.errors import APIConnectionError, CompletionError
from anycompletion.records import ChatCompletion
from anycompletion.records.results import Result


def test_results():
    """A batch's results could not be distinguished or unwrapped."""
    reply, error = ChatCompletion("i", [], "m"), APIConnectionError("lost")
    assert Result(completion=reply).ok
    assert Result(completion=reply).unwrap() is reply
    assert not Result(error=error).ok
    with pytest.raises(APIConnectionError, match="lost"):
        Result(error=error).unwrap()
    with pytest.raises(CompletionError, match="empty"):
        Result().unwrap()
    copied = pickle.loads(pickle.dumps(Result(error=error, custom_id="row-1")))  # noqa: S301
    assert (copied.custom_id, str(copied.error)) == ("row-1", "lost")
