"""How other clients behave where something goes wrong, as docs/migrating.md has it; see `__main__`."""
