"""Replicate's predictions as pure functions: OpenAI's chat in, a model's own input out, and back; never opens a socket.

https://replicate.com/docs/reference/http

Strategy: every model has an input schema of its own, so a request is made of two questions: what the model takes (asked
once, see `Need`), then the prediction itself, which is followed until it ends. What callers should know of it:

* ``extra_body`` goes into the model's `input` as it is; only `webhook`, `webhook_events_filter` and `version` go beside
  it. A ``prompt`` in it replaces the text made of the messages, for models that want a template of their own.
* A conversation for a model that takes a prompt only is written as a plain transcript, see `prompt`.
* Replicate never says that a token limit ended an answer: the finish reason of whatever succeeded is "stop".
"""
