"""Fuzzing of all code that reads providers' responses."""
