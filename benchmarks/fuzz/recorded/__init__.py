"""Fuzzing of recorded replies: one field of one JSON document is changed at a time, and the reply is judged."""
