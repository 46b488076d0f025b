"""Cohere's v2 chat as pure functions: OpenAI's chat in, Cohere's messages out, and back; never opens a socket.

https://docs.cohere.com/reference/chat

Strategy: a reply is told in OpenAI's fields. What they have no room for rides along in
``provider_specific_fields["cohere"]`` and goes back with the assistant's turn: `tool_plan` (text), `citations`
(Cohere's own, which are told as annotations too), and `content` (Cohere's own parts) where it is more than one text.
A fourth member, `tool_calls`, is for readers only: the calls of a legacy reply, whose form has room for one.
"""
