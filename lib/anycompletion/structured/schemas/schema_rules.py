"""Which JSON Schemas each wire format takes, as data. What is not in a format's rules is not sent to it.

https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
https://docs.claude.com/en/docs/build-with-claude/structured-outputs#json-schema-limitations
https://ai.google.dev/gemini-api/docs/structured-output#json_schema_support
https://docs.cohere.com/docs/structured-outputs#json-schema-mode
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs

from ..._value import Declaration
from ...providers.structured_support import StructuredMode

_NUMBERS = frozenset(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"))

_OPENAI_FORMATS = frozenset(("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"))


@attrs.frozen(eq=False, repr=False, kw_only=True)
class SchemaRules(Declaration):
    """What schemas of one wire format may hold, besides type, properties, items, anyOf, enum, $ref and description."""

    keywords: frozenset[str] | None = None
    """The keywords besides those; others become part of the description. None is all."""
    formats: frozenset[str] | None = None
    """The formats of strings; None is any."""
    lookaround: bool = True
    """Whether patterns may look ahead and behind."""
    const: bool = True
    """Whether there is `const`; an `enum` with one value has the same meaning."""
    exclusive_bounds: bool = True
    """Whether bounds may be exclusive; those of integers have an inclusive form."""
    max_min_items: int | None = None
    """The greatest `minItems`."""
    tuples: bool = True
    """Whether there is `prefixItems`; without it, arrays have one type for all items."""
    all_required: bool = False
    """Whether every property is required, and optional ones may be null, where the meaning allows it."""
    first_required: bool = False
    """Whether each object needs a required property."""
    open_values: bool = True
    """Whether there are objects with any properties, and values of any type."""
    recursion: Literal["any", "optional", "none"] = "any"
    """Where a schema may refer to itself: anywhere, in properties that are not required, or nowhere."""
    max_optional: int | None = None
    """The greatest number of properties that are not required."""
    max_unions: int | None = None
    """The greatest number of properties with several types."""
    otherwise: StructuredMode = "tool"
    """The mode of a type whose schema breaks these rules."""


OPENAI = SchemaRules(
    keywords=_NUMBERS | {"pattern", "format", "minItems", "maxItems"},
    formats=_OPENAI_FORMATS,
    lookaround=False,
    all_required=True,
)
CLAUDE = SchemaRules(
    keywords=frozenset(("format", "minItems")),
    formats=_OPENAI_FORMATS | {"uri"},
    max_min_items=1,
    tuples=False,
    open_values=False,
    recursion="none",
    max_optional=24,
    max_unions=16,
)
GEMINI = SchemaRules(
    keywords=frozenset(("minimum", "maximum", "minItems", "maxItems", "format")),
    formats=frozenset(("date-time", "date", "time")),
    const=False,
    exclusive_bounds=False,
    recursion="optional",
)
COHERE = SchemaRules(
    keywords=frozenset(("pattern", "format")),
    formats=frozenset(("date-time", "date", "time", "uuid")),
    lookaround=False,
    tuples=False,
    first_required=True,
    open_values=False,
    otherwise="json",
)
GRAMMAR = SchemaRules(
    keywords=_NUMBERS | {"format", "minLength", "maxLength", "minItems", "maxItems"},
    formats=frozenset(("date-time", "date", "time", "uuid")),
)
"""Servers that make a grammar of the schema, in which patterns of another form than theirs are an error."""
ANY = SchemaRules()
"""Schemas of tools, which models read and nothing enforces."""

SCHEMA_RULES: Mapping[str, SchemaRules] = {
    "openai_chat": OPENAI,
    "openai_responses": OPENAI,
    "anthropic_messages": CLAUDE,
    "bedrock_converse": CLAUDE,
    "gemini_generate": GEMINI,
    "cohere_chat": COHERE,
    "ollama_chat": GRAMMAR,
}
"""Dialect → the rules of schemas for its replies; others have none."""

TOOL_RULES: Mapping[str, SchemaRules] = {
    "openai_chat": OPENAI,
    "openai_responses": OPENAI,
    "gemini_generate": GEMINI,
}
"""Dialect → the rules of tools' schemas, where they differ from `ANY`."""
