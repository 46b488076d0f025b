"""Dialect of OpenAI's chat completions API and of compatible servers. Contains no host and no provider's name.

https://platform.openai.com/docs/api-reference/chat

Where a compatible server differs, its provider row has a quirk; what the format leaves open is read leniently.
"""
