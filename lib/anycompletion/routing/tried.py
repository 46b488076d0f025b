"""What routes report: the targets that a call tried, and the state of each target."""

from __future__ import annotations

from typing import Literal

import attrs
import msgspec

from .._value import FrozenValue
from ..errors import CompletionError


class Tried(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """One visit of a call to a target of its route."""

    target: str
    """Name of the target."""
    provider: str
    """Name of the provider."""
    model: str
    """The provider's own name of the model."""
    error: CompletionError | None
    """The error with which the visit ended; None for the target that answered."""
    elapsed: float
    """Seconds from the begin of the visit to its end; of a stream, to its first content."""
    attempts: int
    """Requests that were made."""
    hedged: bool = False
    """Whether the visit began while another one was under way."""
    maybe_billed: bool = False
    """Whether the provider may have done the work although its reply was not used."""


@attrs.frozen(eq=False, repr=False)
class TargetState(FrozenValue):
    """The state of one target of a route, for health pages."""

    name: str
    """Name of the target."""
    state: Literal["closed", "open", "half_open"]
    """Closed: calls go there. Open: it failed, and calls pass it by. Half open: the next call probes it."""
    retry_in: float | None
    """Seconds until an open target is probed, or until one that refused calls for their rate is asked again."""
    in_flight: int
    """Calls that are under way there; open streams count."""
    latency: float | None
    """Mean of the last calls: seconds to a stream's first content, or seconds per token of a whole reply."""
