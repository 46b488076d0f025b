"""Streams: `CompletionStream`, the accumulator of its chunks, fan-out over several calls, mapped streams."""

from .stream import CompletionStream

__all__ = ["CompletionStream"]
