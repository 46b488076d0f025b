"""A cache of replies: the middleware `cached`, and the stores in which it keeps them.

``AsyncCompletion(middleware=[cached(MemoryStore())])``. A store that several machines share is `RedisStore` in
`anycompletion.integrations.redis`.
"""

from ..cache_control import CacheControl, CacheMode
from .cache_middleware import CacheMiddleware, cached
from .cache_store import CacheStats, CacheStore
from .memory_store import MemoryStore
from .sqlite_store import SQLiteStore

__all__ = [
    "CacheControl",
    "CacheMiddleware",
    "CacheMode",
    "CacheStats",
    "CacheStore",
    "MemoryStore",
    "SQLiteStore",
    "cached",
]
