"""The seam: targets, and the report of an encoder's changes under each policy."""

from __future__ import annotations

import pytest

from anycompletion.dialects.base import Continuation, DialectQuirks, EncodingReport, Prerequisite, Target
from anycompletion.errors import UnsupportedParameterError
from anycompletion.http import HttpRequest


def test_unsupported_parameters_are_refused() -> None:
    """A parameter would be dropped although the caller asked for an error."""
    report = EncodingReport("raise")
    with pytest.raises(UnsupportedParameterError, match=r"^messages\[2\].name: the provider has no names$") as caught:
        report.unsupported("messages[2].name", "the provider has no names")
    assert caught.value.param == "messages[2].name"
    assert report.warnings == []


@pytest.mark.parametrize(("policy", "warnings"), [("warn", ["n dropped: no"]), ("drop", [])])
def test_unsupported_parameters_are_dropped(policy: str, warnings: list[str]) -> None:
    """A caller who chose to drop parameters would get an error or an unwanted warning."""
    report = EncodingReport(policy)  # type: ignore[arg-type]
    report.unsupported("n", "no")
    assert report.warnings == warnings


@pytest.mark.parametrize("policy", ["raise", "warn", "drop"])
def test_changes_are_reported_under_every_policy(policy: str) -> None:
    """A default or a change would have no warning."""
    report = EncodingReport(policy)  # type: ignore[arg-type]
    report.warn("max_tokens defaults to 4096")
    assert report.warnings == ["max_tokens defaults to 4096"]


def test_defaults() -> None:
    """A value that was not set would change the request."""
    target = Target(provider="p", model="m", base_url="https://x")
    assert (target.path, target.api_version, target.stream, target.on_unsupported) == (None, None, False, "raise")
    assert target.quirks == DialectQuirks()
    request = HttpRequest("https://x")
    assert Continuation(request, 1.0).cancel is None
    assert Prerequisite("k", request).key == "k"
