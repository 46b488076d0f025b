"""Dialect of Amazon Bedrock's Converse and ConverseStream: chat requests as content blocks, and back. No I/O.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html

A reply has OpenAI's fields. Where these cannot express it exactly (tools that Bedrock runs, citations, reasoning), its
content blocks are kept in ``provider_specific_fields["bedrock_content"]`` and are sent back unchanged with the turn.
"""
