"""The package's one logger, and what every record of it carries; says who and how far, never what was asked or told.

A record's text is for people. Its `event`, and what goes with it (`provider`, `model`, `attempt`, `status` …), are
attributes of the record, for handlers that write JSON.
"""

from __future__ import annotations

import logging

log = logging.getLogger("anycompletion")
log.addHandler(logging.NullHandler())  # an app that set up no logging sees nothing on stderr


def observer_failed(observer: str, fault: Exception) -> None:
    """Says at WARNING that an observer failed, which changes nothing for the call.

    Only of what type its error is: it may quote what it was told.
    """
    error = type(fault).__name__
    extra = {"event": "observer_failed", "observer": observer, "error": error}
    log.warning("%s failed with %s", observer, error, extra=extra)
