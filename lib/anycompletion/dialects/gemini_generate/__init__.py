"""Dialect of Gemini's generateContent: chat requests as contents, candidates as chat completions. No I/O.

https://ai.google.dev/api/generate-content
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference

A reply has OpenAI's fields. Where these cannot express it exactly (thought signatures, executed code, images), its
parts are kept in ``provider_specific_fields["gemini_content"]`` and are sent back unchanged with the turn.
"""
