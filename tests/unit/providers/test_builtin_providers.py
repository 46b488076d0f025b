"""The address book row by row: addresses, keys, quirks and cells hold together, and a real call goes as a row says."""

import contextlib
import os
import re
from collections.abc import AsyncIterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import attrs
import pytest

from anycompletion import AsyncCompletion, BadRequestError, ConfigurationError, InvalidRequestError, Provider
from anycompletion.auth import BEARER
from anycompletion.dialects.base import Target
from anycompletion.dialects.openai_chat.encode import url
from anycompletion.providers import DIALECTS, PROVIDERS, find, supported_params
from anycompletion.providers.builtin import ROWS
from anycompletion.records import PARAM_NAMES
from anycompletion.testing import RecordedRequest, SimulatorServer, load_folder

COMPATIBLE = {name: row for name, row in PROVIDERS.items() if row.dialect == "openai_chat"}

every_row = pytest.mark.parametrize("row", PROVIDERS.values(), ids=PROVIDERS)
every_compatible_row = pytest.mark.parametrize("row", COMPATIBLE.values(), ids=COMPATIBLE)

PATH = "/chat/completions"
KEY = "the-key"


def variables(row: Provider) -> list[str]:
    """Every environment variable the row names."""
    named = [*row.key_env, *row.token_env, *row.base_url_env, *row.api_version_env]
    return named + [variable for some in row.headers_env.values() for variable in some]


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction] (pytest uses it)
    for variable in {each for row in PROVIDERS.values() for each in variables(row)}:
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
async def sim() -> AsyncIterator[SimulatorServer]:
    """A running simulator; what it was asked is the evidence."""
    async with SimulatorServer() as server:
        yield server


def simulated(row: Provider, sim: SimulatorServer) -> AsyncCompletion:
    """A client for the row as OpenAI's simulator understands it, with OpenAI's path and its key as a bearer."""
    return AsyncCompletion(
        providers=[attrs.evolve(row, path=None, auth=BEARER)],
        base_urls={row.name: sim.base_urls["openai"]},
        api_keys={row.name: sim.api_keys["openai"]},
    )


async def first_request(
    row: Provider, sim: SimulatorServer, *, key: str | None = None, addressed: bool = True
) -> RecordedRequest:
    """The first request of a call with the row as it is; whether the simulator likes it does not matter."""
    sim.requests.clear()
    async with AsyncCompletion(
        base_urls={row.name: sim.base_urls["openai"]} if addressed else {},
        api_keys={} if key is None else {row.name: key},
        max_retries=0,
    ) as client:
        await client.attempt(f"{row.name}/owner/some-model", "Hi.")
    return sim.requests[0]


def bearer_or_key(row: Provider, variable: str, value: str) -> tuple[str, str]:
    """The header that carries what a variable holds."""
    scheme = BEARER if variable in row.token_env else row.auth
    return scheme.header.lower(), scheme.prefix + value


# --- the data -------------------------------------------------------------------------------------------------------


def test_no_name_is_taken_twice() -> None:
    """One of two rows of the same name could never be reached."""
    assert len(ROWS) == len(PROVIDERS)


@every_row
def test_a_name_leads_to_its_row(row: Provider) -> None:
    """Models written as provider/model would go to another provider, or lose a part of their name."""
    assert find(f"{row.name}/vendor/model:free", None, PROVIDERS) == (row, "vendor/model:free")


@every_row
def test_the_base_url_is_safe_and_whole(row: Provider) -> None:
    """A key would go in plain text over the network, or every request to an address with two slashes."""
    parts = urlsplit(row.base_url)
    assert parts.scheme == "https" or parts.hostname == "localhost" or not row.base_url
    assert not row.base_url.endswith("/")
    assert row.path is None or row.path.startswith("/")


@every_row
def test_variables_have_proper_names(row: Provider) -> None:
    """A key in the environment would not be found, because nobody's variable is called so."""
    named = variables(row)
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]+", variable) for variable in named)
    assert len(named) == len(set(named))
    assert row.key_env, "every row has a variable for its key, also where it is optional"


@every_row
def test_the_documentation_has_an_address(row: Provider) -> None:
    """Nobody could check a row against what the vendor says."""
    assert row.docs.startswith("https://")
    assert row.dialect in DIALECTS


