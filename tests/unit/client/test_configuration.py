"""Tests of the checks of a client's arguments."""

from __future__ import annotations

from typing import Any

import pytest

from anycompletion import InvalidRequestError, RateLimit
from anycompletion.client.configuration import checked_limits


def test_the_types_of_limits_are_checked() -> None:
    """A wrong type would raise an AttributeError in the first call."""
    limit: Any
    for limit in (60, None, {"requests_per_minute": 60}):
        with pytest.raises(InvalidRequestError, match=r"limits\['openai'\]: expected a RateLimit"):
            checked_limits({"openai": limit})
    wrong: Any
    values: list[Any] = [[], "openai", {3: RateLimit()}]
    for wrong in values:
        with pytest.raises(InvalidRequestError, match="limits: expected"):
            checked_limits(wrong)
