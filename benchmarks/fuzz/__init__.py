"""Fuzzing of everything that reads what providers send."""
