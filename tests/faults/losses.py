"""Connections that are lost before or within a response: the server's scripts, and the errors that callers get."""

import json
from typing import Any

from anycompletion import APIConnectionError
from faults.harness import fault
from support.raw_server import FIN, REQUEST, RESET, completion, head, piece

LOST: dict[str, Any] = {"phase": "headers", "retryable": True, "maybe_billed": True}
LOSSES = (
    fault("F06", "closed at once", (FIN,), APIConnectionError, requests=0, **LOST),
    fault("F06", "reset at once", (RESET,), APIConnectionError, requests=0, **LOST),
    fault("F09", "closed without a byte", (REQUEST, FIN), APIConnectionError, **LOST),
    fault("F09", "reset without a byte", (REQUEST, RESET), APIConnectionError, **LOST),
    fault("F10", "closed in the status line", (REQUEST, b"HTTP/1.1 2", FIN), APIConnectionError, **LOST),
    fault("F10", "reset in the status line", (REQUEST, b"HTTP/1.1 2", 0.01, RESET), APIConnectionError, **LOST),
    fault("F10", "closed in the headers", (REQUEST, b"HTTP/1.1 200 OK\r\nConten", FIN), APIConnectionError, **LOST),
    fault("F10", "reset in the headers", (REQUEST, b"HTTP/1.1 200 OK\r\nX", 0.01, RESET), APIConnectionError, **LOST),
)
"""Connections lost before a response."""

_CHUNKED = head(200, {"Content-Type": "application/json", "Transfer-Encoding": "chunked"})
_WHOLE = piece(json.dumps(completion()).encode())
_SIZED = head(200, {"Content-Type": "application/json", "Content-Length": "500"})
LOST_IN_BODY: dict[str, Any] = {"phase": "body", "status_code": 200, "retryable": True, "maybe_billed": True}
CUTS = (
    fault("F18", "closed in a chunk", (REQUEST, _CHUNKED, piece(b"{"), FIN), APIConnectionError, **LOST_IN_BODY),
    fault("F18", "reset in a chunk", (REQUEST, _CHUNKED, piece(b"{"), 0.02, RESET), APIConnectionError, **LOST_IN_BODY),
    fault(
        "F18",
        "closed before the last chunk",
        (REQUEST, _CHUNKED, _WHOLE, FIN),
        APIConnectionError,
        **LOST_IN_BODY,
    ),
    fault("F18", "shorter than announced", (REQUEST, _SIZED, b"{", FIN), APIConnectionError, **LOST_IN_BODY),
    fault("F18", "reset before the end", (REQUEST, _SIZED, b"{", 0.02, RESET), APIConnectionError, **LOST_IN_BODY),
)
"""Connections lost within a response."""