@every_row
def test_cells_are_of_known_parameters_and_say_why(row: Provider) -> None:
    """A row would say something of a parameter that nobody can send, or refuse one without a word to the caller."""
    assert set(row.params) <= set(PARAM_NAMES)
    assert [name for name, cell in row.params.items() if cell.support == "unsupported" and not cell.note] == []


@every_row
def test_bare_names_belong_to_one_row(row: Provider) -> None:
    """A model without a provider would go to whichever row happens to stand first."""
    others = tuple(prefix for other in PROVIDERS.values() if other is not row for prefix in other.prefixes)
    assert [prefix for prefix in row.prefixes if prefix.startswith(others)] == []


@every_compatible_row
def test_the_table_says_what_the_quirks_do(row: Provider) -> None:
    """`supported_params` would promise something else than what is sent."""
    table = supported_params(f"{row.name}/some-model")
    mapped = {name for name, cell in table.items() if cell.support == "mapped"}
    quirks = row.quirks
    assert mapped == {
        *(("functions", "function_call") if quirks.functions_as_tools else ()),
        *(("max_completion_tokens",) if quirks.only_max_tokens else ()),
        *(() if quirks.stream_options else ("stream_options",)),
        *quirks.renames,
    }
    assert table["n"].support in ("native", "fanned_out")
    assert not (quirks.include_usage and table["stream_options"].support == "unsupported")


# --- where requests go, and whose key goes along --------------------------------------------------------------------


@every_compatible_row
async def test_a_request_goes_to_the_rows_path_with_its_header(row: Provider, sim: SimulatorServer) -> None:
    """Every call to this provider would end in 404 or 401."""
    request = await first_request(row, sim, key=KEY)
    assert (request.method, request.path) == ("POST", "/openai/v1" + (row.path or PATH))
    assert request.headers[row.auth.header.lower()] == row.auth.prefix + KEY


