"""The schema that one provider is sent for a type; pure, and the same again for a schema that was already prepared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ..._value import FrozenValue
from ...providers import Provider
from ...providers.structured_support import StructuredMode, StructuredSupport
from .plain_form import plain_form
from .restricted_form import SchemaRestriction
from .schema_nodes import inlined, with_object_root, without_unused_definitions
from .schema_rules import ANY, OPENAI, SCHEMA_RULES, TOOL_RULES, SchemaRules
from .strict_form import broken_rule, exceeded_limit, open_part

_SHOW_DEFINITIONS = frozenset(("anthropic_messages",))
"""Dialects whose models are shown the ``$defs`` of tools; prompts of open models leave them out."""


@attrs.frozen(eq=False, repr=False)
class PreparedSchema(FrozenValue):
    """A schema as a provider is sent it."""

    schema: dict[str, Any]
    """Shares parts with the schema that it was made of, so that it must not be changed."""
    strict: bool | None
    """The value of OpenAI's ``strict``; None where it is left out."""
    notes: tuple[str, ...] = ()
    """What callers may want to know: why the schema is not strict."""
    dropped: tuple[str, ...] = ()
    """Path and keyword of what the provider's schemas cannot have; where words can say it, the description has it."""


def support_of(provider: Provider, model: str) -> tuple[str, StructuredSupport, str]:
    """Dialect, support of typed replies, and the provider's own name of a model, which may name a variant."""
    name, own = provider.variant_of(model)
    spoken = provider.variants[name] if name else provider
    return spoken.dialect, spoken.structured, own


def schema_for(
    provider: Provider,
    model: str,
    schema: Mapping[str, Any],
    *,
    mode: StructuredMode = "schema",
    strict: bool | None = None,
) -> PreparedSchema:
    """The schema that a provider is sent for a type.

    Args:
        provider: the provider.
        model: the provider's own name of the model; it may name a variant.
        schema: the schema of the object that is sent; it is not changed.
        mode: how the reply is asked for.
        strict: whether the schema is to be strict; None: where its meaning allows it.

    Raises:
        InvalidRequestError: the type has too many levels.
    """
    dialect, support, own = support_of(provider, model)
    rules = _rules(dialect, mode, support.keywords)
    takes_strict = support.takes_strict(mode, own)
    plain = without_unused_definitions(plain_form(with_object_root(dict(schema))))
    if mode == "tool" and not takes_strict and dialect not in _SHOW_DEFINITIONS:
        plain = inlined(plain)
    reason = not_strict_reason(plain) if rules.all_required else None
    is_strict = rules.all_required and reason is None and strict is not False
    restriction = SchemaRestriction(rules, nullable=is_strict)
    sent = without_unused_definitions(restriction.apply(plain))
    notes = (f"schema not strict: {reason}",) if takes_strict and reason is not None and strict is not False else ()
    return PreparedSchema(sent, is_strict if takes_strict else None, notes, tuple(restriction.dropped))


def _rules(dialect: str, mode: StructuredMode, keywords: Mapping[str, bool]) -> SchemaRules:
    """The rules of the schemas of a mode, with a row's own keywords; a prompt may have any."""
    match mode:
        case "schema":
            rules = SCHEMA_RULES.get(dialect, OPENAI)
        case "tool":
            rules = TOOL_RULES.get(dialect, ANY)
        case "json" | "prompt":
            rules = ANY
    if rules.keywords is None or not keywords:
        return rules
    kept = rules.keywords | {name for name, is_kept in keywords.items() if is_kept}
    return attrs.evolve(rules, keywords=kept - {name for name, is_kept in keywords.items() if not is_kept})


def not_strict_reason(plain: dict[str, Any]) -> str | None:
    """Why a schema in plain form cannot be strict without another meaning, in words; None if it can."""
    return open_part(plain) or exceeded_limit(plain)


def strict_tool_problem(schema: Mapping[str, Any], dialect: str | None = None) -> str | None:
    """Why the schema of a tool cannot be strict, in words; None if it can.

    Args:
        schema: the parameters of the tool.
        dialect: the format of the request; None for what no format can have.
    """
    plain = plain_form(with_object_root(dict(schema)))
    rules = None if dialect is None or dialect in TOOL_RULES else SCHEMA_RULES.get(dialect)
    return not_strict_reason(plain) or (None if rules is None else broken_rule(plain, rules))
