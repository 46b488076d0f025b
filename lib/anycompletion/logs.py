"""The package's logger. Log records contain neither prompts nor replies nor keys.

A record's text is for people. Its `event` and the details (`provider`, `model`, `attempt`, `status` …) are attributes
of the record, for handlers that write JSON.
"""

from __future__ import annotations

import logging

log = logging.getLogger("anycompletion")
log.addHandler(logging.NullHandler())  # without this, warnings of an app that configures no logging go to stderr


def observer_failed(observer: str, exc: Exception) -> None:
    """Logs at WARNING that an observer failed, which does not affect the call.

    Logs the type of the error only, because its text may quote a prompt or reply.
    """
    error = type(exc).__name__
    extra = {"event": "observer_failed", "observer": observer, "error": error}
    log.warning("%s failed with %s", observer, error, extra=extra)
