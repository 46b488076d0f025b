"""Values of attributes of spans, out of what a server or an exception has; without texts that may quote a prompt."""

from __future__ import annotations

from .. import CompletionError, InvalidRequestError
from ..errors import printable

_MAX_TEXT = 200
"""Characters of a server's text that become an attribute."""


def shown(text: str | None) -> str | None:
    """A short text of a server, as an attribute: backends refuse long ones, and show control characters as they are."""
    return printable(text[:_MAX_TEXT]) if text else None


def error_type(error: BaseException) -> str:
    """The qualified name of an error's class, as it is imported by users."""
    name = type(error).__name__
    if isinstance(error, CompletionError):
        return f"anycompletion.{name}"
    module = type(error).__module__
    if module.startswith("anycompletion."):
        module = ".".join(module.split(".")[:2])  # a public sub-package
    return name if module == "builtins" else f"{module}.{name}"


def description(error: BaseException) -> str:
    """A text about an error without its message, which may quote the prompt or the reply."""
    parts = [type(error).__name__]
    if isinstance(error, CompletionError):
        # A provider's `param` may quote the request; ours names a place in it.
        own = ("param",) if isinstance(error, InvalidRequestError) else ()
        for name in ("status_code", "phase", *own, "request_id"):
            value = getattr(error, name)
            if value is not None:
                parts.append(f"{name}={value}")
    return " ".join(parts)
