"""Dialect of Anthropic's Messages API: chat requests as native blocks, native blocks as chat completions. No I/O.

https://docs.anthropic.com/en/api/messages

A reply has OpenAI's fields. Where these cannot express it exactly (server tools, citations, interleaved thinking), the
native blocks are kept in ``provider_specific_fields["anthropic_content"]`` and are sent back unchanged with the turn.
"""
