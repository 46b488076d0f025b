"""Tests of taking over the configuration of a LiteLLM Router, on lists in the forms that its documentation has."""

from __future__ import annotations

from typing import Any

import pytest

from anycompletion import AsyncCompletion, ConfigurationError, EnvKey, RateLimit, Secret, Timeout
from anycompletion.integrations.litellm import RouterConfig, routes_from
from anycompletion.routing import CircuitBreaker, Route
from anycompletion.routing.flat_route import flatten_routes
from anycompletion.testing import FakeProvider

KEY = "sk-router-0123456789"


def deployment(name: str, model: str, **params: Any) -> dict[str, Any]:
    return {"model_name": name, "litellm_params": {"model": model, **params}}


def routes(*model_list: dict[str, Any], **arguments: Any) -> dict[str, Route]:
    return dict(routes_from(model_list, **arguments).get("routes", {}))


def names(config: dict[str, Route], name: str) -> list[str]:
    """The models of a route, in order."""
    return [target.model for target in flatten_routes(config)[name].targets]


def test_deployments_of_one_name_are_one_weighted_route() -> None:
    """Load balancing over deployments would be lost."""
    config = routes(
        deployment(
            "gpt", "azure/gpt-eu", weight=9, api_base="https://eu.openai.azure.com", api_key="os.environ/KEY_EU"
        ),
        deployment("gpt", "openai/gpt-4o", api_key=KEY, weight=1),
        deployment("claude", "anthropic/claude-sonnet-4-5"),
    )
    eu, openai = config["gpt"].targets
    assert (config["gpt"].strategy, eu.weight, openai.weight) == ("weighted", 9, 1)
    assert eu.options.get("api_key") == EnvKey("KEY_EU")
    assert eu.options.get("base_url") == "https://eu.openai.azure.com"
    assert openai.options.get("api_key") == Secret(KEY)
    assert KEY not in repr(config)
    assert names(config, "claude") == ["anthropic/claude-sonnet-4-5"]


def test_limits_become_limits_of_provider_and_model() -> None:
    """A quota of the account would be exceeded."""
    config = routes_from(
        [
            deployment("gpt", "azure/gpt", rpm=600, tpm=100_000),
            deployment("gpt", "azure/gpt", rpm=300),
            deployment("mini", "gpt-4o-mini", max_parallel_requests=10),
        ]
    )
    assert config.get("limits") == {
        "azure/gpt": RateLimit(requests_per_minute=900, tokens_per_minute=100_000),
        "openai/gpt-4o-mini": RateLimit(concurrency=10),
    }


def test_timeouts_and_retries_become_those_of_the_client_and_the_target() -> None:
    """A call would take as long as the defaults allow."""
    entry = deployment("gpt", "openai/gpt-4o", timeout=20, stream_timeout=5)
    config = routes_from([entry], num_retries=3, timeout=60, stream_timeout=10, retry_after=5)
    assert (config.get("max_retries"), config.get("timeout")) == (3, Timeout(total=60, first_chunk=10))
    assert config.get("routes", {})["gpt"].targets[0].options.get("timeout") == Timeout(total=20, first_chunk=5)


def test_cooldowns_become_circuit_breakers() -> None:
    """A dead deployment would be asked by each call."""
    entry = deployment("gpt", "openai/gpt-4o")
    assert routes(entry)["gpt"].breaker == CircuitBreaker()
    assert routes(entry, allowed_fails=1, cooldown_time=30)["gpt"].breaker == CircuitBreaker(failures=2, seconds=30)
    assert routes(entry, disable_cooldowns=True)["gpt"].breaker is None


def test_fallbacks_come_after_the_deployments_of_the_name() -> None:
    """A fallback would be missing, or be one of the deployments among which load is balanced."""
    config = routes(
        deployment("gpt", "azure/gpt-eu"),
        deployment("gpt", "azure/gpt-us"),
        deployment("claude", "anthropic/claude-sonnet-4-5"),
        fallbacks=[{"gpt": ["claude"]}, {"claude": ["gpt"]}],
        default_fallbacks=["groq/llama-3.3-70b"],
    )
    assert names(config, "gpt") == ["azure/gpt-eu", "azure/gpt-us", "anthropic/claude-sonnet-4-5", "groq/llama-3.3-70b"]
    assert names(config, "claude")[:3] == ["anthropic/claude-sonnet-4-5", "azure/gpt-eu", "azure/gpt-us"]
    assert config["gpt"].strategy == "order"


