"""Parameters of older libraries: every one of their names works with every provider."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from anycompletion import (
    APITimeoutError,
    AssistantMessage,
    AsyncCompletion,
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionMessage,
    Choice,
    ConfigurationError,
    FunctionCall,
    FunctionDefinition,
    FunctionMessage,
    InvalidRequestError,
    RateLimitError,
    Result,
    SystemMessage,
    UnsupportedParameterError,
    Usage,
    UserMessage,
)
from anycompletion.providers import PROVIDERS
from anycompletion.testing import RecordedRequest, SimulatorServer
from support.legacy_params_calls import ORGANIZATION_VARIABLES
from support.params_calls import ADD, ADD_TOOL, FUNCTION_CALL, FUNCTION_RESULT, SUM
from support.params_notation import QUESTION, USER, Row, expected, outcome
from support.params_table import ASKED_MODELS, COLUMNS, LEGACY_ROWS, MODELS, PROVIDER_OF

BARE = {model: provider for provider, column in COLUMNS.items() for model in column.bare_models}
"""Model name without a provider → the provider that gets the request."""
KEY_VARIABLES = [(provider, name) for provider, column in COLUMNS.items() for name in column.key_variables]
URL_VARIABLES = [(provider, name) for provider, column in COLUMNS.items() for name in column.url_variables]

every_provider = pytest.mark.parametrize("provider", MODELS)


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction] (pytest uses it)
    for row in PROVIDERS.values():
        named = [*row.key_env, *row.token_env, *row.base_url_env, *row.api_version_env]
        for variable in (*named, *(each for some in row.headers_env.values() for each in some)):
            monkeypatch.delenv(variable, raising=False)


@pytest.fixture
async def sim() -> AsyncIterator[SimulatorServer]:
    """A running simulator, whose recorded requests are checked."""
    async with SimulatorServer() as server:
        yield server


@pytest.fixture
async def client(sim: SimulatorServer) -> AsyncIterator[AsyncCompletion]:
    """A client of the simulator."""
    async with AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys) as made:
        yield made


def model_of(provider: str) -> str:
    """The provider's model as provider/model."""
    return ASKED_MODELS[provider]


def chat_requests(sim: SimulatorServer) -> list[RecordedRequest]:
    """The requests for a reply."""
    return [request for request in sim.requests if request.method == "POST"]


# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LEGACY_ROWS)
async def test_a_name_is_sent_or_refused(name: str, sim: SimulatorServer, client: AsyncCompletion) -> None:
    """Code that uses this name would fail, or have another effect, with some provider."""
    row: Row = LEGACY_ROWS[name]
    wanted = {provider: expected(row, provider, expectation) for provider, expectation in row.expectations.items()}
    assert {provider: await outcome(row, provider, sim, client) for provider in wanted} == wanted


@pytest.mark.parametrize("model", BARE)
async def test_bare_models_find_their_provider(model: str, sim: SimulatorServer, client: AsyncCompletion) -> None:
    """A model that is usually written without its provider would be unknown, or go to another one."""
    await client.create(model=model, messages=[USER])
    (request,) = sim.requests
    assert (request.path, request.body["model"]) == (COLUMNS[BARE[model]].path, model)


@every_provider
async def test_a_provider_can_be_an_argument(provider: str, sim: SimulatorServer, client: AsyncCompletion) -> None:
    """Models whose names do not contain their provider could not be used."""
    model = model_of(provider).removeprefix(f"{PROVIDER_OF[provider]}/")
    reply = await client.create(model, QUESTION, provider=PROVIDER_OF[provider])
    assert (reply.info.provider, reply.info.model) == (PROVIDER_OF[provider], MODELS[provider])
    assert chat_requests(sim)[0].path == COLUMNS[provider].path


async def test_azure_is_selected_by_a_flag(sim: SimulatorServer, client: AsyncCompletion) -> None:
    """`azure=True` would send a deployment's name to OpenAI."""
    await client.create("gpt-35-our-deployment", QUESTION, azure=True)
    assert (sim.requests[0].path, sim.requests[0].body["model"]) == (COLUMNS["azure"].path, "gpt-35-our-deployment")
    with pytest.raises(InvalidRequestError):
        await client.create("gpt-4", QUESTION, azure=True, provider="openai")


