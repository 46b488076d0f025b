"""Anthropic's messages, as the simulator and the fakes write them."""
