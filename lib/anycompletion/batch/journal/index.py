"""Index of a journal: item → state and position of its line, in 36 to 50 bytes each; reads no file."""

from __future__ import annotations

import enum
from array import array
from collections.abc import Iterator
from typing import NamedTuple


class State(enum.IntEnum):
    """How an item ended."""

    DONE = 0
    """It has a completion."""
    RETRYABLE = 1
    """It failed for a reason that may pass: limits, outages, keys, money. A later run sends it again."""
    FAILED = 2
    """The request itself was refused. A later run does not send it again."""


class Entry(NamedTuple):
    """Position and state of the valid line of an item, which is its last one."""

    state: State
    request_hash: int
    offset: int
    """Position of the line's first byte in the file."""
    length: int
    """Bytes of the line, its line feed included."""


_STATES = tuple(State)
_MIN_CAPACITY = 1023


class KeyTable:
    """Hash table that numbers 64-bit keys in the order of their insertion: 0, 1, 2 …

    It exists for its memory. A run that resumes a million items has two to three of these tables. A dict from int to
    int takes about 110 MB for a million keys, because each key and each number is an object of its own; this table
    takes 16 to 24 MB: 8 bytes per key in one array, and in another 2 to 4 slots of 4 bytes per key. It resolves
    collisions by linear probing, is at most half full, and needs no hash function, because the keys are hashes already
    and their low bits are evenly distributed. Keys are never removed.
    """

    __slots__ = ("_slots", "keys")

    def __init__(self, expected: int = 0) -> None:
        """A table that is made for the expected number of keys need not grow again and again."""
        self.keys = array("Q")
        """In the order of their insertion."""
        self._slots = array("I", bytes(4)) * (1 << max(_MIN_CAPACITY, 2 * expected).bit_length())
        """A key's number + 1, at the index that its low bits are, or in the first free slot after it; 0 is free."""

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
        """The number of `key`, which is inserted if it is new."""
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
    """Table from the key of an item to the entry of its last line."""

    __slots__ = ("_hashes", "_lengths", "_number", "_positions", "_table")

    def __init__(self, expected: int = 0) -> None:
        self._table = KeyTable(expected)
        self._number = self._table.number
        self._hashes = array("Q")
        self._positions = array("Q")
        """Offset and state; the state is in the low two bits."""
        self._lengths = array("I")

    def __len__(self) -> int:
        return len(self._hashes)

    def put(self, key: int, request_hash: int, state: int, offset: int, length: int) -> None:
        """Adds a line; it replaces an earlier one of the same key."""
        number = self._number(key)
        position = offset << 2 | state
        if number == len(self._hashes):
            self._hashes.append(request_hash)
            self._positions.append(position)
            self._lengths.append(length)
        else:
            self._hashes[number] = request_hash
            self._positions[number] = position
            self._lengths[number] = length

    def get(self, key: int) -> Entry | None:
        """The entry of `key`."""
        number = self._table.find(key)
        return None if number < 0 else self._entry(number)

    def state(self, key: int, request_hash: int) -> State | None:
        """The state of `key`, if its line has the same request; faster than `get`."""
        number = self._table.find(key)
        if number < 0 or self._hashes[number] != request_hash:
            return None
        return _STATES[self._positions[number] & 3]

    def __iter__(self) -> Iterator[Entry]:
        """The entries, in the order in which their keys were first added."""
        return map(self._entry, range(len(self)))

    def _entry(self, number: int) -> Entry:
        position = self._positions[number]
        return Entry(_STATES[position & 3], self._hashes[number], position >> 2, self._lengths[number])