@every_provider
async def test_model_and_messages_can_be_keywords(provider: str, client: AsyncCompletion) -> None:
    """A call with its two required arguments as keywords would fail, or one without them would be sent."""
    reply = await client.create(messages=[USER], model=model_of(provider))
    assert reply.text
    missing: Any = client.create
    with pytest.raises(TypeError, match="messages"):
        await missing(model=model_of(provider))
    with pytest.raises(TypeError, match="model"):
        await missing(messages=[USER])


@every_provider
async def test_a_stream_has_the_content_of_a_reply(provider: str, client: AsyncCompletion) -> None:
    """`stream=True` would not return chunks that add up to the reply."""
    opened = await client.create(model_of(provider), "Knock knock.", stream=True)
    chunks = [chunk async for chunk in opened]
    assert all(type(chunk) is ChatCompletionChunk for chunk in chunks)
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == (await client.create(model_of(provider), "Knock knock.")).text
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason] == ["stop"]


# --- call options ---------------------------------------------------------------------------------------------------


@every_provider
@pytest.mark.parametrize("name", ["forceTimeout", "force_timeout", "timeout"])
async def test_the_legacy_timeout_ends_a_call(
    name: str, provider: str, sim: SimulatorServer, client: AsyncCompletion
) -> None:
    """A call would take ten minutes although its caller allowed a moment."""
    sim.latency = 30.0
    options: dict[str, Any] = {name: 0.05}
    with pytest.raises(APITimeoutError):
        await client.create(model_of(provider), QUESTION, **options)


async def test_two_names_of_one_timeout_are_refused(sim: SimulatorServer, client: AsyncCompletion) -> None:
    """One of two contradicting timeouts would silently win."""
    with pytest.raises(InvalidRequestError):
        await client.create("gpt-4", QUESTION, force_timeout=1, timeout=2)
    assert sim.requests == []


@every_provider
async def test_logger_fn_gets_the_request_and_the_reply(provider: str, client: AsyncCompletion) -> None:
    """An observer would miss a call, get it twice, or get the key."""
    events: list[dict[str, Any]] = []
    await client.create(model_of(provider), QUESTION, n=2, logger_fn=events.append)
    assert [(event["event"], event["provider"]) for event in events] == [
        ("request", PROVIDER_OF[provider]),
        ("reply", PROVIDER_OF[provider]),
    ]
    assert "simulated-" not in repr(events)


@every_provider
async def test_verbose_calls_are_logged(
    provider: str, client: AsyncCompletion, caplog: pytest.LogCaptureFixture
) -> None:
    """`verbose=True` would log nothing, or other calls as well."""
    with caplog.at_level(logging.INFO, "anycompletion"):
        await client.create(model_of(provider), QUESTION)
        assert caplog.records == []
        await client.create(model_of(provider), QUESTION, verbose=True)
    assert any(PROVIDER_OF[provider] in record.getMessage() for record in caplog.records)
    assert QUESTION not in caplog.text


@every_provider
async def test_a_key_per_call(provider: str, sim: SimulatorServer, client: AsyncCompletion) -> None:
    """One user's call would be made, and billed, with another user's key."""
    await client.attempt(model_of(provider), QUESTION, api_key="the-key", max_retries=0)
    header, value = COLUMNS[provider].key_header
    assert sim.requests[0].headers[header] == value


@every_provider
async def test_a_base_url_per_call(provider: str, sim: SimulatorServer) -> None:
    """A call to a self-hosted server would go to the vendor's."""
    async with AsyncCompletion(base_urls={PROVIDER_OF[provider]: "https://elsewhere.example"}) as client:
        reply = await client.create(
            model_of(provider),
            QUESTION,
            base_url=sim.base_urls[PROVIDER_OF[provider]],
            api_key=sim.api_keys[PROVIDER_OF[provider]],
        )
    assert reply.text
    assert chat_requests(sim)[0].path == COLUMNS[provider].path


