"""Registry: the provider of a model is found, and unknown ones are refused with a hint."""

from __future__ import annotations

import pytest

from anycompletion.errors import InvalidRequestError
from anycompletion.params import unsupported
from anycompletion.providers import (
    PROVIDERS,
    Provider,
    all_providers,
    find,
    supported_params,
)
from anycompletion.providers.aliases import ALIASES, NOT_SUPPORTED_YET
from anycompletion.records import PARAM_NAMES

ACME = Provider("acme", "https://api.acme.ai/v1", prefixes=("acme-",))
ROWS = all_providers([ACME])

# --- finding ---

FOUND: list[tuple[str, str | None, str, str]] = [
    # model, provider=, row, the provider's own name
    ("openai/gpt-4o", None, "openai", "gpt-4o"),
    ("openai:gpt-4o", None, "openai", "gpt-4o"),
    ("openai/gpt-4o", "openai", "openai", "gpt-4o"),
    ("gpt-4o", "openai", "openai", "gpt-4o"),
    ("gpt-4o", None, "openai", "gpt-4o"),
    ("gpt-4o-2024-08-06", None, "openai", "gpt-4o-2024-08-06"),
    ("chatgpt-4o-latest", None, "openai", "chatgpt-4o-latest"),
    ("o1", None, "openai", "o1"),
    ("o3-mini", None, "openai", "o3-mini"),
    ("o4-mini", None, "openai", "o4-mini"),
    ("ft:gpt-4o:org::id", None, "openai", "ft:gpt-4o:org::id"),
    ("openai/ft:gpt-4o:org::id", None, "openai", "ft:gpt-4o:org::id"),
    ("claude-haiku-4-5", None, "anthropic", "claude-haiku-4-5"),
    ("anthropic/claude-opus-4-6", None, "anthropic", "claude-opus-4-6"),
    ("anthropic:claude-opus-4-6", None, "anthropic", "claude-opus-4-6"),
    ("gpt-4o", "anthropic", "anthropic", "gpt-4o"),
    ("openai/gpt-4o", "acme", "acme", "openai/gpt-4o"),
    ("acme/x/y:free", None, "acme", "x/y:free"),
    ("acme:x/y", None, "acme", "x/y"),
    ("acme/acme/x", None, "acme", "acme/x"),
    ("acme/openai/gpt-4o", None, "acme", "openai/gpt-4o"),
    ("acme-large", None, "acme", "acme-large"),
    ("openai/模型", None, "openai", "模型"),
    # LiteLLM's names
    ("together_ai/meta-llama/x", None, "together", "meta-llama/x"),
    ("together_ai:meta-llama/x", None, "together", "meta-llama/x"),
    ("meta-llama/x", "together_ai", "together", "meta-llama/x"),
    ("together_ai/meta-llama/x", "together_ai", "together", "meta-llama/x"),
    # LiteLLM's names of several providers
    ("vertex_ai/gemini-2.5-flash", None, "vertex", "gemini-2.5-flash"),
    ("vertex_ai/endpoints/4242", None, "vertex", "endpoints/4242"),
    ("vertex_ai/projects/p/locations/us/endpoints/7", None, "vertex", "projects/p/locations/us/endpoints/7"),
    ("gemini-2.5-flash", "vertex_ai", "vertex", "gemini-2.5-flash"),
    ("vertex_ai/claude-sonnet-4-5@20250929", None, "vertex-anthropic", "claude-sonnet-4-5@20250929"),
    ("vertex_ai:claude-opus-4-6", None, "vertex-anthropic", "claude-opus-4-6"),
    ("claude-opus-4-6", "vertex_ai", "vertex-anthropic", "claude-opus-4-6"),
    ("vertex_ai/claude-opus-4-6", "vertex_ai", "vertex-anthropic", "claude-opus-4-6"),
    ("vertex_ai/meta/llama-4-scout-maas", None, "vertex-openai", "meta/llama-4-scout-maas"),
    ("vertex_ai/deepseek-ai/deepseek-v3.1-maas", None, "vertex-openai", "deepseek-ai/deepseek-v3.1-maas"),
    ("vertex_ai_beta/openai/gpt-oss-20b-maas", None, "vertex-openai", "openai/gpt-oss-20b-maas"),
    # models whose own names begin with the provider's
    ("openrouter/auto", None, "openrouter", "openrouter/auto"),
    ("openrouter/openrouter/auto", None, "openrouter", "openrouter/auto"),
    ("openrouter:auto", None, "openrouter", "openrouter/auto"),
    ("openrouter/auto:online", None, "openrouter", "openrouter/auto:online"),
    ("auto", "openrouter", "openrouter", "openrouter/auto"),
    ("openrouter/auto", "openrouter", "openrouter", "openrouter/auto"),
    ("openrouter/openai/gpt-4o:free", None, "openrouter", "openai/gpt-4o:free"),
    ("openrouter/auto/x", None, "openrouter", "auto/x"),
    ("openai/auto", None, "openai", "auto"),
]


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_litellms_names_are_aliases(alias: str, name: str):
    """Code that was written for LiteLLM would have to rename its models."""
    assert find(f"{alias}/vendor/model", None, ROWS) == (PROVIDERS[name], "vendor/model")
    assert find("vendor/model", alias, ROWS) == (PROVIDERS[name], "vendor/model")
    assert supported_params(f"{alias}/m") == supported_params(f"{name}/m")


def test_a_clients_own_provider_wins_over_an_alias():
    """A company's gateway could not have one of LiteLLM's names."""
    mine = Provider("together_ai", "https://gateway.example/v1")
    assert find("together_ai/m", None, all_providers([mine])) == (mine, "m")


