"""Dialect of Replicate's predictions API: chat requests as a model's input, predictions as chat completions. No I/O.

https://replicate.com/docs/reference/http

Every model has its own input schema, so a call has two steps: the schema is fetched (once, see `Prerequisite`), then
the prediction is created and polled or streamed until it ends. For callers:

* ``extra_body`` becomes part of the model's `input` unchanged; only `webhook`, `webhook_events_filter` and `version`
  are fields of the prediction. A ``prompt`` in it replaces the prompt made of the messages, for models that need
  their own template.
* A conversation for a model that accepts only a prompt is written as a plain transcript, see `model_input`.
* Replicate does not report that a token limit ended a reply: the finish reason of every success is "stop".
"""
