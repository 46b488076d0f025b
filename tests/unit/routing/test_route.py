"""Tests of `Route`, `RouteTarget` and the flattening of routes."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from anycompletion import ConfigurationError, EnvKey, InvalidRequestError, Secret, Timeout
from anycompletion.routing import CircuitBreaker, Route, RouteTarget
from anycompletion.routing.flat_route import flatten_fallbacks, flatten_routes

KEY = "sk-route-0123456789abcdef"


def test_targets_may_be_texts() -> None:
    """The short form of a route would not work."""
    assert Route(["openai/a", RouteTarget("openai/b")]).targets == (RouteTarget("openai/a"), RouteTarget("openai/b"))


@pytest.mark.parametrize("targets", ["openai/gpt-4o", 3, None, [3], [None]])
def test_a_route_refuses_what_is_no_list_of_targets(targets: Any) -> None:
    """A single text would be taken for a list of letters."""
    with pytest.raises(InvalidRequestError, match="targets"):
        Route(targets)


def test_a_route_needs_a_target() -> None:
    """A call over an empty route would fail in an odd way."""
    with pytest.raises(ConfigurationError, match="at least one target"):
        Route([])


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("strategy", "random"),
        ("attempts_per_target", 0),
        ("breaker", 3),
        ("on_context_window", "stay"),
        ("on_content_policy", None),
        ("move_on", 3),
        ("sticky", "session"),
        ("on_unsupported", "ignore"),
    ],
)
def test_a_route_refuses_wrong_settings(argument: str, value: Any) -> None:
    """A misspelled setting would be ignored."""
    with pytest.raises(InvalidRequestError) as caught:
        Route(["openai/gpt-4o"], **{argument: value})
    assert caught.value.param == argument


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("model", ""),
        ("model", None),
        ("name", "a\nb"),
        ("weight", 0),
        ("weight", True),
        ("context_window", 0),
        ("price", (1.0,)),
        ("price", (1.0, -1.0)),
        ("options", {"max_retries": 3}),
        ("options", ["api_key"]),
        ("params", {"api_key": KEY}),
        ("params", {"model": "x"}),
    ],
)
def test_a_target_refuses_wrong_arguments(argument: str, value: Any) -> None:
    """A mistake in a target would show at its first call, which may be months later, in an outage."""
    arguments: dict[str, Any] = {"model": "openai/gpt-4o", argument: value}
    with pytest.raises(InvalidRequestError) as caught:
        RouteTarget(**arguments)
    assert caught.value.param == argument
    assert KEY not in str(caught.value)


def test_options_and_params_of_a_target_are_checked() -> None:
    """A wrong value would show at the first call to the target only."""
    with pytest.raises(InvalidRequestError, match="timeout"):
        RouteTarget("openai/gpt-4o", options={"timeout": -1})
    with pytest.raises(InvalidRequestError, match="temperature"):
        RouteTarget("openai/gpt-4o", params={"temperature": "hot"})  # type: ignore[typeddict-item]


def test_a_target_shows_no_keys() -> None:
    """A key would be in the repr of a target, and so in logs and crash reports."""
    target = RouteTarget("openai/gpt-4o", options={"api_key": KEY, "extra_headers": {"x-secret": KEY}, "timeout": 3})
    assert KEY not in repr(target)
    assert KEY not in repr(Route([target]))
    assert KEY not in repr(vars(type(target)))
    assert target.options.get("api_key") == Secret(KEY)
    assert target.options.get("timeout") == Timeout(total=3)
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(target)


def test_a_route_with_keys_of_the_environment_pickles() -> None:
    """A client with routes could not be sent to another process."""
    target = RouteTarget("azure/gpt", name="eu", options={"api_key": EnvKey("AZURE_KEY_EU")}, params={"seed": None})
    route = Route([target, "openai/gpt-4o"], "weighted", breaker=CircuitBreaker(failures=5))
    assert pickle.loads(pickle.dumps(route)) == route  # noqa: S301 (made here)


# --- flattening ---


def names(routes: dict[str, Route], name: str) -> list[str]:
    return [target.name for target in flatten_routes(routes)[name].targets]


def test_routes_in_routes_are_flattened_and_names_are_numbered() -> None:
    """Two targets would have one name, and `info.target` would not tell which of them answered."""
    routes = {
        "gpt": Route(["openai/gpt-4o", "azure/gpt-4o"]),
        "all": Route(["gpt", "groq/llama", "gpt"]),
    }
    expected = ["openai/gpt-4o", "azure/gpt-4o", "groq/llama", "openai/gpt-4o #2", "azure/gpt-4o #2"]
    assert names(routes, "all") == expected


def test_a_route_that_contains_itself_is_refused() -> None:
    """Making a client would never end."""
    with pytest.raises(ConfigurationError, match="a → b → a"):
        flatten_routes({"a": Route(["b"]), "b": Route(["openai/gpt-4o", "a"])})


def test_two_targets_with_one_given_name_are_refused() -> None:
    """`info.target` would name two targets."""
    with pytest.raises(InvalidRequestError, match="two targets"):
        flatten_routes({"a": Route([RouteTarget("openai/a", name="x"), RouteTarget("openai/b", name="x")])})


def test_settings_of_a_nested_route_apply_below_the_targets_own() -> None:
    """Parameters that a route gives to an inner one would be lost, or win over those of a target."""
    routes = {
        "inner": Route([RouteTarget("openai/a", params={"seed": 1}), "openai/b"], breaker=CircuitBreaker(failures=9)),
        "outer": Route([RouteTarget("inner", params={"seed": 2, "temperature": 0.5}, options={"timeout": 5})]),
    }
    first, second = flatten_routes(routes)["outer"].targets
    assert (dict(first.params), dict(second.params)) == (
        {"seed": 1, "temperature": 0.5},
        {"seed": 2, "temperature": 0.5},
    )
    assert first.options["timeout"] == Timeout(total=5)
    assert first.breaker == CircuitBreaker(failures=9)
    assert not flatten_routes(routes)["inner"].targets[1].params


def test_a_nested_route_takes_no_key() -> None:
    """One key would go to several providers."""
    with pytest.raises(ConfigurationError, match="api_key"):
        flatten_routes({"a": Route(["openai/a"]), "b": Route([RouteTarget("a", options={"api_key": KEY})])})


def test_fallbacks_come_after_the_model_or_route_of_the_call() -> None:
    """A fallback would be asked first, or the settings of the called route would be lost."""
    routes = {"fast": Route(["openai/a", "openai/b"], "least_busy", on_content_policy="move")}
    route = flatten_fallbacks("fast", [RouteTarget("groq/c")], routes)
    assert [target.name for target in route.targets] == ["openai/a", "openai/b", "groq/c"]
    assert (route.name, route.settings.on_content_policy, route.settings.strategy) == ("fast", "move", "order")
    route = flatten_fallbacks("openai/a", [RouteTarget("fast")], routes)
    assert [target.name for target in route.targets] == ["openai/a", "openai/a #2", "openai/b"]
    assert (route.name, route.targets[0].is_own_model, route.targets[1].is_own_model) == (None, True, False)


def test_the_digest_follows_what_decides_the_reply() -> None:
    """A cache would answer with the reply of another model, or miss because of another key."""

    def digest(*targets: str | RouteTarget) -> str:
        return flatten_routes({"r": Route(targets)})["r"].digest

    with_key = RouteTarget("openai/a", options={"api_key": KEY})
    assert digest("openai/a") == digest(with_key) != digest("openai/b")
    assert digest("openai/a") != digest(RouteTarget("openai/a", params={"seed": 1}))
    assert digest("openai/a") != digest(RouteTarget("openai/a", options={"base_url": "https://eu.example.com"}))
