"""The mode in which a typed reply is asked for: what the caller chose, or what suits the provider, model and type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ...errors import UnsupportedParameterError
from ...params import ParamTable
from ...providers import Provider
from ...providers.structured_support import STRUCTURED_MODES, ParseMode, StructuredMode
from .plain_form import plain_form
from .prepared_schema import not_strict_reason, support_of
from .schema_nodes import with_object_root
from .schema_rules import SCHEMA_RULES, SchemaRules
from .strict_form import broken_rule

_JSON_MODE = frozenset(("openai_chat", "openai_responses", "gemini_generate", "cohere_chat", "ollama_chat"))
"""Dialects that have a JSON mode without a schema."""


def resolve_mode(
    provider: Provider,
    model: str,
    schema: Mapping[str, Any],
    *,
    mode: ParseMode = "auto",
    strict: bool | None = None,
) -> StructuredMode:
    """The mode for a model and the schema of a type.

    Raises:
        UnsupportedParameterError: the provider or its model has no such mode, or cannot have the schema in it, or
            `strict` is asked for where it cannot be; `.param` is "mode" or "strict".
    """
    dialect, support, own = support_of(provider, model)
    chosen = support.mode_of(own) if mode == "auto" else mode
    if mode != "auto" and (problem := _problem(provider, model, chosen)) is not None:
        offered = ", ".join(repr(each) for each in STRUCTURED_MODES if _problem(provider, model, each) is None)
        raise UnsupportedParameterError(f"mode: {problem}; {provider.name} has {offered}", param="mode")
    if chosen == "schema":
        rules = SCHEMA_RULES.get(dialect)
        reason = None if rules is None else _broken_rule(schema, rules)
        if rules is not None and reason is not None:
            if mode != "auto":
                text = f"{provider.name} cannot be sent this type's schema: {reason}; use mode={rules.otherwise!r}"
                raise UnsupportedParameterError(f"mode: {text}", param="mode")
            chosen = rules.otherwise
    if strict:
        _require_strict(provider, model, chosen, schema)
    return chosen


def _broken_rule(schema: Mapping[str, Any], rules: SchemaRules) -> str | None:
    """Why a schema cannot be sent by a format's rules, in words; None if it can."""
    if rules.open_values and rules.recursion != "none" and not rules.first_required:
        return None
    return broken_rule(plain_form(with_object_root(dict(schema))), rules)


def _problem(provider: Provider, model: str, mode: StructuredMode) -> str | None:
    """Why a provider cannot be asked in a mode, in words; None if it can, as far as is known."""
    dialect, support, own = support_of(provider, model)
    table = _table(provider, model)
    lacks = f"{provider.name} is not known to have the mode {mode!r} for {own or 'its models'}"
    match mode:
        case "prompt":
            return None
        case "tool":
            return lacks if _is_unsupported(table, "tools") or mode in support.lacks else None
        case "json" if dialect not in _JSON_MODE:
            return lacks
        case "schema" | "json":
            return lacks if _is_unsupported(table, "response_format") or not support.has_mode(mode, own) else None


def _table(provider: Provider, model: str) -> ParamTable:
    name, own = provider.variant_of(model)
    return provider.variants[name].table if name else provider.table_of(own)


def _is_unsupported(table: ParamTable, param: str) -> bool:
    return param in table and table[param].support == "unsupported"


def _require_strict(provider: Provider, model: str, mode: StructuredMode, schema: Mapping[str, Any]) -> None:
    _, support, own = support_of(provider, model)
    if not support.takes_strict(mode, own):
        text = f"{provider.name} takes no strict schema in the mode {mode!r}"
        raise UnsupportedParameterError(f"strict: {text}", param="strict")
    reason = not_strict_reason(plain_form(with_object_root(dict(schema))))
    if reason is not None:
        raise UnsupportedParameterError(f"strict: the schema of this type cannot be strict: {reason}", param="strict")


def forces_tool(provider: Provider, model: str, params: Mapping[str, Any]) -> bool:
    """Whether a call can demand the use of a tool; if not, the tool is offered, and the prompt asks for it."""
    support = support_of(provider, model)[1]
    choice = _table(provider, model).get("tool_choice")
    if choice is not None and (choice.support == "unsupported" or (choice.values and "required" not in choice.values)):
        return False
    return support.thinking_takes_forced_tools or not _thinks(params)


def _thinks(params: Mapping[str, Any]) -> bool:
    thinking: object = params.get("thinking")
    kind = cast("Mapping[str, Any]", thinking).get("type") if isinstance(thinking, Mapping) else None
    return kind in ("enabled", "adaptive") or params.get("reasoning_effort") not in (None, "none")
