"""Live batches: many requests, bounded and resumable, with results as they come; this package has no sockets.

Strategy: one task reads the items and puts each into the queue of its provider (`ItemReader`). A queue has as many
tasks as it may have requests in flight, one per item (`WorkerPool`), so that each item has a context of its own. Memory
is bounded by one number: the items that were read and whose results were not taken.
"""

from .items import BatchItem, BatchItems
from .journal import UnwrittenError
from .parsed_run import ParsedBatchRun
from .progress import BatchProgress
from .provider_queues import ConcurrencyLimit
from .run import BatchRun
from .stored_results import read_results

__all__ = [
    "BatchItem",
    "BatchItems",
    "BatchProgress",
    "BatchRun",
    "ConcurrencyLimit",
    "ParsedBatchRun",
    "UnwrittenError",
    "read_results",
]
