"""Differences between hosts of Anthropic's models and Anthropic. Contains no provider's data.

Vertex AI's: https://docs.anthropic.com/en/api/claude-on-vertex-ai
"""

from __future__ import annotations

import re

import attrs

from ..base import DialectQuirks, Target


@attrs.frozen(eq=False, repr=False)
class AnthropicQuirks(DialectQuirks):
    """Differences between a server of Anthropic's format and Anthropic; the default has none."""

    body_version: str | None = None
    """The version that the body names as ``anthropic_version``, unless a call has another; there is no header then.
    None: the version is a header."""
    stream_path: str | None = None
    """Path of streams below the base URL, where it differs from that of replies."""
    publisher_models: bool = False
    """Models are listed by Vertex AI, as those of the publisher Anthropic."""


_VERSION = r"/v\d\w*$"

_ANTHROPIC = AnthropicQuirks()
"""The quirks of a target without any: it is Anthropic itself."""


def quirks_of(target: Target) -> AnthropicQuirks:
    """The target's quirks."""
    return target.quirks if isinstance(target.quirks, AnthropicQuirks) else _ANTHROPIC


def published_models_url(target: Target) -> str:
    """The URL of Vertex AI's list of models; only its beta version has one, and it belongs to no project."""
    root, _, _ = target.base_url.partition("/projects/")
    return f"{re.sub(_VERSION, '', root)}/v1beta1/publishers/anthropic/models"
