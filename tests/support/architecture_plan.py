"""The plan of the package as data: layers, libraries and names, with the reason for each exception.

Modules are named by their dotted path inside the package (``codecs.lenient``); the package itself is ``__init__``.
An entry covers the module or package of that name and all below it; where several entries match, the longest one
decides. `architecture` checks the package against these tables and reports entries that nothing needs.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import NamedTuple

PUBLIC_USERS: dict[str, dict[str, str]] = {
    "web": {
        "codecs": "limits of JSON, which are checked before it is decoded",
        "errors": "each kind of error has its HTTP status",
        "logs": "failures that no response can carry any more are logged",
        "records": "JSON types of the endpoint",
        "tools": "public package",
    },
    "cli": {"batch": "public package", "testing": "public package: models that begin with sim/"},
    "workers": {"_async": "objects that are closed at the end of a block", "batch": "public package"},
    "integrations": {
        "routing": "public package",
        "tools": "public package",
        "_async": "objects that are closed at the end of a block",
        "_boundary": "constructors that take URLs with passwords",
        "errors": "errors that are raised or classified",
        "logs": "failures of exporters are logged",
        "options": "the protocol of shared rate limiters",
        "caching": "public package: the protocol of stores",
    },
    "testing": {
        "codecs": "limits of JSON, which are checked before it is decoded",
        "errors": "errors that fakes raise",
        "http": "headers as values",
        "records": "requests that fakes receive and replies that they give",
        "redaction": "recordings must not contain keys",
        "streaming.accumulator": "the reply of a recorded stream",
        "structured": "values as fake replies, in the form in which they are asked for",
        "transport": "a fake transport has the types of the real one",
    },
    "__main__": {"cli": "`python -m anycompletion` is the command line"},
}
"""Package that uses the public surface → what it may import besides `__init__` → why."""

LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors", "logs", "_async", "_value"),
    ("_boundary", "cache_control", "route_errors", "run_errors"),
    ("http", "options", "params", "redaction", "rate_limit_headers", "codecs.lenient"),
    ("records",),
    ("codecs",),
    ("validation", "auth", "retry_policy", "sigv4"),
    ("dialects", "dialects.base"),
    ("dialects.error_body", "dialects.error_phrases", "dialects.claude_thinking", "dialects.tool_call_ids"),
    ("dialects.shared",),
    ("dialects.openai_errors", "dialects.azure_urls", "dialects.edited_replies", "dialects.result_media"),
    ("dialects.*",),
    ("providers",),
    ("ratelimit", "transport"),
    ("calls",),
    ("streaming",),
    ("middleware",),
    ("structured", "routing", "caching"),
    ("tools",),
    ("batch.journal",),
    ("batch",),
    ("client",),
    ("_later_names",),
    ("__init__",),
    tuple(PUBLIC_USERS),
)
"""Lowest layer first. A module imports from lower layers; from its own layer only where `SAME_LAYER` names it.

