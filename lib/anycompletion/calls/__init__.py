"""One logical call: where the pure dialects meet the transport."""

from .call import Call
from .endpoint_state import EndpointState, RetryBudget
from .plan import USER_AGENT, CallPlan
from .provider_state import KeySource, ProviderState

__all__ = [
    "USER_AGENT",
    "Call",
    "CallPlan",
    "EndpointState",
    "KeySource",
    "ProviderState",
    "RetryBudget",
]
