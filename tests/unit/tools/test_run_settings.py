"""Tests of the settings of a run: defaults, and values whose None is no absence."""

from __future__ import annotations

import pytest

from anycompletion import InvalidRequestError
from anycompletion.tools.run_settings import SETTING_NAMES, RunSettings, checked_settings


def test_none_is_absence_but_for_limits_that_can_be_off() -> None:
    """A wrapper that passes None on would switch limits off, or a caller could not switch one off."""
    settings = checked_settings(dict.fromkeys(SETTING_NAMES))
    assert settings.tool_timeout is None
    assert (settings.max_turns, settings.concurrency, settings.max_result_chars) == (10, 8, 200_000)
    assert (settings.on_tool_error, settings.deadline, settings.final_answer) == ("report", None, False)


def test_the_repr_has_no_context() -> None:
    """A secret in the context of tools would be in logs and tracebacks with locals."""
    assert "s3cr3t" not in repr(RunSettings(context="s3cr3t"))


@pytest.mark.parametrize("name", sorted(SETTING_NAMES - {"context"}))
def test_the_error_of_a_wrong_value_does_not_show_it(name: str) -> None:
    """A value that was passed to the wrong keyword, such as a key, would be in the error."""
    with pytest.raises(InvalidRequestError) as caught:
        checked_settings({name: ["s3cr3t"]})
    assert caught.value.param == name
    assert "s3cr3t" not in str(caught.value)
