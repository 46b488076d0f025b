"""Built-in providers: base URLs, keys, quirks and parameter support are consistent, and requests match them."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import attrs
import pytest

from anycompletion import AsyncCompletion, BadRequestError, ConfigurationError, InvalidRequestError, Provider
from anycompletion.auth import BEARER
from anycompletion.dialects.base import Target
from anycompletion.http import HttpRequest
from anycompletion.providers import DIALECTS, PROVIDERS, find, supported_params
from anycompletion.providers.builtin.names import NAMES
from anycompletion.records import PARAM_NAMES, ChatRequest, UserMessage
from anycompletion.testing import RecordedRequest, SimulatorServer, load_folder

COMPATIBLE = {name: row for name, row in PROVIDERS.items() if row.dialect == "openai_chat"}

every_row = pytest.mark.parametrize("row", PROVIDERS.values(), ids=PROVIDERS)
every_compatible_row = pytest.mark.parametrize("row", COMPATIBLE.values(), ids=COMPATIBLE)

PATH = "/chat/completions"
KEY = "the-key"


def variables(row: Provider) -> list[str]:
    """Every environment variable of the provider."""
    named = [*row.key_env, *row.token_env, *row.base_url_env, *row.api_version_env]
    return named + [variable for some in row.headers_env.values() for variable in some]


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction] (pytest uses it)
    for variable in {each for row in PROVIDERS.values() for each in variables(row)}:
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
async def sim() -> AsyncIterator[SimulatorServer]:
    """A running simulator, whose recorded requests are checked."""
    async with SimulatorServer() as server:
        yield server


def base_url(row: Provider, sim: SimulatorServer) -> str:
    """The base URL of OpenAI's simulator in the form that the provider takes: only OpenAI's format has the version."""
    url = sim.base_urls["openai"]
    return url if row.dialect == "openai_chat" else url.removesuffix("/v1")


def simulated(row: Provider, sim: SimulatorServer) -> AsyncCompletion:
    """A client whose provider uses OpenAI's simulator, with OpenAI's path and bearer key."""
    return AsyncCompletion(
        providers=[attrs.evolve(row, path=None, auth=BEARER)],
        base_urls={row.name: sim.base_urls["openai"]},
        api_keys={row.name: sim.api_keys["openai"]},
    )


async def first_request(
    row: Provider, sim: SimulatorServer, *, key: str | None = None, with_base_url: bool = True
) -> RecordedRequest:
    """The first request of a call with the unchanged provider; the simulator may refuse it."""
    sim.requests.clear()
    async with AsyncCompletion(
        base_urls={row.name: base_url(row, sim)} if with_base_url else {},
        api_keys={} if key is None else {row.name: key},
        max_retries=0,
    ) as client:
        await client.attempt(f"{row.name}/owner/some-model", "Hi.")
    return sim.requests[0]


def bearer_or_key(row: Provider, variable: str, value: str) -> tuple[str, str]:
    """The header with the value of a variable."""
    scheme = BEARER if variable in row.token_env else row.auth
    return scheme.header.lower(), scheme.prefix + value


# --- the data -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", NAMES)
def test_each_module_has_the_rows_that_are_named(module: str) -> None:
    """A row without its name in the table could not be selected, and a name without its row would end in a KeyError."""
    rows = importlib.import_module(f"anycompletion.providers.builtin.{module}").ROWS
    assert tuple(row.name for row in rows) == NAMES[module]


def test_names_are_unique() -> None:
    """One of two providers with the same name could not be selected."""
    assert len(PROVIDERS) == sum(map(len, NAMES.values()))


def test_a_call_makes_the_rows_of_one_module_only() -> None:
    """The first call of a process would take longer for the rows of all other providers."""
    script = (
        "import sys; from anycompletion import AsyncCompletion; "
        "AsyncCompletion(api_keys={'openai': 'k'}).check('openai/gpt-4o'); "
        "print(*(name for name in sys.modules if '.providers.builtin.' in name))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = {name.rpartition(".")[2] for name in done.stdout.split()}
    assert loaded == {"names", "openai_rows", "shared_parts"}


@every_row
def test_a_provider_is_found_by_its_name(row: Provider) -> None:
    """A model written as provider/model would go to another provider, or lose a part of its name."""
    assert find(f"{row.name}/vendor/model:free", None, PROVIDERS) == (row, "vendor/model:free")


@every_row
def test_the_base_url_is_safe(row: Provider) -> None:
    """A key would be sent in plain text, or every request to a URL with two slashes."""
    parts = urlsplit(row.base_url)
    assert parts.scheme == "https" or parts.hostname == "localhost" or not row.base_url
    assert not row.base_url.endswith("/")
    assert row.path is None or row.path.startswith("/")


@every_row
def test_variables_have_valid_names(row: Provider) -> None:
    """A key in the environment would not be found under a misspelled name."""
    named = variables(row)
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]+", variable) for variable in named)
    assert len(named) == len(set(named))
    assert row.key_env, "every provider has a variable for its key, also where the key is optional"


@every_row
def test_the_documentation_is_linked(row: Provider) -> None:
    """A provider could not be compared with the vendor's documentation."""
    assert row.docs.startswith("https://")
    assert row.dialect in DIALECTS


