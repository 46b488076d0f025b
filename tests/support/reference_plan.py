"""What docs/reference.md has, and in which order: sections of public names, and members that are left out."""

from __future__ import annotations

from typing import NamedTuple


class Section(NamedTuple):
    """A part of the page: some names of a module."""

    title: str
    module: str
    names: tuple[str, ...]
    text: str = ""


_A = "anycompletion"

SECTIONS = (
    Section(
        "The client",
        _A,
        ("AsyncCompletion", "ClientOptions", "Stats", "ProviderStats", "CacheUse", "Target", "ModelInfo"),
    ),
    Section(
        "Parameters and options",
        _A,
        (
            *("Params", "CallOptions", "TargetOptions", "CreateParams", "ParseParams", "RunParams"),
            *("Timeout", "RateLimit", "RateLimiter"),
            *("OnUnsupported", "Key", "Secret", "EnvKey", "BearerToken", "AWSCredentials"),
        ),
        "What `create` and `stream` take as keywords, and the values of options.",
    ),
    Section(
        "Messages and requests",
        _A,
        (
            *("ChatRequest", "Messages", "Message", "SystemMessage", "DeveloperMessage", "UserMessage"),
            *("AssistantMessage", "ToolMessage", "FunctionMessage", "CustomMessage", "SupportsModelDump"),
            *("Content", "Part", "TextPart", "ImagePart", "ImageUrl", "AudioPart", "InputAudio", "FilePart", "FileRef"),
            *("RefusalPart", "CustomPart", "image_part", "file_part"),
            *("Tool", "FunctionTool", "FunctionDefinition", "CustomTool", "ToolLike"),
        ),
        "Records that callers write. OpenAI's dicts are taken in their place everywhere.",
    ),
    Section(
        "Replies",
        _A,
        (
            *("Reply", "ChatCompletion", "Choice", "ChatCompletionMessage", "ToolCall", "FunctionCall", "CustomCall"),
            *("Usage", "PromptTokensDetails", "CompletionTokensDetails", "ReplyInfo", "RateLimitState", "Headers"),
            *("Audio", "Annotation", "UrlCitation", "Logprobs", "TokenLogprob", "TopLogprob"),
            *("Result", "Record", "JsonObject"),
        ),
        "Fields without a text are OpenAI's: <https://platform.openai.com/docs/api-reference/chat/object>.",
    ),
    Section(
        "Streams",
        _A,
        (
            *("CompletionStream", "ChatCompletionChunk", "ChunkChoice", "Delta", "ToolCallDelta", "FunctionDelta"),
            "CustomDelta",
        ),
        "Fields without a text are OpenAI's: <https://platform.openai.com/docs/api-reference/chat/streaming>.",
    ),
    Section(
        "Errors",
        _A,
        (
            *("CompletionError", "InvalidRequestError", "UnsupportedParameterError", "ConfigurationError"),
            "CacheMissError",
            *("ClientClosedError", "JournalError", "APIError", "APIConnectionError", "APITimeoutError"),
            *("StreamInterruptedError", "APIResponseError", "APIStatusError", "BadRequestError"),
            *("ContextWindowExceededError", "ContentPolicyViolationError", "AuthenticationError"),
            *("PermissionDeniedError", "NotFoundError", "ConflictError", "UnprocessableEntityError", "RateLimitError"),
            *("QuotaExceededError", "InternalServerError", "ServiceUnavailableError", "OverloadedError"),
            "AllTargetsFailedError",
            *("ReplyError", "ReplyValidationError", "ReplyTruncatedError", "ReplyRefusedError"),
            *("ToolRunError", "ToolExecutionError"),
        ),
        "All of them have the attributes of `CompletionError`.",
    ),
    Section(
        "Provider rows",
        _A,
        (
            *("PROVIDERS", "Provider", "EnvPlaceholder", "DependentPlaceholder", "Quirks", "ProviderVariant"),
            *("Auth", "header_key"),
            *("aws_sigv4", "ProviderSource", "known_providers", "supported_params", "ParamSupport", "ParamTable"),
        ),
    ),
    Section("Writing middleware", _A, ("Middleware", "CallNext")),
    Section(
        "anycompletion.batch",
        f"{_A}.batch",
        (
            *("BatchRun", "ParsedBatchRun", "BatchProgress", "BatchItem", "BatchItems", "read_results"),
            *("UnwrittenError", "ConcurrencyLimit"),
        ),
        "What `AsyncCompletion.batch` takes and returns.",
    ),
    Section(
        "anycompletion.structured",
        f"{_A}.structured",
        (
            *("ParsedCompletion", "ParsedStream", "Partial", "ParsedResult", "ParseMode", "SupportsValidateJSON"),
            *("StructuredSupport", "response_schema"),
        ),
        "What `AsyncCompletion.parse` and `parse_stream` take and return.",
    ),
    Section(
        "anycompletion.tools",
        f"{_A}.tools",
        (
            *("tool", "RunnableTool", "ToolContext", "ToolError", "ToolRun", "RunOutcome", "RunStatus", "Turn"),
            *("ToolOutcome", "PendingCall", "Approval", "ApprovalDecision", "Budget", "ToolEvent", "TextDelta"),
            *("ReasoningDelta", "CallStarted", "CallFinished", "TurnFinished", "RunFinished", "ChunkEvent"),
        ),
        "What `AsyncCompletion.run_tools` takes and returns.",
    ),
    Section(
        "anycompletion.caching",
        f"{_A}.caching",
        (
            "cached",
            "CacheMiddleware",
            "CacheControl",
            "CacheMode",
            "CacheStore",
            "MemoryStore",
            "SQLiteStore",
            "CacheStats",
        ),
        "A cache of replies; see [Reply cache](caching.md).",
    ),
    Section(
        "anycompletion.routing",
        f"{_A}.routing",
        ("Route", "RouteTarget", "CircuitBreaker", "Strategy", "Tried", "TargetState", "SharedHealth"),
        "What `AsyncCompletion(routes=...)` and `fallbacks` take, and what they report.",
    ),
    Section("anycompletion.workers", f"{_A}.workers", ("complete_many", "ChatWorker")),
    Section(
        "anycompletion.web",
        f"{_A}.web",
        (
            *("starlette_sse", "aiohttp_sse", "cancel_on_disconnect", "starlette_lifespan", "aiohttp_client"),
            *("starlette_errors", "aiohttp_errors"),
            *("chat_completions_app", "Authorize", "AllowedModels", "public_error", "PublicError"),
        ),
        "Functions for Starlette and FastAPI (`pip install 'anycompletion[web]'`), and for aiohttp.web.",
    ),
    Section(
        "anycompletion.testing",
        f"{_A}.testing",
        (
            *("FakeProvider", "FakeReply", "FakeAnswer", "FakePiece", "FakeRequest", "NoReplyLeft", "tool_call"),
            "ParsedReply",
            *("SimulatorServer", "SimulatorReply", "RecordedRequest", "Fault", "Faults", "FAULTS", "RawStep"),
            *("Recorder", "Recording", "RecordedCall", "load_folder", "ReplayServer", "Segmentation", "RandomCuts"),
            *("LoopbackServer", "block_network", "NetworkBlockedError"),
        ),
    ),
    Section(
        "anycompletion.testing.pytest",
        f"{_A}.testing.pytest",
        ("fake_llm", "llm_server", "no_network"),
        'Fixtures for pytest: `pytest_plugins = ["anycompletion.testing.pytest"]` in `conftest.py`.',
    ),
    Section(
        "anycompletion.integrations.aws",
        f"{_A}.integrations.aws",
        ("AWSCredentialChain",),
        "Credentials of AWS profiles, roles and SSO: `pip install 'anycompletion[bedrock]'`.",
    ),
    Section(
        "anycompletion.integrations.otel",
        f"{_A}.integrations.otel",
        ("otel", "otel_tools", "Telemetry", "PROVIDER_NAMES"),
        "OpenTelemetry: `pip install 'anycompletion[otel]'`.",
    ),
    Section(
        "anycompletion.integrations.litellm",
        f"{_A}.integrations.litellm",
        ("routes_from", "RouterConfig"),
        "The configuration of a LiteLLM Router as arguments of a client; LiteLLM is not needed.",
    ),
    Section(
        "anycompletion.integrations.mcp",
        f"{_A}.integrations.mcp",
        ("mcp_tools",),
        "Tools of MCP servers: `pip install 'anycompletion[mcp]'`.",
    ),
    Section(
        "anycompletion.integrations.google",
        f"{_A}.integrations.google",
        ("vertex_token", "VertexToken"),
        "Tokens for Google Vertex AI: `pip install 'anycompletion[google]'`.",
    ),
    Section(
        "anycompletion.integrations.prices",
        f"{_A}.integrations.prices",
        ("cost", "list_price", "PRICE_LISTS"),
        "Prices from genai-prices: `pip install 'anycompletion[prices]'`.",
    ),
    Section(
        "anycompletion.integrations.redis",
        f"{_A}.integrations.redis",
        ("RedisHealth", "RedisRateLimiter", "RedisStore"),
        "Limits, health and replies that processes share through Redis: `pip install 'anycompletion[redis]'`.",
    ),
)
"""Order of the page. A test fails where a public name is in none of them, or in two."""

