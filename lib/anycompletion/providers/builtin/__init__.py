"""The built-in providers, as data without code. A module is loaded when one of its providers is first used.

Rows of OpenAI-compatible providers follow recorded traffic, the vendor's SDK or the vendor's documentation, and list in
`unverified` what none of these confirms. Unconfirmed features are requested in the form that every server accepts: n by
several requests, functions as tools, developer as system, max_completion_tokens as max_tokens.

Environment variables with a base URL in another form than the row's are not read (GROQ_BASE_URL has no version path,
OLLAMA_HOST need be no URL), because requests would go to a wrong address.
"""