`codecs.lenient` and `rate_limit_headers` are below records, because records read providers' JSON and headers with them.
"""

SAME_LAYER: dict[str, dict[str, str]] = {
    "rate_limit_headers": {"http": "dates of headers"},
    "redaction": {"http": "secrets are hidden in headers"},
}
"""Importer → imported module of the same layer → why."""

_PURE = "a dialect is pure: it neither sends, retries, signs nor chooses a provider"
NEVER: dict[str, dict[str, str]] = {
    "dialects.*": dict.fromkeys(("auth", "calls", "providers", "ratelimit", "retry_policy", "transport"), _PURE),
    "transport": dict.fromkeys(
        ("records", "dialects", "providers"), "the transport carries bytes and does not know chat completions"
    ),
}
"""Importer → imported module → why not, whatever the layers allow."""

_STRUCTS = "values that few callers make: importing and making a Struct takes a tenth of the time of an attrs class"
LIBRARIES: dict[str, dict[str, str]] = {
    "aiohttp": {
        "transport": "the only sockets of the package",
        "testing": "servers and connectors of fakes and of the simulator",
        "web": "handlers for aiohttp.web",
    },
    "anyio": {
        "testing": "the pytest plugin runs the simulator in a thread of its own",
        "tools": "sync tools run in threads",
    },
    "botocore": {"integrations": "extra"},
    "cattrs": {"codecs.converters": "records to JSON", "validation.structure": "caller input to records"},
    "cyclopts": {"cli": "extra"},
    "docstring_parser": {"tools.descriptions": "extra"},
    "genai_prices": {"integrations": "extra"},
    "google": {"integrations": "extra"},
    "mcp": {"integrations": "extra"},
    "msgspec": {
        **dict.fromkeys(
            (
                "client.configuration",
                "client.key_binding",
                "http",
                "providers.placeholders",
                "rate_limit_headers",
                "redaction",
                "records.reply_info",
                "transport.timeouts",
            ),
            _STRUCTS,
        ),
        "codecs": "JSON",
        "dialects": "replies and chunks are decoded in one step, and differences of servers are Structs",
        "records.chunks": "chunks are Structs",
        "structured": "types out of JSON",
        "caching": "stored replies are Structs",
        "tools": "results of tools as JSON",
    },
    "opentelemetry": {"integrations": "extra"},
    "pytest": {"testing": "the pytest plugin"},
    "redis": {"integrations": "extra"},
    "rich": {"cli": "extra"},
    "starlette": {"web": "extra"},
    "throttled": {"integrations": "extra"},
    "uvloop": {"testing": "the network guard covers uvloop's connections as well"},
    "yarl": {"transport": "aiohttp's type of URLs"},
}
"""Library → module or package that may import it → why. A library that is neither here nor free is a violation."""

FREE_LIBRARIES = frozenset({"attr", "attrs"}) | sys.stdlib_module_names

TYPE_ONLY_LIBRARIES: dict[str, dict[str, str]] = {
    "aiohttp": {"client": "the type of the argument `session`"},
    "anyio": {"client": "the type of the limit of threads"},
    "typing_extensions": {
        "batch": "type variables with defaults, and TypeForm",
        "client.run_tools_method": "TypeForm, by which checkers infer the type of a value",
        "client.batch_method": "TypeForm, by which checkers infer the type of a value",
        "client.typed_replies": "TypeForm, by which checkers infer the type of a value",
        "structured": "type variables with defaults, and TypeForm",
        "tools": "type variables with defaults",
    },
}
"""Library → module or package that may import it under ``if TYPE_CHECKING:`` only → why."""

TYPE_ONLY_MODULES: dict[str, dict[str, str]] = {
    "errors": {
        "records.completion": "the public type of an error's `partial`, which users read as a completion",
        "records.reply_info": "the public type of the details of a reply that is no value",
    },
    "run_errors": {"records.messages": "the public type of the call of a tool that raised"},
    "options": {"routing.route": "the public type of `fallbacks`"},
}
"""Module → module of a higher layer that it may import under ``if TYPE_CHECKING:`` only → why."""

_EXTRA = "an extra, which may be missing"
_TYPES = "few milliseconds, and many programs read text only"
_CATTRS = "loads cattrs (7 ms), which simple messages do not need"
_STREAMS = "3 ms, which a plain call of one choice does not need"
_SIGNATURES = "few programs sign requests"
FUNCTION_IMPORTS: dict[str, dict[str, str]] = {
    "batch.stored_results": {"anycompletion.structured": _TYPES},
    "cli": {"anycompletion.cli.app": _EXTRA, "cyclopts": _EXTRA, "rich": "slow to import, and few commands need it"},
    "client": {
        "anycompletion.batch": "with its journal 3.5 ms, which a client without batches does not need",
        "anycompletion.client.batch_calls": "few programs have batches",
        "anycompletion.client.run_turns": "with the loop and its tools few ms, and many programs have none",
        "anycompletion.client.model_list": "few programs list models",
        "anycompletion.client.parsed_batch": _TYPES,
        "anycompletion.structured.parse": _TYPES,
        "anycompletion.structured.route_requests": "for typed calls over routes only",
        "anycompletion.structured.tool_schemas": "for tools made of functions only",
        "anycompletion.structured.parsed_stream": _TYPES,
        **dict.fromkeys(
            (
                "anycompletion.client.client_routes",
                "anycompletion.client.routed_calls",
                "anycompletion.routing.route",
            ),
            "few programs have routes",
        ),
        "anycompletion.ratelimit.client_limits": "1 ms, which a client without limits does not need",
        "anycompletion.records.results": "few programs want errors as values",
        "anycompletion.client.stats": "few programs ask for statistics",
        "anycompletion.calls.chunk_source": _STREAMS,
        "anycompletion.middleware": "with streams 3 ms, which a plain call without middleware does not need",
        "anycompletion.streaming.accumulator": _STREAMS,
        "anycompletion.streaming.fanout": _STREAMS,
        "anycompletion.streaming.missing_choices": _STREAMS,
        "anycompletion.streaming.stream": _STREAMS,
    },
    "codecs.json": {"anycompletion.codecs.converters": _CATTRS},
    "calls.call": {"anycompletion.calls.signing": _SIGNATURES},
    "calls.call_context": {"anycompletion.sigv4": _SIGNATURES},
    "calls.plan": {"anycompletion.sigv4": _SIGNATURES},
    "calls.retry": {"anycompletion.calls.signing": _SIGNATURES, "anycompletion.sigv4": _SIGNATURES},
    "dialects.openai_chat.dialect": {"anycompletion.dialects.openai_chat.stream": _STREAMS},
    "dialects.openai_chat.encode": {"anycompletion.dialects.openai_chat.stream": _STREAMS},
    "records.reply_info": {"anycompletion.records.rate_limit_state": "few programs ask for it"},
    "records.file_parts": {"mimetypes": "2 ms, for programs that send files"},
    "integrations.otel": {"anycompletion.integrations.otel_tools": "few services have tools"},
    "providers.plugins": {"importlib.metadata": "4 ms, and most programs use built-in providers only"},
    "sigv4": {"hmac": _SIGNATURES},
    "testing.network_guard": {"uvloop": "may be missing; imported later it would circumvent the network guard"},
    "transport.connection_limit": {"resource": "does not exist on every platform"},
    "validation.message_input": {"anycompletion.validation.structure": _CATTRS},
    "providers.registry": {
        "anycompletion.providers.plugins": "most programs use built-in providers only",
        "difflib": "1 ms, for an error text only",
    },
    "validation.option_checks": {"anycompletion.cache_control": "few programs have a cache"},
    "validation.call_arguments": {"anycompletion.validation.keyword_hints": "tables for an error text only"},
    "tools.descriptions": {"docstring_parser": _EXTRA},
    "tools.tool_results": {"anycompletion.validation.structure": _CATTRS},
    "validation.values": {"dataclasses": "loaded already where there is a dataclass to read"},
    "web": {
        "anycompletion.web.aiohttp": "aiohttp's server half, which users of Starlette do not need",
        "anycompletion.tools": "few services relay runs",
        "anycompletion.web.endpoint": _EXTRA,
        "anycompletion.web.run_chunks": "few services relay runs",
        "anycompletion.web.starlette": _EXTRA,
    },
}
"""Module or package → what it may import inside functions → why.

