"""Which values clients make of the same replies, as docs/structured.md has it; see `__main__`."""
