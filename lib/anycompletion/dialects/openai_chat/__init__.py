"""OpenAI's chat-completions format, spoken by OpenAI and everyone compatible; knows no host and no provider by name.

https://platform.openai.com/docs/api-reference/chat

Where a compatible server differs, a quirk of its row says so; what the format itself leaves open is read leniently.
"""
