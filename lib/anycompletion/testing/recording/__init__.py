"""Provider traffic in files: recorded with a client, replayed by a server."""
