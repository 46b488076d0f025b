"""Public names whose modules a plain call does not need: each is imported when it is first used.

They are a tenth of the time that an import of the package takes.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module

_MODULES: Mapping[str, str] = {
    "AllTargetsFailedError": "route_errors",
    "CacheUse": "client.stats",
    "CallNext": "middleware",
    "ChatCompletionChunk": "records.chunks",
    "ChunkChoice": "records.chunks",
    "ClientOptions": "client.client_options",
    "CompletionStream": "streaming",
    "CreateParams": "records.call_params",
    "CustomDelta": "records.chunks",
    "Delta": "records.chunks",
    "FunctionDelta": "records.chunks",
    "Middleware": "middleware",
    "ModelInfo": "client.model_list",
    "Params": "records.call_params",
    "ParseParams": "records.call_params",
    "ProviderStats": "client.stats",
    "RateLimitState": "records.rate_limit_state",
    "Reply": "middleware",
    "Result": "records.results",
    "RunParams": "tools.run_params",
    "Stats": "client.stats",
    "ToolCallDelta": "records.chunks",
    "ToolExecutionError": "run_errors",
    "ToolRunError": "run_errors",
    "file_part": "records.file_parts",
    "image_part": "records.file_parts",
}
"""Name → the module that has it."""

_PACKAGE = __name__.rpartition(".")[0]


def names() -> list[str]:
    """The names of the package, also those that were not used yet."""
    return sorted({*vars(sys.modules[_PACKAGE]), *_MODULES})


def load(name: str) -> object:
    """The public object of a name; it is an attribute of the package from then on.

    Raises:
        AttributeError: the package has no such name.
    """
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {_PACKAGE!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{_PACKAGE}.{module}"), name)
    setattr(sys.modules[_PACKAGE], name, value)
    return value
