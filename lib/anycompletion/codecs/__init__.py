"""Codecs between bytes and values: JSON, records as JSON, lenient reading of replies, server-sent events."""
