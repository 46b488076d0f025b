"""Tests of the simulated Bedrock, with AWS's own SDK where it is installed, and the real API's errors."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from anycompletion.codecs.aws_eventstream import AwsEvent, AwsEventStreamParser
from anycompletion.testing import Fault, SimulatorServer
from anycompletion.testing.formats.anthropic_messages.validate import signature
from anycompletion.testing.formats.bedrock_converse.simulate import API_KEY, FORMAT
from anycompletion.testing.formats.wire_format import SimulatedRequest, StreamedResponse, WholeResponse

MODEL = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
KNOCK: list[Any] = [{"role": "user", "content": [{"text": "Knock knock."}]}]
ASK: dict[str, Any] = {"messages": KNOCK}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
}
VALUE = {"city": "some city", "days": 1}
CONFIG: dict[str, Any] = {"tools": [{"toolSpec": {"name": "get_weather", "inputSchema": {"json": SCHEMA}}}]}
THINK = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
USE: dict[str, Any] = {"toolUse": {"toolUseId": "tooluse_1", "name": "get_weather", "input": {}}}
RESULT: dict[str, Any] = {"toolResult": {"toolUseId": "tooluse_1", "content": [{"text": "rain"}]}}
CALLED: list[Any] = [*KNOCK, {"role": "assistant", "content": [USE]}]
ANSWERED: list[Any] = [*CALLED, {"role": "user", "content": [RESULT]}]
THOUGHT = "Let me think about that for a moment."


def response_to(
    body: Any, *, model: str = MODEL, operation: str = "converse", method: str = "POST", key: str | None = API_KEY
) -> Any:
    """The simulated response to a body, without a server."""
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    path = f"/model/{model}/{operation}"
    return FORMAT.respond(SimulatedRequest(method=method, path=path, headers=headers, body=body, uid="0" * 32, now=1.5))


def reply(**change: Any) -> dict[str, Any]:
    """The whole response to a valid request."""
    response = response_to({**ASK, **change})
    assert isinstance(response, WholeResponse)
    assert response.status == 200, response.body
    found: dict[str, Any] = json.loads(response.body)
    return found


def events(**change: Any) -> list[tuple[str, dict[str, Any]]]:
    """The names and the data of a stream's events."""
    response = response_to({**ASK, **change}, operation="converse-stream")
    assert isinstance(response, StreamedResponse)
    assert response.content_type == "application/vnd.amazon.eventstream"
    parser = AwsEventStreamParser()
    found = [(each.name, json.loads(each.data)) for event in response.events for each in parser.feed(event.data)]
    assert parser.error is None
    return found


def error_for(body: Any, **options: Any) -> tuple[int, str, str]:
    """The status, the name and the message of the error response to a body."""
    response = response_to(body, **options)
    assert isinstance(response, WholeResponse)
    name = response.headers["x-amzn-errortype"].partition(":")[0]
    return response.status, name, json.loads(response.body)["message"]


# --- the official SDK ---------------------------------------------------------------------------------------------

Call = Callable[..., Any]


@pytest.fixture
def bedrock(sim: SimulatorServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Call]:
    """AWS's own SDK, pointed at the simulator: a function that makes a call in a thread."""
    session = pytest.importorskip("botocore.session", reason="botocore is not installed").get_session()
    config = pytest.importorskip("botocore.config").Config(retries={"max_attempts": 0})
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
    session.set_credentials("AKIDEXAMPLE", "no-secret")
    client = session.create_client(
        "bedrock-runtime", region_name="us-east-1", endpoint_url=sim.base_urls["bedrock"], config=config
    )

    def make(stream: bool, arguments: dict[str, Any]) -> Any:
        if not stream:
            return client.converse(modelId=MODEL, **arguments)
        with contextlib.closing(client.converse_stream(modelId=MODEL, **arguments)["stream"]) as found:
            return list(found)

    async def call(stream: bool = False, **arguments: Any) -> Any:
        return await asyncio.to_thread(make, stream, {**ASK, **arguments})

    yield call
    client.close()


