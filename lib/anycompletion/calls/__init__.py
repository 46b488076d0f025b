"""One logical call. The only room where the pure half meets the socket."""

from .call import Call
from .chunk_source import CallChunks, as_chunk
from .endpoint_state import EndpointState
from .plan import USER_AGENT, CallPlan, DialectCache, KeySource

__all__ = [
    "USER_AGENT",
    "Call",
    "CallPlan",
    "EndpointState",
    "DialectCache",
    "CallChunks",
    "KeySource",
    "as_chunk",
]
