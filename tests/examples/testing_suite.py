"""The app's own tests, none of which needs a key or a network.

Run them with pytest and pytest-asyncio: ``python -m pytest -o asyncio_mode=auto testing_suite.py``.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from testing_app import MODEL, answer, order_state, subject

from anycompletion import (
    AsyncCompletion,
    ChatCompletion,
    ChatCompletionMessage,
    Choice,
    FunctionCall,
    RateLimitError,
    ToolCall,
)
from anycompletion.testing import FakeProvider, NetworkBlockedError, Recorder, SimulatorServer, block_network

pytest_plugins = ["anycompletion.testing.pytest"]  # in a suite of several files this belongs into conftest.py
pytestmark = pytest.mark.usefixtures("no_network")

HERE = Path(__file__).parent
LETTER = "Where is my order A17?"


# --- scripted replies: FakeProvider ----------------------------------------------------------------------------------


async def test_subject(fake_llm: FakeProvider) -> None:
    fake_llm.add("Order is late")
    async with AsyncCompletion(providers=[fake_llm]) as client:
        assert await subject(client, LETTER) == "Order is late"
    (call,) = fake_llm.requests
    assert (call.provider, call.request.max_tokens) == ("openai", 20)
    assert call.wire[0].path == "/v1/chat/completions"


async def test_the_subject_can_fail(fake_llm: FakeProvider) -> None:
    fake_llm.add(*[RateLimitError("slow down")] * 3)
    async with AsyncCompletion(providers=[fake_llm]) as client:
        assert await subject(client, LETTER) == "(no subject)"
    assert len(fake_llm.requests[0].wire) == 3


async def test_an_interrupted_answer_is_marked() -> None:
    fake = FakeProvider("It was sent on Monday.", fault="close-after-4-events")
    async with AsyncCompletion(providers=[fake]) as client:
        assert [text async for text in answer(client, LETTER)] == ["It", " was", " sent", " […]"]


async def test_orders_are_looked_up() -> None:
    call = ToolCall("call_1", FunctionCall("look_up", '{"order": "A17"}'))
    tool_call = ChatCompletion("", [Choice(0, ChatCompletionMessage(tool_calls=[call]), "tool_calls")], "")
    fake = FakeProvider(tool_call, lambda request: f"It was {request.to_dict()['messages'][-1]['content']}.")
    async with AsyncCompletion(providers=[fake]) as client:
        assert await order_state(client, LETTER) == "It was sent on Monday."


# --- a real server: SimulatorServer ----------------------------------------------------------------------------------


def test_the_whole_program(llm_server: SimulatorServer) -> None:
    """In a process of its own, whose environment points to the server."""
    llm_server.reply = "Order is late"
    done = subprocess.run([sys.executable, HERE / "testing_app.py", LETTER], capture_output=True, text=True, check=True)
    assert done.stdout == "Order is late"
    assert [request.body["max_tokens"] for request in llm_server.requests] == [20]


async def test_an_overloaded_provider(llm_server: SimulatorServer) -> None:
    llm_server.fault = "overloaded"
    async with AsyncCompletion(max_retries=0) as client:
        assert await subject(client, LETTER) == "(no subject)"


# --- recorded replies: Recorder and replay ---------------------------------------------------------------------------


async def test_a_recorded_answer() -> None:
    async with (
        SimulatorServer(replay=HERE / "testing_recordings") as sim,
        AsyncCompletion(base_urls=sim.base_urls, api_keys=sim.api_keys) as client,
    ):
        assert "".join([text async for text in answer(client, LETTER)]) == "It was sent on Monday. Anything else?"


async def test_recording(tmp_path: Path) -> None:
    """The same without the fake, with a key, records the folder above."""
    fake = FakeProvider("It was sent on Monday. Anything else?")
    async with AsyncCompletion(providers=[fake, Recorder(tmp_path)]) as client:
        await client.create(MODEL, LETTER)
    assert len(list(tmp_path.rglob("*.json"))) == 1  # noqa: ASYNC240


# --- no other connections: block_network -----------------------------------------------------------------------------


async def test_a_forgotten_fake_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-key-at-all")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with block_network(), pytest.raises(NetworkBlockedError, match=r"api\.openai\.com:443"):
        async with AsyncCompletion() as client:
            await subject(client, LETTER)