async def test_the_sdk_reads_a_whole_response(bedrock: Call) -> None:
    """The simulator's format would differ from the provider's."""
    response = await bedrock(additionalModelRequestFields=THINK)
    thought, text = response["output"]["message"]["content"]
    assert thought["reasoningContent"]["reasoningText"] == {"text": THOUGHT, "signature": signature(THOUGHT)}
    assert text == {"text": "Who's there? (choice 0)"}
    assert response["stopReason"] == "end_turn"
    assert response["usage"]["inputTokens"] == 2
    assert response["usage"]["totalTokens"] == 2 + response["usage"]["outputTokens"]
    assert response["ResponseMetadata"]["RequestId"]


async def test_the_sdk_reads_a_stream(bedrock: Call) -> None:
    """Events of a stream would have wrong names, members or checksums."""
    found = await bedrock(stream=True, additionalModelRequestFields=THINK)
    kinds = [next(iter(event)) for event in found]
    assert list(dict.fromkeys(kinds)) == [
        "messageStart",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
    ]
    deltas = [event["contentBlockDelta"]["delta"] for event in found if "contentBlockDelta" in event]
    assert "".join(delta.get("text", "") for delta in deltas) == "Who's there? (choice 0)"
    assert found[-2]["messageStop"] == {"stopReason": "end_turn"}
    assert found[-1]["metadata"]["usage"]["inputTokens"] == 2


async def test_a_tool_is_called_and_its_result_is_used(bedrock: Call) -> None:
    """Tool loops could not be tested."""
    whole = await bedrock(toolConfig=CONFIG)
    use = whole["output"]["message"]["content"][0]["toolUse"]
    assert (whole["stopReason"], use["name"], use["input"]) == ("tool_use", "get_weather", VALUE)
    found = await bedrock(stream=True, toolConfig=CONFIG)
    start = next(event["contentBlockStart"] for event in found if "contentBlockStart" in event)
    assert start["start"]["toolUse"]["name"] == "get_weather"
    deltas = [event["contentBlockDelta"]["delta"] for event in found if "contentBlockDelta" in event]
    assert json.loads("".join(delta["toolUse"]["input"] for delta in deltas)) == VALUE
    answer = await bedrock(messages=ANSWERED, toolConfig=CONFIG)
    assert answer["output"]["message"]["content"] == [{"text": "The tool says: rain (choice 0)"}]


KINDS = {
    "bad-request": "ValidationException",
    "authentication": "UnrecognizedClientException",
    "permission": "AccessDeniedException",
    "not-found": "ResourceNotFoundException",
    "quota": "ServiceQuotaExceededException",
    "rate-limit": "ThrottlingException",
    "server-error": "InternalServerException",
    "unavailable": "ServiceUnavailableException",
    "timeout": "ModelTimeoutException",
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", KINDS)
async def test_the_sdk_recognizes_errors(sim: SimulatorServer, bedrock: Call, name: str, stream: bool) -> None:
    """Errors would be of the wrong class, or have another body than the real ones."""
    sim.fault = Fault.named(name)
    with pytest.raises(Exception, match=KINDS[name]) as caught:
        await bedrock(stream=stream)
    error = getattr(caught.value, "response", {})["Error"]
    assert (error["Code"], error["Message"]) == (KINDS[name], FORMAT.errors[name].message)


async def test_the_sdk_raises_an_exception_inside_a_stream(sim: SimulatorServer, bedrock: Call) -> None:
    """Errors after a good status could not be tested."""
    sim.fault = "error-after-3-events"
    with pytest.raises(Exception, match="serviceUnavailableException"):
        await bedrock(stream=True)


# --- responses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "text", "reason"),
    [
        ({}, "Who's there? (choice 0)", "end_turn"),
        ({"inferenceConfig": {"maxTokens": 2}}, "Who's there?", "max_tokens"),
        ({"inferenceConfig": {"stopSequences": ["?"]}}, "Who's there", "stop_sequence"),
        (
            {
                "outputConfig": {
                    "textFormat": {
                        "type": "json_schema",
                        "structure": {"jsonSchema": {"schema": json.dumps({**SCHEMA, "additionalProperties": False})}},
                    }
                }
            },
            json.dumps(VALUE),
            "end_turn",
        ),
        (
            {"messages": [{"role": "user", "content": [{"guardContent": {"text": {"text": "Knock knock."}}}]}]},
            "Who's there? (choice 0)",
            "end_turn",
        ),
    ],
)
def test_the_end_of_a_text_and_its_stop_reason(change: dict[str, Any], text: str, reason: str) -> None:
    """Limits, stop sequences and JSON replies could not be tested."""
    whole = reply(**change)
    assert whole["output"]["message"]["content"] == [{"text": text}]
    assert whole["stopReason"] == reason
    found = events(**change)
    assert "".join(data["delta"]["text"] for name, data in found if name == "contentBlockDelta") == text
    assert [data["stopReason"] for name, data in found if name == "messageStop"] == [reason]
    assert found[-1][1]["usage"] == whole["usage"]