def test_fallbacks_for_context_windows_and_content_policies() -> None:
    """A long prompt, or one that a policy refused, would fail."""
    small = deployment("small", "openai/gpt-4o-mini") | {"model_info": {"max_input_tokens": 8000}}
    config = routes(
        small,
        deployment("large", "gemini/gemini-2.5-pro"),
        context_window_fallbacks=[{"small": ["large"]}],
        content_policy_fallbacks=[{"small": ["large"]}],
    )
    assert names(config, "small") == ["openai/gpt-4o-mini", "gemini/gemini-2.5-pro"]
    assert config["small"].on_content_policy == "move"
    assert flatten_routes(config)["small"].targets[0].context_window == 8000


def test_at_most_so_many_fallbacks() -> None:
    """`max_fallbacks` would have no effect."""
    entry = deployment("gpt", "openai/gpt-4o")
    config = routes(entry, fallbacks=[{"*": ["groq/a", "groq/b", "groq/c"]}], max_fallbacks=2)
    assert names(config, "gpt") == ["openai/gpt-4o", "groq/a", "groq/b"]


def test_orders_of_deployments_come_one_after_the_other() -> None:
    """A deployment that is for emergencies would get a share of all calls."""
    config = routes(
        deployment("gpt", "azure/backup", order=2),
        deployment("gpt", "azure/a", order=1),
        deployment("gpt", "azure/b", order=1),
    )
    assert names(config, "gpt") == ["azure/a", "azure/b", "azure/backup"]
    assert config["gpt"].strategy == "order"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("simple-shuffle", "weighted"),
        ("least-busy", "least_busy"),
        ("latency-based-routing", "fastest"),
        ("cost-based-routing", "cheapest"),
        ("usage-based-routing-v2", "order"),
    ],
)
def test_strategies_have_their_counterparts(theirs: str, ours: str) -> None:
    """Calls would go to other deployments than before."""
    entry = deployment("gpt", "openai/gpt-4o", input_cost_per_token=2.5e-6, output_cost_per_token=1e-5)
    route = routes(entry, routing_strategy=theirs, optional_pre_call_checks=["prompt_caching"])["gpt"]
    assert (route.strategy, route.sticky) == (ours, "prompt_cache")
    assert route.targets[0].price == pytest.approx((2.5, 10.0))


def test_aliases_and_parameters() -> None:
    """Calls by an alias would fail, or be made without the parameters of the deployment."""
    entry = deployment("gpt", "gpt-4o", custom_llm_provider="openai", temperature=0.2, extra_headers={"x-team": "a"})
    config = routes(
        entry,
        model_group_alias={"default": "gpt", "hidden": {"model": "gpt", "hidden": True}},
        default_litellm_params={"max_tokens": 50},
    )
    target = config["gpt"].targets[0]
    assert (target.model, dict(target.params)) == ("openai/gpt-4o", {"max_tokens": 50, "temperature": 0.2})
    assert names(config, "default") == names(config, "hidden") == ["openai/gpt-4o"]


@pytest.mark.parametrize(
    ("entry", "arguments", "named"),
    [
        ({}, {"redis_host": "localhost"}, "redis_host"),
        ({}, {"caching_groups": [("gpt", "claude")]}, "caching_groups"),
        ({}, {"enable_tag_filtering": True}, "enable_tag_filtering"),
        ({}, {"provider_budget_config": {"openai": {"budget_limit": 1}}}, "provider_budget_config"),
        ({}, {"guardrail_list": [{"guardrail_name": "x"}]}, "guardrail_list"),
        ({}, {"auto_router_capability_limit": 1}, "auto_router_capability_limit"),
        ({}, {"routing_strategy": "tag-based"}, "routing_strategy"),
        ({}, {"optional_pre_call_checks": ["responses_api"]}, "optional_pre_call_checks"),
        ({}, {"fallbacks": [{"gpt": [{"model": "x"}]}]}, "fallbacks"),
        ({"vertex_project": "p"}, {}, r"model_list\[0\].litellm_params.vertex_project"),
    ],
)
def test_what_has_no_counterpart_is_named(entry: dict[str, Any], arguments: dict[str, Any], named: str) -> None:
    """A setting would be lost silently."""
    with pytest.raises(ConfigurationError, match=named):
        routes(deployment("gpt", "openai/gpt-4o", **entry), **arguments)


async def test_the_configuration_makes_a_client() -> None:
    """The arguments would not fit those of a client."""
    config: RouterConfig = routes_from(
        [deployment("gpt", "openai/gpt-4o", rpm=600), deployment("claude", "anthropic/claude-sonnet-4-5")],
        routing_strategy="least-busy",
        num_retries=2,
        fallbacks=[{"gpt": ["claude"]}],
        cooldown_time=30,
    )
    async with AsyncCompletion(**config, providers=[FakeProvider("Hello!")]) as client:
        assert (await client.create("gpt", "Hi!")).text == "Hello!"
