"""Texts for unknown keywords, as data: what to write in place of the names that other SDKs use.

Known names come first, because the closest of ours may mean something else: ``api_base`` is no ``api_key``. They are
those of LiteLLM, openai-python, Anthropic's SDK and instructor. Imported for an error only.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from ..options import CallOptions

_MAX_SHOWN_KEYWORD = 100

_FAKE = "a canned reply comes from AsyncCompletion(providers=[FakeProvider(...)]) of anycompletion.testing"
_MIDDLEWARE = "that is a middleware of the client: it may call another model, or return a reply of its own"
_CACHE = "a cache of replies is middleware=[cached(MemoryStore())] of anycompletion.caching, and cache=... of a call"
_TAGS = "write tags={...}, which middleware, logs and spans get, and the provider does not"
_OBSERVERS = "that is a middleware of the client; logger_fn=... observes a single call"
_CONNECTIONS = "connections belong to the client: AsyncCompletion(session=...), or proxy= and ssl_context="
_MODEL_LIST = "write routes={'name': Route([...])} to the client, of anycompletion.routing"
_FALLBACKS = "write fallbacks=[...]: a prompt that is too long goes on to a model with a larger context window"
_BREAKER = "write routes={'name': Route(...)} to the client; the CircuitBreaker of a Route has these numbers"
_NO_LOG = "prompts and replies are not logged; logger_fn and middleware get them"
_VERTEX_TOKEN = "write api_key=vertex_token(credentials), of anycompletion.integrations.google"
_VERTEX_URL = "set GOOGLE_CLOUD_PROJECT and GOOGLE_CLOUD_LOCATION, or write base_url=..., which has both"
_PRICES = "prices are those of anycompletion.integrations.prices.cost(reply)"
_STRUCTURED = "await client.parse(model, messages, MyClass), whose reply has .parsed"
_ENTRA = "write api_key=BearerToken(...), or an async function that returns a token, for an azure/... model"
_AWS = "write api_key=AWSCredentials(access_key_id, secret_access_key, session_token)"
_AWS_CHAIN = "pass AWSCredentialChain(profile=...) of anycompletion.integrations.aws as the key"
_AWS_URL = "set AWS_REGION, or write base_url=..., and api_key=... for it"


def _body(name: str) -> str:
    return f"only some providers have it: write extra_body={{{name!r}: ...}}"


_OF_CALLS: Mapping[str, str] = {
    **dict.fromkeys(("api_base", "endpoint", "azure_endpoint"), "write base_url=..., and api_key=... for it"),
    **dict.fromkeys(("api_type", "custom_llm_provider", "llm_provider"), "write provider=..., or provider/model"),
    **dict.fromkeys(("engine", "deployment_id", "azure_deployment", "model_name"), "write model='provider/model'"),
    **dict.fromkeys(("drop_params", "additional_drop_params"), "write on_unsupported='drop', or 'warn'"),
    **dict.fromkeys(("mock_response", "mock_tool_calls", "mock_timeout"), _FAKE),
    **dict.fromkeys(
        ("caching", "cache_ttl", "no_cache", "no_store", "cache_params", "cache_key", "cache_group"), _CACHE
    ),
    **dict.fromkeys(("context_window_fallbacks", "context_window_fallback_dict"), _FALLBACKS),
    "content_policy_fallbacks": "write routes={'name': Route(...)} to the client; see on_content_policy of Route",
    "default_fallbacks": "write fallbacks=[...], also for .with_options()",
    **dict.fromkeys(("litellm_call_id", "litellm_trace_id", "request_id", "trace_id", "session_id"), _TAGS),
    **dict.fromkeys(("litellm_metadata", "litellm_params", "litellm_session_id"), _TAGS),
    **dict.fromkeys(("no_log", "no-log", "redact", "turn_off_message_logging"), _NO_LOG),
    **dict.fromkeys(("vertex_project", "vertex_location", "vertex_ai_project", "vertex_ai_location"), _VERTEX_URL),
    **dict.fromkeys(("vertex_credentials", "vertex_ai_credentials"), _VERTEX_TOKEN),
    "allowed_openai_params": "write on_unsupported='drop' or 'warn'; extra_body={...} sends a field in any case",
    **dict.fromkeys(("retry_policy", "retry_strategy"), _MIDDLEWARE),
    **dict.fromkeys(("cooldown_time", "allowed_fails"), _BREAKER),
    **dict.fromkeys(("callbacks", "success_callback", "failure_callback", "hooks"), _OBSERVERS),
    "model_list": _MODEL_LIST,
    "routing_strategy": "write routes={'name': Route(...)} to the client; see its strategy",
    **dict.fromkeys(("num_retries", "retries", "max_attempts"), "write max_retries=..."),
    **dict.fromkeys(("request_timeout", "total_timeout"), "write timeout=..., in seconds"),
    "stream_timeout": "write timeout=Timeout(first_chunk=..., idle=...)",
    **dict.fromkeys(("headers", "default_headers"), "write extra_headers={...}"),
    **dict.fromkeys(("query", "params", "default_query"), "write extra_query={...}"),
    **dict.fromkeys(("betas", "anthropic_beta"), "write extra_headers={'anthropic-beta': '...'}"),
    "anthropic_version": "write api_version=...",
    **dict.fromkeys(("http_client", "client", "transport", "session", "proxy", "proxies", "verify"), _CONNECTIONS),
    **dict.fromkeys(("ssl_verify", "ssl_context", "shared_session"), _CONNECTIONS),
    **dict.fromkeys(("auth_token", "azure_ad_token", "azure_ad_token_provider"), _ENTRA),
    **dict.fromkeys(("aws_access_key_id", "aws_secret_access_key", "aws_session_token"), _AWS),
    **dict.fromkeys(("aws_profile_name", "aws_role_name", "aws_session_name", "aws_web_identity_token"), _AWS_CHAIN),
    **dict.fromkeys(("aws_region_name", "aws_bedrock_runtime_endpoint"), _AWS_URL),
    **dict.fromkeys(("system", "instructions"), "write it as the first message: {'role': 'system', 'content': ...}"),
    **dict.fromkeys(("prompt", "input", "contents", "chat_history"), "write messages=..., a text or a list"),
    **dict.fromkeys(("stop_sequences", "stop_token", "stop_words"), "write stop=[...]"),
    **dict.fromkeys(("max_tokens_to_sample", "max_new_tokens"), "write max_tokens=..."),
    "max_output_tokens": "write max_completion_tokens=..., or max_tokens=...",
    "reasoning": "write reasoning_effort=..., or extra_body={'reasoning': ...}",
    "budget_tokens": "write thinking={'type': 'enabled', 'budget_tokens': ...}",
    **dict.fromkeys(("response_model", "output_format", "response_schema", "text_format"), _STRUCTURED),
    **dict.fromkeys(("validation_context", "strict", "mode", "into", "validate", "max_reasks"), _STRUCTURED),
    **dict.fromkeys(("input_cost_per_token", "output_cost_per_token", "base_model", "model_info"), _PRICES),
    **dict.fromkeys(("set_verbose", "debug"), "write verbose=True"),
    "web_search": "write web_search_options={...}",
    "user_id": "write user=...",
    **{
        name: _body(name)
        for name in (
            *("top_k", "min_p", "top_a", "typical_p", "repetition_penalty", "length_penalty", "min_tokens"),
            *(
                "guided_json",
                "guided_regex",
                "guided_choice",
                "grammar",
                "chat_template_kwargs",
                "add_generation_prompt",
            ),
            *("documents", "citation_options", "citations", "safety_mode", "safety_settings", "safe_prompt"),
            *("container", "mcp_servers", "context_management", "cache_control", "inference_geo"),
            *("transforms", "models", "route", "plugins", "enable_thinking", "num_ctx", "keep_alive", "think"),
        )
    },
}
"""Keyword of a call → what to write."""

_OF_RUNS: Mapping[str, str] = {
    **dict.fromkeys(("max_steps", "max_iterations", "max_rounds", "max_tool_rounds"), "write max_turns=..."),
    **dict.fromkeys(("deps", "run_context"), "write context=..., which tools get with a ToolContext"),
    **dict.fromkeys(("output_type", "response_model", "output_format"), "write into=..., the type of the answer"),
    **dict.fromkeys(("usage_limits", "max_budget"), "write budget=Budget(...), of anycompletion.tools"),
}
"""Keyword of a tool run → what to write; other libraries have these names."""

_KEYS = "a client has a key for each provider: write api_keys={'openai': ...}"
_URLS = "a client has a base URL for each provider: write base_urls={'openai': ...}"
_AWS_CLIENT = "write api_keys={'bedrock': AWSCredentials(...)}"
_VERTEX_CLIENT_TOKEN = "write api_keys={'vertex_ai': vertex_token(credentials)}, of anycompletion.integrations.google"
_VERTEX_CLIENT_URL = "set GOOGLE_CLOUD_PROJECT and GOOGLE_CLOUD_LOCATION, or write base_urls={...}"
_ENTRA_CLIENT = "write api_keys={'azure': BearerToken(...)}, or an async function that returns a token"

_OF_CLIENTS: Mapping[str, str] = {
    **dict.fromkeys(("api_key", "key", "keys", "token", "openai_api_key", "anthropic_api_key"), _KEYS),
    **dict.fromkeys(("base_url", "api_base", "endpoint", "url", "azure_endpoint"), _URLS),
    **dict.fromkeys(("cache", "caching"), _CACHE),
    "auth_token": "write api_keys={'anthropic': BearerToken(...)}",
    **dict.fromkeys(("aws_access_key", "aws_access_key_id", "aws_secret_key", "aws_secret_access_key"), _AWS_CLIENT),
    **dict.fromkeys(("aws_profile", "aws_profile_name", "aws_session"), _AWS_CHAIN),
    **dict.fromkeys(("aws_region", "aws_region_name", "region_name"), "set AWS_REGION, or write base_urls={...}"),
    **dict.fromkeys(("project_id", "vertexai", "vertex_project", "vertex_location"), _VERTEX_CLIENT_URL),
    **dict.fromkeys(("credentials", "vertex_credentials"), _VERTEX_CLIENT_TOKEN),
    **dict.fromkeys(("azure_ad_token", "azure_ad_token_provider"), _ENTRA_CLIENT),
    **dict.fromkeys(
        ("default_headers", "headers"),
        "write AsyncCompletion(...).with_options(extra_headers={...})",
    ),
    **dict.fromkeys(("default_query", "query"), "write AsyncCompletion(...).with_options(extra_query={...})"),
    "provider": "name the provider in each call (provider/model), or write .with_options(provider=...)",
    **dict.fromkeys(("http_client", "transport", "connector", "client"), "write session=..., an aiohttp.ClientSession"),
    **dict.fromkeys(("verify", "ssl", "ssl_verify", "cert", "ca_bundle"), "write ssl_context=..., an ssl.SSLContext"),
    **dict.fromkeys(("proxies", "http_proxy", "https_proxy", "trust_env"), "write proxy=..., the URL of an HTTP proxy"),
    **dict.fromkeys(("rpm", "tpm", "rate_limit", "rate_limits"), "write limits={'openai': RateLimit(...)}"),
    **dict.fromkeys(
        ("concurrency", "max_parallel_requests", "max_connections", "limit"),
        "write limits={'openai': RateLimit(concurrency=...)}; a batch has concurrency= of its own",
    ),
    **dict.fromkeys(
        ("stream_timeout", "request_timeout"),
        "write timeout=Timeout(total=..., first_chunk=..., idle=...)",
    ),
}
"""Argument of a client → what to write; the names of calls that stand for something else come from `_OF_CALLS`."""

_CLIENT_NAMES_OF_CALLS = (
    *("drop_params", "additional_drop_params", "mock_response", "callbacks", "success_callback"),
    *("failure_callback", "fallbacks", "context_window_fallbacks", "content_policy_fallbacks", "default_fallbacks"),
    *("model_list", "routing_strategy", "num_retries", "retries", "max_attempts", "retry_policy", "hooks"),
    *("cooldown_time", "allowed_fails", "context_window_fallback_dict"),
)


def unknown_keyword(name: str, known: Iterable[str]) -> str:
    """The error text for an unknown keyword of a call; `known` are the right ones, of which the closest is named."""
    if name == "stream":
        return (
            "'stream' is an argument of create and send only; stream() and parse_stream() always stream, attempt(), "
            "parse() and batches never do"
        )
    return _text(
        name, "keyword", _OF_CALLS.get(name), known, "a field only the provider has goes into extra_body={...}"
    )


def unknown_run_keyword(name: str, own: Iterable[str], known: Iterable[str]) -> str:
    """The error text for an unknown keyword of a tool run; `own` are those that calls do not have."""
    hint = _OF_RUNS.get(name) or _OF_CALLS.get(name)
    otherwise = "a field only the provider has goes into extra_body={...}"
    return _text(name, "keyword of run_tools", hint, [*own, *known], otherwise)


def unknown_client_argument(name: str, known: Iterable[str], of_calls: Iterable[str]) -> str:
    """The error text for an unknown argument of a client; `of_calls` are the keywords that calls have."""
    hint = _OF_CLIENTS.get(name) or (_OF_CALLS[name] if name in _CLIENT_NAMES_OF_CALLS else None)
    if hint is None and name in of_calls:
        is_option = name in CallOptions.__annotations__
        hint = f"write AsyncCompletion(...).with_options({name}=...)" if is_option else f"pass {name}= to the call"
    return _text(name, "argument of AsyncCompletion", hint, known, "its arguments are in help(AsyncCompletion)")


def _text(name: str, what: str, hint: str | None, known: Iterable[str], otherwise: str) -> str:
    if len(name) > _MAX_SHOWN_KEYWORD:
        return f"unknown {what} of {len(name)} characters"
    if hint is None:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]!r}?" if close else otherwise
    return f"unknown {what} {name!r}; {hint}"