@pytest.mark.parametrize("name", NOT_SUPPORTED_YET)
def test_formats_that_do_not_exist_yet_are_named(name: str):
    """A known provider would be taken for a misspelled one."""
    assert name not in {**PROVIDERS, **ALIASES}
    for model, provider, param in ((f"{name}/m", None, "model"), (f"{name}:m", None, "model"), ("m", name, "provider")):
        with pytest.raises(InvalidRequestError) as caught:
            find(model, provider, ROWS)
        assert caught.value.param == param
        assert f"the provider {name!r} is not supported yet" in str(caught.value)


@pytest.mark.parametrize(("model", "provider", "name", "own"), FOUND)
def test_models_are_found(model: str, provider: str | None, name: str, own: str):
    """A call would go to another provider, or name a model that it does not have."""
    row, found = find(model, provider, ROWS)
    assert (row.name, found) == (name, own)


UNKNOWN: list[tuple[str, str | None, str, str]] = [
    ("opnai/gpt-4o", None, "model", "unknown provider 'opnai'; did you mean openai"),
    ("anthropc/claude", None, "model", "unknown provider 'anthropc'; did you mean anthropic"),
    ("OpenAI/gpt-4o", None, "model", "unknown provider 'OpenAI'; did you mean openai"),
    ("gpt-4o", "opnai", "provider", "unknown provider 'opnai'; did you mean openai"),
    ("gpt-4o", "", "provider", "unknown provider ''; known are acme, "),
    ("qqqqqq/x", None, "model", "unknown provider 'qqqqqq'; known are acme, "),
    ("my-model", None, "model", "'my-model' names no provider; write provider/model, such as openai/gpt-4o"),
    ("/gpt-4o", None, "model", "'/gpt-4o' names no provider"),
    ("openai", None, "model", "'openai' is a provider and names no model; write openai/model"),
    (" openai/gpt-4o", None, "model", "begins or ends with white space"),
    ("openai /gpt-4o ", None, "model", "begins or ends with white space"),
    ("Tell me of / and why.", None, "model", "unknown provider, a text with spaces; known are "),
    ("openai/", None, "model", "names a provider and no model"),
    ("openai:", None, "model", "names a provider and no model"),
    ("openai/ ", None, "model", "names a provider and no model"),
    ("openai/", "openai", "model", "names a provider and no model"),
    ("gpt-x/y", None, "model", "unknown provider 'gpt-x'"),
]


@pytest.mark.parametrize(("model", "provider", "param", "text"), UNKNOWN)
def test_unknown_models(model: str, provider: str | None, param: str, text: str):
    """A misspelled provider would be refused without a hint."""
    with pytest.raises(InvalidRequestError) as caught:
        find(model, provider, ROWS)
    assert caught.value.param == param
    assert str(caught.value).startswith(f"{param}: {text}")


@pytest.mark.parametrize("model", ["Why is the sky so very blue? " * 15, "Tell me of / and why. " * 20])
def test_a_prompt_in_place_of_a_model_is_not_shown(model: str):
    """A prompt in the wrong argument would be in a log."""
    for call in (lambda: find(model, None, ROWS), lambda: find("gpt-4o", model, ROWS)):
        with pytest.raises(InvalidRequestError) as caught:
            call()
        assert model[:45] not in str(caught.value)


@pytest.mark.parametrize("model", ["AIzaSyA1234567890abcdefghijklmnopqrstuv", "sk-proj-abcdefghijklmnop1234567890"])
def test_a_key_in_place_of_a_model_is_not_shown(model: str):
    """A key in the wrong argument would be in a log."""
    for call in (
        lambda: find(model, None, ROWS),
        lambda: find("gpt-4o", model, ROWS),
        lambda: find(f"{model}/x", None, ROWS),
    ):
        with pytest.raises(InvalidRequestError, match="a text that may be a key") as caught:
            call()
        assert model[:15] not in str(caught.value)


def test_a_clients_own_providers_win():
    """A company's gateway could not replace a provider."""
    mine = Provider("openai", "https://gateway.example/v1")
    rows = all_providers([mine])
    assert find("openai/gpt-4o", None, rows)[0] is mine
    assert all_providers()["openai"] is PROVIDERS["openai"]
    assert set(rows) == set(PROVIDERS)


def test_built_in_providers_are_immutable():
    """One library could redirect the calls of all others."""
    with pytest.raises(TypeError):
        PROVIDERS["openai"] = ACME  # type: ignore[index]
    with pytest.raises(AttributeError):
        PROVIDERS["openai"].base_url = "https://evil.example"  # type: ignore[misc]


def test_no_prefix_belongs_to_two_providers():
    """A bare model name would go to the provider that happens to be first."""
    prefixes = [prefix for row in PROVIDERS.values() for prefix in row.prefixes]
    clashes = [(one, other) for one in prefixes for other in prefixes if one is not other and one.startswith(other)]
    assert clashes == []


def test_supported_params():
    """An application could not query the support of its parameters."""
    table = supported_params("openai/gpt-4o")
    assert set(table) == set(PARAM_NAMES)
    assert (table["temperature"].minimum, table["temperature"].maximum) == (0, 2)
    assert table["thinking"].support == "unsupported"
    table["n"] = unsupported()
    assert supported_params("gpt-4o")["n"].support == "native"
    assert supported_params("claude-haiku-4-5")["n"].support == "fanned_out"
    assert (
        supported_params("x", "acme", [Provider("acme", "https://x", params={"n": unsupported()})])["n"]
        == unsupported()
    )
    with pytest.raises(InvalidRequestError):
        supported_params("unknown/x")
