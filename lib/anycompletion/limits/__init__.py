"""How much at a time and how soon; decides, and never sends.

`Rest` is what a 429 means for all calls to one origin with one key. `Slots` bounds what one provider may hold of the
process's file descriptors. What only some programs need is imported from where it is: `admission` holds back calls that
have limits of their own, `adaptive` finds out how many requests a provider takes at a time.
"""

from .rest import Rest
from .slots import Slots, free_descriptors

__all__ = ["Rest", "Slots", "free_descriptors"]
