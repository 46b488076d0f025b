"""Anthropic's Messages API as pure functions: OpenAI's chat in, native blocks out, and back; never opens a socket.

https://docs.anthropic.com/en/api/messages

Strategy: a reply is told in OpenAI's fields; where they cannot say it exactly (server tools, citations, interleaved
thinking), the native blocks ride along in ``provider_specific_fields["anthropic_content"]`` and go back untouched.
"""
