"""Tests of a program's own code without a provider: scripted replies, failures and a server on this machine."""

import sys
from collections.abc import AsyncIterator, Callable

import pytest

from anycompletion import APIError, AsyncCompletion, ChatRequest, RateLimitError, StreamInterruptedError
from anycompletion.testing import FakeProvider, Fault, SimulatorServer, block_network

pytestmark = pytest.mark.filterwarnings("error")


class Summarizer:
    """The code under test."""

    def __init__(self, client: AsyncCompletion) -> None:
        self._client = client

    async def title(self, text: str) -> str:
        try:
            reply = await self._client.create("openai/gpt-4o-mini", f"A title for: {text}", max_tokens=20)
        except APIError:
            return "(no title)"
        return reply.text.strip()

    async def stream(self, text: str) -> AsyncIterator[str]:
        async with self._client.stream("anthropic/claude-haiku-4-5", text) as stream:
            try:
                async for piece in stream.text:
                    yield piece
            except StreamInterruptedError:
                yield " […]"


@pytest.fixture
async def scripted() -> AsyncIterator[Callable[[FakeProvider], Summarizer]]:
    clients: list[AsyncCompletion] = []

    def make(fake: FakeProvider) -> Summarizer:
        clients.append(AsyncCompletion(providers=[fake], max_retries=0))
        return Summarizer(clients[-1])

    with block_network():
        yield make
    for client in clients:
        await client.aclose()


@pytest.fixture
async def server() -> AsyncIterator[SimulatorServer]:
    async with SimulatorServer(reply="A heron waits.") as simulator:
        yield simulator


def shout(request: ChatRequest) -> str:
    return str(request.messages).upper()


async def test_a_title_is_asked_for(scripted: Callable[[FakeProvider], Summarizer]) -> None:
    fake = FakeProvider(" Herons ", RateLimitError("slow down"), shout)
    summarizer = scripted(fake)
    assert await summarizer.title("A long text.") == "Herons"
    assert await summarizer.title("Another text.") == "(no title)"
    assert "A LAST TEXT." in await summarizer.title("A last text.")
    assert [seen.request.max_tokens for seen in fake.requests] == [20, 20, 20]
    assert fake.requests[0].body["model"] == "gpt-4o-mini"


async def test_a_cut_stream_is_marked(scripted: Callable[[FakeProvider], Summarizer]) -> None:
    fake = FakeProvider(["Once ", "upon", StreamInterruptedError("cut")], name="*")
    assert [piece async for piece in scripted(fake).stream("A story.")] == ["Once ", "upon", " […]"]


async def test_a_retry_succeeds(server: SimulatorServer) -> None:
    server.fault = [Fault.status(503, retry_after=0.01, times=1)]
    async with AsyncCompletion(base_urls=server.base_urls, api_keys=server.api_keys) as client:
        assert await Summarizer(client).title("A text.") == "A heron waits."
    assert [seen.path for seen in server.requests] == ["/openai/v1/chat/completions"] * 2


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto"]))
