"""The schemas that each kind of provider is sent for two types: one that can be strict, and one with open parts.

``PYTHONPATH=tests python -m support.golden_schemas`` writes them to ``tests/unit/structured/golden/``; read the change
before you commit it.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import uuid
from pathlib import Path
from typing import Annotated, Any, Literal

import attrs
import msgspec

from anycompletion.providers import PROVIDERS
from anycompletion.structured.schemas import resolve_mode, schema_for
from anycompletion.structured.types import compile_type

GOLDEN = Path(__file__).parents[1] / "unit" / "structured" / "golden"

TARGETS: dict[str, str] = {
    "openai": "openai/gpt-5.4",
    "openai_responses": "openai/responses/gpt-5.4",
    "azure": "azure/gpt-5.4",
    "anthropic": "anthropic/claude-haiku-4-5",
    "anthropic_old": "anthropic/claude-3-7-sonnet-latest",
    "gemini": "gemini/gemini-3-flash",
    "vertex": "vertex/gemini-3-flash",
    "cohere": "cohere/command-a-03-2025",
    "mistral": "mistral/mistral-large-latest",
    "together": "together/openai/gpt-oss-120b",
    "groq_strict": "groq/openai/gpt-oss-120b",
    "groq": "groq/meta-llama/llama-4-scout-17b-16e-instruct",
    "groq_json": "groq/llama-3.3-70b-versatile",
    "ollama": "ollama/qwen3",
    "llamacpp": "llamacpp/qwen3",
    "bedrock": "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "bedrock_nova": "bedrock/amazon.nova-pro-v1:0",
    "perplexity": "perplexity/sonar",
    "deepseek": "deepseek/deepseek-chat",
    "snowflake": "snowflake/llama3.1-70b",
    "replicate": "replicate/meta/meta-llama-3-70b-instruct",
}
"""Name of a file → the model; for each row of the table of the documentation, and each mode of it."""


class Unit(enum.Enum):
    """How an amount is measured."""

    GRAM = "g"
    MILLILITRE = "ml"


@dataclasses.dataclass
class Ingredient:
    """One ingredient."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    amount: Annotated[float, msgspec.Meta(gt=0, le=5000)]
    unit: Unit
    optional: bool = False


@attrs.define
class Oven:
    """Baking."""

    degrees: Annotated[int, msgspec.Meta(ge=50, lt=300, multiple_of=5)]


@attrs.define
class Pan:
    """Frying."""

    oil: str | None = None


@dataclasses.dataclass
class Recipe:
    """A recipe of twenty fields, without any open part."""

    title: Annotated[str, msgspec.Meta(min_length=1, max_length=80, description="as on the page")]
    slug: Annotated[str, msgspec.Meta(pattern="^[a-z-]+$")]
    code: Annotated[str, msgspec.Meta(pattern="^(?!x)[A-Z]{2}$")]
    ident: uuid.UUID
    day: datetime.date
    written: datetime.datetime
    rest: datetime.timedelta
    price: decimal.Decimal
    photo: bytes
    minutes: Annotated[int, msgspec.Meta(ge=1, lt=1440)]
    rating: Annotated[float, msgspec.Meta(gt=0, lt=5)]
    vegan: bool
    course: Literal["starter", "main", "dessert"]
    level: Literal[1, 2, 3]
    ingredients: Annotated[list[Ingredient], msgspec.Meta(min_length=2, max_length=30)]
    heat: Oven | Pan
    main: Ingredient
    servings: int = 4
    note: str | None = None
    tags: set[str] = dataclasses.field(default_factory=set)


@dataclasses.dataclass
class Comment:
    """A comment with its answers."""

    text: str
    answers: list[Comment]


@dataclasses.dataclass
class Thread:
    """What has no closed schema everywhere: recursion, keys that are not known, tuples and any value."""

    first: Comment
    votes: Annotated[dict[str, int], "name of a person and the vote"]
    place: tuple[float, float]
    version: tuple[int, str]
    extra: Any = None


TYPES: tuple[type, ...] = (Recipe, Thread)


def golden(model: str) -> str:
    """The text of a model's file: for each type the mode, what else is decided, and the schema."""
    provider, _, own = model.partition("/")
    row = PROVIDERS[provider]
    found: dict[str, Any] = {"model": model}
    for into in TYPES:
        schema = compile_type(into).schema
        mode = resolve_mode(row, own, schema)
        sent = schema_for(row, own, schema, mode=mode)
        found[into.__name__] = {"mode": mode, "strict": sent.strict, "notes": sent.notes, "schema": sent.schema}
    return json.dumps(found, indent=1) + "\n"


def main() -> None:
    """Writes all files."""
    GOLDEN.mkdir(exist_ok=True)
    for name, model in TARGETS.items():
        (GOLDEN / f"{name}.json").write_text(golden(model), "utf-8")


if __name__ == "__main__":
    main()
