"""Which family of models a Bedrock model id belongs to: the vendor, and the part of the id that follows it.

https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

CLAUDE, AMAZON, OPENAI, MISTRAL = "anthropic", "amazon", "openai", "mistral"
"""Vendors whose models differ in what they take."""

_REGIONS = ("us", "eu", "apac", "jp", "au", "ca", "global", "us-gov")
"""Prefixes of inference profiles, which say where the model may run."""

_NAMED_ARNS = ("foundation-model/", "inference-profile/")
"""Kinds of ARNs that end in a model's id; the others hide it."""


class BedrockModelFamily(NamedTuple):
    """Vendor and name of a model; empty where the id does not show them."""

    vendor: str
    name: str

    @property
    def is_visible(self) -> bool:
        """Whether the id shows the model; an ARN of one's own profile, prompt or deployment does not."""
        return bool(self.vendor)

    @property
    def may_be_claude(self) -> bool:
        """Whether the model is one of Anthropic's, or may be one."""
        return self.vendor in ("", CLAUDE)


@functools.lru_cache(256)
def model_family(model: str) -> BedrockModelFamily:
    """The family of a model id, an inference profile or an ARN."""
    if model.startswith("arn:"):
        resource = model.split(":", 5)[-1]
        if not resource.startswith(_NAMED_ARNS):
            return BedrockModelFamily("", "")
        model = resource.partition("/")[2]
    vendor, dot, name = model.partition(".")
    if vendor in _REGIONS:
        vendor, dot, name = name.partition(".")
    is_model = dot and re.fullmatch("[a-z0-9]+", vendor)
    return BedrockModelFamily(vendor, name) if is_model else BedrockModelFamily("", "")
