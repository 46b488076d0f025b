"""What processes and machines share through Redis: rate limits, health of targets, replies (extra ``redis``)."""

from .redis_health import RedisHealth
from .redis_rate_limiter import RedisRateLimiter
from .redis_store import RedisStore

__all__ = ["RedisHealth", "RedisRateLimiter", "RedisStore"]
