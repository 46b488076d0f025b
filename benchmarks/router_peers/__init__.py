"""What routers of clients do in an outage, a storm of 429 and with long prompts, as docs/routing.md has it."""