What a call may need after its request was sent is not among it, unless it is loaded by then: an import fails where the
process has no file descriptors left, and a reply that is paid for, or the provider's error, would be lost. The only
exception is what reads streams, where a server answers a plain call by one.
"""

COMPUTED_IMPORTS: dict[str, str] = {
    "client.list_prices": "an extra that uses the public names, for routes that pick the cheapest target",
    "_later_names": "public names of modules that a plain call does not need",
    "records.tool_definitions": "functions among the tools of a request, which few programs have",
    "providers.registry": "the rows of providers are made when one of them is first needed",
    "providers.provider": "a dialect is loaded by the name of its folder when a provider first needs it",
}
"""Module that may import by a computed name → why."""

DIALECT_NAMES: dict[str, str] = {"Quirks": "a public name; OpenAI's is the format that most providers have"}
"""Public class of a dialect that may lack its format's name → why."""

DUPLICATE_NAMES: dict[str, str] = {}
"""Name of a class or type alias that may exist in several modules → why."""

_SEAM = "each dialect has the modules of the seam"
_FORMAT = "each format has the modules of the simulator's seam"
DUPLICATE_MODULES: dict[str, str] = {
    "dialects.*.encode": _SEAM,
    "dialects.*.decode": _SEAM,
    "dialects.*.stream": _SEAM,
    "dialects.*.errors": _SEAM,
    "dialects.*.params": _SEAM,
    "dialects.*.dialect": _SEAM,
    "dialects.base": "the seam; records.base is the base class of records",
    "transport.errors": "aiohttp's errors as errors of the package",
    "client.client": "the module of AsyncCompletion, where readers look for it",
    "testing.formats.*": "the same format as in dialects",
    "testing.formats.*.encode": _FORMAT,
    "testing.formats.*.simulate": _FORMAT,
    "testing.formats.*.validate": _FORMAT,
}
"""Module whose last name may be that of another module → why; ``*`` stands for one name, and nothing below counts."""

