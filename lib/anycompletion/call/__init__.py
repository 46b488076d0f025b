"""One logical call. The only room where the pure half meets the socket."""

from .logical import Call
from .plan import USER_AGENT, KeySource, Known, Plan
from .road import Road
from .source import Source, as_chunk

__all__ = [
    "USER_AGENT",
    "Call",
    "KeySource",
    "Known",
    "Plan",
    "Road",
    "Source",
    "as_chunk",
]
