"""Fixtures of the tests that check the project's own files."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(request: pytest.FixtureRequest) -> Path:
    """The project's folder, for tests that the whole project passes only once it has the planned layout."""
    request.applymarker(pytest.mark.xfail(strict=False, reason="the package is being moved to this layout"))
    return ROOT
