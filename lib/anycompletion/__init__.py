"""Chat completions of any provider, awaited: OpenAI's format in, typed records and streams out.

This module is a menu: public names only, each loaded when it is asked for, so that nothing happens at import. What only
some programs need has a menu of its own: `anycompletion.batch`, `anycompletion.workers`, `anycompletion.testing`,
`anycompletion.web` and `anycompletion.integrations`.
"""

import importlib

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:  # never runs; programs that look for imports, to pack an app into one file, find them here
    from . import client  # noqa: F401 # pyright: ignore[reportUnusedImport] (which imports all the others)

_SHELVES: dict[str, tuple[str, ...]] = {
    "auth": (
        "Auth",
        "header_key",
    ),
    "chunks": (
        "ChatCompletionChunk",
        "ChunkChoice",
        "CustomDelta",
        "Delta",
        "FunctionDelta",
        "ToolCallDelta",
    ),
    "client": ("AsyncCompletion",),
    "errors": (
        "APIConnectionError",
        "APIError",
        "APIResponseError",
        "APIStatusError",
        "APITimeoutError",
        "AuthenticationError",
        "BadRequestError",
        "ClientClosedError",
        "CompletionError",
        "ConfigurationError",
        "ConflictError",
        "ContentPolicyViolationError",
        "ContextWindowExceededError",
        "InternalServerError",
        "InvalidRequestError",
        "JournalError",
        "NotFoundError",
        "OverloadedError",
        "PermissionDeniedError",
        "QuotaExceededError",
        "RateLimitError",
        "ServiceUnavailableError",
        "StreamInterruptedError",
        "UnprocessableEntityError",
        "UnsupportedParameterError",
    ),
    "middleware": (
        "CallNext",
        "Middleware",
    ),
    "options": (
        "BearerToken",
        "CallOptions",
        "Cell",
        "CreateParams",
        "Key",
        "OnUnsupported",
        "Params",
        "RateLimit",
        "RateLimiter",
        "Secret",
        "Timeout",
    ),
    "providers": (
        "PROVIDERS",
        "Provider",
        "known_providers",
        "supported_params",
    ),
    "records": (
        "Annotation",
        "AssistantMessage",
        "Audio",
        "AudioPart",
        "ChatCompletion",
        "ChatRequest",
        "Choice",
        "CompletionTokensDetails",
        "Content",
        "CustomCall",
        "CustomMessage",
        "CustomPart",
        "CustomTool",
        "DeveloperMessage",
        "FilePart",
        "FileRef",
        "FunctionCall",
        "FunctionDefinition",
        "FunctionMessage",
        "FunctionTool",
        "ImagePart",
        "ImageUrl",
        "InputAudio",
        "Logprobs",
        "Message",
        "Messages",
        "Part",
        "PromptTokensDetails",
        "RateLimitState",
        "RefusalPart",
        "ReplyInfo",
        "Result",
        "SystemMessage",
        "TextPart",
        "TokenLogprob",
        "Tool",
        "ToolCall",
        "ToolMessage",
        "TopLogprob",
        "UrlCitation",
        "Usage",
        "UserMessage",
    ),
    "stream": ("CompletionStream",),
    "wire": (
        "Headers",
        "Quirks",
    ),
}
"""Module → what of it is public; `__init__.pyi` says the same to type checkers."""

_HOMES = {name: module for module, names in _SHELVES.items() for name in names}

__all__ = sorted(_HOMES)  # noqa: PLE0605 # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    if name in _SHELVES:
        return importlib.import_module(f".{name}", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
