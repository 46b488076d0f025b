"""Placeholders in a provider's base URL: their values come from the environment, and nothing else can replace them."""

from __future__ import annotations

import pytest

from anycompletion.errors import ConfigurationError, InvalidRequestError
from anycompletion.providers import Provider, check_base_url, fill_placeholders

BEDROCK = Provider(
    "bedrock",
    "https://bedrock-runtime.{region}.amazonaws.com",
    placeholders={"region": ("AWS_REGION", "AWS_DEFAULT_REGION")},
)
VERTEX = Provider(
    "vertex",
    "https://{location}-aiplatform.googleapis.com/v1/projects/{project}/locations/{location}",
    placeholders={"location": ("LOCATION",), "project": ("PROJECT",)},
)

FILLED: list[tuple[Provider, dict[str, str], str]] = [
    (BEDROCK, {"AWS_REGION": "us-east-1"}, "https://bedrock-runtime.us-east-1.amazonaws.com"),
    (BEDROCK, {"AWS_DEFAULT_REGION": "eu-west-3"}, "https://bedrock-runtime.eu-west-3.amazonaws.com"),
    (
        BEDROCK,
        {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "eu-west-3"},
        "https://bedrock-runtime.us-east-1.amazonaws.com",
    ),
    (
        BEDROCK,
        {"AWS_REGION": "", "AWS_DEFAULT_REGION": " eu-west-3\n"},
        "https://bedrock-runtime.eu-west-3.amazonaws.com",
    ),
    (
        VERTEX,
        {"LOCATION": "us", "PROJECT": "my-project_1"},
        "https://us-aiplatform.googleapis.com/v1/projects/my-project_1/locations/us",
    ),
    (Provider("acme", "https://api.acme.ai/v1"), {}, "https://api.acme.ai/v1"),
    (Provider("acme", ""), {}, ""),
]


@pytest.mark.parametrize(("provider", "environ", "url"), FILLED)
def test_placeholders_are_filled(provider: Provider, environ: dict[str, str], url: str) -> None:
    """Requests would go to a wrong region, or to an address with braces in it."""
    assert fill_placeholders(provider, environ) == url


@pytest.mark.parametrize("environ", [{}, {"AWS_REGION": ""}, {"OTHER": "us-east-1"}])
def test_a_missing_value_is_an_error_that_names_the_variables(environ: dict[str, str]) -> None:
    """The user would not know what to set."""
    with pytest.raises(
        ConfigurationError, match=r"bedrock .*\{region\}: set AWS_REGION or AWS_DEFAULT_REGION"
    ) as caught:
        fill_placeholders(BEDROCK, environ)
    assert caught.value.provider == "bedrock"


@pytest.mark.parametrize(
    "value", ["evil.example/", "x@evil.example", "evil.example#", "a b", "{region}", "..", "é", "a\nb", "x:80", "-x"]
)
def test_a_value_cannot_change_the_host(value: str) -> None:
    """A variable would send the key to another host."""
    with pytest.raises(ConfigurationError, match="AWS_REGION must be letters"):
        fill_placeholders(BEDROCK, {"AWS_REGION": value})


def test_the_filled_url_is_checked() -> None:
    """A value would point to a metadata service."""
    provider = Provider("acme", "https://{host}/v1", placeholders={"host": ("ACME_HOST",)})
    with pytest.raises(InvalidRequestError, match="metadata service"):
        fill_placeholders(provider, {"ACME_HOST": "169.254.169.254"})


WRONG: list[tuple[str, dict[str, tuple[str, ...]], str]] = [
    ("https://x/v1", {"region": ("AWS_REGION",)}, "the placeholder 'region' is not in base_url"),
    ("", {"region": ("AWS_REGION",)}, "the placeholder 'region' is not in base_url"),
    ("https://{region}.x", {"region": ()}, "the placeholder 'region' names no environment variable"),
]


@pytest.mark.parametrize(("url", "placeholders", "problem"), WRONG)
def test_wrong_placeholders(url: str, placeholders: dict[str, tuple[str, ...]], problem: str) -> None:
    """A mistake in a row would show at the first call only, or never."""
    with pytest.raises(ConfigurationError, match=problem):
        Provider("acme", url, placeholders=placeholders)


def test_braces_without_a_placeholder_are_refused() -> None:
    """A URL that was meant as a template would be used as it is."""
    with pytest.raises(InvalidRequestError, match="which only stand for placeholders of a Provider"):
        Provider("acme", "https://{region}.x")
    with pytest.raises(InvalidRequestError, match="which only stand for placeholders of a Provider"):
        check_base_url("https://{region}.x")


def test_a_row_with_placeholders_is_checked_like_any_other() -> None:
    """A plain-http template would send keys in the clear."""
    with pytest.raises(InvalidRequestError, match="https"):
        Provider("acme", "http://{region}.x", placeholders={"region": ("AWS_REGION",)})
