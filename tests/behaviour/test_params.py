"""Parameters: for every parameter of the table, what each provider is sent, or that it is refused."""

from collections.abc import AsyncIterator

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
from support.params_table import COLUMNS, MODELS, ROWS


@pytest.fixture
async def sim(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SimulatorServer]:
    """A running simulator; what it was asked is the evidence."""
    for variable in ("OPENAI_API_VERSION", "AZURE_API_VERSION"):
        monkeypatch.delenv(variable, raising=False)
    async with SimulatorServer() as server:
        yield server


@pytest.fixture
async def client(sim: SimulatorServer) -> AsyncIterator[AsyncCompletion]:
    """A client of the simulator's."""
    async with AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys) as made:
        yield made


# --- what is sent ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_each_provider_is_sent_exactly_this(row: Row, sim: SimulatorServer, client: AsyncCompletion) -> None:
    """A parameter would reach a provider under a wrong name, in a wrong form, or where it should have been refused."""
    demanded = {provider: expected(row, provider, expectation) for provider, expectation in row.expectations.items()}
    assert {provider: await outcome(row, provider, sim, client) for provider in demanded} == demanded


DROPPING = [
    row for row in ROWS if any(isinstance(expectation, Unsupported) for expectation in row.expectations.values())
]


@pytest.mark.parametrize("row", DROPPING, ids=str)
async def test_what_is_refused_can_be_dropped(row: Row, sim: SimulatorServer, client: AsyncCompletion) -> None:
    """Dropping one parameter would change the rest of the request, or be said where nobody wants to hear of it."""
    for provider, expectation in row.expectations.items():
        if not isinstance(expectation, Unsupported):
            continue
        demanded = Outcome([changed_body(row, provider, expectation.rest)], answered=True)
        for policy in ("warn", "drop"):
            assert await outcome(row, provider, sim, client, on_unsupported=policy) == demanded, (provider, policy)
        silent = await reply_warnings(row, provider, client, on_unsupported="drop")
        loud = await reply_warnings(row, provider, client, on_unsupported="warn")
        param = expectation.param or next(iter(row.params))
        warned = [text for text in loud if text not in silent]
        assert any(text.startswith(f"{param} dropped: ") for text in warned), (provider, loud)
        assert not [text for text in silent if "dropped" in text], provider


# --- completeness of the table ----------------------------------------------------------------------------------------


def expectations_of(name: str, provider: str, *, alone: bool = True) -> list[tuple[object, Expectation]]:
    """Value and expectation of every row that gives a parameter, and nothing else."""
    return [
        (row.params[name], row.expectations[provider])
        for row in ROWS
        if name in row.params
        and not (alone and len(row.params) > 1)
        and provider in row.expectations
        and not row.call.model
    ]


def test_there_are_rows_enough() -> None:
    """Whole parameters could go missing from the table unseen."""
    assert len(ROWS) >= 120
    assert len({repr((row.params, row.call.messages, row.call.stream, row.call.model)) for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("name", PARAM_NAMES)
def test_every_parameter_has_good_and_bad_values(name: str) -> None:
    """A parameter would be tried with values of one kind only."""
    for provider in MODELS:
        kinds = {type(expectation) for _, expectation in expectations_of(name, provider)}
        assert Invalid in kinds
        assert kinds - {Invalid}


def agrees(name: str, provider: str, support: Support) -> bool:
    """Whether what the rows show is what the parameter table promises."""
    found = [expectation for _, expectation in expectations_of(name, provider) if not isinstance(expectation, Invalid)]
    only_refused = all(isinstance(expectation, Unsupported) or expectation == UNSENT for expectation in found)
    match support:
        case "unsupported":
            return only_refused
        case "fanned_out":
            return any(isinstance(expectation, Branches) for expectation in found)
        case "mapped":
            # Some are heard of only together with others, and one (the usage of streams) needs no word at all.
            sent = [
                expectation
                for _, expectation in expectations_of(name, provider, alone=False)
                if isinstance(expectation, (dict, Given))
            ]
            return bool(sent)
        case "native":
            # Models of Replicate's differ; this one has neither efforts nor verbosity.
            sent = [
                expectation
                for expectation in found
                if isinstance(expectation, Given) or (isinstance(expectation, dict) and name in expectation)
            ]
            return bool(sent) or (COLUMNS[provider].support_depends_on_model and only_refused)


@pytest.mark.parametrize("provider", MODELS)
def test_supported_params_promises_what_is_done(provider: str) -> None:
    """`supported_params` would call a parameter native that is refused, or the other way round."""
    table = supported_params(f"{provider}/{MODELS[provider]}")
    assert set(table) == set(PARAM_NAMES)
    assert [name for name in PARAM_NAMES if not agrees(name, provider, table[name].support)] == []


@pytest.mark.parametrize("provider", MODELS)
def test_ranges_are_tried_at_their_ends(provider: str) -> None:
    """A bound could move by a little, and no row would notice."""
    for name, expectation in supported_params(f"{provider}/{MODELS[provider]}").items():
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
        words = {
            value
            for value, got in expectations_of(name, provider, alone=False)
            if isinstance(value, str) and not isinstance(got, (Unsupported, Invalid))
        }
        assert words >= set(expectation.values or ()), name
