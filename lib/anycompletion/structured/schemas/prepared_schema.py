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
from .strict_form import exceeded_limit, open_part


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
    """Path and keyword of what the provider's schemas cannot say; descriptions say it where words can."""


@attrs.frozen(eq=False, repr=False)
class SchemaTarget(FrozenValue):
    """All that decides how a schema is prepared, as a hashable value: targets that are equal get equal schemas."""

    dialect: str
    mode: StructuredMode
    strict: bool | None
    """Whether `strict` is asked for; None: where the schema allows it."""
    takes_strict: bool
    """Whether the provider is sent `strict` at all."""
    keywords: tuple[tuple[str, bool], ...]
    """`StructuredSupport.keywords`."""

    @property
    def rules(self) -> SchemaRules:
        """The rules of the schema; a prompt may have any."""
        match self.mode:
            case "schema":
                rules = SCHEMA_RULES.get(self.dialect, OPENAI)
            case "tool":
                rules = TOOL_RULES.get(self.dialect, ANY)
            case "json" | "prompt":
                rules = ANY
        if rules.keywords is None or not self.keywords:
            return rules
        keywords = rules.keywords | {name for name, is_kept in self.keywords if is_kept}
        return attrs.evolve(rules, keywords=keywords - {name for name, is_kept in self.keywords if not is_kept})

    @property
    def inlines(self) -> bool:
        """Whether definitions stand in place of references: prompts of open models show tools without ``$defs``."""
        return self.mode == "tool" and self.dialect != "anthropic_messages" and not self.takes_strict


def support_of(provider: Provider, model: str) -> tuple[str, StructuredSupport, str]:
    """Dialect, support of typed replies, and the provider's own name of a model, which may name a variant."""
    name, own = provider.variant_of(model)
    spoken = provider.variants[name] if name else provider
    return spoken.dialect, spoken.structured, own


def schema_target(provider: Provider, model: str, mode: StructuredMode, *, strict: bool | None = None) -> SchemaTarget:
    """The target of schemas for a model in one mode."""
    dialect, support, own = support_of(provider, model)
    takes_strict = support.takes_strict(mode, own)
    return SchemaTarget(dialect, mode, strict, takes_strict, tuple(sorted(support.keywords.items())))


def schema_for(
    provider: Provider,
    model: str,
    schema: Mapping[str, Any],
    *,
    mode: StructuredMode = "schema",
    strict: bool | None = None,
) -> PreparedSchema:
    """The schema that a provider is sent for a type; `schema` itself, of the object that is sent, is not changed."""
    return prepare_schema(schema, schema_target(provider, model, mode, strict=strict))


def prepare_schema(schema: Mapping[str, Any], target: SchemaTarget) -> PreparedSchema:
    """The same for a target; where equal targets come often, callers keep the result."""
    rules = target.rules
    plain = without_unused_definitions(plain_form(with_object_root(dict(schema))))
    if target.inlines:
        plain = inlined(plain)
    reason = not_strict_reason(plain) if rules.all_required else None
    is_strict = rules.all_required and reason is None and target.strict is not False
    restriction = SchemaRestriction(rules, nullable=is_strict)
    sent = without_unused_definitions(restriction.apply(plain))
    dropped = tuple(restriction.dropped)
    if not target.takes_strict:
        return PreparedSchema(sent, None, dropped=dropped)
    notes = () if target.strict is False or reason is None else (f"schema not strict: {reason}",)
    return PreparedSchema(sent, is_strict, notes, dropped)


def not_strict_reason(plain: dict[str, Any]) -> str | None:
    """Why a schema in plain form cannot be strict without another meaning, in words; None if it can."""
    return open_part(plain) or exceeded_limit(plain)
