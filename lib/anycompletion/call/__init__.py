"""One logical call. The only room where the pure half meets the socket."""

from .logical import Call, KeySource, Known, log
from .road import Road
from .source import Source

__all__ = ["Call", "KeySource", "Known", "Road", "Source", "log"]
