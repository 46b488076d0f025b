"""Which errors move a call on to the next target of its route, and what they mean for the target's health, as data."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from ..errors import (
    APIConnectionError,
    APIError,
    APIResponseError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ClientClosedError,
    CompletionError,
    ConfigurationError,
    ConflictError,
    ContentPolicyViolationError,
    ContextWindowExceededError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    UnprocessableEntityError,
    UnsupportedParameterError,
)
from .route import Route

Move: TypeAlias = Literal["on", "to_larger_window", "past", "no"]
"""Where a call goes after an error: to the next target; to one with a larger context window; past a target to which
nothing was sent; or nowhere, and the error is raised."""

HealthEffect: TypeAlias = Literal["failure", "rate_limit", "rejected", "none"]
"""What an error means for a target: it failed; it asks for a pause; it will refuse all calls until someone changes
something; or nothing."""


class MoveRule(NamedTuple):
    """One row of the table."""

    error: type[CompletionError]
    move: Move
    health: HealthEffect


MOVE_RULES: tuple[MoveRule, ...] = (
    MoveRule(ContextWindowExceededError, "to_larger_window", "none"),
    MoveRule(ContentPolicyViolationError, "no", "none"),
    MoveRule(UnprocessableEntityError, "no", "none"),
    MoveRule(BadRequestError, "no", "none"),
    MoveRule(QuotaExceededError, "on", "rejected"),
    MoveRule(AuthenticationError, "on", "rejected"),
    MoveRule(PermissionDeniedError, "on", "rejected"),
    MoveRule(NotFoundError, "on", "rejected"),
    MoveRule(RateLimitError, "on", "rate_limit"),
    MoveRule(ConflictError, "on", "failure"),
    MoveRule(InternalServerError, "on", "failure"),
    MoveRule(APIStatusError, "on", "failure"),
    MoveRule(APIResponseError, "on", "failure"),
    MoveRule(APIConnectionError, "on", "failure"),
    MoveRule(APIError, "no", "none"),
    MoveRule(UnsupportedParameterError, "past", "none"),
    MoveRule(ConfigurationError, "past", "none"),
    MoveRule(ClientClosedError, "no", "none"),
    MoveRule(CompletionError, "no", "none"),
)
"""The first row whose class fits decides."""


def move_rule(error: CompletionError, route: Route) -> MoveRule:
    """The row for `error`, as the settings of `route` change it."""
    rule = next(each for each in MOVE_RULES if isinstance(error, each.error))
    if rule.error is ContextWindowExceededError and route.on_context_window == "raise":
        rule = rule._replace(move="no")
    if rule.error is ContentPolicyViolationError and route.on_content_policy == "move":
        rule = rule._replace(move="on")
    if route.move_on is None or isinstance(error, ClientClosedError) or rule.move == "past":
        return rule
    wanted = route.move_on(error)
    if wanted is None:
        return rule
    return rule._replace(move="on" if wanted else "no")
