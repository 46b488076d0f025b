"""Routes: several places where one call may be answered, with strategies, fallbacks and circuit breakers.

::

    from anycompletion.routing import Route, RouteTarget

    routes = {"fast": Route(["groq/llama-3.3-70b", "openai/gpt-4o-mini"])}
    async with AsyncCompletion(routes=routes) as client:
        reply = await client.create("fast", "Hello!")
"""

from ..records.reply_info import Tried
from .route import CircuitBreaker, Route, RouteTarget, Strategy
from .shared_health import SharedHealth
from .target_health import TargetState

__all__ = ["CircuitBreaker", "Route", "RouteTarget", "SharedHealth", "Strategy", "TargetState", "Tried"]