@pytest.mark.parametrize("provider", ["openai", "azure"])
async def test_an_organization_per_call(provider: str, sim: SimulatorServer, client: AsyncCompletion) -> None:
    """The call would count for the wrong organization."""
    await client.create(model_of(provider), QUESTION, organization="org-1")
    assert sim.requests[0].headers["openai-organization"] == "org-1"


# --- the environment ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("provider", "variable"), KEY_VARIABLES)
async def test_a_variable_can_contain_the_key(
    provider: str, variable: str, sim: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program with its key in this variable would have no key."""
    monkeypatch.setenv(variable, sim.api_keys[provider])
    async with AsyncCompletion(base_urls=sim.base_urls) as client:
        assert (await client.create(model_of(provider), QUESTION)).text


@pytest.mark.parametrize("provider", [name for name in MODELS if not PROVIDERS[PROVIDER_OF[name]].key_optional])
async def test_the_error_of_a_missing_key_names_the_variable(provider: str, sim: SimulatorServer) -> None:
    """A caller without a key would get an error from a server, and not the name of the variable."""
    async with AsyncCompletion(base_urls=sim.base_urls) as client:
        with pytest.raises(ConfigurationError, match=PROVIDERS[PROVIDER_OF[provider]].key_env[0]):
            await client.create(model_of(provider), QUESTION)
    assert sim.requests == []


@pytest.mark.parametrize(("provider", "variable"), URL_VARIABLES)
async def test_a_variable_can_contain_the_base_url(
    provider: str, variable: str, sim: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program with its server in this variable would send its prompts to the vendor."""
    monkeypatch.setenv(variable, sim.base_urls[provider])
    async with AsyncCompletion(api_keys=sim.api_keys) as client:
        assert (await client.create(model_of(provider), QUESTION)).text


@pytest.mark.parametrize("variable", ORGANIZATION_VARIABLES)
async def test_a_variable_can_contain_the_organization(
    variable: str, sim: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The calls of a program with its organization in this variable would count for another one."""
    monkeypatch.setenv(variable, "org-1")
    async with AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys) as client:
        await client.create("gpt-4", QUESTION)
        await client.create("claude-2", QUESTION)
    assert [request.headers.get("openai-organization") for request in sim.requests] == ["org-1", None]


# --- records --------------------------------------------------------------------------------------------------------


@every_provider
async def test_records_are_sent_as_dicts_are(provider: str, sim: SimulatorServer, client: AsyncCompletion) -> None:
    """Typed messages would be sent differently from the same messages as dicts."""
    dicts = [{"role": "system", "content": "Be brief."}, SUM]
    records = [SystemMessage("Be brief."), UserMessage("1+1?")]
    await client.create(model_of(provider), dicts)
    await client.create(model_of(provider), records)
    first, second = chat_requests(sim)
    assert first.body == second.body


@pytest.mark.parametrize("provider", [name for name, column in COLUMNS.items() if column.functions])
async def test_legacy_records_are_sent_as_dicts_are(
    provider: str, sim: SimulatorServer, client: AsyncCompletion
) -> None:
    """Typed functions, calls and results would be sent differently from the same ones as dicts."""
    call = FunctionCall("add", '{"a":1}')
    function = FunctionDefinition("add", ADD["description"], ADD["parameters"])
    # A record without content leaves it out, where the dict has null.
    plain = {name: value for name, value in FUNCTION_CALL.items() if value is not None}
    await client.attempt(model_of(provider), [SUM, plain, FUNCTION_RESULT], functions=[ADD])
    await client.attempt(
        model_of(provider),
        [UserMessage("1+1?"), AssistantMessage(function_call=call), FunctionMessage("2", "add")],
        functions=[function],
    )
    first, second = chat_requests(sim)
    assert first.body == second.body


@every_provider
async def test_replies_are_records(provider: str, client: AsyncCompletion) -> None:
    """A reply of some provider would not have OpenAI's shape."""
    reply = await client.create(model_of(provider), QUESTION)
    (choice,) = reply.choices
    kinds = (type(reply), type(choice), type(choice.message), type(reply.usage))
    assert kinds == (ChatCompletion, Choice, ChatCompletionMessage, Usage)
    assert (choice.index, choice.finish_reason, choice.message.role) == (0, "stop", "assistant")
    assert reply.usage is not None
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens > 0


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("provider", [name for name, column in COLUMNS.items() if column.functions])
async def test_functions_are_answered_as_functions(provider: str, streamed: bool, client: AsyncCompletion) -> None:
    """Code with `functions` would get `tool_calls`, which it does not handle."""
    if streamed:
        async with client.stream(model_of(provider), "1+1?", functions=[ADD]) as stream:
            reply = await stream.get_final_completion()
    else:
        reply = await client.create(model_of(provider), "1+1?", functions=[ADD])
    (choice,) = reply.choices
    assert (choice.finish_reason, choice.message.tool_calls) == ("function_call", None)
    assert type(choice.message.function_call) is FunctionCall
    assert choice.message.function_call.name == "add"


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("provider", [name for name, column in COLUMNS.items() if column.functions])
async def test_tools_are_answered_as_tools(provider: str, streamed: bool, client: AsyncCompletion) -> None:
    """Code with `tools` would get the legacy form."""
    if streamed:
        async with client.stream(model_of(provider), "1+1?", tools=[ADD_TOOL]) as stream:
            reply = await stream.get_final_completion()
    else:
        reply = await client.create(model_of(provider), "1+1?", tools=[ADD_TOOL])
    (choice,) = reply.choices
    assert (choice.finish_reason, choice.message.function_call) == ("tool_calls", None)
    assert [call.function.name for call in choice.message.tool_calls or ()] == ["add"]


# --- results ----------------------------------------------------------------------------------------------------------


@every_provider
async def test_ok_and_error_are_values(provider: str, client: AsyncCompletion) -> None:
    """Code that matches on the result would get an exception."""
    match await client.attempt(model_of(provider), QUESTION):
        case Result(completion=ChatCompletion() as reply, error=None):
            assert reply.text
        case result:
            pytest.fail(f"{result}")
    limited = await client.attempt(
        model_of(provider), QUESTION, extra_headers={"x-simulate": "rate-limit"}, max_retries=0
    )
    assert (limited.completion, type(limited.error)) == (None, RateLimitError)
    invalid = await client.attempt(model_of(provider), QUESTION, n=0)
    assert (invalid.completion, type(invalid.error)) == (None, InvalidRequestError)
    refused = await client.attempt(model_of(provider), QUESTION, temperature=-1)
    assert (refused.completion, type(refused.error)) == (None, UnsupportedParameterError)


# --- n --------------------------------------------------------------------------------------------------------------

LATENCY = 0.15


@every_provider
@pytest.mark.parametrize("streamed", [False, True])
async def test_three_choices(provider: str, streamed: bool, sim: SimulatorServer, client: AsyncCompletion) -> None:
    """`n=3` would return fewer choices, duplicate indexes, lose tokens, or send requests one after another."""
    one = await client.create(model_of(provider), QUESTION)
    sim.requests.clear()
    sim.latency = LATENCY
    if streamed:
        async with client.stream(model_of(provider), QUESTION, n=3) as stream:
            seen = [(choice.index, choice.finish_reason) async for chunk in stream for choice in chunk.choices]
            reply = await stream.get_final_completion()
        assert sorted(index for index, reason in seen if reason is not None) == [0, 1, 2]
    else:
        reply = await client.create(model_of(provider), QUESTION, n=3)
    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    assert [choice.finish_reason for choice in reply.choices] == ["stop"] * 3
    assert all(reply.texts)
    own_n = COLUMNS[provider].several_choices
    requests = chat_requests(sim)
    assert len(requests) == (1 if own_n else 3)
    assert {request.body.get("n") for request in requests} == {3 if own_n else None}
    # All of them arrived before the first response.
    assert max(request.received_at for request in requests) - requests[0].received_at < LATENCY
    prompts = 1 if own_n else 3
    assert one.usage is not None
    assert reply.usage is not None
    assert reply.usage.prompt_tokens == prompts * one.usage.prompt_tokens
    assert reply.usage.completion_tokens == 3 * one.usage.completion_tokens
    assert len(reply.info.branches) == (0 if own_n else 3)
