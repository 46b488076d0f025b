"""Types of `anycompletion.testing` as type checkers have to infer them; not run."""

from collections.abc import Iterator
from typing import Any, assert_type

from anycompletion import (
    AsyncCompletion,
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionMessage,
    ChatRequest,
    Choice,
    ChunkChoice,
    Delta,
    Provider,
    RateLimitError,
)
from anycompletion.testing import (
    FakeProvider,
    FakeReply,
    FakeRequest,
    Fault,
    RecordedRequest,
    Recorder,
    Recording,
    SimulatorServer,
    block_network,
    load_folder,
    tool_call,
)


def text_of(request: ChatRequest) -> str:
    return request.model


async def pieces_of(request: ChatRequest) -> list[str]:
    return [request.model]


def replies() -> Iterator[FakeReply]:
    yield "text"
    yield ["pieces", "of", "a", "stream"]
    yield ["pieces", RateLimitError("and an error", retry_after=1)]
    yield [ChatCompletionChunk(choices=[ChunkChoice(0, Delta(content="chunk"))]), "text"]
    yield ChatCompletion("", [Choice(0, ChatCompletionMessage("Hi"), "stop")], "")
    yield tool_call("weather", city="Oslo", days=2)
    yield ["text", tool_call("weather")]
    yield RateLimitError("slow down")
    yield text_of
    yield pieces_of
    yield lambda request: f"{request.temperature}"


async def fakes() -> None:
    fake = FakeProvider(*replies(), name="*", latency=0.1, chunk_delay=0.1, chunks=3, fault="cut-after-3-events")
    fake.add("more", text_of)
    fake.fault = [Fault.status(429, times=1), "hang"]
    assert_type(fake.requests, list[FakeRequest])
    assert_type(fake.requests[0].request, ChatRequest)
    assert_type(fake.requests[0].wire, list[RecordedRequest])
    assert_type(fake.replies, tuple[FakeReply, ...])
    own = Provider("acme", "https://acme.example/v1")
    AsyncCompletion(providers=[own, fake, Recorder("folder", redact=str.upper)])


async def servers() -> None:
    async with SimulatorServer(replay="folder", latency=0.1) as sim:
        assert_type(sim, SimulatorServer)
        assert_type(sim.environment, dict[str, str])
        assert_type(sim.requests, list[RecordedRequest])
    SimulatorServer(replay=load_folder("folder"))
    assert_type(Recorder("folder").recordings, list[Recording])


@block_network()
async def blocked(number: int) -> str:
    return str(number)


@block_network(allow_loopback=False)
def blocked_too(*numbers: int) -> list[Any]:
    return list(numbers)


async def run() -> None:
    assert_type(await blocked(1), str)
    assert_type(blocked_too(1, 2), list[Any])
    with block_network() as block:
        assert_type(block, block_network)
