"""The parameter table, cell by cell: what every provider is sent for every parameter, or that it is refused."""

from collections.abc import AsyncIterator

import pytest

from anycompletion import AsyncCompletion
from anycompletion.options import Support
from anycompletion.providers.registry import supported_params
from anycompletion.records import PARAM_NAMES
from anycompletion.testing import SimulatorServer
from support.params_notation import (
    MODELS,
    UNSENT,
    Branches,
    Cell,
    Given,
    Invalid,
    Outcome,
    Row,
    Unsupported,
    changed,
    expected,
    outcome,
    said,
)
from support.params_table import ROWS


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
    demanded = {provider: expected(row, provider, cell) for provider, cell in row.cells().items()}
    assert {provider: await outcome(row, provider, sim, client) for provider in demanded} == demanded


DROPPING = [row for row in ROWS if any(isinstance(cell, Unsupported) for cell in row.cells().values())]


@pytest.mark.parametrize("row", DROPPING, ids=str)
async def test_what_is_refused_can_be_dropped(row: Row, sim: SimulatorServer, client: AsyncCompletion) -> None:
    """Dropping one parameter would change the rest of the request, or be said where nobody wants to hear of it."""
    for provider, cell in row.cells().items():
        if not isinstance(cell, Unsupported):
            continue
        demanded = Outcome([changed(row, provider, cell.rest)], answered=True)
        for policy in ("warn", "drop"):
            assert await outcome(row, provider, sim, client, on_unsupported=policy) == demanded, (provider, policy)
        silent = await said(row, provider, client, on_unsupported="drop")
        loud = await said(row, provider, client, on_unsupported="warn")
        param = cell.param or next(iter(row.params))
        warned = [text for text in loud if text not in silent]
        assert any(text.startswith(f"{param} dropped: ") for text in warned), (provider, loud)
        assert not [text for text in silent if "dropped" in text], provider


# --- the table of cells is as whole as the table of parameters --------------------------------------------------------


def cells_of(name: str, provider: str, *, alone: bool = True) -> list[tuple[object, Cell]]:
    """Value and cell of every row that gives a parameter, and nothing else."""
    return [
        (row.params[name], row.cells()[provider])
        for row in ROWS
        if name in row.params and not (alone and len(row.params) > 1) and provider in row.cells() and not row.models
    ]


def test_there_are_rows_enough() -> None:
    """Whole parameters could go missing from the table unseen."""
    assert len(ROWS) >= 120
    assert len({repr((row.params, row.messages, row.stream, row.models)) for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("name", PARAM_NAMES)
def test_every_parameter_has_good_and_bad_values(name: str) -> None:
    """A parameter would be tried with values of one kind only."""
    for provider in MODELS:
        kinds = {type(cell) for _, cell in cells_of(name, provider)}
        assert Invalid in kinds
        assert kinds - {Invalid}


def agrees(name: str, provider: str, support: Support) -> bool:
    """Whether what the rows show is what the parameter table promises."""
    found = [cell for _, cell in cells_of(name, provider) if not isinstance(cell, Invalid)]
    only_refused = all(isinstance(cell, Unsupported) or cell == UNSENT for cell in found)
    match support:
        case "unsupported":
            return only_refused
        case "fanned_out":
            return any(isinstance(cell, Branches) for cell in found)
        case "mapped":
            # Some are heard of only together with others, and one (the usage of streams) needs no word at all.
            sent = [cell for _, cell in cells_of(name, provider, alone=False) if isinstance(cell, (dict, Given))]
            return bool(sent)
        case "native":
            # Models of Replicate's differ; this one has neither efforts nor verbosity.
            sent = [cell for cell in found if isinstance(cell, Given) or (isinstance(cell, dict) and name in cell)]
            return bool(sent) or (provider == "replicate" and only_refused)


@pytest.mark.parametrize("provider", MODELS)
def test_supported_params_promises_what_is_done(provider: str) -> None:
    """`supported_params` would call a parameter native that is refused, or the other way round."""
    table = supported_params(f"{provider}/{MODELS[provider]}")
    assert set(table) == set(PARAM_NAMES)
    assert [name for name in PARAM_NAMES if not agrees(name, provider, table[name].support)] == []


@pytest.mark.parametrize("provider", MODELS)
def test_ranges_are_tried_at_their_ends(provider: str) -> None:
    """A bound could move by a little, and no row would notice."""
    for name, cell in supported_params(f"{provider}/{MODELS[provider]}").items():
        tried = [(value, not isinstance(got, (Unsupported, Invalid))) for value, got in cells_of(name, provider)]
        numbers = [(value, good) for value, good in tried if type(value) in (int, float)]
        if cell.minimum is not None:
            assert (cell.minimum, True) in numbers, name
            assert any(value < cell.minimum and not good for value, good in numbers), name
        if cell.maximum is not None:
            assert (cell.maximum, True) in numbers, name
            assert any(value > cell.maximum and not good for value, good in numbers), name
        if cell.max_items is not None:
            lengths = [(len(value), good) for value, good in tried if isinstance(value, list)]
            assert {(cell.max_items, True), (cell.max_items + 1, False)} <= set(lengths), name
        words = {
            value
            for value, got in cells_of(name, provider, alone=False)
            if isinstance(value, str) and not isinstance(got, (Unsupported, Invalid))
        }
        assert words >= set(cell.values or ()), name
