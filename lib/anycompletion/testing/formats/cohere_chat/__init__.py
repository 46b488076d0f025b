"""Cohere's chat, version 2, as the simulator and the fakes write it."""
