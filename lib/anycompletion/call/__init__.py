"""One logical call. The only room where the pure half meets the socket."""

from .logical import Call, log
from .plan import KeySource, Known, Plan
from .road import Road
from .source import Source

__all__ = ["Call", "KeySource", "Known", "Plan", "Road", "Source", "log"]
