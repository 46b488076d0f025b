"""Dialect of Cohere's v2 chat API: chat requests as Cohere's messages, its replies as chat completions. No I/O.

https://docs.cohere.com/reference/chat

A reply has OpenAI's fields. What these cannot express is kept in ``provider_specific_fields["cohere"]`` and sent back
with the assistant's turn: `tool_plan` (a text), `citations` (Cohere's own, which are annotations as well) and `content`
(Cohere's own parts) where it is more than one text. A fourth field, `tool_calls`, is for reading only: the calls of a
legacy reply, whose form has a place for one.
"""
