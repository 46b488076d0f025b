"""Variants of providers: further wire formats that a provider speaks, which are asked for by a name."""

from __future__ import annotations

from typing import Any

import pytest

from anycompletion import PROVIDERS, Provider, ProviderVariant
from anycompletion.dialects.openai_responses.responses_quirks import OpenAIResponsesQuirks
from anycompletion.errors import ConfigurationError
from anycompletion.params import unsupported
from anycompletion.providers import DIALECTS

OPENAI = PROVIDERS["openai"]
ROWS_WITH_VARIANTS = [row for row in PROVIDERS.values() if row.variants]


def row(**variant: Any) -> Provider:
    return Provider(
        "acme", "https://api.acme.ai/v1", variants={"responses": ProviderVariant("openai_responses", **variant)}
    )


@pytest.mark.parametrize(
    ("model", "variant", "own"),
    [
        ("gpt-5.2", "", "gpt-5.2"),
        ("responses/gpt-5.2", "responses", "gpt-5.2"),
        ("responses/org/gpt", "responses", "org/gpt"),
        ("responses/", "", "responses/"),
        ("responses", "", "responses"),
        ("Responses/gpt-5.2", "", "Responses/gpt-5.2"),
        ("org/responses/gpt", "", "org/responses/gpt"),
        ("o1-pro", "responses", "o1-pro"),
        ("o1-pro-2025-03-19", "responses", "o1-pro-2025-03-19"),
        ("o1-product", "", "o1-product"),
        ("o1", "", "o1"),
    ],
)
def test_a_model_is_asked_in_the_format_that_its_name_has(model: str, variant: str, own: str) -> None:
    """A model would be asked at an endpoint that does not serve it, or under another name."""
    assert OPENAI.variant_of(model) == (variant, own)


def test_only_models_may_be_endings() -> None:
    """Models with one ending, of any size, would need an entry each."""
    found = row(only_models=("*-deep-research",))
    assert found.variant_of("o9-deep-research") == ("responses", "o9-deep-research")
    assert found.variant_of("deep-research-o9") == ("", "deep-research-o9")


@pytest.mark.parametrize("field", ["only_models", "error_phrases"])
@pytest.mark.parametrize("value", ["o1-pro", ("",)])
def test_a_text_is_no_tuple_of_texts(field: str, value: Any) -> None:
    """The letters of a text would be the names, and an empty name fail at the first call."""
    with pytest.raises(ConfigurationError, match=field):
        row(**{field: value})


@pytest.mark.parametrize(
    ("model", "variant"),
    [
        ("gpt-5.5-law", "responses"),
        ("gpt-6-cyber", "responses"),
        ("gpt-rosalind", "responses"),
        ("our-law", ""),
        ("ft:gpt-4o:acme:our-law", ""),
        ("gpt-law", ""),
    ],
)
def test_endings_are_those_of_the_vendors_models(model: str, variant: str) -> None:
    """A customer's own model whose name ends alike would be asked in a format that it does not have."""
    assert OPENAI.variant_of(model) == (variant, model)


def test_a_row_without_variants_takes_every_name() -> None:
    """A model with a slash, as routers have, would be divided."""
    assert Provider("acme", "https://api.acme.ai/v1").variant_of("responses/x") == ("", "responses/x")


def test_a_variant_as_a_row_of_its_own() -> None:
    """Programs that use one format only would have to copy the row."""
    variant = PROVIDERS["azure"].as_variant("responses")
    assert (variant.name, variant.dialect, variant.variants) == ("azure", "openai_responses", {})
    assert isinstance(variant.quirks, OpenAIResponsesQuirks)
    assert variant.key_env == PROVIDERS["azure"].key_env


@pytest.mark.parametrize(
    ("provider", "known"), [("openai", "only responses"), ("groq", "only responses"), ("cohere", "and no other one")]
)
def test_a_variant_that_a_row_does_not_have(provider: str, known: str) -> None:
    """The error would be a bare name, without what may be written in its place."""
    with pytest.raises(ConfigurationError) as caught:
        PROVIDERS[provider].as_variant("respones")
    assert str(caught.value) == f"provider '{provider}' has no variant 'respones', {known}"


def test_the_quirks_are_those_of_the_variants_dialect() -> None:
    """Quirks of another format would have no effect."""
    assert isinstance(PROVIDERS["vllm"].as_variant("responses").quirks, OpenAIResponsesQuirks)
    with pytest.raises(ConfigurationError):
        row(quirks=OPENAI.quirks)


@pytest.mark.parametrize("name", ["", "Responses", "a/b", "a b"])
def test_a_variants_name_is_part_of_models_names(name: str) -> None:
    """The variant could not be asked for."""
    with pytest.raises(ConfigurationError):
        Provider("acme", "https://api.acme.ai/v1", variants={name: ProviderVariant("openai_responses")})


def test_an_unknown_dialect_is_refused() -> None:
    """The first call would fail, far from the mistake."""
    with pytest.raises(ConfigurationError):
        Provider("acme", "https://api.acme.ai/v1", variants={"new": ProviderVariant("of_tomorrow")})


def test_the_table_is_the_dialects_with_the_variants_differences() -> None:
    """A provider's gaps would be those of its other format."""
    table = ProviderVariant("openai_responses", params={"metadata": unsupported("none")}).table
    assert table["metadata"].support == "unsupported"
    rest = {name: support for name, support in DIALECTS["openai_responses"].params.items() if name != "metadata"}
    assert {name: table[name] for name in rest} == rest


@pytest.mark.parametrize("provider", ROWS_WITH_VARIANTS, ids=lambda each: each.name)
def test_the_rows_variants_are_valid(provider: Provider) -> None:
    """A typing error in a row would be found by its first user."""
    for name, variant in provider.variants.items():
        dialect = DIALECTS[variant.dialect]
        assert set(variant.params) <= set(dialect.params)
        assert type(provider.as_variant(name).quirks) is dialect.quirks_type
