"""Parameters: what is sent to each provider for every parameter of the table, or that it is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from anycompletion import AsyncCompletion
from anycompletion.params import Support
from anycompletion.providers import supported_params
from anycompletion.records import PARAM_NAMES
from anycompletion.testing import SimulatorServer
from support.params_notation import (
    UNSENT,
    Branches,
    Expectation,
    Given,
    Invalid,
    Outcome,
    Row,
    Unsupported,
    changed_body,
    expected,
    outcome,
    reply_warnings,
)
from support.params_table import ASKED_MODELS, COLUMNS, MODELS, ROWS


@pytest.fixture
async def sim(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SimulatorServer]:
    """A running simulator, whose recorded requests are checked."""
    for variable in ("OPENAI_API_VERSION", "AZURE_API_VERSION"):
        monkeypatch.delenv(variable, raising=False)
    async with SimulatorServer() as server:
        yield server


@pytest.fixture
async def client(sim: SimulatorServer) -> AsyncIterator[AsyncCompletion]:
    """A client of the simulator."""
    async with AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys) as made:
        yield made


# --- requests -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_requests_have_exactly_the_expected_body(row: Row, sim: SimulatorServer, client: AsyncCompletion) -> None:
    """A parameter would be sent with a wrong name, in a wrong form, or although the provider refuses it."""
    wanted = {provider: expected(row, provider, expectation) for provider, expectation in row.expectations.items()}
    assert {provider: await outcome(row, provider, sim, client) for provider in wanted} == wanted


DROPPING = [
    row for row in ROWS if any(isinstance(expectation, Unsupported) for expectation in row.expectations.values())
]


def is_content(param: str) -> bool:
    """Whether it is a message, a part or a tool, which no policy drops."""
    if param.startswith("messages["):
        return not param.endswith((".name", ".detail"))
    return param.partition("[")[0] in ("tools", "functions") and not param.endswith(".strict")


def is_late_instruction(row: Row, param: str) -> bool:
    """Whether it is a system message after the first message, which is sent before that one."""
    messages: Any = row.call.messages
    number = param.removeprefix("messages[").partition("]")[0]
    return param.endswith(".role") and messages[int(number)]["role"] in ("system", "developer")


@pytest.mark.parametrize("row", DROPPING, ids=str)
async def test_refused_parameters_can_be_dropped(row: Row, sim: SimulatorServer, client: AsyncCompletion) -> None:
    """Dropping one parameter would change the rest of the request, or a message, a part or a tool would be dropped."""
    for provider, expectation in row.expectations.items():
        if not isinstance(expectation, Unsupported):
            continue
        param = expectation.param or next(iter(row.params))
        if is_content(param):
            refused = await outcome(row, provider, sim, client)
            for policy in ("warn", "drop"):
                found = await outcome(row, provider, sim, client, on_unsupported=policy)
                assert found.answered if is_late_instruction(row, param) else found == refused, (provider, policy)
            continue
        if provider == "replicate" and not {"tools", "functions"}.isdisjoint(row.params):
            found = await outcome(row, provider, sim, client, on_unsupported="drop")
            assert found.refusal is not None  # another parameter may be dropped, the tools may not
            continue
        wanted = Outcome([changed_body(row, provider, expectation.rest)], answered=True)
        for policy in ("warn", "drop"):
            assert await outcome(row, provider, sim, client, on_unsupported=policy) == wanted, (provider, policy)
        without = await reply_warnings(row, provider, client, on_unsupported="drop")
        warnings = await reply_warnings(row, provider, client, on_unsupported="warn")
        warned = [text for text in warnings if text not in without]
        assert any(text.startswith(f"{param} dropped: ") for text in warned), (provider, warnings)
        assert not [text for text in without if "dropped" in text], provider


# --- completeness of the table ----------------------------------------------------------------------------------------


def expectations_of(name: str, provider: str, *, alone: bool = True) -> list[tuple[object, Expectation]]:
    """Value and expectation of every row for a parameter; `alone`: without other parameters."""
    return [
        (row.params[name], row.expectations[provider])
        for row in ROWS
        if name in row.params
        and not (alone and len(row.params) > 1)
        and provider in row.expectations
        and not row.call.model
    ]


def test_the_table_has_enough_rows() -> None:
    """Parameters could disappear from the table."""
    assert len(ROWS) >= 120
    assert len({repr((row.params, row.call.messages, row.call.stream, row.call.model)) for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("name", PARAM_NAMES)
def test_every_parameter_has_valid_and_invalid_values(name: str) -> None:
    """A parameter would be tested with values of one kind only."""
    for provider in MODELS:
        kinds = {type(expectation) for _, expectation in expectations_of(name, provider)}
        assert Invalid in kinds
        assert kinds - {Invalid}


def agrees(name: str, provider: str, support: Support) -> bool:
    """Whether the rows agree with the provider's parameter table."""
    found = [expectation for _, expectation in expectations_of(name, provider) if not isinstance(expectation, Invalid)]
    only_refused = all(isinstance(expectation, Unsupported) or expectation == UNSENT for expectation in found)
    match support:
        case "unsupported":
            return only_refused
        case "fanned_out":
            return any(isinstance(expectation, Branches) for expectation in found)
        case "mapped":
            # Some are sent only together with others, and one (the usage of streams) is never sent.
            sent = [
                expectation
                for _, expectation in expectations_of(name, provider, alone=False)
                if isinstance(expectation, (dict, Given))
            ]
            return bool(sent)
        case "native":
            # Replicate's models differ; this one has neither reasoning effort nor verbosity.
            sent = [
                expectation
                for expectation in found
                if isinstance(expectation, Given) or (isinstance(expectation, dict) and name in expectation)
            ]
            return bool(sent) or (COLUMNS[provider].support_depends_on_model and only_refused)


@pytest.mark.parametrize("provider", MODELS)
def test_supported_params_matches_the_requests(provider: str) -> None:
    """`supported_params` would return native for a refused parameter, or the reverse."""
    table = supported_params(ASKED_MODELS[provider])
    assert set(table) == set(PARAM_NAMES)
    assert [name for name in PARAM_NAMES if not agrees(name, provider, table[name].support)] == []


@pytest.mark.parametrize("provider", MODELS)
def test_ranges_are_tested_at_their_bounds(provider: str) -> None:
    """A bound could change without a failing row."""
    for name, expectation in supported_params(ASKED_MODELS[provider]).items():
        tried = [(value, not isinstance(got, (Unsupported, Invalid))) for value, got in expectations_of(name, provider)]
        numbers = [(value, good) for value, good in tried if type(value) in (int, float)]
        if expectation.minimum is not None:
            assert (expectation.minimum, True) in numbers, name
            assert any(value < expectation.minimum and not good for value, good in numbers), name
        if expectation.maximum is not None:
            assert (expectation.maximum, True) in numbers, name
            assert any(value > expectation.maximum and not good for value, good in numbers), name
        if expectation.max_items is not None:
            lengths = [(len(value), good) for value, good in tried if isinstance(value, list)]
            assert {(expectation.max_items, True), (expectation.max_items + 1, False)} <= set(lengths), name
        texts = {
            value
            for value, got in expectations_of(name, provider, alone=False)
            if isinstance(value, str) and not isinstance(got, (Unsupported, Invalid))
        }
        assert texts >= set(expectation.values or ()), name