@every_row
def test_unsupported_parameters_have_a_reason(row: Provider) -> None:
    """A provider would list an unknown parameter, or refuse one without a reason."""
    assert set(row.params) <= set(PARAM_NAMES)
    assert [name for name, entry in row.params.items() if entry.support == "unsupported" and not entry.note] == []


@every_row
def test_prefixes_belong_to_one_provider(row: Provider) -> None:
    """A bare model name would go to the provider that happens to be first."""
    others = tuple(prefix for other in PROVIDERS.values() if other is not row for prefix in other.prefixes)
    assert [prefix for prefix in row.prefixes if prefix.startswith(others)] == []


@every_compatible_row
def test_the_table_matches_the_quirks(row: Provider) -> None:
    """`supported_params` would differ from what is sent."""
    table = supported_params(f"{row.name}/some-model")
    mapped = {name for name, entry in table.items() if entry.support == "mapped"}
    quirks = row.quirks
    assert mapped == {
        *(("functions", "function_call") if quirks.functions_as_tools else ()),
        *(("max_completion_tokens",) if quirks.only_max_tokens else ()),
        *(("top_logprobs",) if quirks.logprobs_number else ()),
        *(() if quirks.stream_options else ("stream_options",)),
        *quirks.renames,
    }
    assert table["n"].support in ("native", "fanned_out")
    assert not (quirks.include_usage and table["stream_options"].support == "unsupported")


# --- URLs and keys --------------------------------------------------------------------------------------------------


@every_compatible_row
async def test_a_request_has_the_providers_path_and_header(row: Provider, sim: SimulatorServer) -> None:
    """Every call to this provider would fail with 404 or 401."""
    request = await first_request(row, sim, key=KEY)
    assert (request.method, request.path) == ("POST", "/openai/v1" + (row.path or PATH))
    assert request.headers[row.auth.header.lower()] == row.auth.prefix + KEY


