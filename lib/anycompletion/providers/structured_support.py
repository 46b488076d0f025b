"""How a provider is asked for typed replies, as data of its row: the mode, and what its JSON Schemas may hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, cast

import attrs

from .._value import Declaration
from ..errors import ConfigurationError

StructuredMode: TypeAlias = Literal["schema", "tool", "json", "prompt"]
"""How a typed reply is asked for: by a JSON Schema that the provider enforces, by the arguments of a tool, in JSON mode
with the schema in the prompt, or by the prompt alone."""

ParseMode: TypeAlias = Literal["auto", "schema", "tool", "json", "prompt"]
"""What callers choose: a `StructuredMode`, or the one that suits the provider and the model."""

STRUCTURED_MODES: tuple[StructuredMode, ...] = ("schema", "tool", "json", "prompt")

_SEPARATORS = "/.:"
"""Characters after which a model's own name may begin: ``openai/gpt-oss-20b``, ``us.anthropic.claude-opus-4-6``,
``ft:gpt-4o-mini``."""


@attrs.frozen(eq=False, repr=False)
class StructuredSupport(Declaration):
    """How a provider is asked for typed replies; the default asks in the prompt, which every model understands.

    Raises:
        ConfigurationError: a mode is unknown.
    """

    mode: StructuredMode = "prompt"
    """The mode of `ParseMode` "auto": schema, tool, json or prompt."""
    strict: bool = attrs.field(default=False, kw_only=True)
    """True where a schema is sent with OpenAI's ``strict``."""
    strict_tools: bool = attrs.field(default=False, kw_only=True)
    """True where the tool of the mode tool is sent with it as well."""
    models: Mapping[str, StructuredMode] = attrs.field(factory=dict[str, StructuredMode], kw_only=True)
    """Start of a model's name → its mode, where it differs; the longest start counts. If any model has the mode schema,
    those of other modes are known to lack it."""
    strict_models: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    """Starts of the names of the only models that take ``strict``; empty for all."""
    lacks: tuple[StructuredMode, ...] = attrs.field(default=(), kw_only=True)
    """Modes that the provider is known to refuse or to ignore."""
    keywords: Mapping[str, bool] = attrs.field(factory=dict[str, bool], kw_only=True)
    """Keyword of JSON Schema → whether schemas may have it, where this differs from others of the dialect."""
    schema_with_tools: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    """Starts of the names of models that take a schema for the reply of a request with tools; ``("",)`` for all."""
    thinking_takes_forced_tools: bool = attrs.field(default=True, kw_only=True)
    """False where a call that thinks may offer a tool, but cannot demand its use."""

    def __attrs_post_init__(self) -> None:
        for mode in (self.mode, *self.models.values(), *self.lacks):
            if mode not in STRUCTURED_MODES:
                shown = ", ".join(map(repr, STRUCTURED_MODES))
                raise ConfigurationError(f"structured: expected one of the modes {shown}, found {mode!r}")
        for name in ("strict_models", "schema_with_tools"):
            if isinstance(cast("object", getattr(self, name)), str):
                raise ConfigurationError(f"structured: {name}: expected a tuple of texts, found a text")

    def mode_of(self, model: str) -> StructuredMode:
        """The mode for a model, by the provider's own name of it."""
        found = [start for start in self.models if is_model_of(model, start)]
        return self.models[max(found, key=len)] if found else self.mode

    def has_mode(self, mode: StructuredMode, model: str) -> bool:
        """Whether the provider may be asked for a mode explicitly; False if it is known not to have it."""
        if mode in self.lacks:
            return False
        is_by_model = mode == "schema" and self.models and mode in (self.mode, *self.models.values())
        return not is_by_model or self.mode_of(model) == mode

    def takes_strict(self, mode: StructuredMode, model: str) -> bool:
        """Whether the schema of a mode is sent with ``strict`` for the model."""
        if not (self.strict if mode == "schema" else self.strict_tools and mode == "tool"):
            return False
        return not self.strict_models or any(is_model_of(model, start) for start in self.strict_models)


def is_model_of(model: str, start: str) -> bool:
    """Whether a model's name begins with `start`, with or without the vendor or region that stands before it."""
    at = model.find(start)
    while at > 0 and model[at - 1] not in _SEPARATORS:
        at = model.find(start, at + 1)
    return at >= 0


def as_structured_support(value: StructuredSupport | StructuredMode) -> StructuredSupport:
    """A row's `structured`, which may be given as a mode alone.

    Raises:
        ConfigurationError: it is neither.
    """
    if isinstance(value, StructuredSupport):
        return value
    if not isinstance(cast("object", value), str):
        raise ConfigurationError(f"structured: expected a StructuredSupport or a mode, found {type(value).__name__}")
    return StructuredSupport(value)
