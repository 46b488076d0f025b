"""Ollama's native chat, as the simulator and the fakes write it."""
