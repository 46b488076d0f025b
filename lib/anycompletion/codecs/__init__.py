"""Bytes and values: JSON, records to JSON and back, lenient reading, server-sent events."""
