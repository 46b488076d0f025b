"""Differences between the two Google services that speak this format. Contains no address.

https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from ...params import ParamSupport, ParamTable
from ..base import DialectQuirks, Target

SERVICE_TIERS: Mapping[str, str | None] = {
    "auto": None,
    "default": "standard",
    "standard": "standard",
    "flex": "flex",
    "priority": "priority",
}
"""OpenAI's value, or Gemini's own → Gemini's value; None is its default."""


@attrs.frozen(eq=False, repr=False)
class GeminiQuirks(DialectQuirks):
    """Differences between the Gemini API, which the default stands for, and Vertex AI."""

    vertex: bool = False
    """The server is Vertex AI: it has labels, another default version, and signatures of its own."""

    @property
    def backend(self) -> str:
        """The name under which Google's own chat format has the signatures of this service."""
        return "vertex" if self.vertex else "google"

    @property
    def tier_header(self) -> str:
        """The header for the service tier, which Vertex AI does not read from the body; "" for the body."""
        return "X-Vertex-AI-LLM-Shared-Request-Type" if self.vertex else ""

    def param_support(self) -> ParamTable:
        """Parameter support that differs from the dialect's."""
        if not self.vertex:
            return {}
        tier = ParamSupport("mapped", values=tuple(SERVICE_TIERS), note="a header")
        return {"metadata": ParamSupport("mapped", note="labels"), "service_tier": tier}


_GEMINI_API = GeminiQuirks()


def quirks_of(target: Target) -> GeminiQuirks:
    """The target's quirks; those of the Gemini API for a target without any."""
    return target.quirks if isinstance(target.quirks, GeminiQuirks) else _GEMINI_API
