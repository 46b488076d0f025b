"""Fixtures of the tests that check the project's own files."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project() -> Path:
    """The project's folder."""
    return ROOT