@every_row
async def test_each_variable_can_contain_the_key(
    row: Provider, sim: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key in one of the listed variables would not be found, or be sent in a wrong header."""
    for variable in (*row.token_env, *row.key_env):
        with monkeypatch.context() as patch:
            patch.setenv(variable, KEY)
            request = await first_request(row, sim)
        header, value = bearer_or_key(row, variable, KEY)
        assert request.headers[header] == value


@every_row
async def test_the_first_variable_wins(row: Provider, sim: SimulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another tool's variable would be preferred to the vendor's, or a key to a token."""
    named = (*row.token_env, *row.key_env)
    for variable in named:
        monkeypatch.setenv(variable, f"key-in-{variable}")
    request = await first_request(row, sim)
    header, value = bearer_or_key(row, named[0], f"key-in-{named[0]}")
    assert request.headers[header] == value


@every_row
async def test_the_error_of_a_missing_key_names_the_variables(row: Provider, sim: SimulatorServer) -> None:
    """A caller would not see which variable to set, or a server that needs no key would require one."""
    async with AsyncCompletion(base_urls={row.name: base_url(row, sim)}, max_retries=0) as client:
        result = await client.attempt(f"{row.name}/some-model", "Hi.")
    if row.key_optional:
        assert row.auth.header.lower() not in sim.requests[0].headers
        return
    assert isinstance(result.error, ConfigurationError)
    assert " or ".join((*row.token_env, *row.key_env)) in str(result.error)
    assert sim.requests == []


@every_row
async def test_each_variable_can_contain_the_base_url(
    row: Provider, sim: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests and their keys would be sent to the public URL although the caller set another."""
    for variable in row.base_url_env:
        with monkeypatch.context() as patch:
            patch.setenv(variable, base_url(row, sim))
            request = await first_request(row, sim, key=KEY, with_base_url=False)
        assert request.path.startswith("/openai/")


@pytest.mark.parametrize("row", [pytest.param(row, id=name) for name, row in PROVIDERS.items() if not row.base_url])
async def test_the_error_of_a_missing_base_url_names_the_variables(row: Provider) -> None:
    """A caller would not see where to set a base URL that differs for every customer."""
    async with AsyncCompletion(api_keys={row.name: KEY}) as client:
        with pytest.raises(ConfigurationError, match=" or ".join(row.base_url_env) or "base_urls"):
            await client.create(f"{row.name}/some-model", "Hi.")


@every_row
async def test_optional_headers_come_from_the_environment(
    row: Provider, sim: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls would be attributed to a wrong organization."""
    request = await first_request(row, sim, key=KEY)
    assert [name for name in row.headers_env if name.lower() in request.headers] == []
    for name, named in row.headers_env.items():
        for variable in named:
            with monkeypatch.context() as patch:
                patch.setenv(variable, "from-environment")
                request = await first_request(row, sim, key=KEY)
            assert request.headers[name.lower()] == "from-environment"


# --- request bodies -------------------------------------------------------------------------------------------------

FUNCTION = {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}

SAMPLES: Mapping[str, Any] = {
    "temperature": 1,
    "top_p": 0.5,
    "stop": ["END"],
    "max_tokens": 99,
    "max_completion_tokens": 99,
    "presence_penalty": 0.5,
    "frequency_penalty": 0.5,
    "logit_bias": {"50256": -100},
    "user": "user-1",
    "tools": [{"type": "function", "function": FUNCTION}],
    "tool_choice": "required",
    "parallel_tool_calls": False,
    "response_format": {"type": "json_object"},
    "seed": 7,
    "logprobs": True,
    "top_logprobs": 2,
    "stream_options": {"include_usage": True},
    "reasoning_effort": "low",
    "thinking": {"type": "enabled"},
    "modalities": ["text", "audio"],
    "audio": {"voice": "alloy", "format": "wav"},
    "prediction": {"type": "content", "content": "A poem."},
    "service_tier": "flex",
    "store": True,
    "metadata": {"topic": "weather"},
    "verbosity": "low",
    "prompt_cache_key": "weather",
    "prompt_cache_retention": "24h",
    "prompt_cache_options": {"mode": "explicit"},
    "safety_identifier": "user-1",
    "web_search_options": {"search_context_size": "low"},
    "moderation": {"level": "low"},
}
"""A value with an effect, for every parameter without a test of its own."""


def test_every_parameter_has_a_test() -> None:
    """A new parameter would have no test here."""
    assert {*SAMPLES, "n", "functions", "function_call"} == set(PARAM_NAMES)


@every_compatible_row
async def test_every_parameter_is_sent_as_the_table_states(row: Provider, sim: SimulatorServer) -> None:
    """A parameter would be sent to a provider that refuses it, or not be sent to one that supports it."""
    async with simulated(row, sim) as client:
        options: dict[str, Any] = {"on_unsupported": "drop", **SAMPLES}
        async with client.stream(
            f"{row.name}/some-model", "What is the weather in Paris, as JSON?", **options
        ) as stream:
            await stream.get_final_completion()
    body = sim.requests[0].body
    expected: dict[str, Any] = {"model": "some-model", "stream": True}
    for name, value in SAMPLES.items():
        entry = row.table[name]
        if entry.support != "unsupported" and (name != "stream_options" or row.quirks.stream_options):
            expected[entry.note if entry.support == "mapped" else name] = value
    assert {name: value for name, value in body.items() if name != "messages"} == expected


@every_compatible_row
async def test_functions_and_the_role_developer_are_encoded_as_declared(row: Provider, sim: SimulatorServer) -> None:
    """Legacy code would get 400 from this provider, or a reply in another form than it expects."""
    async with simulated(row, sim) as client:
        reply = await client.create(
            f"{row.name}/some-model",
            [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "The weather in Paris?"}],
            functions=[FUNCTION],
            function_call={"name": "get_weather"},
        )
    as_tools = {
        "tools": [{"type": "function", "function": FUNCTION}],
        "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
    }
    as_functions = {"functions": [FUNCTION], "function_call": {"name": "get_weather"}}
    assert sim.requests[0].body == {
        "model": "some-model",
        "messages": [
            {"role": "system" if row.quirks.developer_role is False else "developer", "content": "Be brief."},
            {"role": "user", "content": "The weather in Paris?"},
        ],
        **(as_tools if row.table["functions"].support == "mapped" else as_functions),
    }
    call = reply.choices[0].message.function_call
    assert call is not None
    assert call.name == "get_weather"
    assert reply.choices[0].message.tool_calls is None


@every_compatible_row
async def test_n_gives_n_choices(row: Provider, sim: SimulatorServer) -> None:
    """A caller who requests two choices would get one, or a 400, or pay for the prompt twice without need."""
    async with simulated(row, sim) as client:
        reply = await client.create(f"{row.name}/some-model", "A slogan for tea.", n=2)
    assert [choice.index for choice in reply.choices] == [0, 1]
    sent = [request.body.get("n") for request in sim.requests]
    assert sent == ([2] if row.table["n"].support == "native" else [None, None])


@every_compatible_row
async def test_a_streams_usage_is_requested_where_necessary(row: Provider, sim: SimulatorServer) -> None:
    """Streams would have no usage, or be refused for an unknown parameter."""
    async with (
        simulated(row, sim) as client,
        client.stream(f"{row.name}/some-model", "A slogan for tea.") as stream,
    ):
        await stream.get_final_completion()
    requests_usage = row.quirks.include_usage and row.quirks.stream_options
    expected = {"stream_options": {"include_usage": True}} if requests_usage else {}
    body = sim.requests[0].body
    assert {name: value for name, value in body.items() if name == "stream_options"} == expected


THOUGHT: Mapping[str, Any] = {
    "role": "assistant",
    "content": "A haiku.",
    "reasoning_content": "Short.",
    "reasoning_details": [{"type": "reasoning.text", "text": "Short."}],
}


@every_compatible_row
async def test_earlier_reasoning_is_sent_back_in_the_providers_member(row: Provider, sim: SimulatorServer) -> None:
    """A provider would lose its reasoning between turns, or refuse an unknown member."""
    async with simulated(row, sim) as client:
        turns: list[Mapping[str, Any]] = [
            {"role": "user", "content": "Hi."},
            THOUGHT,
            {"role": "user", "content": "Go on."},
        ]
        reply = await client.create(f"{row.name}/some-model", turns)
    expected: dict[str, Any] = {"role": "assistant", "content": "A haiku."}
    if row.quirks.reasoning is not None:
        expected[row.quirks.reasoning] = THOUGHT["reasoning_content"]
    if row.quirks.reasoning_details:
        expected["reasoning_details"] = THOUGHT["reasoning_details"]
    assert sim.requests[0].body["messages"][1] == expected
    assert len(reply.info.warnings) == (row.quirks.reasoning is None) + (not row.quirks.reasoning_details)


# --- against recorded traffic ---------------------------------------------------------------------------------------

TRAFFIC = os.environ.get("ANYCOMPLETION_TRAFFIC")

OWN_ADDRESSES: Mapping[str, Mapping[str, str]] = {
    "azure": {"base_url": "https://test.openai.azure.com", "model": "gpt-4o", "api_version": "2024-10-21"},
    "bedrock": {"base_url": "https://bedrock-runtime.us-east-1.amazonaws.com", "model": "us.amazon.nova-micro-v1:0"},
    "cloudflare": {"base_url": f"https://api.cloudflare.com/client/v4/accounts/{'x' * 32}/ai/v1"},
    "databricks": {"base_url": "https://adb-000000000000000.1.azuredatabricks.net/serving-endpoints"},
    "gemini": {"model": "gemini-2.5-flash"},
    "gpustack": {"base_url": "http://gpustack.invalid/v1"},
    "mistralrs": {"base_url": "http://mistralrs.invalid:1234/v1"},
    "replicate": {"model": "owner/some-model"},
    "snowflake": {"base_url": "https://myorg-myaccount.snowflakecomputing.com/api/v2/cortex/v1"},
    "vertex": {
        "base_url": f"https://aiplatform.googleapis.com/projects/{'x' * 11}/locations/global",
        "model": "gemini-2.5-flash",
    },
    "vertex-anthropic": {
        "base_url": f"https://aiplatform.googleapis.com/v1/projects/{'x' * 11}/locations/global",
        "model": "claude-sonnet-4",
    },
}
"""The configuration of a recorded customer, for providers without a common base URL or with the model in the URL."""

RECORDED_AS = {"vertex-anthropic": "vertex"}
"""Row → the recorded provider, where several rows have one."""

RECORDED_ELSEWHERE = {
    "fireworks": "only responses were recorded",
    "moonshot": "only responses were recorded",
}


@cache
def recorded_urls() -> dict[str, set[str]]:
    """Provider → its recorded URLs."""
    found: dict[str, set[str]] = {}
    for recording in load_folder(TRAFFIC or ""):
        urls = found.setdefault(recording.provider, set())
        if recording.request is not None:
            urls.add(recording.request.url)
    return found


def address(row: Provider) -> str:
    """The URL of the provider's requests, or a prefix of it."""
    own: dict[str, Any] = {"base_url": row.base_url, "model": "some-model", **OWN_ADDRESSES.get(row.name, {})}
    target = Target(provider=row.name, path=row.path, quirks=row.quirks, **own)
    request = DIALECTS[row.dialect].encode(ChatRequest("some-model", [UserMessage("Hello!")]), target, {})
    return request.url if isinstance(request, HttpRequest) else row.base_url


@pytest.mark.traffic
@pytest.mark.skipif(TRAFFIC is None, reason="ANYCOMPLETION_TRAFFIC names no folder of recorded traffic")
@every_row
def test_the_url_was_recorded(row: Provider) -> None:
    """Requests would be sent to a URL that has never returned a reply."""
    urls = recorded_urls().get(RECORDED_AS.get(row.name, row.name))
    if urls is None:
        pytest.skip("nothing was recorded of this provider")
    seen = any(each.startswith(address(row)) for each in urls)
    assert seen is (row.name not in RECORDED_ELSEWHERE), RECORDED_ELSEWHERE.get(row.name)


# --- forms that only single servers accept --------------------------------------------------------------------------

CALLED = {"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": "{}"}}]}
RESULT = {"role": "tool", "content": "5"}
UNNAMED = {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}
TWICE = {"role": "assistant", "content": "5", "reasoning": "hm", "reasoning_content": "hm"}