def test_the_events_of_a_tool_call_have_the_real_order() -> None:
    """A client that relies on the order could not be tested."""
    found = [name for name, _ in events(toolConfig=CONFIG, additionalModelRequestFields=THINK)]
    assert list(dict.fromkeys(found)) == [
        "messageStart",
        "contentBlockDelta",
        "contentBlockStop",
        "contentBlockStart",
        "messageStop",
        "metadata",
    ]


def test_the_reply_has_no_model_and_its_id_is_a_header() -> None:
    """A client that looks for either in the body would pass."""
    response = response_to(ASK)
    assert response.headers["x-amzn-requestid"] == "00000000-0000-0000-0000-000000000000"
    assert not {"id", "model"} & json.loads(response.body).keys()


async def test_a_cut_inside_a_message_leaves_half_of_it(sim: SimulatorServer) -> None:
    """Cuts of a binary stream could not be tested."""
    stream = response_to(ASK, operation="converse-stream")
    parser = AwsEventStreamParser()
    data = stream.events[0].data
    assert parser.feed(data[: len(data) // 2]) == []
    (found,) = parser.feed(data[len(data) // 2 :])
    assert isinstance(found, AwsEvent)
    assert found.headers[":message-type"] == "event"


# --- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [None, "wrong"])
def test_a_key_is_required(key: str | None) -> None:
    """A client that does not send its key would pass."""
    assert error_for(ASK, key=key)[0] == 403


@pytest.mark.parametrize(
    ("operation", "method", "status"),
    [("invoke", "POST", 404), ("converse", "GET", 405), ("converse-stream", "GET", 405)],
)
def test_the_path_and_the_method_are_validated(operation: str, method: str, status: int) -> None:
    """A client with a wrong path would pass."""
    assert error_for(ASK, operation=operation, method=method)[0] == status


def test_an_arn_is_a_model() -> None:
    """A model whose name has slashes could not be tested."""
    arn = "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-x"
    assert response_to(ASK, model=arn).status == 200
    assert error_for(ASK, model="no-such-model")[:2] == (404, "ResourceNotFoundException")


def turn(*blocks: Any, role: str = "user") -> dict[str, Any]:
    """A body with one message."""
    return {"messages": [{"role": role, "content": [*blocks]}]}


NAMED = {"format": "pdf", "name": "a", "source": {"bytes": "JVBERg=="}}

INVALID: dict[str, Any] = {
    "no message": {"messages": []},
    "no content": turn(),
    "a blank text": turn({"text": " "}),
    "an unknown block": turn({"smell": {}}),
    "two kinds in a block": turn({"text": "a", "image": {}}),
    "an unknown role": turn({"text": "a"}, role="system"),
    "a message with more": {"messages": [{**KNOCK[0], "name": "ann"}]},
    "the assistant first": turn({"text": "a"}, role="assistant"),
    "two messages of one role": {"messages": [*KNOCK, *KNOCK]},
    "an image of no format": turn({"image": {"format": "tiff", "source": {"bytes": "AAAA"}}}),
    "an image of the assistant": {
        "messages": [*KNOCK, {"role": "assistant", "content": [{"image": {"format": "png", "source": {"bytes": "A"}}}]}]
    },
    "a cache point at the beginning": turn({"cachePoint": {"type": "default"}}, {"text": "a"}),
    "a cache point behind a document": turn({"document": NAMED}, {"cachePoint": {"type": "default"}}, {"text": "a"}),
    "a cache point behind reasoning": {
        "messages": [
            *KNOCK,
            {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"redactedContent": "cmVk"}},
                    {"cachePoint": {"type": "default"}},
                    {"text": "a"},
                ],
            },
            *KNOCK,
        ]
    },
    "a name with a dot": turn({"text": "a"}, {"document": {**NAMED, "name": "a.pdf"}}),
    "two documents of one name": turn({"text": "a"}, {"document": NAMED}, {"document": NAMED}),
    "no tools": {"messages": ANSWERED},
    "no result": {"messages": [*CALLED, *KNOCK], "toolConfig": CONFIG},
    "no result at the end": {"messages": CALLED, "toolConfig": CONFIG},
    "a result without a call": {**turn(RESULT), "toolConfig": CONFIG},
    "a call's id": {
        "messages": [*KNOCK, {"role": "assistant", "content": [{"toolUse": {**USE["toolUse"], "toolUseId": "a b"}}]}],
        "toolConfig": CONFIG,
    },
    "a call's input": {
        "messages": [*KNOCK, {"role": "assistant", "content": [{"toolUse": {**USE["toolUse"], "input": "{}"}}]}],
        "toolConfig": CONFIG,
    },
    "a wrong signature": {
        "messages": [
            *KNOCK,
            {
                "role": "assistant",
                "content": [{"reasoningContent": {"reasoningText": {"text": "a", "signature": "b"}}}, {"text": "c"}],
            },
            *KNOCK,
        ]
    },
    "no tool": {**ASK, "toolConfig": {"tools": []}},
    "a tool without a schema": {**ASK, "toolConfig": {"tools": [{"toolSpec": {"name": "a", "inputSchema": {}}}]}},
    "a tool with a long name": {
        **ASK,
        "toolConfig": {"tools": [{"toolSpec": {"name": "a" * 65, "inputSchema": {"json": SCHEMA}}}]},
    },
    "an empty description": {
        **ASK,
        "toolConfig": {"tools": [{"toolSpec": {"name": "a", "description": "", "inputSchema": {"json": SCHEMA}}}]},
    },
    "an unknown choice": {**ASK, "toolConfig": {**CONFIG, "toolChoice": {"none": {}}}},
    "two choices": {
        **ASK,
        "toolConfig": {**CONFIG, "toolChoice": {"auto": {}}},
        "additionalModelRequestFields": {"tool_choice": {"type": "auto"}},
    },
    "no tokens": {**ASK, "inferenceConfig": {"maxTokens": 0}},
    "a hot temperature": {**ASK, "inferenceConfig": {"temperature": 1.5}},
    "an unknown field": {**ASK, "inferenceConfig": {"topK": 5}},
    "an empty stop": {**ASK, "inferenceConfig": {"stopSequences": [""]}},
    "an unknown tier": {**ASK, "serviceTier": {"type": "standard"}},
    "odd metadata": {**ASK, "requestMetadata": {"a": "ü"}},
    "a small budget": {**ASK, "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 9}}},
    "a budget beyond the limit": {
        **ASK,
        "additionalModelRequestFields": THINK,
        "inferenceConfig": {"maxTokens": 1024},
    },
    "a schema that is no text": {
        **ASK,
        "outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": SCHEMA}}}},
    },
    "system as text": {**ASK, "system": "Be brief."},
}


@pytest.mark.parametrize("name", INVALID)
def test_what_bedrock_rejects_is_rejected(name: str) -> None:
    """A client's mistake would be found only by the real provider."""
    status, kind, _ = error_for(INVALID[name])
    assert (status, kind) == (400, "ValidationException")
