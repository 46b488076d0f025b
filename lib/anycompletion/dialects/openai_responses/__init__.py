"""Dialect of OpenAI's Responses API and of compatible servers: chat requests as its items, its items as chat replies.

https://platform.openai.com/docs/api-reference/responses

A reply is a list of items: messages, reasoning, calls, and those of the server's own tools. What a chat message cannot
express of them (their order, encrypted reasoning, phases, several messages) is kept in
``provider_specific_fields["openai_responses"]``: the items as they came, with the provider and the model that wrote
them. They go back to that provider with the message, as long as its text and calls still agree with them.
"""