NUMBER = {"logprobs": 5}
BARE_SCHEMA = {"type": "json_schema", "schema": {"type": "object"}}
SCHEMA_ALONE = {"type": "json_schema", "json_schema": {"type": "object", "properties": {}}}

OWN_FORMS: list[tuple[str, str, dict[str, Any]]] = [
    ("logprobs", "together", NUMBER),
    ("response_format.json_schema", "together", {"response_format": BARE_SCHEMA}),
    ("response_format.json_schema", "llamacpp", {"response_format": BARE_SCHEMA}),
    ("response_format.json_schema.schema", "groq", {"response_format": SCHEMA_ALONE}),
    ("response_format.json_schema.schema", "huggingface", {"response_format": SCHEMA_ALONE}),
    ("messages[1].tool_calls[0].id", "zai", {"messages": ["Hi.", CALLED]}),
    ("messages[1].tool_call_id", "writer", {"messages": ["Hi.", RESULT]}),
    ("response_format.json_schema.name", "perplexity", {"response_format": UNNAMED}),
    ("tool_choice", "mistral", {"tools": [{"type": "function", "function": FUNCTION}], "tool_choice": "any"}),
]
"""Parameter in a form that OpenAI refuses → a server that accepts it → arguments of the call."""


@pytest.mark.parametrize(
    ("param", "name", "arguments"), OWN_FORMS, ids=[f"{name}-{param}" for param, name, _ in OWN_FORMS]
)
async def test_a_servers_own_form_is_sent_to_that_server_only(
    param: str, name: str, arguments: dict[str, Any], sim: SimulatorServer
) -> None:
    """A recorded request could not be repeated, or another server would get a form that it refuses."""
    messages = [{"role": "user", "content": m} if isinstance(m, str) else m for m in arguments.get("messages", ["Hi."])]
    params = {key: value for key, value in arguments.items() if key != "messages"}
    async with simulated(PROVIDERS[name], sim) as client:
        # The simulator is as strict as OpenAI.
        with contextlib.suppress(BadRequestError):
            await client.create(f"{name}/some-model", messages, **params)
    assert sim.requests[0].body == {"model": "some-model", "messages": messages, **params}
    async with simulated(PROVIDERS["openai"], sim) as client:
        with pytest.raises(InvalidRequestError) as caught:
            await client.create("openai/some-model", messages, **params)
    assert caught.value.param == param
    assert len(sim.requests) == 1


