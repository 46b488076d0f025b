"""Placeholders in a provider's base URL: their values come from the environment, and nothing else can replace them."""

from __future__ import annotations

import pytest

from anycompletion.errors import ConfigurationError, InvalidRequestError
from anycompletion.providers import (
    PROVIDERS,
    DependentPlaceholder,
    EnvPlaceholder,
    Placeholder,
    Provider,
    check_base_url,
    fill_placeholders,
    variables_of,
)
from anycompletion.sigv4 import region_of

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

AWS = Provider(
    "aws",
    "https://bedrock-runtime.{region}.{domain}",
    placeholders={
        "region": EnvPlaceholder(("AWS_REGION",), "us-east-1"),
        "domain": DependentPlaceholder("region", {"cn-*": "amazonaws.com.cn", "*": "amazonaws.com"}),
    },
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
    (AWS, {"AWS_REGION": "cn-north-1"}, "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"),
    (AWS, {"AWS_REGION": "eu-west-3"}, "https://bedrock-runtime.eu-west-3.amazonaws.com"),
    (AWS, {}, "https://bedrock-runtime.us-east-1.amazonaws.com"),
    (Provider("acme", "https://api.acme.ai/v1"), {}, "https://api.acme.ai/v1"),
    (Provider("acme", ""), {}, ""),
]


@pytest.mark.parametrize(("provider", "environ", "url"), FILLED)
def test_placeholders_are_filled(provider: Provider, environ: dict[str, str], url: str) -> None:
    """Requests would go to a wrong region, or to an address with braces in it."""
    assert fill_placeholders(provider, environ) == url


BY_MODEL = Provider(
    "aws",
    "https://bedrock-runtime.{region}.amazonaws.com",
    placeholders={"region": EnvPlaceholder(("AWS_REGION",), model_pattern=r"arn:[^:]*:bedrock:([a-z0-9-]+):")},
)
ARN = "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0"


@pytest.mark.parametrize(
    ("environ", "model", "region"),
    [({}, ARN, "eu-west-1"), ({"AWS_REGION": "us-east-1"}, ARN, "us-east-1"), ({"AWS_REGION": "x"}, "m", "x")],
)
def test_a_model_may_name_a_value(environ: dict[str, str], model: str, region: str) -> None:
    """An ARN would need its region again in a variable, or go to another region than the variable's."""
    assert fill_placeholders(BY_MODEL, environ, model) == f"https://bedrock-runtime.{region}.amazonaws.com"


def test_a_full_name_of_vertex_ai_has_project_and_location() -> None:
    """A model of another project would need that project in a variable, and go to another location's host."""
    row, model = PROVIDERS["vertex"], "projects/q/locations/europe-west4/endpoints/7"
    host = "https://europe-west4-aiplatform.googleapis.com"
    assert fill_placeholders(row, {}, model) == f"{host}/projects/q/locations/europe-west4"
    with pytest.raises(ConfigurationError, match="GOOGLE_CLOUD_PROJECT"):
        fill_placeholders(row, {}, "endpoints/7")


@pytest.mark.parametrize(
    "model", ["", "anthropic.claude", "arn:aws:bedrock::x", "arn:aws:bedrock:evil.example/:x", "x" + ARN]
)
def test_a_model_that_names_no_value_needs_the_variable(model: str) -> None:
    """A model's name would send the key to another host."""
    with pytest.raises(ConfigurationError, match="set AWS_REGION"):
        fill_placeholders(BY_MODEL, {}, model)


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


HOSTS = DependentPlaceholder("region", {"us": "us.x.example", "*": "{region}.x.example"})

WRONG: list[tuple[str, dict[str, Placeholder], str]] = [
    ("https://x/v1", {"region": ("AWS_REGION",)}, "the placeholder 'region' is not in base_url"),
    ("", {"region": ("AWS_REGION",)}, "the placeholder 'region' is not in base_url"),
    ("https://{region}.x", {"region": ()}, "the placeholder 'region' names no environment variable"),
    ("https://{region}.x", {"region": EnvPlaceholder()}, "the placeholder 'region' names no environment variable"),
    ("https://{region}.x", {"region": EnvPlaceholder("AWS_REGION")}, "expected a tuple of environment variables"),  # type: ignore[arg-type]
    ("https://x", {"host": HOSTS, "region": ("AWS_REGION",)}, "the placeholder 'host' is not in base_url"),
    ("https://{host}", {"host": HOSTS}, "the placeholder 'host' depends on 'region', which"),
    (
        "https://{host}",
        {"host": DependentPlaceholder("region", {"us": "x"}), "region": ("AWS_REGION",)},
        "has no text for '\\*'",
    ),
]