_CONNECTOR = "private members of aiohttp's connector"
_CONNECTOR_USERS = {"transport.connector": _CONNECTOR, "transport.http1": _CONNECTOR}
_IN_MEMORY = {"testing": "a connector that opens no sockets"}
IDENTIFIERS: dict[str, dict[str, str]] = {
    "StreamReader": {"transport.body": "the body reader replaces aiohttp's StreamReader"},
    "EMPTY_PAYLOAD": {"transport.body": "what aiohttp has in place of a StreamReader where there is no body"},
    **dict.fromkeys(("_acquired", "_conns", "_get", "_release", "_wrap_create_connection"), _CONNECTOR_USERS),
    **dict.fromkeys(("_create_connection", "_factory"), _CONNECTOR_USERS | _IN_MEMORY),
}
"""Member of aiohttp that the package relies on → module that may name it, among those that import aiohttp → why."""


class ArchitecturePlan(NamedTuple):
    """All tables of the plan; tests of the check replace some of them."""

    layers: tuple[tuple[str, ...], ...] = LAYERS
    public_users: Mapping[str, Mapping[str, str]] = PUBLIC_USERS
    same_layer: Mapping[str, Mapping[str, str]] = SAME_LAYER
    never: Mapping[str, Mapping[str, str]] = NEVER
    libraries: Mapping[str, Mapping[str, str]] = LIBRARIES
    free_libraries: frozenset[str] = FREE_LIBRARIES
    type_only_libraries: Mapping[str, Mapping[str, str]] = TYPE_ONLY_LIBRARIES
    type_only_modules: Mapping[str, Mapping[str, str]] = TYPE_ONLY_MODULES
    function_imports: Mapping[str, Mapping[str, str]] = FUNCTION_IMPORTS
    computed_imports: Mapping[str, str] = COMPUTED_IMPORTS
    dialect_names: Mapping[str, str] = DIALECT_NAMES
    duplicate_names: Mapping[str, str] = DUPLICATE_NAMES
    duplicate_modules: Mapping[str, str] = DUPLICATE_MODULES
    identifiers: Mapping[str, Mapping[str, str]] = IDENTIFIERS


PLAN = ArchitecturePlan()