@every_row
async def test_each_variable_gives_the_key(
    row: Provider, sim: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key under one of the names that the row lists would not be found, or be sent in a wrong header."""
    for variable in (*row.token_env, *row.key_env):
        with monkeypatch.context() as patch:
            patch.setenv(variable, KEY)
            request = await first_request(row, sim)
        header, value = bearer_or_key(row, variable, KEY)
        assert request.headers[header] == value


@every_row
async def test_the_first_variable_wins(row: Provider, sim: SimulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another tool's variable would win over the vendor's own, or a key over a token."""
    named = (*row.token_env, *row.key_env)
    for variable in named:
        monkeypatch.setenv(variable, f"key-in-{variable}")
    request = await first_request(row, sim)
    header, value = bearer_or_key(row, named[0], f"key-in-{named[0]}")
    assert request.headers[header] == value


@every_row
async def test_a_missing_key_is_asked_for_by_name(row: Provider, sim: SimulatorServer) -> None:
    """A caller without a key would not learn which variable to set, or a server that needs none would want one."""
    async with AsyncCompletion(base_urls={row.name: sim.base_urls["openai"]}, max_retries=0) as client:
        result = await client.attempt(f"{row.name}/some-model", "Hi.")
    if row.key_optional:
        assert row.auth.header.lower() not in sim.requests[0].headers
        return
    assert isinstance(result.error, ConfigurationError)
    assert " or ".join((*row.token_env, *row.key_env)) in str(result.error)
    assert sim.requests == []


@every_row
async def test_each_variable_gives_the_base_url(
    row: Provider, sim: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests and their keys would go to the public address although the caller named another."""
    for variable in row.base_url_env:
        with monkeypatch.context() as patch:
            patch.setenv(variable, sim.base_urls["openai"])
            request = await first_request(row, sim, key=KEY, addressed=False)
        assert request.path.startswith("/openai/v1/")


@pytest.mark.parametrize("row", [pytest.param(row, id=name) for name, row in PROVIDERS.items() if not row.base_url])
async def test_a_missing_base_url_is_asked_for_by_name(row: Provider) -> None:
    """A caller would not learn where to say the address that only he knows."""
    async with AsyncCompletion(api_keys={row.name: KEY}) as client:
        with pytest.raises(ConfigurationError, match=" or ".join(row.base_url_env) or "base_urls"):
            await client.create(f"{row.name}/some-model", "Hi.")


@every_row
async def test_further_headers_come_from_the_environment_only(
    row: Provider, sim: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls would be attributed to somebody the caller never named, or not to the one he did."""
    request = await first_request(row, sim, key=KEY)
    assert [name for name in row.headers_env if name.lower() in request.headers] == []
    for name, named in row.headers_env.items():
        for variable in named:
            with monkeypatch.context() as patch:
                patch.setenv(variable, "said-there")
                request = await first_request(row, sim, key=KEY)
            assert request.headers[name.lower()] == "said-there"


# --- what is said there ---------------------------------------------------------------------------------------------

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
    "user": "somebody",
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
    "safety_identifier": "somebody",
    "web_search_options": {"search_context_size": "low"},
    "moderation": {"level": "low"},
}
"""A value that asks for something, for every parameter that has no test of its own."""


def test_every_parameter_has_a_test() -> None:
    """A parameter could be added of which no row's test knows anything."""
    assert {*SAMPLES, "n", "functions", "function_call"} == set(PARAM_NAMES)


@every_compatible_row
async def test_every_parameter_is_met_as_the_table_says(row: Provider, sim: SimulatorServer) -> None:
    """A parameter would be sent to a provider that refuses it, or not be sent to one that has it."""
    async with simulated(row, sim) as client:
        options: dict[str, Any] = {"on_unsupported": "drop", **SAMPLES}
        async with client.stream(f"{row.name}/some-model", "What is the weather in Paris?", **options) as stream:
            await stream.get_final_completion()
    body = sim.requests[0].body
    expected: dict[str, Any] = {"model": "some-model", "stream": True}
    for name, value in SAMPLES.items():
        cell = row.table[name]
        if cell.support != "unsupported" and (name != "stream_options" or row.quirks.stream_options):
            expected[cell.note if cell.support == "mapped" else name] = value
    assert {name: value for name, value in body.items() if name != "messages"} == expected


@every_compatible_row
async def test_functions_and_developers_are_said_as_the_row_declares(row: Provider, sim: SimulatorServer) -> None:
    """Old code would get 400 from this provider, or an answer in another form than the one it asked for."""
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
    """A caller who asks for two answers would get one, or a 400, or pay for the prompt twice without need."""
    async with simulated(row, sim) as client:
        reply = await client.create(f"{row.name}/some-model", "A slogan for tea.", n=2)
    assert [choice.index for choice in reply.choices] == [0, 1]
    asked = [request.body.get("n") for request in sim.requests]
    assert asked == ([2] if row.table["n"].support == "native" else [None, None])


@every_compatible_row
async def test_a_streams_usage_is_asked_for_where_it_must_be(row: Provider, sim: SimulatorServer) -> None:
    """Streams would tell no usage, or be refused for a parameter the provider does not know."""
    async with (
        simulated(row, sim) as client,
        client.stream(f"{row.name}/some-model", "A slogan for tea.") as stream,
    ):
        await stream.get_final_completion()
    asks = row.quirks.include_usage and row.quirks.stream_options
    asked = {"stream_options": {"include_usage": True}} if asks else {}
    body = sim.requests[0].body
    assert {name: value for name, value in body.items() if name == "stream_options"} == asked


THOUGHT: Mapping[str, Any] = {
    "role": "assistant",
    "content": "A haiku.",
    "reasoning_content": "Short.",
    "reasoning_details": [{"type": "reasoning.text", "text": "Short."}],
}


@every_compatible_row
async def test_earlier_reasoning_goes_back_under_the_rows_name(row: Provider, sim: SimulatorServer) -> None:
    """A provider would forget its own thoughts between turns, or refuse a member it does not know."""
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

OTHER_PATHS = {"anthropic_messages": "/v1/messages", "cohere_chat": "/v2/chat"}
"""The paths of dialects that have one; of the others only the beginning of the address is compared."""

OWN_ADDRESSES: Mapping[str, Mapping[str, str]] = {
    "azure": {"base_url": "https://test.openai.azure.com", "model": "gpt-4o", "api_version": "2024-10-21"},
    "gpustack": {"base_url": "http://gpustack.invalid/v1"},
    "snowflake": {"base_url": "https://myorg-myaccount.snowflakecomputing.com/api/v2/cortex/v1"},
}
"""What one recorded customer of a provider without a common address would have configured."""

RECORDED_ELSEWHERE = {
    "alibaba": "only answers were recorded",
    "moonshot": "only answers were recorded",
    "huggingface": "recorded when the router had an address for every provider behind it",
}


@cache
def recorded_urls() -> dict[str, set[str]]:
    """Provider → the addresses that were recorded of it."""
    found: dict[str, set[str]] = {}
    for recording in load_folder(TRAFFIC or ""):
        urls = found.setdefault(recording.provider, set())
        if recording.request is not None:
            urls.add(recording.request.url)
    return found


def address(row: Provider) -> str:
    """Where the row sends a request, or the beginning of it."""
    if row.dialect != "openai_chat":
        return row.base_url + (row.path or OTHER_PATHS.get(row.dialect, "/"))
    own: dict[str, Any] = {"base_url": row.base_url, "model": "some-model", **OWN_ADDRESSES.get(row.name, {})}
    return url(Target(provider=row.name, path=row.path, quirks=row.quirks, **own))


@pytest.mark.traffic
@pytest.mark.skipif(TRAFFIC is None, reason="ANYCOMPLETION_TRAFFIC names no folder of recorded traffic")
@every_row
def test_the_address_is_one_that_was_recorded(row: Provider) -> None:
    """The row would send requests to an address at which the provider never answered anybody."""
    urls = recorded_urls().get(row.name)
    if urls is None:
        pytest.skip("nothing was recorded of this provider")
    seen = any(each.startswith(address(row)) for each in urls)
    assert seen is (row.name not in RECORDED_ELSEWHERE), RECORDED_ELSEWHERE.get(row.name)


# --- what single servers take, and no other -----------------------------------------------------------------------

CALLED = {"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": "{}"}}]}
TOLD = {"role": "tool", "content": "5"}
UNNAMED = {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}
TWICE = {"role": "assistant", "content": "5", "reasoning": "hm", "reasoning_content": "hm"}