async def test_n_of_one_is_sent_where_it_is_supported(sim: SimulatorServer) -> None:
    """A parameter of the caller would not be sent to a server that accepts it."""
    async with simulated(PROVIDERS["groq"], sim) as client:
        await client.create("groq/some-model", "Hi.", n=1)
        await client.create("groq/some-model", "Hi.", n=2)
    assert [request.body.get("n") for request in sim.requests] == [1, None, None]


async def test_a_role_that_depends_on_the_model_has_a_warning(sim: SimulatorServer) -> None:
    """Instructions could be lost silently, because the role's effect depends on the model."""
    messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hi."}]
    async with simulated(PROVIDERS["ollama-openai"], sim) as client:
        reply = await client.create("ollama-openai/some-model", messages)
    assert sim.requests[0].body["messages"] == messages
    assert reply.info.warnings == ["messages[0].role: some of ollama-openai's models overlook the role developer"]


async def test_reasoning_in_the_servers_own_member_is_unchanged(sim: SimulatorServer) -> None:
    """One of two members that the caller wrote would replace the other."""
    messages = [{"role": "user", "content": "Hi."}, TWICE]
    async with simulated(PROVIDERS["ollama-openai"], sim) as client:
        await client.create("ollama-openai/some-model", messages)
    assert sim.requests[0].body["messages"] == messages
