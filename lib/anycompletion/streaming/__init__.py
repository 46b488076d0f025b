"""Streams: chunk sources, the reply accumulated from chunks, fan-out over several calls, mapped streams."""

from .stream import CompletionStream

__all__ = ["CompletionStream"]
