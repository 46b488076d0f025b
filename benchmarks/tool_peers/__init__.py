"""What the tool runners of clients do in the same situations, as docs/tools.md has it; see `__main__`."""
