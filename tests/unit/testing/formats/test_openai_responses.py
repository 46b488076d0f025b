"""Tests of the simulated Responses API, with OpenAI's own SDK where it is installed, and the real API's errors."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from anycompletion.testing import SimulatorServer
from anycompletion.testing.formats.openai_responses.simulate import FORMAT
from anycompletion.testing.formats.wire_format import SimulatedRequest, StreamedResponse, WholeResponse

MODEL = "gpt-5.2"
KNOCK = "Knock knock."
ASK: dict[str, Any] = {"model": MODEL, "input": KNOCK}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
}
TOOL: dict[str, Any] = {"type": "function", "name": "get_weather", "parameters": SCHEMA}
SHELL: dict[str, Any] = {"type": "custom", "name": "shell"}
CALL = {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "call_1", "output": "rain"}
USER = {"role": "user", "content": KNOCK}


def response_to(body: Any, *, path: str = "/v1/responses", method: str = "POST", key: str | None = None) -> Any:
    """The simulated response to a body, without a server."""
    headers = {"authorization": f"Bearer {key or FORMAT.api_key}"}
    return FORMAT.respond(SimulatedRequest(method=method, path=path, headers=headers, body=body, uid="0" * 32, now=1.5))


def reply(**change: Any) -> dict[str, Any]:
    """The whole response to a valid request."""
    response = response_to({**ASK, **change})
    assert isinstance(response, WholeResponse)
    assert response.status == 200, response.body
    return json.loads(response.body)


def events(**change: Any) -> list[dict[str, Any]]:
    """The data of a stream's events, each of which has its type as its name."""
    response = response_to({**ASK, "stream": True, **change})
    assert isinstance(response, StreamedResponse)
    found: list[dict[str, Any]] = []
    for event in response.events:
        name, _, data = event.data.decode().removeprefix("event: ").partition("\ndata: ")
        found.append(json.loads(data))
        assert found[-1]["type"] == name
    return found


def text_of(whole: dict[str, Any]) -> str:
    """The text of all messages."""
    messages = [item for item in whole["output"] if item["type"] == "message"]
    return "".join(part["text"] for item in messages for part in item["content"])


# --- replies ----------------------------------------------------------------------------------------------------------


