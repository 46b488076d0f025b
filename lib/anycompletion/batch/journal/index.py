"""What a journal holds of which item, in a few bytes each; reads no file."""

from __future__ import annotations

import enum
from array import array
from collections.abc import Iterator
from typing import NamedTuple


class State(enum.IntEnum):
    """How an item ended."""

    DONE = 0
    """There is a completion."""
    RETRYABLE = 1
    """It failed for a reason that may pass: limits, outages, keys, money. A later run asks again."""
    FAILED = 2
    """The request itself was refused. A later run does not ask again."""


class Entry(NamedTuple):
    """The line that counts for an item: the last one."""

    state: State
    request_hash: int
    offset: int
    """The line's first byte in the file."""
    length: int
    """Bytes of the line, its LF included."""


_STATES = tuple(State)
_START = 1023


class KeyTable:
    """Numbers 64-bit keys in the order they come: 0, 1, 2 … Keys are hashes, so their low bits are spread evenly.

    A dict of a million ints takes 120 MB; this takes 16 to 24 bytes a key.
    """

    __slots__ = ("_slots", "keys")

    def __init__(self, expected: int = 0) -> None:
        """With room for so many, a table need not grow again and again."""
        self.keys = array("Q")
        """In the order in which they came."""
        self._slots = array("I", bytes(4)) * (1 << max(_START, 2 * expected).bit_length())
        """A key's number + 1, at the place its low bits say or the first free one behind; 0 is free."""

    def __len__(self) -> int:
        return len(self.keys)

    def find(self, key: int) -> int:
        """The number of `key`, or -1."""
        slots, keys = self._slots, self.keys
        mask = len(slots) - 1
        slot = key & mask
        while number := slots[slot]:
            if keys[number - 1] == key:
                return number - 1
            slot = (slot + 1) & mask
        return -1

    def number(self, key: int) -> int:
        """The number of `key`, which is the next one if the key is new."""
        slots, keys = self._slots, self.keys
        mask = len(slots) - 1
        slot = key & mask
        while number := slots[slot]:
            if keys[number - 1] == key:
                return number - 1
            slot = (slot + 1) & mask
        keys.append(key)
        slots[slot] = count = len(keys)
        if 2 * count > mask:
            self._grow()
        return count - 1

    def _grow(self) -> None:
        size = 2 * len(self._slots)
        slots = array("I", bytes(4)) * size
        mask = size - 1
        for number, key in enumerate(self.keys, 1):
            slot = key & mask
            while slots[slot]:
                slot = (slot + 1) & mask
            slots[slot] = number
        self._slots = slots


class Index:
    """Key → entry; 36 to 50 bytes each."""

    __slots__ = ("_hashes", "_lengths", "_number", "_places", "_table")

    def __init__(self, expected: int = 0) -> None:
        self._table = KeyTable(expected)
        self._number = self._table.number
        self._hashes = array("Q")
        self._places = array("Q")
        """Offset and, in the low two bits, state."""
        self._lengths = array("I")

    def __len__(self) -> int:
        return len(self._hashes)

    def put(self, key: int, request_hash: int, state: int, offset: int, length: int) -> None:
        """Notes a line; an earlier one of the same key counts no more."""
        number = self._number(key)
        place = offset << 2 | state
        if number == len(self._hashes):
            self._hashes.append(request_hash)
            self._places.append(place)
            self._lengths.append(length)
        else:
            self._hashes[number] = request_hash
            self._places[number] = place
            self._lengths[number] = length

    def get(self, key: int) -> Entry | None:
        """The line that counts for `key`."""
        number = self._table.find(key)
        return None if number < 0 else self._entry(number)

    def state(self, key: int, request_hash: int) -> State | None:
        """How the item ended, if the line that counts for `key` is of this request; quicker than `get`."""
        number = self._table.find(key)
        if number < 0 or self._hashes[number] != request_hash:
            return None
        return _STATES[self._places[number] & 3]

    def __iter__(self) -> Iterator[Entry]:
        """The entries, in the order in which their keys were first met."""
        return map(self._entry, range(len(self)))

    def _entry(self, number: int) -> Entry:
        place = self._places[number]
        return Entry(_STATES[place & 3], self._hashes[number], place >> 2, self._lengths[number])
