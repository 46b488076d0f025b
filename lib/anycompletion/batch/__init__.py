"""Many requests at once: bounded, resumable, results as they finish; sends nothing itself.

Strategy: one task, the driver, reads the items and puts each into the lane of its provider; a lane has as many workers
as it may have requests in flight, and each worker takes item after item. So an item costs no task of its own, and what
bounds the memory is one number: how many items were read whose results nobody has taken yet.
"""

from .items import BatchItem, BatchItems
from .journal import UnwrittenError, read_results
from .progress import BatchProgress
from .provider_queues import ConcurrencyLimit
from .run import BatchRun

__all__ = ["BatchItem", "BatchItems", "BatchProgress", "BatchRun", "ConcurrencyLimit", "UnwrittenError", "read_results"]
