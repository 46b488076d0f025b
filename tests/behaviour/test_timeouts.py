"""Which of the four timeouts ends a plain call or a stream, at each stage of a response."""

import pytest

from anycompletion import APITimeoutError, AsyncCompletion, Timeout
from anycompletion.options import DefaultSeconds
from anycompletion.testing import SimulatorServer

SHORT = Timeout(total=0.6, first_chunk=0.2, idle=0.1)

CASES: dict[str, tuple[bool, str, str]] = {
    "a plain call without a response": (False, "hang", "total"),
    "a plain call whose body stops": (False, "stall-after-0-events", "idle"),
    "a stream without a response": (True, "hang", "first_chunk"),
    "a stream without an event": (True, "stall-after-0-events", "first_chunk"),
    "a stream that stops": (True, "stall-after-2-events", "idle"),
}
"""Case → whether the call is a stream, the fault, and the timeout that ends it."""


def client_of(sim: SimulatorServer) -> AsyncCompletion:
    """A client of the simulator that tries once."""
    return AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys, max_retries=0)


@pytest.mark.parametrize("case", CASES)
async def test_the_documented_timeout_ends_the_call(case: str) -> None:
    """A call to a silent server would end later than its timeouts say, or another timeout be named."""
    stream, fault, name = CASES[case]
    async with SimulatorServer(fault=fault) as sim, client_of(sim) as client:
        with pytest.raises(APITimeoutError, match=f"the {name} timeout of"):
            if stream:
                await client.stream("openai/gpt-4o", "Hello!", timeout=SHORT).get_final_completion()
            else:
                await client.create("openai/gpt-4o", "Hello!", timeout=SHORT)


@pytest.mark.parametrize("timeout", [0.3, Timeout(total=0.3, idle=None)])
async def test_an_explicit_total_ends_a_healthy_stream(timeout: float | Timeout) -> None:
    """A caller who limits a call would have a stream that goes on for ever."""
    async with SimulatorServer(chunk_delay=0.05, chunks=1000) as sim, client_of(sim) as client:
        with pytest.raises(APITimeoutError, match=r"the total timeout of 0\.3 s ran out"):
            await client.stream("openai/gpt-4o", "Hello!", timeout=timeout).get_final_completion()


async def test_a_default_total_does_not_end_a_stream_at_its_usage() -> None:
    """A stream that takes longer than the default total would fail when its usage is asked for, after its text."""
    async with SimulatorServer(chunk_delay=0.05, chunks=12) as sim, client_of(sim) as client:
        timeout = Timeout(total=DefaultSeconds(0.4))
        found = await client.stream(
            "replicate/meta/meta-llama-3-70b-instruct", "Hi.", timeout=timeout
        ).get_final_completion()
        assert found.choices[0].finish_reason == "stop"
        assert found.usage is not None
        assert found.info is not None
        assert found.info.elapsed > 0.4