@pytest.mark.parametrize(("url", "placeholders", "problem"), WRONG)
def test_wrong_placeholders(url: str, placeholders: dict[str, Placeholder], problem: str) -> None:
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


def test_every_text_of_a_dependent_placeholder_is_checked() -> None:
    """One of several hosts would get keys in the clear, or be no host at all."""
    for text in ("x y", "{other}.x"):
        host = DependentPlaceholder("region", {"us": text, "*": "x.example"})
        with pytest.raises(InvalidRequestError):
            Provider("acme", "https://{host}/v1", placeholders={"host": host, "region": ("AWS_REGION",)})
    with pytest.raises(InvalidRequestError, match="https"):
        Provider("acme", "https://x.example", api_key_base_url="http://x.example")


def test_the_variables_of_a_placeholder() -> None:
    """What reads a region from the environment would not find where the base URL has it from."""
    placeholders: list[Placeholder] = [("A", "B"), EnvPlaceholder(("A",), "x"), HOSTS]
    assert [variables_of(each) for each in placeholders] == [("A", "B"), ("A",), ()]


# --- Vertex AI --------------------------------------------------------------------------------------------------------

VERTEX_ROWS = [row for name, row in PROVIDERS.items() if name.startswith("vertex")]

VERTEX_HOSTS: list[tuple[dict[str, str], str, str]] = [
    ({}, "aiplatform.googleapis.com", "global"),
    ({"GOOGLE_CLOUD_LOCATION": "global"}, "aiplatform.googleapis.com", "global"),
    ({"GOOGLE_CLOUD_LOCATION": "us"}, "aiplatform.us.rep.googleapis.com", "us"),
    ({"GOOGLE_CLOUD_LOCATION": "eu"}, "aiplatform.eu.rep.googleapis.com", "eu"),
    ({"VERTEXAI_LOCATION": "us-east5"}, "us-east5-aiplatform.googleapis.com", "us-east5"),
    ({"GOOGLE_CLOUD_LOCATION": "eur4", "VERTEX_LOCATION": "us"}, "eur4-aiplatform.googleapis.com", "eur4"),
]


@pytest.mark.parametrize("row", VERTEX_ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize(("environ", "host", "location"), VERTEX_HOSTS)
def test_the_host_of_vertex_ai_depends_on_the_location(
    row: Provider, environ: dict[str, str], host: str, location: str
) -> None:
    """A request would be processed in another region than the one the customer chose, or be refused."""
    url = fill_placeholders(row, {"VERTEXAI_PROJECT": "example.com:p-1", **environ})
    assert url.startswith(f"https://{host}/")
    assert f"/projects/example.com:p-1/locations/{location}" in url


AWS_DOMAINS = {"us-east-1": "amazonaws.com", "cn-north-1": "amazonaws.com.cn", "eusc-de-east-1": "amazonaws.eu"}


@pytest.mark.parametrize("name", ["bedrock", "bedrock-openai"])
@pytest.mark.parametrize("region", AWS_DOMAINS)
def test_the_domain_of_bedrock_depends_on_the_region(name: str, region: str) -> None:
    """Calls from China or the European Sovereign Cloud would go to a host that does not exist."""
    url = fill_placeholders(PROVIDERS[name], {"AWS_REGION": region})
    assert url.partition("/openai")[0] == f"https://bedrock-runtime.{region}.{AWS_DOMAINS[region]}"
    assert region_of(url) == region


@pytest.mark.parametrize("row", VERTEX_ROWS, ids=lambda row: row.name)
def test_vertex_ai_needs_a_project(row: Provider) -> None:
    """A user would get Google's 404 in place of the name of the variable."""
    with pytest.raises(ConfigurationError, match=r"\{project\}: set .*GOOGLE_CLOUD_PROJECT or VERTEXAI_PROJECT"):
        fill_placeholders(row, {"GOOGLE_CLOUD_LOCATION": "us"})


def test_anthropics_variables_are_read_first() -> None:
    """A program that was configured for Anthropic's SDK would use another project or region."""
    environ = {
        "ANTHROPIC_VERTEX_PROJECT_ID": "mine",
        "CLOUD_ML_REGION": "us-east5",
        "GOOGLE_CLOUD_PROJECT": "other",
        "GOOGLE_CLOUD_LOCATION": "us",
    }
    url = fill_placeholders(PROVIDERS["vertex-anthropic"], environ)
    assert url == "https://us-east5-aiplatform.googleapis.com/v1/projects/mine/locations/us-east5"