def test_a_reply() -> None:
    """A client's decoder would be tested with a shape that the API does not have."""
    whole = reply()
    assert (whole["object"], whole["status"], whole["model"]) == ("response", "completed", MODEL)
    assert text_of(whole) == "Who's there? (choice 0)"
    usage = whole["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def test_a_stream_ends_with_the_whole_reply() -> None:
    """A stream would be another reply than the whole one."""
    found = events()
    assert [each["sequence_number"] for each in found] == [*range(len(found))]
    assert found[0]["type"] == "response.created"
    assert found[-1]["type"] == "response.completed"
    assert found[-1]["response"] == reply()
    deltas = [each["delta"] for each in found if each["type"] == "response.output_text.delta"]
    assert "".join(deltas) == "Who's there? (choice 0)"


def test_reasoning() -> None:
    """Round trips of reasoning could not be tested."""
    whole = reply(reasoning={"effort": "low", "summary": "auto"}, include=["reasoning.encrypted_content"])
    thought, message = whole["output"]
    assert (thought["type"], message["type"]) == ("reasoning", "message")
    assert thought["summary"]
    assert thought["encrypted_content"]
    assert reply(input=[USER, thought, message, USER])["status"] == "completed"


def test_reasoning_is_encrypted_only_if_it_is_asked_for() -> None:
    """A client that does not ask for it would pass its tests."""
    thought = reply(reasoning={"effort": "low"})["output"][0]
    assert not thought.get("encrypted_content")


def test_an_incomplete_reply() -> None:
    """Answers that are cut off could not be tested."""
    whole = reply(max_output_tokens=16, input="Tell me a very long story about the sea. " * 20)
    assert whole["status"] in ("completed", "incomplete")
    if whole["status"] == "incomplete":
        assert whole["incomplete_details"] == {"reason": "max_output_tokens"}


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_and_its_result(stream: bool) -> None:
    """Tool loops could not be tested."""
    whole = events(tools=[TOOL])[-1]["response"] if stream else reply(tools=[TOOL])
    (call,) = whole["output"]
    assert (call["type"], call["name"]) == ("function_call", "get_weather")
    assert json.loads(call["arguments"]) == {"city": "some city", "days": 1}
    result = {**RESULT, "call_id": call["call_id"]}
    assert text_of(reply(tools=[TOOL], input=[USER, call, result])).startswith("The tool says: rain")


def test_a_call_of_a_custom_tool() -> None:
    """Custom tools could not be tested."""
    (call,) = reply(tools=[SHELL])["output"]
    assert (call["type"], call["name"]) == ("custom_tool_call", "shell")
    assert isinstance(call["input"], str)


def test_json() -> None:
    """Structured replies could not be tested."""
    form = {
        "type": "json_schema",
        "name": "weather",
        "schema": {**SCHEMA, "additionalProperties": False},
        "strict": True,
    }
    assert json.loads(text_of(reply(text={"format": form}))) == {"city": "some city", "days": 1}


# --- errors -----------------------------------------------------------------------------------------------------------

INVALID: list[tuple[dict[str, Any], str | None]] = [
    ({"model": None}, None),
    ({"messages": []}, "messages"),
    ({"max_output_tokens": 1}, "max_output_tokens"),
    ({"temperature": 3}, "temperature"),
    ({"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}, "input[0].content[0].type"),
    ({"input": [USER, CALL]}, "input"),
    ({"input": [USER, CALL, USER]}, "input"),
    ({"input": [USER, RESULT]}, "input"),
    ({"background": True, "store": False}, "store"),
    ({"new_field": 1}, "new_field"),
    ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools[0].name"),
]


@pytest.mark.parametrize(("change", "param"), INVALID)
def test_what_the_api_refuses_is_refused(change: dict[str, Any], param: str | None) -> None:
    """A client that sends chat requests to this API, or breaks a rule of it, would pass its tests."""
    response = response_to({name: value for name, value in {**ASK, **change}.items() if value is not None})
    assert isinstance(response, WholeResponse)
    assert response.status == 400, response.body
    error = json.loads(response.body)["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)


def test_changed_reasoning_is_refused() -> None:
    """A client that changes what it must send back unchanged would pass its tests."""
    thought = reply(reasoning={"effort": "low"}, include=["reasoning.encrypted_content"])["output"][0]
    broken = {**thought, "encrypted_content": "x" + thought["encrypted_content"]}
    response = response_to({**ASK, "input": [USER, broken, {"role": "assistant", "content": "Hi"}, USER]})
    assert response.status == 400
    assert json.loads(response.body)["error"]["code"] == "invalid_encrypted_content"


def test_a_wrong_key_is_refused() -> None:
    """Errors of authentication could not be tested."""
    assert response_to(ASK, key="wrong").status == 401


# --- OpenAI's SDK -----------------------------------------------------------------------------------------------------


@pytest.fixture
async def openai() -> AsyncIterator[Any]:
    """OpenAI's client, asking the simulator."""
    sdk = pytest.importorskip("openai")
    async with SimulatorServer() as sim:
        client = sdk.AsyncOpenAI(base_url=sim.base_urls["openai"], api_key=sim.api_keys["openai"], max_retries=0)
        async with client:
            yield client


async def test_the_sdk_reads_replies_and_streams(openai: Any) -> None:
    """The simulator would have a shape that OpenAI's own client cannot read."""
    whole = await openai.responses.create(**ASK)
    assert whole.output_text == "Who's there? (choice 0)"
    async with openai.responses.stream(**ASK, reasoning={"effort": "low", "summary": "auto"}) as stream:
        kinds = [event.type async for event in stream]
        final = await stream.get_final_response()
    assert final.output_text.startswith("Who's there?")
    assert kinds[-1] == "response.completed"
    assert "response.reasoning_summary_text.delta" in kinds


async def test_the_sdk_follows_the_background(openai: Any) -> None:
    """Responses in the background could not be tested."""
    queued = await openai.responses.create(**ASK, background=True)
    assert queued.status == "queued"
    states = [(await openai.responses.retrieve(queued.id)).status for _ in range(3)]
    assert states == ["in_progress", "completed", "completed"]
    other = await openai.responses.create(**ASK, background=True)
    assert (await openai.responses.cancel(other.id)).status == "cancelled"
    assert (await openai.responses.retrieve(other.id)).status == "cancelled"