OWN_FORMS: list[tuple[str, str, dict[str, Any]]] = [
    ("messages[1].tool_calls[0].id", "zai", {"messages": ["Hi.", CALLED]}),
    ("messages[1].tool_call_id", "writer", {"messages": ["Hi.", TOLD]}),
    ("response_format.json_schema.name", "perplexity", {"response_format": UNNAMED}),
    ("tool_choice", "mistral", {"tools": [{"type": "function", "function": FUNCTION}], "tool_choice": "any"}),
]
"""What OpenAI's form lacks, or does not know → a server that takes it → what is said."""


@pytest.mark.parametrize(("param", "name", "said"), OWN_FORMS, ids=[param for param, _, _ in OWN_FORMS])
async def test_a_servers_own_form_goes_to_that_server_only(
    param: str, name: str, said: dict[str, Any], sim: SimulatorServer
) -> None:
    """A recorded request could not be made, or another server would be sent what it answers 400 to."""
    messages = [{"role": "user", "content": m} if isinstance(m, str) else m for m in said.get("messages", ["Hi."])]
    params = {key: value for key, value in said.items() if key != "messages"}
    async with simulated(PROVIDERS[name], sim) as client:
        # The simulator is OpenAI's, and answers as strictly.
        with contextlib.suppress(BadRequestError):
            await client.create(f"{name}/some-model", messages, **params)
    assert sim.requests[0].body == {"model": "some-model", "messages": messages, **params}
    async with simulated(PROVIDERS["openai"], sim) as client:
        with pytest.raises(InvalidRequestError) as caught:
            await client.create("openai/some-model", messages, **params)
    assert caught.value.param == param
    assert len(sim.requests) == 1


async def test_one_answer_is_asked_for_where_that_is_known(sim: SimulatorServer) -> None:
    """What the caller wrote would not be sent to a server that knows it."""
    async with simulated(PROVIDERS["groq"], sim) as client:
        await client.create("groq/some-model", "Hi.", n=1)
        await client.create("groq/some-model", "Hi.", n=2)
    assert [request.body.get("n") for request in sim.requests] == [1, None, None]


async def test_a_role_that_models_may_overlook_is_warned_of(sim: SimulatorServer) -> None:
    """Instructions could be lost without a word: the server leaves it to the model what becomes of the role."""
    messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "Hi."}]
    async with simulated(PROVIDERS["ollama"], sim) as client:
        reply = await client.create("ollama/some-model", messages)
    assert sim.requests[0].body["messages"] == messages
    assert reply.info.warnings == ["messages[0].role: some of ollama's models overlook the role developer"]


async def test_reasoning_in_the_servers_own_member_stays_as_it_is(sim: SimulatorServer) -> None:
    """One of two members the caller wrote would replace the other."""
    messages = [{"role": "user", "content": "Hi."}, TWICE]
    async with simulated(PROVIDERS["ollama"], sim) as client:
        await client.create("ollama/some-model", messages)
    assert sim.requests[0].body["messages"] == messages
