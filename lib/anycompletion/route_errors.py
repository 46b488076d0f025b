"""The error of a call whose targets have all failed; apart from `errors`, which is for all calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .errors import APIError, CompletionError


class AllTargetsFailedError(APIError):
    """A call over a route, or with fallbacks, failed at more than one target, and none of them answered.

    `retryable` is True if that of any error is, `retry_after` is the smallest that is known, and `status_code` and
    `request_id` are those of the first error.
    """

    def __init__(self, message: str = "", *, errors: Sequence[CompletionError] = (), **details: Any) -> None:
        super().__init__(message, **details)
        self.errors: tuple[CompletionError, ...] = tuple(errors)
        """The errors of the visits to the targets, in their order."""
        if not self.errors:
            return
        first, waits = self.errors[0], [each.retry_after for each in self.errors if each.retry_after is not None]
        self.status_code = self.status_code or first.status_code
        self.request_id = self.request_id or first.request_id
        self.retry_after = min(waits, default=None) if self.retry_after is None else self.retry_after
        self.maybe_billed = self.maybe_billed or any(each.maybe_billed for each in self.errors)
        if "retryable" not in details:
            self.retryable = any(each.retryable for each in self.errors)
