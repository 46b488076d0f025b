"""The errors of calls whose targets have all failed, or none of which could be visited."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from ..errors import APIConnectionError, APIError, CompletionError, RateLimitError, printable
from ..records.reply_info import Tried
from ..retry_policy import is_load_refusal
from ..route_errors import AllTargetsFailedError
from .flat_route import FlatRoute
from .planned import PlannedRoute
from .visit import Visit


def all_failed(route: FlatRoute, tried: Sequence[Tried], retry_after: float | None) -> CompletionError:
    """The error of a call that has tried these targets: the error itself where it was one target."""
    errors = [each.error for each in tried if each.error is not None]
    last, attempts = errors[-1], sum(each.attempts for each in tried)
    if len({each.target for each in tried}) == 1:
        last.attempts = attempts
        return last
    for error, before in zip(errors[1:], errors, strict=False):
        if error.__cause__ is None and error is not before and before.__cause__ is not error:
            error.__cause__ = before
    texts = [f"{each.target}: {_kind(each.error)}" for each in tried if each.error is not None]
    failed = AllTargetsFailedError(
        f"all targets of {_shown(route)} failed: {'; '.join(texts)}",
        errors=errors,
        retry_after=retry_after,
        attempts=attempts,
        elapsed=last.elapsed,
    )
    failed.__cause__ = last
    return failed


def none_available(route: FlatRoute, planned: PlannedRoute, retry_after: float | None) -> CompletionError:
    """The error of a call that could visit no target: the last errors of the targets, which calls before it met."""
    errors: list[CompletionError] = []
    for each in planned.targets:
        known = each.health.last_error
        error = (
            RateLimitError("asked for a pause, which all calls to this model keep", retry_after=retry_after)
            if known is None
            else copy.copy(known)
        )
        error.provider, error.model = each.plan.target.provider, each.plan.target.model
        error.attempts, error.elapsed, error.partial = 0, None, None
        errors.append(error)
    if len(errors) == 1:
        if retry_after is not None:
            errors[0].retry_after = retry_after  # of what the provider has asked for, a part is over
        return errors[0]
    names = "; ".join(
        f"{each.target.name}: {_kind(error)}" for each, error in zip(planned.targets, errors, strict=True)
    )
    return AllTargetsFailedError(
        f"no target of {_shown(route)} is available, and nothing was sent: {names}",
        errors=errors,
        retry_after=retry_after,
    )


def given_up(visit: Visit) -> APIConnectionError:
    """The error of a visit that was closed because another one was answered first; its provider may have worked."""
    place = visit.planned.plan.target
    error = APIConnectionError("closed, because another target answered first", phase="closed", maybe_billed=True)
    error.provider, error.model, error.attempts = place.provider, place.model, visit.attempts
    return error


def _shown(route: FlatRoute) -> str:
    return "the call" if route.name is None else f"the route {route.name}"


def _kind(error: CompletionError | None) -> str:
    """The class and status of an error, without a provider's words."""
    status = "" if error is None or error.status_code is None else f" {error.status_code}"
    return printable(f"{type(error).__name__}{status}")


def is_overload(error: CompletionError) -> bool:
    """Whether each target refused the call because of its load, or the rate of the calls."""
    errors = error.errors if isinstance(error, AllTargetsFailedError) else (error,)
    return all(isinstance(each, APIError) and is_load_refusal(each) for each in errors)