LIKE_RECORD = ("to_dict", "from_dict")
"""Methods that are described at `Record`, and at the records that callers convert themselves."""

CONVERTED = ("Record", "ChatRequest", "ChatCompletion", "ChatCompletionChunk")

INTERNAL = {
    "ChatCompletion": ("keep_raw_json", "keep_own_json", "keep_raw_of", "undecoded_raw"),
    "ChatRequest": ("given", "cache_given"),
    "CompletionStream": ("as_source",),
    "Target": ("extras",),
    "Provider": ("table", "own_model", "variant_of"),
    "ProviderVariant": ("table", "serves_only"),
    "Quirks": ("requires_call_ids", "param_support"),
    "Headers": ("of", "contain_any"),
    "Timeout": ("total_is_explicit",),
    "FakeProvider": ("rows", "transport"),
    "ToolRun": ("next_event",),
    "Recorder": ("rows", "transport"),
}
"""Members that have no underscore because other modules of the package use them."""


NOT_CALLED = (
    "ToolRun",
    "RunnableTool",
    "ToolContext",
    "VertexToken",
    "CacheMiddleware",
    "CallNext",
    "CompletionStream",
    "BatchRun",
    "ParsedBatchRun",
    "Telemetry",
    "LoopbackServer",
    "Headers",
)
"""Classes whose constructor is not for users."""
