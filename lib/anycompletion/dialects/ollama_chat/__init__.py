"""Dialect of Ollama's native chat API: chat requests as Ollama's, its replies as chat completions. No I/O.

https://docs.ollama.com/api/chat

A reply has OpenAI's fields; durations are in ``usage.extra``, in nanoseconds. Ollama's own options (`num_ctx`,
`repeat_penalty`, `keep_alive`) are passed in `extra_body`, whose `options` are merged with those of the request.
"""
