"""One logical call. The only room where the pure half meets the socket."""

from .logical import Call, KeySource, Known, log
from .source import Source

__all__ = ["Call", "KeySource", "Known", "Source", "log"]
