"""One logical call. The only room where the pure half meets the socket."""

from .limited import LimitedCall, LimitedSource
from .logical import Call
from .plan import USER_AGENT, KeySource, Known, Plan
from .road import Road
from .source import Source, as_chunk

__all__ = [
    "USER_AGENT",
    "Call",
    "KeySource",
    "Known",
    "LimitedCall",
    "LimitedSource",
    "Plan",
    "Road",
    "Source",
    "as_chunk",
]
