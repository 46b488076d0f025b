"""What processes and machines share through Redis: rate limits, and a cache of replies (extra ``redis``)."""

from .redis_rate_limiter import RedisRateLimiter
from .redis_store import RedisStore

__all__ = ["RedisRateLimiter", "RedisStore"]
