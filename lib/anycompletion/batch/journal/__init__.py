"""The batch journal: results as lines of OpenAI's Batch output, in a file that survives crashes; sends nothing.

`ItemKeys` identifies the items of a run, `Journal` stores their results, `read_results` reads them back.
"""

from .index import Entry, Index, KeyTable, State
from .item_keys import ItemKey, ItemKeys, key_of, request_digest
from .lines import UnwrittenError
from .writer import Fsync, Journal, read_results

__all__ = [
    "Entry",
    "Fsync",
    "Index",
    "ItemKey",
    "ItemKeys",
    "Journal",
    "KeyTable",
    "State",
    "UnwrittenError",
    "key_of",
    "read_results",
    "request_digest",
]
