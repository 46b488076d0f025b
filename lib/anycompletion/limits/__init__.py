"""How much at a time and how soon; decides, and never sends.

`Rest` is what a 429 means for all calls to one origin with one key. `Limits` holds back calls that have limits of their
own. `Slots` bounds what one provider may hold of the process's file descriptors. `Adaptive` finds out how many requests
a provider takes at a time.
"""

from .adaptive import Adaptive
from .admission import Admission, Limits, Ticket, checked_limits
from .estimate import estimated_tokens, used_tokens
from .rest import Rest
from .slots import Slots, free_descriptors
from .turns import Left

__all__ = [
    "Adaptive",
    "Admission",
    "Left",
    "Limits",
    "Rest",
    "Slots",
    "Ticket",
    "checked_limits",
    "estimated_tokens",
    "free_descriptors",
    "used_tokens",
]
