"""Tests of what all simulated formats have in common."""

import aiohttp
import pytest

from anycompletion.testing import FAULTS, Fault, SimulatorServer
from anycompletion.testing.formats.registry import FORMATS
from anycompletion.testing.formats.wire_format import ProviderMemory
from support.params_table import COLUMNS, PROVIDER_OF

STATUS = [name for name, fault in FAULTS.items() if fault.kind == "status"]


def ask(
    http: aiohttp.ClientSession, sim: SimulatorServer, provider: str, *, fault: str = "", stream: bool = False
) -> "aiohttp.client._RequestContextManager":
    """One request in the provider's format with a valid key."""
    column = COLUMNS[provider]
    headers = valid_headers(sim, provider) | ({"x-simulate": fault} if fault else {})
    url = sim.url + ((stream and column.stream_path) or column.path)
    return http.post(url, json=column.body(column.model, stream), headers=headers)


def valid_headers(sim: SimulatorServer, provider: str) -> dict[str, str]:
    """The headers of a request with a valid key."""
    name, value = COLUMNS[provider].key_header
    return {name: value.replace("the-key", sim.api_keys[PROVIDER_OF[provider]]), "anthropic-version": "2023-06-01"}


def test_every_provider_is_tested() -> None:
    """A new provider would not be tested."""
    assert {*PROVIDER_OF.values()} == FORMATS.keys()
    assert all(wire.base.startswith(wire.root) for wire in FORMATS.values())
    assert len({wire.root for wire in FORMATS.values()}) == len(FORMATS)
    assert len({wire.api_key for wire in FORMATS.values()}) == len(FORMATS)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("provider", COLUMNS)
async def test_every_provider_replies(
    sim: SimulatorServer, http: aiohttp.ClientSession, provider: str, stream: bool
) -> None:
    """A provider's URL or key would be wrong, or the log would not name the provider."""
    async with ask(http, sim, provider, stream=stream) as response:
        assert response.status == (201 if provider == "replicate" else 200)
        is_stream = stream and provider != "replicate"  # whose streams are another request
        assert response.content_type == (COLUMNS[provider].stream_type if is_stream else "application/json")
        assert await response.read()
    (request,) = sim.requests
    assert (request.provider, request.has_key) == (PROVIDER_OF[provider], True)
    await request.wait_closed()
    assert request.finished


@pytest.mark.parametrize("provider", COLUMNS)
@pytest.mark.parametrize("name", STATUS)
async def test_every_provider_has_every_error(
    sim: SimulatorServer, http: aiohttp.ClientSession, provider: str, name: str
) -> None:
    """A fault would work with one provider and raise a KeyError with another."""
    async with ask(http, sim, provider, fault=name) as response:
        error = FORMATS[PROVIDER_OF[provider]].of_path(COLUMNS[provider].path).errors[name]
        assert response.status == error.status >= 400
        assert error.message in await response.text()
        assert response.headers.get("retry-after") == ("0.05" if name == "rate-limit" else None)


@pytest.mark.parametrize("provider", COLUMNS)
async def test_an_unknown_fault_is_a_bad_request(
    sim: SimulatorServer, http: aiohttp.ClientSession, provider: str
) -> None:
    """A misspelt x-simulate would silently simulate nothing."""
    async with ask(http, sim, provider, fault="overlouded") as response:
        assert response.status == 400
        assert "'overloaded'" in await response.text()


@pytest.mark.parametrize("provider", sorted(COLUMNS.keys() - {"replicate"}))
async def test_only_predictions_have_outcomes(sim: SimulatorServer, http: aiohttp.ClientSession, provider: str) -> None:
    """A fault that a provider does not have would silently simulate nothing."""
    async with ask(http, sim, provider, fault="failed-prediction") as response:
        assert response.status == 400
        assert "replicate" in await response.text()
    sim.fault = "failed-prediction"
    async with ask(http, sim, provider) as response:
        assert response.status == 200
    async with ask(http, sim, "replicate") as response:
        prediction = await response.json()
    assert prediction["status"] == "starting"


@pytest.mark.parametrize("provider", COLUMNS)
async def test_faults_of_other_providers_do_not_apply(
    sim: SimulatorServer, http: aiohttp.ClientSession, provider: str
) -> None:
    """A fallback from a failing provider could not be tested with one server."""
    sim.fault = [Fault.named("overloaded", provider=name) for name in FORMATS if name != PROVIDER_OF[provider]]
    async with ask(http, sim, provider) as response:
        assert response.status < 300


@pytest.mark.parametrize("provider", COLUMNS)
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b'{"messages":[null],"input":[],"model":{}}'])
async def test_malformed_bodies_are_rejected(
    sim: SimulatorServer, http: aiohttp.ClientSession, provider: str, body: bytes
) -> None:
    """A client's mistake would look like a bug of the simulator."""
    url = sim.url + COLUMNS[provider].path
    async with http.post(url, data=body, headers=valid_headers(sim, provider)) as response:
        assert 400 <= response.status < 500


def test_a_memory_drops_the_oldest_entries() -> None:
    """A server that is left running would use more and more memory."""
    memory = ProviderMemory(most=2)
    for name in "abc":
        memory.store(name, name.upper())
    assert [memory.get(name) for name in "abc"] == [None, "B", "C"]
    assert len(memory) == 2
